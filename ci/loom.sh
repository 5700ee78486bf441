#!/usr/bin/env bash
# The loom models, with debug assertions. LOOM_MAX_PREEMPTIONS=N sets one bound for all, and then the
# floors of executions are not checked.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg evanesce_loom"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
cargo test -p evanesce --release --features async,loom --lib --test models -- --nocapture --test-threads=1
