//! Blocks, their slots and magazines, one thread at a time.

use super::*;
use crate::raw::{
    reclaim::{guard, stripe::Stripes},
    words::{
        numbers::{BlockNumbers, FIRST_BLOCK_SLOTS},
        state::Now,
    },
};

/// Runs `test` in a turn of a slab of up to `max_slots` slots.
fn in_a_turn<T>(max_slots: u32, test: impl FnOnce(&Slab<T>, &mut Turn<'_>)) {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    test(&Slab::new(max_slots, max_slots / 8, PageSize::Usual), &mut Turn::new(&stripes, &guard));
}

/// The numbers of all slots of a slab of `max_slots`, in order.
fn numbers(max_slots: u32) -> Vec<u32> {
    let first = 1..FIRST_BLOCK_SLOTS.min(max_slots + 1);
    let blocks = (1..).map(BlockNumbers::nth).map(|block| block * BLOCK_SLOTS);
    let later = blocks.flat_map(|first| first..first + BLOCK_SLOTS);
    first.chain(later).take(max_slots as usize).collect()
}

#[test]
fn a_slot_given_back_is_taken_before_fresh_memory() {
    in_a_turn::<u64>(10_000, |slab, turn| {
        // Three whole blocks; the first is a small one.
        let slots = FIRST_BLOCK_SLOTS - 1 + 2 * BLOCK_SLOTS;
        let taken: Vec<_> = (0..slots).map(|_| slab.take(turn).unwrap()).collect();
        assert!(taken.iter().map(|slot| slot.0).eq(numbers(slots)));
        assert_eq!((slab.blocks.slots(), slab.free_slots()), (slots, 0));
        for slot in [taken[5], taken[100], taken[101], taken[140], taken[5]] {
            slab.blocks.free_slot(slot);
            assert_eq!(slab.free_slots(), 1);
            assert_eq!(slab.take(turn).unwrap(), slot);
        }
        slab.blocks.free_slot(taken[70]);
        slab.blocks.free_slot(taken[7]);
        let again = [0; 2].map(|_| slab.take(turn).unwrap());
        assert_eq!(again, [taken[7], taken[70]], "the lowest block comes first");
        assert_eq!((slab.blocks.slots(), slab.free_slots()), (slots, 0));
    });
}

/// Where a stripe takes less than a block at once, the rest of a fresh one is known at once, and goes first.
#[test]
fn the_rest_of_a_fresh_block_is_taken_before_the_next() {
    const SLOTS: u32 = FIRST_BLOCK_SLOTS - 1 + 3 * BLOCK_SLOTS;
    let (stripes, guard) = (Stripes::new(), guard::pin());
    for share in [1, 5, 30, BLOCK_SLOTS - 1] {
        let slab = Slab::<u64>::new(10_000, share, PageSize::Usual);
        let turn = &mut Turn::new(&stripes, &guard);
        let slots: Vec<_> = (0..SLOTS).map(|_| slab.take(turn).unwrap().0).collect();
        assert_eq!(slots, numbers(SLOTS), "{share} at once");
        assert_eq!(slab.blocks.slots(), SLOTS, "{share} at once");
    }
}

#[test]
fn every_slot_within_the_limit_is_given_out_once() {
    for max_slots in [1, 14, 15, 16, 62, 63, 64, 65, 79, 80, 127, 128, 700] {
        in_a_turn::<u64>(max_slots, |slab, turn| {
            let mut slots: Vec<_> = (0..max_slots).map(|_| slab.take(turn).unwrap().0).collect();
            assert!(slab.take(turn).is_err(), "more than {max_slots}");
            slots.sort_unstable();
            assert_eq!(slots, numbers(max_slots));
            assert_eq!((slab.blocks.slots(), slab.free_slots()), (max_slots, 0));
        });
    }
}

/// A hundred thousand slots given back in a random order come back lowest block first, however the tree
/// was set and cleared meanwhile.
#[test]
fn the_tree_leads_to_the_first_block_with_a_free_slot() {
    const SLOTS: u32 = 100_000;
    in_a_turn::<u8>(SLOTS, |slab, turn| {
        let slots: Vec<_> = (0..SLOTS).map(|_| slab.take(turn).unwrap()).collect();
        assert_eq!(slab.blocks.take_from_first(1), None);
        let mut x = 1_u32;
        for _ in 0..3 {
            let mut given = std::collections::BTreeSet::new();
            for _ in 0..5_000 {
                x = x.wrapping_mul(0x9E37_79B1).wrapping_add(0x7F4A_7C15);
                let slot = slots[((u64::from(x) * u64::from(SLOTS)) >> 32) as usize];
                if given.insert(slot.0) {
                    slab.blocks.free_slot(slot);
                }
            }
            for number in given {
                let (block, slots) = slab.blocks.take_from_first(1).expect("one is free");
                assert_eq!(slot_of(block, slots), SlotIndex(number));
            }
            assert_eq!(slab.blocks.take_from_first(1), None);
        }
    });
}

#[test]
#[cfg_attr(leak_checked, ignore = "nothing is mapped")]
fn runs_of_free_slots_give_their_memory_back_and_are_used_again() {
    const SLOTS: u32 = 64 * 8 * BLOCK_SLOTS;
    in_a_turn::<u64>(SLOTS, |slab, turn| {
        let slots: Vec<_> = (0..SLOTS).map(|_| slab.take(turn).unwrap()).collect();
        let full = slab.bytes();
        let runs = slab.blocks.runs();
        assert!(runs.clone().all(|run| !slab.give_back_run(run)), "all slots are taken");
        for slot in &slots {
            slab.blocks.free_slot(*slot);
        }
        let run_slots = slab.blocks.free_stretches(8).map(Stretch::len).sum::<u32>() as usize;
        let released = runs.clone().filter(|run| slab.give_back_run(*run)).count();
        // But for those of the first chunks, which are not mapped.
        assert!(released >= 28, "{released} runs");
        let slot_bytes = size_of::<Node<u64>>() + size_of::<NodeKey>();
        assert_eq!(slab.bytes(), full - released * run_slots * slot_bytes);
        assert!(!runs.clone().any(|run| slab.give_back_run(run) && run > 8), "twice");
        assert_eq!(slab.free_slots(), SLOTS as usize);
        for slot in &slots {
            assert_eq!(slab.node(*slot).state.load(Ordering::Relaxed), State::FREE);
        }
        let mut again: Vec<_> = (0..SLOTS).map(|_| slab.take(turn).unwrap().0).collect();
        again.sort_unstable();
        assert_eq!(again, numbers(SLOTS));
        assert_eq!((slab.bytes(), slab.blocks.unused_slots()), (full, 0));
    });
}

/// Each free slot between taken ones goes back by itself, neighbours together, and is then used again.
#[test]
#[cfg_attr(leak_checked, ignore = "nothing is mapped")]
fn large_slots_give_their_memory_back_one_by_one() {
    type Large = [u64; 2048];
    in_a_turn::<Large>(200, |slab, turn| {
        let taken: Vec<_> = (0..200).map(|_| slab.take(turn).unwrap()).collect();
        let full = slab.bytes();
        assert!(full >= 200 * size_of::<Node<Large>>());
        let of_run = |run| (0..64).take_while(|_| slab.give_back_run(run)).count();
        let release = || slab.blocks.runs().map(of_run).sum::<usize>();
        assert_eq!(release(), 0, "all slots are taken");
        let free = [3, 20, 21, 22, 199].map(|n: usize| taken[n]);
        for slot in free {
            slab.blocks.free_slot(slot);
        }
        assert_eq!(release(), 3);
        assert_eq!((slab.unused_slots(), release()), (5, 0));
        // But for parts of pages at their ends.
        let (of_five, pages) = (5 * size_of::<Node<Large>>(), 3 * 2 * 4096);
        let given_back = full - slab.bytes();
        assert!((of_five - pages..=of_five).contains(&given_back), "{given_back} of {of_five}");
        // What comes free beside them goes with them.
        slab.blocks.free_slot(taken[23]);
        assert_eq!((release(), slab.unused_slots()), (1, 6));
        for _ in 0..6 {
            slab.take(turn).unwrap();
        }
        assert_eq!((slab.bytes(), slab.unused_slots()), (full, 0));
    });
}

#[test]
fn a_block_keeps_the_earliest_of_the_deadlines_that_were_noted() {
    in_a_turn::<u64>(1_000, |slab, turn| {
        let slots = [0; 100].map(|_| slab.take(turn).unwrap());
        let block = block_of(slots[80]);
        let due = |tick| slab.blocks.first_due(0..slab.blocks.handed_out(), Now::from_tick(tick));
        let is_due = |tick| due(tick).is_some_and(|n| BlockNumbers::nth(n) == block);
        assert!(!is_due(u64::MAX));
        slab.blocks.note(block, State::NEVER);
        assert!(!is_due(u64::MAX));
        slab.blocks.note(block, State::until(700));
        slab.blocks.note(block, State::until(900));
        assert!(!is_due(699) && is_due(700));
        slab.blocks.note(block, State::until(600));
        assert!(!is_due(599) && is_due(600));
        slab.blocks.take_note(block);
        assert!(!is_due(u64::MAX));
    });
}

/// What one stripe has in its magazine, another takes when nothing else is left, unless a write of that
/// stripe goes on.
#[test]
fn the_last_slots_of_a_map_are_found_in_the_magazines_of_others() {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    let slab = Slab::<u64>::new(80, 5, PageSize::Usual);
    let mut first = Turn::new(&stripes, &guard);
    slab.take(&mut first).unwrap();
    let mut second = Turn::new(&stripes, &guard);
    for _ in 0..75 {
        slab.take(&mut second).unwrap();
    }
    assert_eq!((slab.free_slots(), stripes.free_slots()), (0, 4));
    assert!(slab.take(&mut second).is_err(), "the first turn is not over");
    drop(first);
    for _ in 0..4 {
        slab.take(&mut second).unwrap();
    }
    assert!(slab.take(&mut second).is_err());
}

#[test]
fn bytes_are_those_of_nodes_and_blocks() {
    in_a_turn::<[u64; 100]>(10_000, |slab, turn| {
        assert_eq!(slab.bytes(), 0);
        for _ in 0..BLOCK_SLOTS {
            slab.take(turn).unwrap();
        }
        // A block of 15 and one of 64, and four block records; a little behind each chunk of them.
        let slots = slab.blocks.slots() as usize;
        let bytes = slots * size_of::<Node<[u64; 100]>>();
        assert!((bytes..bytes + 1024).contains(&slab.bytes()), "{}, {bytes}", slab.bytes());
    });
}
