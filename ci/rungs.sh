# The rungs of the ladder: how each is built and run. For ci/planted.sh and .ci/run, to be sourced.
source ci/tools.sh

target=x86_64-unknown-linux-gnu
root="${CARGO_TARGET_DIR:-target}"
export CARGO_PROFILE_RELEASE_DEBUG=line-tables-only

# The suites of real threads, in small doses where each access is instrumented.
export EVANESCE_LIN_ROUNDS="${EVANESCE_LIN_ROUNDS:-3000}"

has_nightly() { cargo +nightly --version >/dev/null 2>&1; }

# Whether this machine can run it; says so if not.
can_run() {
    case $1 in
        tsan | asan | lsan)
            has_nightly && [ "$(rustc -vV | sed -n 's/host: //p')" = $target ] ||
                { echo "SKIPPED: $1: needs a nightly toolchain on $target"; return 1; }
            ;;
        fuzz)
            has_nightly || { echo "SKIPPED: $1: needs a nightly toolchain"; return 1; }
            tool fuzz
            ;;
    esac
}

# Sets `flags`, `command` (of cargo), `suites` and `dir` of a rung. And `jobs`, how many of its tests run side by side: a
# model or a fuzzer takes one processor, while real threads are to have the machine to themselves (but for what .ci/run does beside the ladder). And of the binaries that
# have many suites `only` those that it runs, where sanitizers make all too slow, or look into no memory that is mapped.
rung() {
    command=(cargo test -p evanesce --release)
    checks=true only=()
    case $1 in
        loom) flags="--cfg evanesce_loom -Dwarnings" suites=(--features async,loom --lib --test models) ;;
        epoch) flags="--cfg evanesce_loom --cfg crossbeam_loom --cfg crossbeam_sanitize -Dwarnings" suites=(--features loom --test models) ;;
        shuttle) flags="--cfg evanesce_shuttle -Dwarnings" suites=(--features shuttle --test models) ;;
        tests) flags="" suites=(--test rungs --test reads --test peers --test resident --test load) ;;
        threads) flags="" suites=(--test threads --test soak) ;;
        # Without debug assertions, so that it is the sanitizer that speaks.
        tsan) flags="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tsan" checks=false
            suites=(--test threads) ;;
        asan) flags="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer --cfg crossbeam_sanitize --cfg asan"
            checks=false
            suites=(--lib --test threads --test rungs --test statics)
            only=(stress:: reclaim:: model:: panic:: drops:: regressions::) ;;
        # The address sanitizer looks for leaks as well; this one looks at the collector as it is.
        lsan) flags="-Zsanitizer=leak -Cunsafe-allow-abi-mismatch=sanitizer" checks=false
            suites=(--test rungs --test statics) only=(reclaim:: regressions:: types::) ;;
        fuzz) flags="--cfg asan" ;;
    esac
    dir="$root/$1" jobs=1
    case $1 in
        loom | epoch | shuttle | fuzz) jobs=$(nproc) ;;
    esac
    case $1 in
        tsan | asan | lsan) command=(cargo +nightly test -p evanesce --release --target $target) ;;
        # One build for both.
        threads) dir="$root/tests" ;;
    esac
}

environment() {
    # The standard library's own races, and the leaks of what is meant to last as long as the process.
    export TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp halt_on_error=1 exitcode=66"
    export ASAN_OPTIONS="exitcode=23" LSAN_OPTIONS="exitcode=23"
    case $1 in
        tsan) export EVANESCE_STRESS_OPS=20000 EVANESCE_LIN_ROUNDS=2000 ;;
        tests) export EVANESCE_ENTRIES=10000000 EVANESCE_FULL=1 ;;
        threads) export EVANESCE_FULL=1 ;;
        asan | lsan) export EVANESCE_STRESS_OPS=20000 PROPTEST_CASES=20 ;;
    esac
}

# Builds a rung, with further flags, and keeps the paths of its binaries in $dir/binaries.
build() {
    local name=$1 extra="${*:2}"
    rung "$name"
    mkdir -p "$dir"
    if [ "$name" = fuzz ]; then
        RUSTFLAGS="$flags $extra" cargo +nightly fuzz build
        printf "fuzz/target/$target/release/%s\n" ops bounded >"$dir/binaries"
        return
    fi
    RUSTFLAGS="$flags $extra" CARGO_TARGET_DIR="$dir" CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=$checks \
        "${command[@]}" "${suites[@]}" --no-run --message-format=json >"$dir/$name.json"
    grep '"test":true' "$dir/$name.json" | grep -oE '"executable":"[^"]*"' | cut -d'"' -f4 >"$dir/$name.binaries"
    [ "$(wc -l <"$dir/$name.binaries")" = "$(grep -oE -- '--(lib|test)' <<<"${suites[*]}" | wc -l)" ]
}

binaries() { if [ "$1" = fuzz ]; then cat "$dir/binaries"; else cat "$dir/$1.binaries"; fi; }

# "BINARY TEST" lines.
list_tests() {
    rung "$1"
    if [ "$1" = fuzz ]; then
        # `corpus` is that of `ops`.
        sed -E 's#.*/(.*)#& \1_corpus#; s# ops_corpus$# corpus#' "$dir/binaries"
        return
    fi
    local binary
    for binary in $(binaries "$1"); do
        "$binary" --list | sed -n "s#^\(.*\): test\$#$binary \1#p"
    done
}

# Runs all tests of a rung. `|| return`: a caller that looks at the result switches `set -e` off.
run_rung() {
    rung "$1"
    environment "$1"
    local binary
    for binary in $(binaries "$1"); do
        if [ "$1" = fuzz ]; then
            "$binary" -runs=0 -artifact_prefix="$dir/" "fuzz/corpus/$(basename "$binary")" || return
        else
            case $(basename "$binary") in
                rungs-* | threads-*) "$binary" --nocapture --test-threads=1 "${only[@]}" || return ;;
                *) "$binary" --nocapture --test-threads="$jobs" || return ;;
            esac
        fi
    done
}

# Runs one test.
run_one() {
    environment "$1"
    if [ "$1" = fuzz ]; then
        timeout 120 "$2" -runs=0 -artifact_prefix="$dir/" "fuzz/corpus/$(basename "$2")"
    else
        # Random schedules end with the first that fails: a bug may need many. (All take 30 s at most, far from
        # the limit, which would count as caught.)
        EVANESCE_SCHEDULES=100000 EVANESCE_TEST_LIMIT=60 timeout 120 "$2" --exact "$3" --nocapture --test-threads=1
    fi
}

# What a rung did, from its log.
count_rung() {
    grep -oE '(model (racy|slab|limbo|epoch|tokens|lines|flight)_|shuttle |linearizable under |account: ).*' "$2" || true
    if [ "$1" = fuzz ]; then
        echo "fuzz: $(find fuzz/corpus -type f | wc -l) inputs of the committed corpora replayed"
    else
        echo "$1: $(grep -hoE '^test result: ok. [0-9]+ passed' "$2" | awk '{ n += $4 } END { print n }') tests passed"
    fi
}
