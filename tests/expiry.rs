//! Deadlines to the tick, and what sweeps find, remove, report and drop.

mod common;

use common::tally::{Tally, Token};
use common::{FOREVER, SetClock, assert_slots_accounted, builder, exclusive, left, ns};
use evanesce::{Budget, Deadline, ManualClock, TtlMap};
use std::time::Duration;

/// A map of which writes do not sweep.
fn unswept<V>() -> (TtlMap<u64, V>, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(0);
    (options.build().expect("valid options"), clock)
}

#[test]
fn entry_is_visible_before_its_deadline_and_absent_from_it_on() {
    exclusive(|| {
        for ttl in [1, 2, 3, 1000, 1 << 32, (1 << 32) + 1, 1 << 40] {
            let (map, clock) = unswept();
            let pin = map.pin();
            pin.insert_with_ttl(1, "v", ns(ttl));
            assert_eq!(left(&pin, &1), Some(u128::from(ttl)));
            clock.advance(ns(ttl - 1));
            assert_eq!(pin.get(&1), Some(&"v"), "ttl {ttl}");
            assert_eq!(left(&pin, &1), Some(1));
            assert_eq!(pin.iter().count(), 1);
            clock.advance(ns(1));
            assert_eq!(pin.get(&1), None, "ttl {ttl}");
            assert_eq!(left(&pin, &1), None);
            assert!(!pin.contains_key(&1));
            assert!(!pin.set_ttl(&1, ns(5)));
            assert_eq!(pin.update(1, |v| v), None);
            assert_eq!(pin.remove(&1), None);
            assert_eq!(pin.iter().count(), 0);
            assert!(pin.try_insert(1, "w").is_ok());
        }
    });
}

#[test]
fn set_ttl_lands_on_the_tick() {
    exclusive(|| {
        let (map, clock) = unswept();
        let pin = map.pin();
        pin.insert(1, ());
        clock.advance(ns(100));
        assert!(pin.set_ttl(&1, ns(10)));
        clock.advance(ns(9));
        assert!(pin.contains_key(&1));
        assert!(pin.set_ttl(&1, ns(10)), "renewal in the last tick");
        clock.advance(ns(9));
        assert!(pin.contains_key(&1));
        clock.advance(ns(1));
        assert!(!pin.contains_key(&1));
    });
}

#[test]
fn ttl_zero_is_absent_at_once() {
    exclusive(|| {
        let (map, _) = unswept();
        let pin = map.pin();
        assert_eq!(pin.insert_with_ttl(1, 10, Duration::ZERO), None);
        assert_eq!(pin.get(&1), None);
        pin.insert(1, 11);
        assert_eq!(pin.insert_with_ttl(1, 12, Duration::ZERO), Some(&11));
        assert_eq!(pin.get(&1), None);
        pin.insert(1, 13);
        assert!(pin.set_ttl(&1, Duration::ZERO));
        assert_eq!(pin.get(&1), None);
        assert!(!pin.set_ttl(&1, ns(1)));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    });
}

#[test]
fn longest_ttls_and_deadlines_mean_never() {
    exclusive(|| {
        let (map, clock) = unswept();
        let pin = map.pin();
        pin.insert_with_ttl(0, (), Duration::MAX);
        pin.insert_with_deadline(1, (), Deadline::NEVER);
        pin.insert_with_deadline(2, (), Deadline::from_nanos(u64::MAX));
        pin.insert_with_deadline(3, (), Deadline::after(&clock, Duration::MAX));
        pin.insert_with_ttl(4, (), ns(1));
        assert!(pin.set_ttl(&4, Duration::MAX));
        pin.insert(5, ());
        for key in 0..6 {
            assert_eq!(left(&pin, &key), Some(FOREVER), "key {key}");
        }
        clock.advance(ns(u64::MAX - 1));
        for key in 0..6 {
            assert_eq!(left(&pin, &key), Some(FOREVER), "key {key}");
        }
        assert_eq!(map.sweep(Budget::full_pass()).removed, 0);
        assert_eq!(map.len(), 6);
    });
}

