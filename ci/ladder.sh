#!/usr/bin/env bash
# The ladder of .ci/run: each rung on the unbroken code, with its count, and failing when its bugs are planted; the orderings
# weakened one by one; and the fuzzer, SECONDS a target (default 30). `lsan` is left to ci/planted.sh: `asan` looks for
# leaks as well, and time is short.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n=== ladder: %s (at %d s)\n' "$*" "$SECONDS"; }

for rung in loom epoch shuttle tests threads tsan asan; do
    step "$rung"
    ci/planted.sh "$rung"
done
step "orderings, weakened one by one"
ci/planted.sh orderings
step "fuzzing"
ci/fuzz.sh "${1:-30}"
step "done"
