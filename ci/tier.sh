#!/usr/bin/env bash
# The near tier: its tests and its fault matrix on the servers that are there (ci/servers.sh), its models and what is
# planted (one build each, in which nothing is planted at first); its examples and its comparison.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo clippy -p evanesce-tier -p evanesce-tier-bench -p tier-web-examples --all-targets --all-features -- -D warnings
crates/tier/planted.sh
cargo run -q --release -p evanesce-tier --example fleet
cargo test -p tier-web-examples
cargo test --release -p evanesce-tier-bench
cargo run -q --release -p evanesce-tier-bench -- --smoke