#[test]
fn late_clocks_are_exact_within_146_years() {
    exclusive(|| {
        for start in [1 << 33, 1 << 60, (1 << 62) - (1 << 32)] {
            let clock = SetClock::at(start);
            let map: TtlMap<u8, u8> =
                builder().clock(clock.clone()).build().expect("valid options");
            let pin = map.pin();
            pin.insert_with_ttl(1, 1, ns(10));
            pin.insert_with_deadline(2, 2, Deadline::from_nanos(start + 10));
            pin.insert_with_ttl(3, 3, Duration::ZERO);
            assert_eq!(pin.get(&3), None);
            clock.set(start + 9);
            assert_eq!((left(&pin, &1), left(&pin, &2)), (Some(1), Some(1)));
            clock.set(start + 10);
            assert_eq!((left(&pin, &1), left(&pin, &2)), (None, None));
            drop(pin);
            map.sweep(Budget::full_pass());
            assert_eq!(map.len(), 0);
        }
    });
}

#[test]
fn clocks_near_the_last_tick_expire_entries_late_or_exactly_but_never_early() {
    exclusive(|| {
        for start in [u64::MAX / 2, u64::MAX - 1000] {
            let clock = SetClock::at(start);
            let map: TtlMap<u8, u8> =
                builder().clock(clock.clone()).build().expect("valid options");
            let pin = map.pin();
            pin.insert(0, 0);
            pin.insert_with_ttl(1, 1, ns(10));
            pin.insert_with_ttl(2, 2, Duration::MAX);
            clock.set(start + 9);
            for key in 0..3 {
                assert_eq!(pin.get(&key), Some(&key));
            }
            clock.set(start + 10);
            let late = pin.contains_key(&1);
            assert!(!late || left(&pin, &1) == Some(FOREVER), "late, but not by saturation");
            clock.set(u64::MAX);
            assert_eq!((pin.get(&0), pin.get(&2)), (Some(&0), Some(&2)));
            assert_eq!(pin.iter().count(), 2 + usize::from(late));
            assert_eq!(pin.insert(1, 5).is_some(), late);
            assert_eq!(pin.get(&1), Some(&5));
            drop(pin);
            map.sweep(Budget::full_pass());
            assert_eq!(map.len(), 3);
        }
    });
}

#[test]
fn ttl_zero_is_absent_at_once_however_late_the_clock() {
    exclusive(|| {
        for start in [(1 << 62) - (1 << 31), 1 << 62, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let clock = SetClock::at(start);
            let map: TtlMap<u8, u8> = builder().clock(clock).build().expect("valid options");
            let pin = map.pin();
            pin.insert_with_ttl(1, 1, Duration::ZERO);
            assert_eq!(pin.get(&1), None, "at {start}");
            pin.insert(2, 2);
            assert!(pin.set_ttl(&2, Duration::ZERO));
            assert_eq!(pin.get(&2), None, "at {start}");
        }
    });
}

#[test]
fn clock_that_jumps_ahead_expires_all_but_the_eternal() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, (), ns(1 + (key << 30)));
        }
        map.pin().insert(1000, ());
        clock.advance(Duration::from_secs(4_000_000_000));
        assert_eq!(map.pin().iter().map(|(k, ())| *k).collect::<Vec<_>>(), [1000]);
        let report = map.sweep(Budget::full_pass());
        assert_eq!(report.removed, 1000);
        assert_eq!(report.max_lag + ns(1), Duration::from_secs(4_000_000_000));
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn renewal_and_shortening_move_the_deadline() {
    exclusive(|| {
        let (map, clock) = unswept();
        let pin = map.pin();
        for key in 0..3 {
            pin.insert_with_ttl(key, key, ns(100));
        }
        clock.advance(ns(50));
        assert!(pin.set_ttl(&0, ns(100)));
        assert!(pin.set_ttl(&1, ns(10)));
        clock.advance(ns(10));
        assert_eq!([0, 1, 2].map(|k| left(&pin, &k)), [Some(90), None, Some(40)]);
        clock.advance(ns(40));
        assert_eq!([0, 1, 2].map(|k| left(&pin, &k)), [Some(50), None, None]);
        clock.advance(ns(50));
        assert_eq!([0, 1, 2].map(|k| left(&pin, &k)), [None, None, None]);
    });
}

