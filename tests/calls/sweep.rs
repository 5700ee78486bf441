//! What sweeps find, remove, report and drop, by hand and by writes.

use crate::common::tally::{Tally, Token};
use crate::common::{assert_slots_accounted, builder, exclusive, ns};
use evanesce::{Budget, ManualClock, TtlMap};
use std::time::Duration;

/// A map of which writes do not sweep.
fn unswept() -> (TtlMap<u64, u64>, ManualClock) {
    unswept_of()
}

fn unswept_of<V>() -> (TtlMap<u64, V>, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(0);
    (options.build().expect("valid options"), clock)
}

#[test]
fn sweep_of_nothing_due_removes_nothing() {
    exclusive(|| {
        let (map, clock) = unswept();
        let report = map.sweep(Budget::full_pass());
        assert!(report.completed_pass, "an empty map is passed: {report:?}");
        assert_eq!((report.removed, report.max_lag), (0, Duration::ZERO));
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, 0, ns(10 + key));
        }
        clock.advance(ns(9));
        for budget in
            [Budget::full_pass(), Budget::entries(5000), Budget::time(Duration::from_secs(60))]
        {
            let report = map.sweep(budget);
            assert_eq!((report.removed, report.max_lag), (0, Duration::ZERO), "{report:?}");
        }
        assert_eq!(map.pin().iter().count(), 1000);
    });
}

#[test]
fn full_pass_removes_all_that_is_due_and_reports_the_longest_lag() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, 0, ns(10 + key));
        }
        clock.advance(ns(509));
        let report = map.sweep(Budget::full_pass());
        assert!(report.completed_pass, "{report:?}");
        assert_eq!((report.removed, report.max_lag), (500, ns(499)), "{report:?}");
        assert!(report.examined >= 500, "{report:?}");
        assert_eq!(map.len(), 500);
        let stats = assert_slots_accounted(&map);
        assert_eq!((stats.swept_total, stats.max_lag, stats.expired_unswept), (500, ns(499), 0));
        let pin = map.pin();
        assert!((500..1000).all(|key| pin.contains_key(&key)));
    });
}

/// Deadlines are in no queue. In cachebox an overwritten key keeps its place in one, and all behind it wait
/// (findings/cachebox-ttl-queue.sh).
#[test]
fn a_first_entry_that_is_overwritten_or_renewed_holds_back_none_behind_it() {
    type Keep = fn(&TtlMap<u64, u64>);
    let keeps: [Keep; 6] = [
        |map| _ = map.insert_with_ttl(0, 1, ns(100)),
        |map| _ = map.insert(0, 1), // for good
        |map| assert!(map.pin().set_ttl(&0, ns(100))),
        |map| assert!(map.pin().extend_ttl(&0, ns(100))),
        |map| assert!(map.pin().persist(&0)),
        |map| {
            let pin = map.pin();
            assert!(pin.set_ttl(&0, ns(100)) && pin.update(0, |value| value + 1).is_some());
        },
    ];
    exclusive(move || {
        for (n, keep) in keeps.into_iter().enumerate() {
            for others in [1, 63, 64, 1000] {
                let (map, clock) = unswept();
                (0..=others).for_each(|key| _ = map.insert_with_ttl(key, 0, ns(10)));
                for _ in 0..5 {
                    keep(&map);
                }
                clock.advance(ns(10));
                let report = map.sweep(Budget::full_pass());
                assert_eq!(report.removed as u64, others, "keep {n}: {report:?}");
                assert_eq!((map.len(), map.contains_key(&0)), (1, true), "keep {n}");
            }
        }
    });
}

#[test]
fn sweeps_of_n_entries_examine_no_more_and_get_round() {
    exclusive(|| {
        for n in [1, 7, 64, 1000] {
            let (map, clock) = unswept();
            for key in 0..300 {
                map.pin().insert_with_ttl(key, 0, ns(1 + key % 2 * 1000));
            }
            clock.advance(ns(1));
            let mut removed = 0;
            let mut passes = 0;
            for _ in 0..100_000 {
                let report = map.sweep(Budget::entries(n));
                // A block of 64 slots at least, where something is due.
                assert!(report.examined < n + 64, "{report:?}");
                assert!(report.removed <= report.examined, "{report:?}");
                removed += report.removed;
                passes += usize::from(report.completed_pass);
                if passes == 2 {
                    break;
                }
            }
            assert_eq!((removed, passes), (150, 2), "budget {n}");
            assert_eq!(map.len(), 150);
        }
    });
}

/// The last slot of a full block is looked at as well.
#[test]
fn a_sweep_of_as_many_slots_as_there_are_removes_all() {
    exclusive(|| {
        for entries in [63, 127, 1000] {
            let (map, clock) = unswept();
            for key in 0..entries {
                map.pin().insert_with_ttl(key, 0, ns(1));
            }
            clock.advance(ns(1));
            let slots = map.stats().slots;
            assert_eq!(map.sweep(Budget::entries(slots)).removed as u64, entries);
        }
    });
}

