#!/usr/bin/env bash
# The near tier: its tests and its fault matrix on the servers that are there (ci/servers.sh), its models and what is
# planted; its examples and its comparison. Each package is linted as its users build it, with no features but its own; what runs is built by
# crates/tier/build.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
lint() { cargo clippy "$@" -- -D warnings; }
lint -p evanesce-tier --all-targets --all-features
lint -p evanesce-tier --no-default-features
lint -p evanesce-tier-bench --all-targets
lint -p tier-web-examples --all-targets
crates/tier/planted.sh
source crates/tier/build.sh
cargo build $packages --bins --examples
cargo test $packages --bins --test shared_sessions
cargo test $packages --doc
"$CARGO_TARGET_DIR/debug/examples/fleet"
"$CARGO_TARGET_DIR/debug/evanesce-tier-bench" --smoke
