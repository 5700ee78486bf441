#!/usr/bin/env bash
# The soak, for MINUTES (default 5): tests/soak.rs in release. The account is its last line.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
EVANESCE_SOAK_SECONDS=$((${1:-5} * 60)) cargo test --release --test soak -- --nocapture | tee "$log"
grep '^account: ' "$log"