#[test]
fn a_sweep_of_an_empty_map_completes_its_pass() {
    exclusive(|| {
        let (map, _) = unswept();
        assert!(map.sweep(Budget::entries(1)).completed_pass);
        assert!(map.sweep(Budget::full_pass()).completed_pass);
    });
}

#[test]
fn sweep_of_zero_entries_removes_nothing() {
    exclusive(|| {
        let (map, clock) = unswept();
        map.pin().insert_with_ttl(1, 0, ns(1));
        clock.advance(ns(1));
        let report = map.sweep(Budget::entries(0));
        assert_eq!((report.examined, report.removed), (0, 0));
    });
}

#[test]
fn sweep_of_zero_entries_drops_what_was_removed_once_nobody_is_pinned() {
    exclusive(|| {
        let map: TtlMap<u64, Token> = builder().build().unwrap();
        let tally = Tally::new();
        map.insert(1, tally.token());
        let pin = map.pin();
        pin.remove(&1);
        assert_eq!(map.sweep(Budget::entries(0)).pending_reclaim, 1);
        assert_eq!(tally.alive(), 1, "a pinned thread may see it");
        drop(pin);
        while map.sweep(Budget::entries(0)).pending_reclaim > 0 {}
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn ample_time_completes_a_pass_and_no_time_returns() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, 0, ns(1));
        }
        clock.advance(ns(1));
        let hurried = map.sweep(Budget::time(Duration::ZERO));
        let ample = map.sweep(Budget::time(Duration::from_secs(600)));
        assert!(ample.completed_pass, "{ample:?}");
        // What the first call left of a pass may be all the second one completed.
        let rest = map.sweep(Budget::time(Duration::from_secs(600)));
        assert_eq!(hurried.removed + ample.removed + rest.removed, 1000);
    });
}

#[test]
fn full_pass_drops_the_keys_and_values_it_removed() {
    exclusive(|| {
        let (tally, (map, clock)) = (Tally::new(), unswept_of::<Token>());
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, tally.token(), ns(1 + key % 2));
        }
        clock.advance(ns(1));
        assert_eq!(tally.alive(), 1000, "reading a deadline as passed drops nothing");
        let report = map.sweep(Budget::full_pass());
        assert_eq!((report.removed, report.pending_reclaim), (500, 0), "{report:?}");
        assert_eq!(tally.alive(), 500);
        clock.advance(ns(1));
        map.sweep(Budget::full_pass());
        tally.assert_all_dropped();
    });
}

/// Whatever the budget, a sweep hands half-full batches over and lets grace periods pass: the few values that
/// were removed are not to wait for as many others.
#[test]
fn sweeps_of_any_budget_drop_what_was_removed_before() {
    exclusive(|| {
        for budget in [Budget::entries(1), Budget::time(Duration::ZERO), Budget::full_pass()] {
            let (tally, (map, _)) = (Tally::new(), unswept_of::<Token>());
            (0..5).for_each(|key| _ = map.pin().insert(key, tally.token()));
            (0..5).for_each(|key| _ = map.pin().remove(&key));
            assert_eq!(tally.alive(), 5, "too few to be dropped by writes");
            let sweeps = (0..10).find(|_| {
                map.sweep(budget);
                tally.alive() == 0
            });
            assert!(sweeps.is_some(), "{budget:?}: {:?}", map.stats());
        }
    });
}

#[test]
fn writes_alone_sweep_the_map() {
    exclusive(|| {
        for per_write in [1, 2, 8] {
            let (tally, clock) = (Tally::new(), ManualClock::new());
            let options = builder().clock(clock.clone()).sweep_per_write(per_write);
            let map: TtlMap<u64, Token> = options.build().expect("valid options");
            for key in 0..2000 {
                map.pin().insert_with_ttl(key, tally.token(), ns(100));
            }
            clock.advance(ns(100));
            let mut writes = 0;
            // One key, written over and over: only the sweep removes the others.
            while map.len() > 1 {
                map.pin().insert_with_ttl(5000, tally.token(), ns(1_000_000));
                writes += 1;
                assert!(writes < 100_000, "per write {per_write}: {:?}", map.stats());
            }
            println!("{per_write} per write: swept by {writes} writes");
            assert!((1_500..4_000).contains(&(writes * per_write)), "as it says: {writes} writes");
            for _ in 0..1000 {
                map.pin().insert(5000, tally.token());
            }
            // A bounded remainder may still wait for its grace period.
            assert!(tally.alive() < 1000, "{} values alive", tally.alive());
            assert!(map.stats().swept_total > 0);
        }
    });
}

#[test]
fn without_sweeping_writes_expired_entries_stay_linked() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..100 {
            map.pin().insert_with_ttl(key, 0, ns(1));
        }
        clock.advance(ns(1));
        for key in 100..200 {
            map.pin().insert(key, 0);
        }
        let stats = map.stats();
        assert_eq!((stats.len, stats.expired_unswept, stats.swept_total), (200, 100, 0));
    });
}
