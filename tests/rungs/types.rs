//! Keys and values of unusual size, alignment, lifetime and thread.

use crate::common::tally::{Tally, Token};
use crate::common::{builder, dose, exclusive, ns};
use evanesce::{
    Budget, BuildError, Builder, ByRef, Compute, Deadline, Entries, EntryRef, Iter, Lookup,
    ManualClock, MonotonicClock, OccupiedError, Operation, Pinned, PinnedSet, Policy, RefreshToken,
    RemovalCause, Stats, SweepReport, Sweeper, TryReserveError, Ttl, TtlMap, TtlSet,
};
use std::cell::Cell;
use std::fmt::Debug;
use std::hash::{Hash, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

/// Puts keys and values through every operation.
fn exercise<K: Hash + Eq + Clone + Debug, V: Clone + PartialEq + Debug>(
    keys: &[K],
    value: impl Fn(usize) -> V,
) {
    let clock = ManualClock::new();
    let map: TtlMap<K, V> = builder().clock(clock.clone()).build().expect("valid options");
    let rounds = dose(100, 200) as usize; // of one key as well, more than a batch
    for round in 0..rounds {
        for (i, key) in keys.iter().enumerate() {
            let pin = map.pin();
            let replaced = pin.insert(key.clone(), value(round * i)).cloned();
            assert_eq!(replaced, (round > 0).then(|| value((round - 1) * i + 7)));
            assert_eq!(pin.get(key), Some(&value(round * i)));
            assert_eq!(
                pin.update(key.clone(), |_| value(round * i + 7)),
                Some(&value(round * i + 7))
            );
            assert!(pin.try_insert(key.clone(), value(1)).is_err());
            assert_eq!(pin.get_or_insert_with(key.clone(), || value(1)), &value(round * i + 7));
        }
    }
    assert_eq!(map.len(), keys.len());
    assert_eq!(map.pin().iter().count(), keys.len());
    for (i, key) in keys.iter().enumerate() {
        let pin = map.pin();
        assert_eq!(map.get_cloned(key), Some(value((rounds - 1) * i + 7)));
        match i % 3 {
            0 => assert_eq!(pin.remove(key), Some(&value((rounds - 1) * i + 7))),
            1 => assert!(pin.set_ttl(key, ns(1))),
            _ => assert!(pin.contains_key(key)),
        }
    }
    clock.advance(ns(1));
    map.sweep(Budget::full_pass());
    assert_eq!(map.len(), (0..keys.len()).filter(|i| i % 3 == 2).count());
    map.clear();
    map.sweep(Budget::full_pass());
    assert!(map.is_empty());
}

#[test]
fn zero_sized_keys_and_values_work() {
    exclusive(|| {
        exercise(&[()], |_| ());
        exercise(&[()], |i| i);
        exercise(&(0..100_u64).collect::<Vec<_>>(), |_| ());
    });
}

#[test]
fn zero_sized_keys_and_values_are_dropped_once() {
    thread_local!(static DROPS: Cell<usize> = const { Cell::new(0) });
    #[derive(PartialEq, Eq, Hash)]
    struct Unit;
    impl Drop for Unit {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    exclusive(|| {
        let map: TtlMap<Unit, Unit> = TtlMap::new();
        for _ in 0..1000 {
            map.pin().insert(Unit, Unit);
        }
        assert_eq!(map.len(), 1);
        map.sweep(Budget::full_pass());
        assert_eq!(DROPS.get(), 2 * 999);
        drop(map);
        assert_eq!(DROPS.get(), 2 * 1000);
    });
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(align(64))]
struct Line(usize);

/// More than the allocator's own, and than a line; so is that of the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(align(128))]
struct Pair(u16);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(align(4096))]
struct Page(usize);

fn assert_aligned<T>(place: &T) {
    let address = std::ptr::from_ref(place).addr();
    assert_eq!(address % align_of::<T>(), 0, "{address:#x}");
}

#[test]
fn over_aligned_keys_and_values_lie_aligned() {
    exclusive(|| {
        exercise(&(0..100).map(Line).collect::<Vec<_>>(), Line);
        exercise(&(0..100).map(Pair).collect::<Vec<_>>(), |i| Pair(i as u16));
        let lines: TtlMap<Line, Line> = TtlMap::new();
        let pairs: TtlMap<Pair, Pair> = TtlMap::new();
        let pages: TtlMap<u64, Page> = TtlMap::new();
        let keys: TtlMap<Page, u64> = TtlMap::new();
        for n in 0..5000 {
            lines.pin().insert(Line(n), Line(n));
            pairs.pin().insert(Pair(n as u16), Pair(n as u16));
        }
        for (key, value) in &pairs.pin() {
            assert_aligned(key);
            assert_aligned(value);
            assert_eq!(key, value);
        }
        for n in 0..100 {
            pages.pin().insert(n, Page(n as usize));
            keys.pin().insert(Page(n as usize), n);
        }
        for (key, value) in &lines.pin() {
            assert_aligned(key);
            assert_aligned(value);
            assert_eq!(key, value);
        }
        let pin = pages.pin();
        for n in 0..100 {
            let page = pin.get(&n).expect("present");
            assert_aligned(page);
            assert_eq!(page.0, n as usize);
        }
        keys.pin().iter().for_each(|(key, _)| assert_aligned(key));
    });
}

#[test]
fn large_values_are_kept_whole() {
    exclusive(|| {
        let value = |i: usize| -> [u64; 512] { std::array::from_fn(|n| (n * 31 + i) as u64) };
        exercise(&(0..50).collect::<Vec<_>>(), value);
    });
}

#[test]
fn small_values_are_kept_apart() {
    exclusive(|| exercise(&(0..=255_u8).collect::<Vec<_>>(), |i| i % 251 == 0));
}

#[test]
fn borrowed_keys_and_values_work() {
    exclusive(|| {
        let text = "a key and a value and another".to_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let map: TtlMap<&str, &str> = TtlMap::new();
        for pair in words.windows(2) {
            map.pin().insert(pair[0], pair[1]);
        }
        assert_eq!(map.pin().get("key"), Some(&"and"));
        assert_eq!(map.pin().get("and"), Some(&"another"));
        map.pin().remove("key");
        // Values whose drop looks at what they borrow, some still deferred when the map goes.
        let seen = Cell::new(0);
        let map: TtlMap<u8, Looks<'_>> = TtlMap::new();
        for _ in 0..10 {
            map.pin().insert(1, Looks(&seen));
        }
        drop(map);
        assert_eq!(seen.get(), 10);
    });
}

/// Counts its drops in what it borrows.
struct Looks<'a>(&'a Cell<u32>);

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn keys_and_values_bound_to_one_thread_work_there() {
    exclusive(|| {
        let keys: Vec<Rc<str>> = ["a", "b", "c", "d"].map(Rc::from).to_vec();
        let shared = Rc::new(5);
        exercise(&keys, |_| Rc::clone(&shared));
        assert_eq!(Rc::strong_count(&shared), 1, "leaked or dropped twice");
        assert!(keys.iter().all(|key| Rc::strong_count(key) == 1));

        let map: TtlMap<Rc<str>, Rc<i32>> = TtlMap::new();
        for key in &keys {
            map.pin().insert(Rc::clone(key), Rc::clone(&shared));
        }
        // Another thread collects what is deferred; it must not touch the counts.
        let other: TtlMap<u64, u64> = TtlMap::new();
        map.pin().remove("a");
        std::thread::spawn(move || {
            for _ in 0..1000 {
                other.pin().insert(1, 1);
            }
            other.sweep(Budget::full_pass());
        })
        .join()
        .expect("no panic");
        assert_eq!(Rc::strong_count(&shared), 5);
        drop(map);
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

/// Values that no two threads may share go with their map to another, entries, garbage and all, and back.
#[test]
fn maps_of_values_that_are_not_shared_move_between_threads() {
    exclusive(|| {
        let mut map: TtlMap<u64, Cell<u64>> = TtlMap::new();
        for round in 0..5_u64 {
            let mover = std::thread::spawn(move || {
                for key in 0..100 {
                    let pin = map.pin();
                    if let Some(cell) = pin.get(&key) {
                        assert_eq!(cell.replace(round + key), round + key - 1);
                    } else {
                        pin.insert(key, Cell::new(round + key));
                    }
                    pin.insert(1000 + key, Cell::new(0));
                    pin.remove(&(1000 + key));
                }
                map
            });
            map = mover.join().expect("no panic");
        }
        assert!((0..100).all(|key| map.get_cloned(&key) == Some(Cell::new(4 + key))));
        map.sweep(Budget::full_pass());
        assert_eq!(map.stats().pending_reclaim, 0);
    });
}

#[test]
fn boxed_strs_and_closures_work() {
    exclusive(|| {
        let map: TtlMap<Box<str>, Box<dyn Fn(u8) -> u8>> = TtlMap::new();
        map.pin().insert("double".into(), Box::new(|n| n * 2));
        map.pin().insert("next".into(), Box::new(|n| n + 1));
        assert_eq!(map.pin().get("double").map(|f| f(4)), Some(8));
        assert_eq!(map.pin().get("next").map(|f| f(4)), Some(5));
    });
}

/// As docs/crate.md has it. A panic cannot leave one of them half changed: none is changed but as a whole.
#[test]
fn everything_may_cross_a_caught_panic() {
    type Map = TtlMap<String, Vec<u8>>;
    fn both<T: UnwindSafe + RefUnwindSafe>() {}
    both::<(Budget, SweepReport, Stats, Policy)>();
    both::<(BuildError, TryReserveError, OccupiedError<'_, u8>)>();
    both::<(Deadline, Ttl, ManualClock, MonotonicClock)>();
    both::<(EntryRef<'_, u8, u8>, Lookup<'_, u8>, Compute<'_, u8>, Operation<u8>)>();
    both::<(RefreshToken, RemovalCause, ByRef<'_, '_, u8, u8, RandomState, u8, fn(&u8) -> u8>)>();
    both::<(Map, TtlSet<u8>, Builder<u8, u8>, Sweeper)>();
    both::<(Pinned<'_, u8, u8>, PinnedSet<'_, u8>, Iter<'_, u8, u8>, Entries<'_, u8, u8>)>();
}

#[test]
fn a_map_is_whole_after_a_caught_panic() {
    exclusive(|| {
        let (map, tally) = (TtlMap::<u64, Token>::new(), Tally::new());
        map.insert(1, tally.token());
        let caught = std::panic::catch_unwind(|| {
            map.pin().update(1, |value| {
                let _next = value.clone();
                panic!("with the next value half made");
            });
        });
        assert!(caught.is_err());
        assert_eq!((map.view(&1, Token::number), tally.alive()), (Some(0), 1));
        assert_eq!(map.pin().update(1, |_| tally.token()).map(Token::number), Some(2));
    });
}
