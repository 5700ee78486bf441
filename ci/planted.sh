#!/usr/bin/env bash
# The test of the tests: every model of tests/loom.rs passes on the unbroken code and fails when its
# bug is planted. One build; the bug is chosen at run time. Prints "BUG caught by MODEL" a pair.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="--cfg loom --cfg planted"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
unset LOOM_MAX_PREEMPTIONS

# BUG MODEL: each model stands here once at least.
pairs="
relaxed_publish            racy_01_insert_vs_insert_one_wins
relaxed_publish            racy_01b_insert_vs_insert_at_one_place
double_retire              racy_02_remove_vs_remove_one_gets_it
value_not_dropped          racy_02_remove_vs_remove_one_gets_it
no_mark                    racy_03_remove_vs_remove_of_neighbours
no_mark                    racy_04_remove_vs_insert_behind_it
early_retire               racy_05_remove_vs_get_sees_old_or_none
replace_by_remove          racy_06_replace_vs_get_never_none
heir_is_absent             racy_06b_two_replaces_vs_two_gets_never_go_back
state_stored_blindly       racy_07_replace_vs_replace_last_one_stays
deadline_off_by_one        racy_08_sweep_vs_get_of_an_expired_key_is_none
state_stored_blindly       racy_09_sweep_vs_replace_keeps_the_fresh_entry
state_stored_blindly       racy_10_sweep_vs_sweep_removes_once
claim_without_compare      racy_11_set_ttl_vs_sweep_kept_or_told
sentinel_unmarked          racy_12_link_vs_link_of_one_sentinel
share_claimed_blindly      racy_13_insert_vs_split_of_its_bucket
deadline_off_by_one        racy_15_clock_advance_vs_get_vs_sweep_never_comes_back
pending_not_dropped        racy_16_drop_of_the_map_with_work_deferred
length_below_zero          racy_18_length_is_never_below_zero
no_grace_period            racy_19_slot_reuse_never_shows_another_key
renew_expired              racy_23_no_renewal_after_a_get_saw_it_expired
renewal_lost_by_update     racy_24_set_ttl_vs_update_keeps_the_deadline
iteration_follows_the_heir racy_25_iter_vs_replace_sees_each_key_once
absence_not_confirmed      racy_27_replace_vs_get_while_the_old_deadline_passes
absence_not_confirmed      racy_27b_renew_vs_get_while_the_old_deadline_passes
state_stored_blindly       racy_28_remove_vs_set_ttl_zero_have_an_order
state_stored_blindly       racy_29_sweep_vs_replace_ends_an_entry_once
state_stored_blindly       racy_29b_sweep_vs_remove_ends_an_entry_once
share_claimed_blindly      racy_30_stale_helper_vs_the_next_level
batches_leaked             racy_31_map_drop_vs_a_batch_deferred_on_another_thread
no_last_look               racy_32_first_inserts_of_a_map_of_three
block_left_behind          slab_no_block_with_free_slots_is_left_behind
"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

cargo test --release --lib --test loom --no-run --message-format=json >"$log"
binaries=$(grep -oE '"executable":"[^"]*/(loom|evanesce)-[^"]*"' "$log" | cut -d'"' -f4)
[ "$(wc -w <<<"$binaries")" = 2 ] || { echo "expected two test binaries: $binaries"; exit 1; }

echo "unbroken:"
for binary in $binaries; do
    if ! "$binary" --nocapture --test-threads=1 >"$log" 2>&1; then
        tail -40 "$log"
        exit 1
    fi
    grep -oE 'model (racy|slab)_.*' "$log" || true
done

# Path and name of each model: in the tests, and in the library itself.
list() { for b in $binaries; do "$b" --list | sed -n "s#^\(.*\): test\$#$b \1#p"; done; }
models=$(list | grep -E '(racy|slab)_[a-z0-9_]*$')

for model in $(grep -oE '(racy|slab)_[a-z0-9_]*$' <<<"$models"); do
    grep -q " $model$" <<<"$pairs" || { echo "no bug is planted for $model"; exit 1; }
done
for bug in $(grep -rhoE 'planted!\([a-z_]+\)' src | sed 's/planted!(\(.*\))/\1/' | sort -u); do
    grep -q "^$bug " <<<"$pairs" || { echo "no model is named for the bug $bug"; exit 1; }
done

caught=0
while read -r bug model; do
    [ -n "$bug" ] || continue
    status=0
    read -r binary test < <(grep -E "[ :]$model\$" <<<"$models")
    # In a shell of its own, whose word about an aborted child goes to the log as well.
    (
        EVANESCE_PLANTED=$bug RUST_BACKTRACE=0 timeout 120 \
            "$binary" --exact "$test" --nocapture --test-threads=1
        exit $?
    ) >"$log" 2>&1 || status=$?
    # A failed test exits with 101, a failed assertion during a panic aborts: 134.
    if [ "$status" != 101 ] && [ "$status" != 134 ]; then
        echo "$bug NOT caught by $model (exit status $status)"
        exit 1
    fi
    echo "$bug caught by $model"
    caught=$((caught + 1))
done <<<"$pairs"
echo "planted bugs: $caught pairs caught"
