//! What a read does not do: allocate, read the clock without need, stand in the way of reclaiming, or make
//! those who wait for it take memory.
#![allow(unsafe_code)] // a global allocator that counts

use evanesce_testkit as common;

use common::tally::Tally;
use common::{builder, exclusive, ns, settle};
use evanesce::{Budget, Clock, Deadline, ManualClock, MonotonicClock, TtlMap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;

struct Counting;

thread_local! { static CALLS: Cell<u64> = const { Cell::new(0) }; }

// SAFETY: the system's allocator does the work; a counter without a destructor is all that is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and releases of this thread while `f` runs.
fn allocator_calls(f: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    f();
    CALLS.get() - before
}

/// A manual clock that counts its readings.
#[derive(Clone)]
struct Counted(ManualClock, Arc<AtomicU64>);

impl Clock for Counted {
    fn now(&self) -> u64 {
        self.1.fetch_add(1, Relaxed);
        self.0.now()
    }
}

#[test]
fn reads_under_a_pin_neither_allocate_nor_free() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> =
            builder().clock(clock.clone()).sweep_per_write(0).build().expect("valid options");
        for key in 0..3_000 {
            let pinned = map.pin();
            match key % 3 {
                0 => pinned.insert(key, key),
                1 => pinned.insert_with_ttl(key, key, ns(5)),
                _ => pinned.insert_with_ttl(key, key, ns(100)),
            };
            if key % 7 == 0 {
                pinned.remove(&(key / 2));
            }
        }
        clock.advance(ns(5));
        let pinned = map.pin();
        let calls = allocator_calls(|| {
            for key in 0..6_000 {
                let live = pinned.get(&key).is_some();
                assert_eq!(live, pinned.contains_key(&key));
                assert_eq!(live, pinned.ttl(&key).is_some());
                assert_eq!(live, pinned.get_many([&key, &9_999])[0].is_some());
            }
            assert!(pinned.iter().count() > 1_000);
        });
        assert_eq!(calls, 0);
    });
}

#[test]
fn get_reads_the_clock_only_for_an_entry_with_a_deadline() {
    exclusive(|| {
        let readings = Arc::new(AtomicU64::new(0));
        let clock = Counted(ManualClock::new(), Arc::clone(&readings));
        let map: TtlMap<u64, u64> = builder().clock(clock).build().expect("valid options");
        let pinned = map.pin();
        for key in 0..100 {
            pinned.insert(key, key);
        }
        assert_eq!(readings.load(Relaxed), 0, "nor does a put without a TTL");
        assert!((0..100).all(|key| pinned.get(&key) == Some(&key)));
        assert!((100..200).all(|key| pinned.get(&key).is_none()));
        assert_eq!(pinned.iter().count(), 100);
        assert_eq!(readings.load(Relaxed), 0);

        pinned.insert_with_ttl(200, 0, ns(5));
        let before = readings.load(Relaxed);
        assert_eq!(pinned.get(&200), Some(&0));
        assert_eq!(readings.load(Relaxed) - before, 1);
    });
}

/// A few removals, far less than a batch, and readers that never let go of their pins but repin.
#[test]
fn sweeps_reclaim_while_every_reader_holds_a_pin_and_repins() {
    exclusive(|| {
        let tally = Tally::new();
        let map = Arc::new(TtlMap::new());
        for key in 0..5_u64 {
            map.pin().insert(key, tally.token());
        }
        let stop = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (map, stop) = (Arc::clone(&map), Arc::clone(&stop));
                thread::spawn(move || {
                    let mut pinned = map.pin();
                    while !stop.load(Relaxed) {
                        assert!(pinned.get(&9).is_none());
                        pinned.repin();
                    }
                })
            })
            .collect();
        for key in 0..5_u64 {
            map.pin().remove(&key);
        }
        let reclaimed = (0..10_000).any(|_| {
            map.sweep(Budget::full_pass());
            thread::yield_now();
            tally.alive() == 0
        });
        stop.store(true, Relaxed);
        for reader in readers {
            reader.join().expect("no panic");
        }
        assert!(reclaimed, "{:?}", map.stats());
    });
}

/// A sweep that finds work waiting for a parked reader leaves nothing of its own behind it (found by the
/// soak: the collector spends 2 kB on each function that waits, and each sweep had one).
#[test]
fn sweeps_behind_a_parked_reader_take_no_memory() {
    exclusive(|| {
        let map = Arc::new(TtlMap::new());
        let (parked, leave) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let reader = {
            let (map, parked, leave) = (Arc::clone(&map), Arc::clone(&parked), Arc::clone(&leave));
            thread::spawn(move || {
                let pinned = map.pin();
                parked.store(true, SeqCst);
                while !leave.load(SeqCst) {
                    thread::yield_now();
                }
                drop(pinned);
            })
        };
        while !parked.load(SeqCst) {
            thread::yield_now();
        }
        map.pin().insert(1_u64, 1_u64);
        map.pin().remove(&1);
        map.sweep(Budget::entries(1));
        let calls = allocator_calls(|| {
            for _ in 0..10_000 {
                assert_eq!(map.sweep(Budget::entries(1)).pending_reclaim, 1);
            }
        });
        leave.store(true, SeqCst);
        reader.join().expect("no panic");
        assert!(calls < 1_000, "{calls} calls of the allocator in 10,000 sweeps");
        settle(&map);
    });
}

/// A map that looks at the coarse clock first still goes by the exact one.
#[test]
fn an_entry_expires_on_time_on_the_system_clock() {
    exclusive(|| {
        let without_it = builder().clock(MonotonicClock).build().expect("valid options");
        for map in [builder().build().expect("valid options"), without_it] {
            let pinned = map.pin();
            pinned.insert_with_ttl(0, 0, ns(3_600_000_000_000));
            for micros in [1, 50, 500, 5_000, 20_000] {
                let due = MonotonicClock.now() + micros * 1_000;
                pinned.insert_with_deadline(micros, 0, Deadline::from_nanos(due));
                while MonotonicClock.now() < due {
                    std::hint::spin_loop();
                }
                assert_eq!(pinned.get(&micros), None, "{micros} us");
                assert_eq!(pinned.get(&0), Some(&0), "an hour ahead");
            }
        }
    });
}

#[test]
fn several_keys_with_deadlines_take_one_reading() {
    let clock = Counted(ManualClock::new(), Arc::default());
    let map = TtlMap::<u64, u64>::builder().sweep_per_write(0).clock(clock.clone());
    let map = map.build().expect("valid options");
    let pinned = map.pin();
    for key in 0..15 {
        pinned.insert_with_ttl(key, key, ns(10 + key));
    }
    pinned.insert(15, 15);
    let keys: [u64; 16] = std::array::from_fn(|n| n as u64);
    let readings = |expected: u64| {
        let before = clock.1.load(Relaxed);
        let found = pinned.get_many(keys.each_ref());
        assert_eq!(clock.1.load(Relaxed) - before, expected);
        found.map(Option::<&u64>::copied)
    };
    assert_eq!(readings(1), keys.map(Some));
    // Replaced in place, and renewed: no more.
    pinned.insert_with_ttl(3, 3, ns(20));
    pinned.set_ttl(&4, ns(30));
    assert_eq!(readings(1), keys.map(Some));
    // One has expired: it alone is looked at again.
    clock.0.advance(ns(10));
    let mut expected = keys.map(Some);
    expected[0] = None;
    assert_eq!(readings(2), expected);
    clock.0.advance(ns(100));
    assert_eq!(readings(16), std::array::from_fn(|n| (n == 15).then_some(15)));
    map.clear();
    assert_eq!(readings(0), [None; 16]);
}
