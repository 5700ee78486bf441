#!/usr/bin/env bash
# That nothing of the interface broke since a release, or since COMMIT: ci/semver.sh [COMMIT]
set -euo pipefail
cd "$(dirname "$0")/.."
baseline="${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)}"
if [ -z "$baseline" ]; then
    echo "SKIPPED: semver: there is no release yet (no tag v*)"
    exit 0
fi
cargo semver-checks --version >/dev/null 2>&1 || cargo install --debug --locked cargo-semver-checks
cargo semver-checks -p evanesce --baseline-rev "$baseline" --only-explicit-features --features async,rayon,serde
