//! Blocks, their slots and magazines, one thread at a time.

use super::*;
use crate::raw::{guard, stripe::Stripes};

/// Runs `test` in a turn of a slab of up to `max_slots` slots.
fn in_a_turn<T>(max_slots: u32, test: impl FnOnce(&Slab<T>, &mut Turn<'_>)) {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    test(&Slab::new(max_slots, max_slots / 8), &mut Turn::new(&stripes, &guard));
}

#[test]
fn a_slot_given_back_is_taken_before_fresh_memory() {
    in_a_turn::<u64>(10_000, |slab, turn| {
        // Three whole blocks, slot 0 apart.
        let taken: Vec<_> = (1..3 * BLOCK_SLOTS).map(|_| slab.take(turn).unwrap()).collect();
        assert!(
            taken
                .iter()
                .map(|slot| slot.0)
                .eq((1..3 * BLOCK_SLOTS).map(|n| Slab::<u64>::nth_slot(n).0))
        );
        assert_eq!((slab.end(), slab.free_slots()), (3 * BLOCK_SLOTS, 0));
        for slot in [taken[5], taken[100], taken[101], taken[190], taken[5]] {
            slab.give_back(slot);
            assert_eq!(slab.free_slots(), 1);
            assert_eq!(slab.take(turn).unwrap(), slot);
        }
        slab.give_back(taken[7]);
        slab.give_back(taken[70]);
        let again = [0; 2].map(|_| slab.take(turn).unwrap().0);
        assert!(again.contains(&taken[7].0) && again.contains(&taken[70].0), "{again:?}");
        assert_eq!((slab.end(), slab.free_slots()), (3 * BLOCK_SLOTS, 0));
    });
}

#[test]
fn every_slot_within_the_limit_is_given_out_once() {
    for max_slots in [1, 62, 63, 64, 65, 127, 128, 700] {
        in_a_turn::<u64>(max_slots, |slab, turn| {
            let mut slots: Vec<_> = (0..max_slots).map(|_| slab.take(turn).unwrap().0).collect();
            assert!(slab.take(turn).is_err(), "more than {max_slots}");
            slots.sort_unstable();
            assert!(slots.iter().copied().eq((1..=max_slots).map(|n| Slab::<u64>::nth_slot(n).0)));
            assert_eq!((slab.end(), slab.free_slots()), (max_slots + 1, 0));
        });
    }
}

/// What one stripe has in its magazine, another takes when nothing else is left, unless a write of that
/// stripe goes on.
#[test]
fn the_last_slots_of_a_map_are_found_in_the_magazines_of_others() {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    let slab = Slab::<u64>::new(80, 5);
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
        // Two chunks of a block each, and of as many block records; a little behind each chunk.
        let block = BLOCK_SLOTS as usize * size_of::<Node<[u64; 100]>>() + size_of::<Block>();
        assert!((2 * block..2 * block + 1024).contains(&slab.bytes()), "{}, {block}", slab.bytes());
    });
}
