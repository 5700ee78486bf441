#!/bin/sh
# The tests, and the tests of the tests: with nothing planted all tests pass, all rows of the matrix and all models; and
# each bug that is planted makes a row of the matrix fail, or a model.
# Usage: crates/tier/planted.sh, from anywhere in the repository. Needs redis-server or valkey-server.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
tests() { RUSTFLAGS="--cfg planted" CARGO_TARGET_DIR=$target/planted cargo test -p evanesce-tier --all-features "$@"; }
models() {
    RUSTFLAGS="--cfg planted --cfg evanesce_shuttle" CARGO_TARGET_DIR=$target/planted-shuttle \
        cargo test --release -p evanesce-tier --lib "$@"
}
matrix() { tests --test matrix -- "$1"; }
model() { models -- "$1"; }
unset EVANESCE_PLANTED
tests
models
status=0
while read -r how bug row; do
    if EVANESCE_PLANTED=$bug "$how" "$row" >/dev/null 2>&1 </dev/null; then
        echo "NOT CAUGHT: $bug, by '$row'" && status=1
    else
        echo "caught: $bug, by '$row'"
    fi
done <<LIST
matrix naive_fill race
matrix noloop own write, cancelled
matrix generation_not_compared all connections killed
matrix generation_not_compared forget
matrix push_beside push before a later answer
matrix topology_not_compared cluster: empty slot moved
matrix absences_kept cluster: empty slot moved
matrix word_of_another_node cluster: FLUSHALL
matrix answers_alone answers slower than the heartbeat
matrix no_turn a loop of hits on one thread
matrix no_turn loops of hits on all threads
matrix no_turn a loop of errors on one thread
matrix kept_while_moving cluster: a slot half moved
model naive_fill racy_fill_vs_push
model naive_fill racy_fill_vs_own_write
model generation_not_compared racy_fill_vs_flush
model generation_not_compared racy_fill_vs_loss
model word_read_late racy_fill_vs_flush
model topology_not_compared racy_absence_vs_move
model owner_not_checked racy_fill_vs_move_there_and_back
model word_of_another_node racy_fill_vs_flush_of_its_node
LIST
exit $status
