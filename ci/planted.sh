#!/usr/bin/env bash
# The test of the tests: each rung of the ladder passes on the unbroken code, and fails when a bug that it
# is there for is planted. One build a rung; the bug is chosen at run time. Prints "BUG caught by RUNG TEST".
#
#   ci/planted.sh                all rungs
#   ci/planted.sh RUNG...        some: loom epoch shuttle tests threads tsan asan lsan fuzz
#   ci/planted.sh orderings      each ordering that carries something is weakened, and a model of loom fails
#
# What a machine lacks for a rung is skipped aloud.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/rungs.sh

# RUNG BUG TEST: each bug of the source stands here, and each model of loom has a bug, or an ordering below. The bug
# relaxed:NAME is that ordering, weakened.
pairs="
loom double_retire              racy_02_remove_vs_remove_one_gets_it
loom value_not_dropped          racy_02_remove_vs_remove_one_gets_it
loom replace_by_remove          racy_06_replace_vs_get_never_none
loom heir_is_absent             racy_06b_two_replaces_vs_two_gets_never_go_back
loom state_stored_blindly       racy_07_replace_vs_replace_last_one_stays
loom deadline_off_by_one        racy_08_sweep_vs_get_of_an_expired_key_is_none
loom state_stored_blindly       racy_09_sweep_vs_replace_keeps_the_fresh_entry
loom sweep_without_claim        racy_09_sweep_vs_replace_keeps_the_fresh_entry
loom state_stored_blindly       racy_10_sweep_vs_sweep_removes_once
loom claim_without_compare      racy_11_set_ttl_vs_sweep_kept_or_told
loom deadline_off_by_one        racy_15_clock_advance_vs_get_vs_sweep_never_comes_back
loom pending_not_dropped        racy_16_drop_of_the_map_with_work_deferred
loom replacement_not_cleared    racy_17b_clear_vs_replace_leaves_no_replacement
loom length_below_zero          racy_18_length_is_never_below_zero
loom no_grace_period            racy_19_slot_reuse_never_shows_another_key
loom token_taken_blindly        racy_20_refresh_token_one_of_two_gets_it
loom refresh_without_identity   racy_20c_refresh_vs_insert_the_refresh_is_never_on_top
loom token_returned_by_slot     racy_20d_late_refresh_token_vs_reuse_of_its_slot
loom token_kept_by_the_slot     racy_20d_late_refresh_token_vs_reuse_of_its_slot
loom renew_expired              racy_23_no_renewal_after_a_get_saw_it_expired
loom renewal_lost_by_update     racy_24_set_ttl_vs_update_keeps_the_deadline
loom absence_not_confirmed      racy_27_replace_vs_get_while_the_old_deadline_passes
loom absence_not_confirmed      racy_27b_renew_vs_get_while_the_old_deadline_passes
loom passed_deadline_is_stored  racy_28b_remove_vs_a_deadline_that_comes_back
loom passed_deadline_is_stored  racy_28c_remove_if_vs_a_passed_deadline_that_comes_back
loom state_stored_blindly       racy_28_remove_vs_set_ttl_zero_have_an_order
loom state_stored_blindly       racy_29_sweep_vs_replace_ends_an_entry_once
loom state_stored_blindly       racy_29b_sweep_vs_remove_ends_an_entry_once
loom batches_leaked             racy_31_map_drop_vs_a_batch_deferred_on_another_thread
loom no_last_look               racy_32_first_inserts_of_a_map_of_three
loom deadline_off_by_one        racy_33_get_vs_insert_of_an_entry_that_is_over_never_sees_it
loom note_taken_after_the_scan  racy_26_set_ttl_to_a_shorter_one_vs_sweep_of_its_block
loom note_taken_after_the_scan  racy_26b_insert_vs_sweep_of_its_block
loom renewed_entry_not_noted    racy_26c_set_ttl_to_a_longer_one_vs_sweep_that_saw_it_due
loom box_put_blindly            once_box_is_filled_once
loom turn_shared                limbo_each_slot_comes_back_once
loom release_without_taking     slab_release_vs_take
loom release_without_taking     slab_release_of_some_vs_take
loom released_twice             slab_release_vs_release
loom block_left_behind          slab_no_block_with_free_slots_is_left_behind
loom born_before_it_is_filled   racy_14_get_vs_growth_vs_remove
loom switched_before_done       racy_14_get_vs_growth_vs_remove
loom dead_left_out              racy_13_remove_vs_growth
loom not_marked                 racy_46_replace_vs_growth
loom target_stored              racy_46_replace_vs_growth
loom verified_without_a_look    racy_21d_grow_vs_shrink
loom born_test_of_one_target    lines_migrate_vs_insert_into_the_second_half
loom array_freed_without_grace  lines_get_vs_the_end_of_an_array
loom vacated_as_never_used      lines_migrate_vs_migrate_and_remove
loom frozen_is_ignored          lines_get_of_what_was_put_while_others_move
loom no_second_look             lines_get_vs_a_draft_in_the_cell
loom drafts_of_others_taken     lines_get_vs_two_drafts_in_the_cell
loom named_draft_given_back_at_once lines_get_vs_a_draft_whose_slot_was_named
loom fingerprint_behind_the_publication racy_42_insert_vs_remove_and_insert_in_its_line
loom flag_taken_off_blindly     racy_42_insert_vs_remove_and_insert_in_its_line
loom publications_not_counted   racy_42_insert_vs_remove_and_insert_in_its_line
loom vacated_before_the_clear   racy_42_insert_vs_remove_and_insert_in_its_line
loom published_from_another_look racy_01_insert_vs_insert_one_wins
loom reservation_not_compared   racy_01b_insert_vs_insert_at_one_place
loom remover_does_not_tidy      racy_03_remove_vs_remove_of_neighbours
loom swung_blindly              racy_07_replace_vs_replace_last_one_stays
loom passed_with_entries        racy_45_get_and_insert_vs_a_chain_that_becomes_shorter
loom snapshot_not_validated     racy_52b_iter_vs_a_replaced_key_that_moves_behind
loom walk_out_of_range          racy_53_iter_vs_growth_and_the_way_back
loom vacated_before_the_clear racy_44_one_key_vs_the_chain_that_comes_behind_it
loom vacated_before_the_clear racy_48_two_lines_one_source
loom vacated_before_the_clear racy_49_growth_of_a_chain
loom replace_by_remove racy_51_replaces_vs_the_way_back
loom no_grace_period racy_52_iter_vs_a_key_that_moves_behind
loom vacated_before_the_clear racy_54_retain_vs_replace_and_growth
loom vacated_before_the_clear racy_55_sweep_vs_the_replacement_that_is_due
loom vacated_before_the_clear racy_04_remove_vs_insert_behind_it
loom no_grace_period racy_05_remove_vs_get_sees_old_or_none
loom born_before_it_is_filled racy_12_insert_vs_insert_that_make_it_grow
loom vacated_before_the_clear racy_17_clear_vs_insert
loom replace_by_remove racy_25_iter_vs_replace_sees_each_key_once
loom no_grace_period racy_25b_iter_vs_remove_and_insert_in_a_run_sees_no_key_twice
loom vacated_before_the_clear racy_30_growth_vs_growth
loom replace_by_remove racy_34_get_many_vs_insert_and_replace
loom flag_taken_off_blindly racy_35b_remove_vs_insert_behind
loom vacated_before_the_clear racy_35c_remove_and_get_vs_insert_behind
loom no_grace_period racy_21c_shrink_vs_remove
loom born_before_it_is_filled racy_21f_shrink_vs_two_helping_inserts_and_a_get
loom published_from_another_look racy_41_try_insert_vs_try_insert_one_wins
loom no_grace_period            racy_70_evict_vs_get_sees_old_or_none
loom bound_not_kept             racy_71_evict_vs_replace_ends_each_once
loom evicted_without_claim      racy_72_evict_vs_remove_one_gets_it
loom evicted_beyond_the_bound   racy_73b_insert_vs_insert_into_room_for_one
loom promoted_blindly           racy_74_promotion_vs_remove_keeps_the_sums
loom ended_and_owed             racy_73_insert_vs_insert_into_a_full_map
loom ended_and_owed             racy_73c_insert_vs_insert_soon
loom evicted_without_claim      racy_75_evict_vs_set_ttl_ends_it_once
loom renewed_entry_not_noted    racy_76_renewal_by_a_hit_vs_sweep_that_saw_it_due
loom hit_renews_blindly         racy_77_renewal_by_a_hit_vs_remove_it_stays_removed
loom replaced_in_grace_is_absent racy_78_late_replaces_vs_get_stale_never_none
loom hit_renews_blindly         racy_79_renewal_by_a_hit_vs_replace_the_new_one_stays
loom load_not_killed            racy_60_load_vs_remove_keeps_nothing_stale
loom token_not_compared         racy_60_load_vs_remove_keeps_nothing_stale
loom hidden_left_by_remove      racy_60_load_vs_remove_keeps_nothing_stale
loom hidden_taken_for_expired   racy_61_load_vs_insert_the_insert_stays
loom load_not_killed            racy_62_load_vs_clear_keeps_nothing_stale
loom led_without_a_look         racy_63_load_vs_load_one_loads
loom waiters_stranded           racy_64_leader_that_panics_vs_one_who_waits
loom hidden_is_told             racy_65_load_vs_get_none_or_the_value
loom waiters_stranded           racy_67_load_after_a_remove_is_not_stale
loom waiters_stranded           racy_68_leader_and_heir_dropped_vs_one_who_waits
loom load_not_killed            racy_69_the_last_ones_go_vs_load_and_remove

