#!/usr/bin/env bash
# Fuzzes the targets `ops` and `bounded` for SECONDS each (default 60), with AddressSanitizer, which also watches the
# emptied slots of the slab (--cfg asan).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing: no nightly toolchain"
    exit 0
fi
source ci/tools.sh
tool fuzz
export RUSTFLAGS="--cfg asan"
# What it finds new goes to target/, not to the committed corpus.
for fuzzed in ops bounded; do
    mkdir -p target/fuzz-corpus/$fuzzed
    cargo +nightly fuzz run $fuzzed target/fuzz-corpus/$fuzzed fuzz/corpus/$fuzzed -- -max_total_time="$seconds" -max_len=512 -print_final_stats=1
done
