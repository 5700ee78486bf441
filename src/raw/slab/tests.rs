//! Blocks and their slots, one thread at a time.

use super::*;

#[test]
fn a_slot_given_back_is_taken_before_fresh_memory() {
    let (slab, stripes) = (Slab::<u64>::new(1_000), Stripes::new());
    // Three whole blocks, slot 0 apart.
    let taken: Vec<_> = (1..3 * BLOCK_SLOTS).map(|_| slab.take(&stripes).unwrap()).collect();
    assert_eq!((slab.end(), slab.free_slots()), (3 * BLOCK_SLOTS, 0));
    for slot in [taken[5], taken[100], taken[101], taken[190], taken[5]] {
        slab.give_back(slot);
        assert_eq!(slab.free_slots(), 1);
        assert_eq!(slab.take(&stripes).unwrap(), slot);
    }
    slab.give_back(taken[7]);
    slab.give_back(taken[70]);
    let again = [0; 2].map(|_| slab.take(&stripes).unwrap().0);
    assert!(again.contains(&taken[7].0) && again.contains(&taken[70].0), "{again:?}");
    assert_eq!((slab.end(), slab.free_slots()), (3 * BLOCK_SLOTS, 0));
}

#[test]
fn every_slot_within_the_limit_is_given_out_once() {
    for max_slots in [1, 62, 63, 64, 65, 127, 128, 700] {
        let (slab, stripes) = (Slab::<u64>::new(max_slots), Stripes::new());
        let mut slots: Vec<_> = (0..max_slots).map(|_| slab.take(&stripes).unwrap().0).collect();
        assert!(slab.take(&stripes).is_err(), "more than {max_slots}");
        slots.sort_unstable();
        assert!(slots.iter().copied().eq((1..=max_slots).map(|n| Slab::<u64>::nth_slot(n).0)));
        assert_eq!((slab.end(), slab.free_slots()), (max_slots + 1, 0));
    }
}

#[test]
fn bytes_are_those_of_nodes_and_blocks() {
    let (slab, stripes) = (Slab::<[u64; 100]>::new(1_000), Stripes::new());
    assert_eq!(slab.bytes(), 0);
    for _ in 0..BLOCK_SLOTS {
        slab.take(&stripes).unwrap();
    }
    // Two chunks of a block each, and of as many block records; a little behind each chunk.
    let chunks = 2 * BLOCK_SLOTS as usize * size_of::<Node<[u64; 100]>>() + 2 * size_of::<Block>();
    assert!((chunks..chunks + 1024).contains(&slab.bytes()), "{}, {chunks}", slab.bytes());
}