#[test]
fn shortened_deadlines_are_found_by_the_next_sweep() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..500 {
            map.pin().insert(key, ());
        }
        assert_eq!(map.sweep(Budget::full_pass()).removed, 0);
        for key in 0..500 {
            assert!(map.pin().set_ttl(&key, ns(1 + key % 2)));
        }
        clock.advance(ns(1));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 250);
        clock.advance(ns(1));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 250);
    });
}

#[test]
fn renewed_entries_are_never_swept() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..500 {
            map.pin().insert_with_ttl(key, (), ns(10));
        }
        for _ in 0..20 {
            clock.advance(ns(9));
            for key in 0..500 {
                assert!(map.pin().set_ttl(&key, ns(10)));
            }
            assert_eq!(map.sweep(Budget::full_pass()).removed, 0);
        }
        assert_eq!(map.pin().iter().count(), 500);
    });
}

#[test]
fn insert_over_an_expired_entry_starts_a_new_life() {
    exclusive(|| {
        let (map, clock) = unswept();
        for round in 0..100 {
            let pin = map.pin();
            assert_eq!(pin.insert_with_ttl(1, round, ns(10)), None);
            assert_eq!(map.len(), 1, "the expired entry is replaced, not joined");
            clock.advance(ns(9));
            assert_eq!(pin.get(&1), Some(&round));
            clock.advance(ns(1));
            assert_eq!(pin.get(&1), None);
        }
        assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    });
}

#[test]
fn sweep_of_nothing_due_removes_nothing() {
    exclusive(|| {
        let (map, clock) = unswept();
        let report = map.sweep(Budget::full_pass());
        assert!(report.completed_pass, "an empty map is passed: {report:?}");
        assert_eq!((report.removed, report.max_lag), (0, Duration::ZERO));
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, (), ns(10 + key));
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
            map.pin().insert_with_ttl(key, (), ns(10 + key));
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

#[test]
fn sweeps_of_n_entries_examine_no_more_and_get_round() {
    exclusive(|| {
        for n in [1, 7, 64, 1000] {
            let (map, clock) = unswept();
            for key in 0..300 {
                map.pin().insert_with_ttl(key, (), ns(1 + key % 2 * 1000));
            }
            clock.advance(ns(1));
            let mut removed = 0;
            let mut passes = 0;
            for _ in 0..100_000 {
                let report = map.sweep(Budget::entries(n));
                assert!(report.examined <= n, "{report:?}");
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

#[test]
fn sweep_of_zero_entries_removes_nothing() {
    exclusive(|| {
        let (map, clock) = unswept();
        map.pin().insert_with_ttl(1, (), ns(1));
        clock.advance(ns(1));
        let report = map.sweep(Budget::entries(0));
        assert_eq!((report.examined, report.removed), (0, 0));
    });
}

#[test]
fn ample_time_completes_a_pass_and_no_time_returns() {
    exclusive(|| {
        let (map, clock) = unswept();
        for key in 0..1000 {
            map.pin().insert_with_ttl(key, (), ns(1));
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
        let (tally, (map, clock)) = (Tally::new(), unswept::<Token>());
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
                map.pin().insert(5000, tally.token());
                writes += 1;
                assert!(writes < 100_000, "per write {per_write}: {:?}", map.stats());
            }
            println!("{per_write} per write: swept by {writes} writes");
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
            map.pin().insert_with_ttl(key, (), ns(1));
        }
        clock.advance(ns(1));
        for key in 100..200 {
            map.pin().insert(key, ());
        }
        let stats = map.stats();
        assert_eq!((stats.len, stats.expired_unswept, stats.swept_total), (200, 100, 0));
    });
}