epoch double_retire             epoch_02_remove_vs_remove_one_gets_it
epoch replace_by_remove         epoch_06_replace_vs_get_never_none
epoch no_grace_period           epoch_19_slot_reuse_never_shows_another_key
epoch batches_leaked            epoch_31_map_drop_vs_a_batch_deferred_on_another_thread
epoch published_from_another_look epoch_01_insert_vs_insert_one_wins

shuttle double_retire           shuttle_any_operations_lose_no_value_and_leave_the_index_in_order
shuttle no_grace_period         shuttle_any_operations_lose_no_value_and_leave_the_index_in_order
shuttle sweep_without_claim     shuttle_any_operations_lose_no_value_and_leave_the_index_in_order
shuttle state_stored_blindly    shuttle_every_value_has_one_end
shuttle renewal_lost_by_update  shuttle_histories_are_linearizable_in_time
shuttle heir_is_absent          shuttle_histories_are_linearizable_in_time
shuttle clock_read_before_the_word shuttle_histories_are_linearizable_in_time
shuttle renew_expired           shuttle_histories_are_linearizable_in_time
shuttle passed_deadline_is_stored shuttle_histories_of_every_call_are_linearizable_in_time
shuttle refresh_without_identity shuttle_histories_of_every_call_are_linearizable_in_time
shuttle vacated_before_the_clear shuttle_any_operations_lose_no_value_and_leave_the_index_in_order
shuttle published_from_another_look shuttle_histories_are_linearizable_in_time
shuttle not_marked             shuttle_histories_are_linearizable_in_time
shuttle born_before_it_is_filled shuttle_growth_hides_no_entry
shuttle frozen_is_ignored       shuttle_growth_hides_no_entry
shuttle switched_before_done    shuttle_growth_hides_no_entry

