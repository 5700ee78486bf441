#!/usr/bin/env bash
# The tests, and the tests of the tests: with nothing planted all tests pass, all rows of the matrix and all models; and
# each bug that is planted makes a row of the matrix fail, or a model.
# Usage: crates/tier/planted.sh, from anywhere in the repository. Needs redis-server or valkey-server.
set -euo pipefail
cd "$(dirname "$0")/../.."
source crates/tier/build.sh
unset EVANESCE_PLANTED

# Builds tests by a compiler, and prints their paths.
build() {
    local log
    log=$(by "$1" cargo test --no-run -p evanesce-tier --all-features "${@:2}" 2>&1) || { echo "$log" >&2; return 1; }
    sed -n 's/^ *Executable .*(\(.*\))$/\1/p' <<<"$log"
}

built=$(build planted --lib --test matrix --test tls)
models=$(build models --lib --config crates/tier/rustc/models.toml)
for test in $built $models; do
    "$test"
done

matrix=$(grep /matrix- <<<"$built")
# A row ends at the first server on which it fails: one is enough.
row() { "$matrix" --until-failure "$1"; }
model() { "$models" "$1"; }
catch() {
    local log
    if log=$(EVANESCE_PLANTED=$2 "$1" "$3" 2>&1 </dev/null); then
        echo "NOT CAUGHT: $2, by '$3'"
        return 1
    fi
    # The row or the model has to be there, and to be what fails.
    if ! grep -qE "^FAILED: .*$3|^test .*$3 \.\.\. FAILED" <<<"$log"; then
        echo "'$3' does not run with $2 planted: $log"
        return 1
    fi
    echo "caught: $2, by '$3'"
}

status=0
running=0
while read -r how bug row; do
    # Several side by side, as most wait most of the time.
    if [ "$running" = 4 ]; then
        wait -n || status=1
    else
        running=$((running + 1))
    fi
    catch "$how" "$bug" "$row" &
done <<LIST
row naive_fill race
row noloop own write, cancelled
row generation_not_compared all connections killed
row generation_not_compared forget
row push_beside push before a later answer
row topology_not_compared cluster: empty slot moved
row absences_kept cluster: empty slot moved
row word_of_another_node cluster: FLUSHALL
row answers_alone answers slower than the heartbeat
row no_turn a loop of hits on one thread
row no_turn loops of hits on all threads
row no_turn a loop of errors on one thread
row no_turn a loop of failed writes on one thread
row kept_while_moving cluster: a slot half moved
model naive_fill racy_fill_vs_push
model naive_fill racy_fill_vs_own_write
model generation_not_compared racy_fill_vs_flush
model generation_not_compared racy_fill_vs_loss
model word_read_late racy_fill_vs_flush
model topology_not_compared racy_absence_vs_move
model owner_not_checked racy_fill_vs_move_there_and_back
model word_of_another_node racy_fill_vs_flush_of_its_node
model number_taken_twice racy_take_vs_give_back
model number_taken_twice racy_take_vs_take_of_the_last
LIST
while [ "$running" -gt 0 ]; do
    wait -n || status=1
    running=$((running - 1))
done
exit $status
