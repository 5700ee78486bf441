#!/usr/bin/env bash
# Instructions that single operations take, by callgrind, each with a limit: crates/instructions.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v valgrind >/dev/null; then
    apt-get install -y valgrind >/dev/null 2>&1 || { echo "SKIPPED: instructions: no valgrind"; exit 0; }
fi
# The runner must have the library's version.
version=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
if ! gungraun-runner --version 2>/dev/null | grep -qF "$version"; then
    cargo install --debug --locked gungraun-runner --version "$version"
fi
cargo bench -p evanesce-instructions