tests deadline_off_by_one       map_agrees_with_the_model_under_a_good_hash
tests value_not_dropped         map_agrees_with_the_model_under_a_good_hash
tests renew_expired             map_agrees_with_the_model_under_a_good_hash
tests replace_by_remove         map_agrees_with_the_model_when_hashes_collide
tests deadline_off_by_one       committed_fuzz_corpus_agrees_with_the_model
tests bound_not_kept            committed_fuzz_corpus_of_bounded_maps_agrees_with_the_model
tests bound_not_kept            bounded_map_agrees_with_the_model_but_for_what_had_to_go
tests refresh_without_identity  map_agrees_with_the_model_when_halves_of_the_hashes_tie
tests pending_not_dropped       map_drop_drops_everything_at_once_whatever_guards_live_elsewhere
tests no_grace_period           nothing_is_dropped_while_a_pin_could_see_it
tests passed_deadline_is_stored a_deadline_that_comes_back_does_not_revive_an_expired_entry
tests drop_in_a_turn            a_drop_may_put_an_entry_into_the_slot_that_it_left
tests coarse_clock_does_not_lag an_entry_expires_on_time_on_the_system_clock
tests notes_pile_up             sweeps_behind_a_parked_reader_take_no_memory
tests upkeep_nests              drops_that_write_twice_do_not_nest
tests debts_forgotten           a_write_catches_up_with_what_was_refused_within_drops
tests listener_within_itself    a_listener_that_ends_another_entry_is_not_called_within_itself
tests memory_not_given_back     what_a_map_gives_back_leaves_the_process
tests load_not_killed           a_write_of_the_key_during_the_load_wins
tests memory_not_given_back     large_values_that_expired_go_back_one_by_one_by_a_full_sweep

