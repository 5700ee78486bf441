#!/bin/sh
# The tests of the tests: each bug that is planted must make a row of the matrix fail, and without one these rows pass.
# Usage: crates/tier/planted.sh, from anywhere in the repository. Needs redis-server or valkey-server.
set -eu
cd "$(dirname "$0")/../.."
export RUSTFLAGS="--cfg planted" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/planted"
matrix() { cargo test -q -p evanesce-tier --test matrix -- "$1"; }
status=0
while read -r bug row; do
    if ! EVANESCE_PLANTED='' matrix "$row" >/dev/null 2>&1; then
        echo "FAILED: '$row' fails with nothing planted" && status=1
    elif EVANESCE_PLANTED=$bug matrix "$row" >/dev/null 2>&1; then
        echo "NOT CAUGHT: $bug, by '$row'" && status=1
    else
        echo "caught: $bug, by '$row'"
    fi
done <<LIST
naive_fill race
noloop own write, cancelled
generation_not_compared all connections killed
generation_not_compared forget
push_beside push before a later answer
LIST
exit $status
