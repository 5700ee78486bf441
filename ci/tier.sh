#!/usr/bin/env bash
# The near tier: its tests and its fault matrix on the servers that are there (ci/servers.sh), its models, its example,
# and what is planted.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo clippy -p evanesce-tier -p evanesce-tier-bench -p tier-web-examples --all-targets --all-features -- -D warnings
cargo test -p evanesce-tier --all-features
RUSTFLAGS="--cfg evanesce_shuttle" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle" \
    cargo test --release -p evanesce-tier --lib
cargo run -q --release -p evanesce-tier --example fleet
crates/tier/planted.sh
cargo test -p tier-web-examples
cargo test --release -p evanesce-tier-bench
cargo run -q --release -p evanesce-tier-bench -- --smoke
