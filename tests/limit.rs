//! One thread alone at the limit of its map. In a process of its own: a thread of another test that is about to
//! end, its destructors still to run, pins now and then, and what waits for it takes room.

use evanesce_testkit as common;

use common::{assert_slots_accounted, builder, exclusive};
use evanesce::TtlMap;

/// A map of no more slots.
fn limited(max_slots: usize) -> TtlMap<u64, u64> {
    builder().max_slots(max_slots).build().expect("in range")
}

/// Removed entries waited in half-full batches, or for the epoch, which one thread that does
/// nothing but write could not move: it found its map full of garbage.
#[test]
fn a_writer_alone_reuses_the_slots_of_what_it_removed() {
    exclusive(|| {
        let map = limited(100);
        for n in 0..10_000 {
            assert_eq!(map.pin().insert(n, n), None);
            assert_eq!(map.pin().remove(&n), Some(&n));
        }
        assert_eq!(map.len(), 0);
        assert_slots_accounted(&map);
    });
}

/// As above. Beside the value and the next one there must be room for two that wait: a grace period
/// may take two writes that begin after it.
#[test]
fn a_writer_alone_reuses_the_slots_of_what_it_replaced() {
    exclusive(|| {
        for limit in [4, 5, 100] {
            let map = limited(limit);
            for n in 0..10_000_u64 {
                assert_eq!(map.pin().insert(7, n).copied(), n.checked_sub(1));
            }
            assert_eq!(map.len(), 1);
            assert_slots_accounted(&map);
        }
    });
}
