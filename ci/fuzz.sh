#!/usr/bin/env bash
# Fuzzes the target `ops` for SECONDS (default 60), with AddressSanitizer, which also watches the
# emptied slots of the slab (--cfg asan).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing: no nightly toolchain"
    exit 0
fi
cargo fuzz --version >/dev/null 2>&1 || cargo install --debug --locked cargo-fuzz
export RUSTFLAGS="--cfg asan"
# What it finds new goes to target/, not to the committed corpus.
mkdir -p target/fuzz-corpus
cargo +nightly fuzz run ops target/fuzz-corpus fuzz/corpus/ops -- -max_total_time="$seconds" -max_len=512 -print_final_stats=1
