#!/usr/bin/env bash
# Runs the harness with an older build of this library as one more entrant, `before`:
#
#     crates/bench/before.sh [COMMIT] [options of the harness]
#
# It makes a package in target/before that is the harness with a second library, and runs it. Other
# commands on that package: cargo clippy --manifest-path target/before/Cargo.toml --no-deps
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/../.."
root=$PWD
commit=3168087c84af51521be8e933a6795a8e8e9e1361 # the last one before entries lay in lines
if [[ $# -gt 0 && $1 != -* ]]; then
    commit=$1
    shift
fi
commit=$(git rev-parse --verify --quiet "$commit^{commit}") || { echo "before.sh: no such commit" >&2; exit 2; }

# Two levels below the root, as the harness is, so that relative paths in its manifest and sources hold.
package=target/before
# A folder for each commit: cargo goes by the times of files, and would not see that older ones took their place.
library=$package/$commit
if [[ ! -e $library ]]; then
    rm -rf "$library.part"
    mkdir -p "$library.part"
    # The library's documentation includes what is in docs.
    mapfile -t parts < <(git ls-tree --name-only "$commit" -- Cargo.toml README.md build.rs src docs)
    git archive "$commit" -- "${parts[@]}" | tar -x -C "$library.part"
    # Nothing but the library, under a version that a lock file tells from the present one's.
    awk '/^\[/ { drop = /^\[workspace|dev-dependencies|^\[\[bench|^\[profile/ } !drop' \
        "$library.part/Cargo.toml" | sed '0,/^version = .*/s//version = "0.0.0-before"/' >"$library.part/manifest"
    mv "$library.part/manifest" "$library.part/Cargo.toml"
    mv "$library.part" "$library"
fi

# Its own name keeps it from taking the place of the harness's program while that runs.
{
    awk '/^\[/ { drop = /^\[\[bench|dev-dependencies/ } !drop' crates/bench/Cargo.toml | sed -e 's/^name = "evanesce-bench"/name = "evanesce-bench-before"/' \
        -e 's|^path = "src/main.rs"|path = "../../crates/bench/src/main.rs"|' \
        -e "/^evanesce = /a evanesce-before = { package = \"evanesce\", path = \"$commit\" }"
    printf '\n[features]\ndefault = ["before"]\nbefore = []\n'
    printf '\n[workspace]\nexclude = ["%s"]\n\n' "$commit"
    sed -n '/^\[profile/,$p' Cargo.toml
} >"$package/Cargo.toml"
cp Cargo.lock "$package/Cargo.lock" # the same versions of all peers

cd "$caller" # paths among the options are relative to it
EVANESCE_BEFORE=${commit:0:12} CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} \
    exec cargo run --release --quiet --manifest-path "$root/$package/Cargo.toml" -- "$@"