threads absence_not_confirmed   histories_of_real_threads_are_linearizable_in_time
threads renewal_lost_by_update  histories_of_real_threads_are_linearizable_in_time
threads heir_is_absent          histories_of_real_threads_are_linearizable_in_time
threads state_stored_blindly    histories_of_real_threads_are_linearizable_in_time
threads renew_expired           histories_of_real_threads_are_linearizable_in_time
threads sweep_without_claim     histories_of_real_threads_are_linearizable_in_time
threads deadline_off_by_one     histories_of_real_threads_on_one_run_are_linearizable_in_time
threads replace_by_remove       histories_of_real_threads_on_one_run_are_linearizable_in_time
threads value_not_dropped       a_soak_loses_nothing_and_a_second_round_takes_no_more_memory
threads published_from_another_look histories_of_real_threads_are_linearizable_in_time
threads born_before_it_is_filled no_key_is_lost_or_resurrected_while_others_write_grow_and_sweep

tsan no_grace_period            readers_and_writers_survive_expiry_growth_and_reuse
tsan relaxed:cell_swung         readers_and_writers_survive_expiry_growth_and_reuse

asan no_grace_period            readers_and_writers_survive_expiry_growth_and_reuse
asan double_retire              readers_and_writers_survive_expiry_growth_and_reuse
asan deferred_work_outlives_the_map map_drop_drops_everything_at_once_whatever_guards_live_elsewhere
asan mapped_where_leaks_are_looked_for a_static_map_of_twenty_thousand_entries_is_not_a_leak
asan array_freed_without_grace  readers_and_writers_survive_expiry_growth_and_reuse

lsan batches_leaked             batches_that_nobody_came_for_go_with_the_map
lsan mapped_where_leaks_are_looked_for a_static_map_of_twenty_thousand_entries_is_not_a_leak

fuzz deadline_off_by_one        corpus
fuzz value_not_dropped          corpus
fuzz no_grace_period            corpus
fuzz renew_expired              corpus
fuzz refresh_without_identity   corpus
fuzz bound_not_kept             bounded_corpus
"

