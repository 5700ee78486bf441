//! A map's own work drops the user's values, and their drops may write to that map or others: nothing nests without
//! end, and nothing is left undone.

use crate::common::nesting::{counted, deepest, on_a_small_stack};
use crate::common::on_drop::OnDrop;
use crate::common::{builder, dose, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, TtlMap};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::thread;

type Map = TtlMap<u64, OnDrop>;

struct Ring(Vec<Map>);

impl Ring {
    fn new(maps: usize, max_slots: usize) -> Arc<Self> {
        let map = |_| builder().max_slots(max_slots).build().expect("in range");
        Arc::new(Self((0..maps).map(map).collect()))
    }

    /// Puts a value whose drop puts one that hops once less into the next map.
    fn put(self: &Arc<Self>, at: usize, key: u64, left: u64) {
        let ring = Arc::downgrade(self);
        let hop = move || {
            if let Some(left) = left.checked_sub(1)
                && let Some(ring) = ring.upgrade()
            {
                counted(|| ring.put((at + 1) % ring.0.len(), left % 100, left));
            }
        };
        self.0[at].insert(key, OnDrop::new(hop));
    }

    fn pending(&self) -> usize {
        self.0.iter().map(|map| map.stats().pending_reclaim).max().expect("some maps")
    }
}

/// A map that was written from the drops of another one's values only left reclaiming to the other, which cannot do it.
#[test]
fn a_map_that_is_written_only_from_drops_of_another_reclaims() {
    on_a_small_stack(|| {
        for max_slots in [1 << 20, 10_000] {
            let ring = Ring::new(2, max_slots);
            let mut most = 0;
            for n in 0..dose(30_000, 100_000) {
                ring.put(0, n % 100, 1);
                if n % 1000 == 0 {
                    most = most.max(ring.pending());
                }
            }
            assert!(most.max(ring.pending()) < 2_000, "{most} pending");
            assert_eq!(deepest(), 1);
        }
    });
}

/// Who comes back to a map that this thread reclaims already leaves it to that.
#[test]
fn a_ring_of_maps_whose_drops_write_to_the_next_reclaims() {
    on_a_small_stack(|| {
        const HOPS: u64 = 7;
        let ring = Ring::new(3, 50_000);
        let mut most = 0;
        for n in 0..dose(25_000, 30_000) {
            ring.put(0, n % 100, HOPS);
            if n % 1000 == 0 {
                most = most.max(ring.pending());
            }
        }
        assert!(most.max(ring.pending()) < 10_000, "{most} pending");
        assert!(deepest() <= 3, "a level for each map");
        ring.0.iter().for_each(settle);
    });
}

/// Beyond some depth a write leaves reclaiming to a later one of its map, or a sweep, which then does it all.
#[test]
fn drops_that_write_to_one_map_after_the_other_nest_to_a_limit() {
    on_a_small_stack(|| {
        const PENDING: u64 = 300;
        let maps = dose(300, 1_000);
        let ring = Ring::new(maps as usize, 1 << 20);
        // In each map some batches that are due, of values that write to the next one.
        for n in 0..maps as usize {
            (0..PENDING).for_each(|key| ring.put(n, 0, u64::from(key % 100 == 0)));
        }
        for n in 0..dose(5_000, 10_000) {
            ring.put(0, n % 10, maps);
        }
        assert!(deepest() <= 16, "{} levels", deepest());
        // From the last on, so that no drop writes to a map that was swept.
        for _ in 0..3 {
            ring.0.iter().rev().for_each(|map| _ = map.sweep(Budget::full_pass()));
        }
        assert!(deepest() <= 16);
    });
}

/// What a write in the depth of drops was refused, the next one that may does; not a batch for each of its own only.
#[test]
fn a_write_catches_up_with_what_was_refused_within_drops() {
    on_a_small_stack(|| {
        // As many levels as reclaiming nests, and a map that is written behind them.
        const LEVELS: usize = 8;
        let ring = Ring::new(LEVELS + 1, 1 << 20);
        for n in 0..dose(20_000, 50_000) {
            ring.put(0, n % 10, LEVELS as u64);
            if n % 1000 == 999 {
                // The second one finds due what the first handed over.
                (0..2).for_each(|key| ring.put(LEVELS, 1_000 + key, 0));
            }
        }
        assert!(ring.pending() < 5_000, "{} pending", ring.pending());
        assert_eq!(deepest(), LEVELS);
    });
}

/// The end of a thread drops what it has in thread-locals, perhaps after ours: a map is written then as ever.
#[test]
fn the_end_of_a_thread_may_write() {
    struct AtTheEnd(Arc<Ring>, Arc<Mutex<usize>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            for n in 0..20_000 {
                self.0.put(0, n % 100, 1);
            }
            *self.1.lock().unwrap() = self.0.pending();
        }
    }
    thread_local! { static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) } }

    exclusive(|| {
        let (ring, pending) = (Ring::new(2, 10_000), Arc::default());
        let kept = AtTheEnd(Arc::clone(&ring), Arc::clone(&pending));
        // Set before the thread has pinned, so it goes after what a pin leaves there.
        let ends = move || KEPT.set(Some(kept));
        thread::spawn(ends).join().expect("no panic");
        assert!(*pending.lock().unwrap() < 2_000, "{pending:?} pending");
        ring.0.iter().for_each(settle);
    });
}

/// A value whose drop does this to its map.
fn then(map: &Arc<Map>, f: fn(&Map)) -> OnDrop {
    let map = Arc::downgrade(map);
    OnDrop::new(move || {
        if let Some(map) = map.upgrade() {
            f(&map);
        }
    })
}

#[test]
fn drops_that_sweep_do_not_nest() {
    on_a_small_stack(|| {
        let clock = ManualClock::new();
        let map = Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
        for key in 0..3_000 {
            let sweeps = |map: &Map| counted(|| _ = map.sweep(Budget::full_pass()));
            map.insert_with_ttl(key, then(&map, sweeps), ns(1 + key));
        }
        clock.advance(ns(3_000));
        settle(&map);
        assert_eq!((deepest(), map.len()), (1, 0));
    });
}

/// Each batch has one slot in a map of so few. What a `Drop` may not reclaim itself is reclaimed beside what the sweep came
/// for, and once that was subtracted from a budget that had less.
#[test]
fn a_sweep_that_reclaims_what_others_owe_goes_on() {
    exclusive(|| {
        let map =
            Arc::new(builder().max_slots(100).sweep_per_write(0).build().expect("valid options"));
        for sweep in [Budget::entries(1), Budget::full_pass()] {
            let held = map.pin();
            for key in 1..40 {
                map.insert(key, then(&map, |map| _ = map.insert(0, OnDrop::IDLE)));
                map.remove(&key);
            }
            drop(held);
            for _ in 0..20 {
                map.sweep(sweep);
            }
            settle(&map);
            assert_eq!((map.len(), map.stats().pending_reclaim), (1, 0));
        }
    });
}
