#!/usr/bin/env bash
# The near tier: its tests and its fault matrix on the servers that are there (ci/servers.sh), its models and what is
# planted; its examples and its comparison. Each package is linted as it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
crates/tier/planted.sh
source crates/tier/build.sh
# A build would not tell whether it was linted.
if echo 'pub fn lint(x: bool) -> bool { x == true }' |
    crates/tier/rustc/linted rustc --crate-name lint --crate-type lib --emit metadata --out-dir "$CARGO_TARGET_DIR" - 2>/dev/null; then
    echo "crates/tier/rustc/linted does not lint"
    exit 1
fi
linted() { by linted cargo "$@"; }
linted test -p evanesce-tier --all-features --all-targets --no-run
linted run -q -p evanesce-tier --all-features --example fleet
linted test -p evanesce-tier --all-features --doc
linted test -p tier-web-examples
linted test -p evanesce-tier-bench
linted run -q -p evanesce-tier-bench -- --smoke
