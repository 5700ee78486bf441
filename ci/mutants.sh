#!/usr/bin/env bash
# Mutation testing of src/raw against the fast tests, in shards: ci/mutants.sh SHARD OF [FILES], with SHARD
# from 0 (default: 0 1 'src/raw/**/*.rs', everything, which takes about two hours). Survivors are listed in
# target/mutants-SHARD/mutants.out/missed.txt; docs/lab/mutants.md explains those that stay.
set -euo pipefail
cd "$(dirname "$0")/.."
shard="${1:-0}" of="${2:-1}" files="${3:-src/raw/**/*.rs}"
cargo mutants --version >/dev/null 2>&1 || cargo install --locked cargo-mutants

# Small doses: a mutant is caught by any test, and most by the first. (`EVANESCE_FULL=1` for large ones, as those were by which
# the lists of docs/lab/mutants.md were made.)
export PROPTEST_CASES=6 EVANESCE_LIN_ROUNDS=200 EVANESCE_ENTRIES=5000 EVANESCE_TEST_LIMIT=10
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
# As arguments of every cargo, so that no other test is built either.
tests=(--cargo-arg=--lib)
for test in calls reads rungs threads; do
    tests+=("--cargo-arg=--test=$test")
done
# check.rs is a test itself; guard.rs is mostly the models' stand-in; poison.rs is for sanitizers; and so are
# the functions that only models call.
mkdir -p "target/mutants-$shard"
status=0
cargo mutants -p evanesce -j1 --timeout 90 --no-shuffle "${tests[@]}" --shard "$shard/$of" --sharding round-robin \
    --output "target/mutants-$shard" \
    --file "$files" --exclude src/raw/table/check.rs --exclude src/raw/index/check.rs --exclude "src/raw/**/models.rs" --exclude "src/raw/**/tests.rs" --exclude src/raw/reclaim/guard.rs --exclude src/raw/memory/poison.rs \
    --exclude-re 'zeroed|unset -> Self|free -> Self|one_by_one|for AtomicState|is_planted' \
    -- -- --skip a_chain_of_a_million --skip hashers:: --skip sweeper:: --skip reentry:: --skip stress:: --skip presence:: || status=$?
# 2: some mutants survived; 3: some ran into the time limit. Both are told in the lists.
[ "$status" = 0 ] || [ "$status" = 2 ] || [ "$status" = 3 ]