# ORDERING MODEL: each `order!` of the source stands here or below, the halves of an AcqRel one by one.
orderings="
turn_taken         limbo_each_slot_comes_back_once
turn_left          limbo_each_slot_comes_back_once
stripe_added       limbo_each_slot_comes_back_once
stripe_met         limbo_each_slot_comes_back_once
batch_pushed       limbo_pop_vs_push
batch_met          limbo_pop_vs_push
batch_met_again    limbo_pop_vs_push
batches_freed      racy_16_drop_of_the_map_with_work_deferred
ticket_noted       limbo_ticket_vs_a_guard_from_before
ticket_seen        limbo_grace_vs_the_last_guard
chunk_put          tokens_first_of_a_chunk_vs_forget
chunk_met          tokens_first_of_a_chunk_vs_forget
chunk_there        racy_32_first_inserts_of_a_map_of_three
count_raised       racy_32_first_inserts_of_a_map_of_three
count_read         racy_32_first_inserts_of_a_map_of_three
slot_given_back    slab_give_back_vs_take
slots_taken        slab_give_back_vs_take
run_taken          slab_give_back_vs_release
run_given_back     slab_release_vs_take
tree_bit_set       slab_give_back_vs_take_of_the_last_one
tree_bit_taken     slab_give_back_vs_take_of_the_last_one
tree_followed      slab_fresh_block_vs_take_from_first
deadline_published racy_26b_insert_vs_sweep_of_its_block
note_gone          racy_26b_insert_vs_sweep_of_its_block
token_taken        racy_20b_refresh_token_comes_back_vs_the_next
token_returned     racy_20b_refresh_token_comes_back_vs_the_next
state_changed      racy_06_replace_vs_get_never_none
state_judged       racy_06_replace_vs_get_never_none
state_reloaded     racy_27c_replace_vs_get_of_an_expired_key
box_met            once_box_is_filled_once
box_filled         once_box_is_filled_once
box_lost           once_box_is_filled_once
load_killed        racy_60_load_vs_remove_keeps_nothing_stale
load_decided       racy_60_load_vs_remove_keeps_nothing_stale
load_closed        flight_that_is_over_vs_one_who_comes
load_joined        flight_that_is_over_vs_one_who_comes
loads_counted      racy_60_load_vs_remove_keeps_nothing_stale
load_ended         racy_60_load_vs_remove_keeps_nothing_stale
load_looked_for    racy_66_load_of_a_relaxed_origin_vs_remove
load_begun         racy_66_load_of_a_relaxed_origin_vs_remove
presence_met       racy_46_replace_vs_growth
presence_changed   racy_46_replace_vs_growth
second_look        lines_get_vs_two_drafts_in_the_cell
lookup_cell        racy_06_replace_vs_get_never_none
first_cell         racy_34_get_many_vs_insert_and_replace
settle_cell        lines_get_vs_a_draft_in_the_cell
settle_cell_again  lines_get_vs_a_cell_that_comes_back_to_the_key
find_cell          racy_07_replace_vs_replace_last_one_stays
search_cell        racy_46_replace_vs_growth
search_state       racy_46_replace_vs_growth
cell_brought       racy_46_replace_vs_growth
cell_reserved/acquire lines_insert_vs_insert_of_another_fingerprint_and_remove
cell_reserved/release racy_47_remove_and_insert_vs_growth
cell_vacated       racy_40_get_vs_a_cell_that_is_used_again
cell_swung         racy_46_replace_vs_growth
flag_taken_off     lines_get_get_vs_a_cell_used_again
cell_marked/acquire racy_46_replace_vs_growth
cell_marked/release racy_46_replace_vs_growth
line_frozen/acquire lines_migrate_vs_insert_into_the_second_word
line_frozen/release racy_46_replace_vs_growth
next_met           racy_46_replace_vs_growth
next_set           racy_46_replace_vs_growth
root_met           racy_53_iter_vs_growth_and_the_way_back
root_switched      racy_53_iter_vs_growth_and_the_way_back
entry_counted      racy_73b_insert_vs_insert_into_room_for_one
queue_left         racy_73c_insert_vs_insert_soon
queue_met          racy_73c_insert_vs_insert_soon
share_done/acquire racy_46_replace_vs_growth
share_done/release racy_46_replace_vs_growth
"

