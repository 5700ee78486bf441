#!/usr/bin/env bash
# What the committed fuzz corpus reaches: every operation, and both sides of every deadline comparison.
# Needs a nightly toolchain and LLVM 22 (Debian: llvm-22). With REPORT=1 it also prints lines covered a file.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v llvm-cov-22 >/dev/null || ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: coverage: needs a nightly toolchain and llvm-22"
    exit 0
fi
dir="${CARGO_TARGET_DIR:-target}/coverage"
mkdir -p "$dir"
LLVM_PROFILE_FILE="$dir/build-%p.profraw" \
    RUSTFLAGS="-Cinstrument-coverage -Zcoverage-options=branch" CARGO_TARGET_DIR="$dir" \
    cargo +nightly test -p evanesce --test rungs --no-run --message-format=json >"$dir/build.json"
binary=$(grep '"name":"rungs"' "$dir/build.json" | grep -oE '"executable":"[^"]*"' | cut -d'"' -f4)
rm -f "$dir"/*.profraw
EVANESCE_FULL=1 LLVM_PROFILE_FILE="$dir/%p.profraw" "$binary" --exact model::committed_fuzz_corpus_agrees_with_the_model >/dev/null
llvm-profdata-22 merge -sparse "$dir"/*.profraw -o "$dir/profdata"
llvm-cov-22 export "$binary" -instr-profile="$dir/profdata" -format=lcov >"$dir/lcov"
[ -z "${REPORT:-}" ] || llvm-cov-22 report "$binary" -instr-profile="$dir/profdata" src

# Each arm of the interpreter.
unreached=$(awk -F'[:,]' '
    /^SF:.*tests\/common\/ops\.rs$/ { on = 1; file = substr($0, 4) } /^end_of_record/ { on = 0 }
    on && /^DA:/ { hits[$2] += $3 }
    END {
        while ((getline line < file) > 0) {
            n++
            if (line ~ /^            Op::[A-Za-z]+.*=> \{$/ && !hits[n] && !hits[n + 1]) print "never reached: " line
        }
    }' "$dir/lcov")
[ -z "$unreached" ] || { echo "$unreached"; exit 1; }
echo "every operation is reached"

# Each branch on a comparison of a deadline with the clock, and how often it went either way. A side that
# one thread cannot reach is named with the test that does.
awk -F'[:,]' -v excused='
state.is_due_at(reading) ||=renewed within a lookup: models 27, 27b
if state.is_visible_at(reading) && hit=expires within ttl: ttl_answers_what_was_true_at_some_instant
                if !self.is_visible(old.state) {=expires within update: update_answers_none_when_the_entry_expires_in_its_closure
' '
    /^SF:/ { file = substr($0, 4); on = file ~ /src\/raw\/(judge|table|put|compute|retain|upkeep)\.rs$/; if (on) files[file] }
    on && /^BRDA:/ { side[file, $2, ($4 + 0) % 2] += ($5 == "-" ? 0 : $5); branch[file, $2] }
    END {
        split(excused, lines, "\n")
        for (f in files) {
            n = 0
            while ((getline line < f) > 0) {
                n++
                if (line !~ /is_visible_at\(|is_due_at\(|self\.is_visible\(|if visible/ || !((f, n) in branch)) continue
                name = f; sub(/.*src/, "src", name)
                if (side[f, n, 0] > 0 && side[f, n, 1] > 0) {
                    printf "%s:%d either way\n", name, n
                    continue
                }
                why = ""
                for (i in lines) {
                    split(lines[i], part, "=")
                    if (part[1] != "" && index(line, part[1])) why = part[2]
                }
                printf "%s:%d one way only%s\n", name, n, why == "" ? "" : ": " why
                if (why == "") bad = 1
            }
        }
        exit bad
    }' "$dir/lcov" | sort