# ORDERING REASON: those of which no model fails.
unseen="
clock_fenced  a clock is no memory: in models its reading is a read-modify-write (O7)
state_lost    nothing is followed from it: it keeps the clock reading behind it (O7)
heir_judged   nothing is followed from it: it keeps the clock reading behind it (O7)
hit_state     nothing is followed from it: it keeps the clock reading behind it (O7)
retain_state  nothing is followed from it: it keeps the clock reading behind it (O7)
old_put/release an array that is freed too soon is no race that a model sees: its memory is gone with it
old_put/acquire a hint that is lost costs memory until a sweep comes
old_taken/acquire an array that is freed too soon is no race that a model sees: its memory is gone with it
old_taken/release a hint that is lost costs memory until a sweep comes
ticket_drawn/acquire  two arrays would have to be left at once, by two threads that stall: argued (section 6)
ticket_drawn/release  two arrays would have to be left at once, by two threads that stall: argued (section 6)
excess_met      who adds last has acquired by its own addition (entry_counted) what the others have added
limit_set       SeqCst, with limit_met and the sums: a setting is no word of a model
limit_met       SeqCst, as limit_set
load_counted    SeqCst, for an origin that is asked by such accesses; loom takes them for AcqRel
load_not_put    SeqCst, as load_counted
shares_done     who sees the last share done by it must not have done one: a longer model than loom ends
shares_verified who sees the last share verified by it must have stalled: a longer model than loom ends
share_verified/acquire who switches by it must have stalled: a longer model than loom ends
share_verified/release who switches by it must have stalled: a longer model than loom ends
"
rungs="${*:-loom epoch shuttle tests threads tsan asan lsan fuzz}"
for bug in $(grep -rhoE 'planted!\([a-z_]+\)' src | sed 's/planted!(\(.*\))/\1/' | sort -u); do
    grep -qE "^[a-z]+ $bug " <<<"$pairs" || { echo "no rung is named for the bug $bug"; exit 1; }
done

logs=$(mktemp -d)
log=$logs/log
trap 'rm -rf "$logs"' EXIT

# beside JOBS COMMAND...: runs a command of this file in the background, behind as many as JOBS - 1 others. Fails if one
# that has ended did. `beside 0` waits for all.
running=0
beside() {
    local most=$1
    shift
    while [ "$running" -gt 0 ] && [ "$running" -ge "$most" ]; do
        wait -n || return
        running=$((running - 1))
    done
    [ $# -gt 0 ] || return 0
    (
        log=$(mktemp -p "$logs")
        "$@"
    ) &
    running=$((running + 1))
}

# ORDERING MODEL: that the model fails with the ordering weakened, in the build of the rung loom.
weaken() {
    local ordering=$1 model=$2 binary name status=0
    read -r binary name < <(grep -E "[ :]$model\$" <<<"$tests") || { echo "no model $model"; return 1; }
    (
        export EVANESCE_WEAKENED=$ordering RUST_BACKTRACE=0
        run_one loom "$binary" "$name"
        exit $?
    ) >"$log" 2>&1 || status=$?
    # 101: it failed; 134: a second panic while it did. Too few executions are no failure of this kind.
    ! grep -q 'executions, at least' "$log" || status=0
    case $status in
        101 | 134) echo "$ordering, weakened: $model fails" ;;
        *) tail -5 "$log"; echo "$ordering, weakened: NOT noticed by $model (exit status $status)"; return 1 ;;
    esac
}

# RUNG BUG TEST: that the test fails with the bug.
catch() {
    local rung=$1 bug=$2 test=$3 binary name status
    read -r binary name < <(grep -E "[ :]$test\$" <<<"$tests") || { echo "no test $test"; return 1; }
    # Real threads and random schedules meet a bug by chance: a few tries.
    for _ in 1 2 3 4 5 6; do
        status=0
        # In a shell of its own, whose word about an aborted child goes to the log as well.
        (
            export RUST_BACKTRACE=0
            case $bug in
                relaxed:*) export EVANESCE_WEAKENED=${bug#relaxed:} ;;
                *) export EVANESCE_PLANTED=$bug ;;
            esac
            run_one "$rung" "$binary" "$name"
            exit $?
        ) >"$log" 2>&1 || status=$?
        [ "$status" = 0 ] || break
    done
    # 101: a failed test; 134, 139: aborted or crashed; 66, 23, 1, 77: a sanitizer's or the fuzzer's
    # report; 124: it hangs, which no unbroken run does.
    case $status in
        101 | 134 | 139 | 132 | 66 | 23 | 1 | 77 | 124) echo "$bug caught by $rung $test" ;;
        *) tail -5 "$log"; echo "$bug NOT caught by $rung $test (exit status $status)"; return 1 ;;
    esac
}

# Weakens each ordering, in the build of the rung loom.
check_orderings() {
    local in_source listed ordering model reason
    if grep -rnE 'Ordering::(Acquire|Release|AcqRel|SeqCst)' src/raw |
        grep -vE '^src/raw/([a-z]+/check|reclaim/guard|([a-z]+/)+models)\.rs:|planted|cfg!\(tsan\)'; then
        echo "the orderings above have no name"
        return 1
    fi
    in_source=$(grep -rhoE 'order!\([a-z_]+, [A-Za-z]+\)' src | sed -E 's/order!\((.*), (.*)\)/\1 \2/' |
        sed -E 's#^(.*) AcqRel$#\1/acquire\n\1/release#; s/ .*//' | sort)
    listed=$(grep -oE '^[a-z_/]+' <<<"$orderings$unseen" | sort)
    if ! diff <(echo "$in_source") <(echo "$listed"); then
        echo "above: < orderings of the source that are not listed, or share a name; > those listed and not there"
        return 1
    fi
    build loom --cfg planted >"$log" 2>&1 || { cat "$log"; return 1; }
    tests=$(list_tests loom)
    while read -r ordering model; do
        [ -z "$ordering" ] || beside "$(nproc)" weaken "$ordering" "$model" || return
    done <<<"$orderings"
    beside 0 || return
    while read -r ordering reason; do
        [ -z "$ordering" ] || echo "$ordering: no model fails: $reason"
    done <<<"$unseen"
    echo "orderings: $(grep -c . <<<"$orderings") fail a model when weakened, $(grep -c . <<<"$unseen") do not"
}

if [ "$rungs" = orderings ]; then
    check_orderings
    exit
fi

caught=0
for rung in $rungs; do
    if ! can_run "$rung"; then
        continue
    fi
    build "$rung" --cfg planted >"$log" 2>&1 || { cat "$log"; exit 1; }
    # Path and name of each test of the rung.
    tests=$(list_tests "$rung")
    rung "$rung"
    if [ "$rung" = loom ]; then
        for model in $(grep -oE '(racy|slab|limbo|tokens|once|lines|flight)_[a-z0-9_]*$' <<<"$tests"); do
            grep -qE "^(loom .*|[a-z_/]+ +)$model$" <<<"$pairs$orderings" ||
                { echo "no bug is planted for $model"; exit 1; }
        done
    fi
    if ! run_rung "$rung" >"$log" 2>&1; then
        # The head of the first report tells what happened; the end, where it ended.
        grep -m1 -A40 -E 'WARNING: |ERROR: |panicked at' "$log" | cut -c1-200 || true
        tail -10 "$log" | cut -c1-200
        echo "$rung fails on the unbroken code"
        exit 1
    fi
    count_rung "$rung" "$log"
    while read -r of bug test; do
        [ "$of" = "$rung" ] || continue
        beside "$jobs" catch "$rung" "$bug" "$test" || exit 1
        caught=$((caught + 1))
    done <<<"$pairs"
    beside 0 || exit 1
done
echo "planted bugs: $caught pairs caught"
