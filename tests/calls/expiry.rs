//! Deadlines to the tick.

use crate::common::{FOREVER, SetClock, builder, exclusive, left, ns};
use evanesce::{Budget, Deadline, ManualClock, TtlMap};
use std::time::Duration;

/// A map of which writes do not sweep.
fn unswept() -> (TtlMap<u64, u64>, ManualClock) {
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
            pin.insert_with_ttl(1, 10, ns(ttl));
            assert_eq!(left(&pin, &1), Some(u128::from(ttl)));
            clock.advance(ns(ttl - 1));
            assert_eq!(pin.get(&1), Some(&10), "ttl {ttl}");
            assert_eq!(left(&pin, &1), Some(1));
            assert_eq!(pin.iter().count(), 1);
            clock.advance(ns(1));
            assert_eq!(pin.get(&1), None, "ttl {ttl}");
            assert_eq!(left(&pin, &1), None);
            assert!(!pin.contains_key(&1));
            assert!(!pin.set_ttl(&1, ns(5)));
            assert_eq!(pin.update(1, |v| *v), None);
            assert_eq!(pin.remove(&1), None);
            assert_eq!(pin.iter().count(), 0);
            assert!(pin.try_insert(1, 11).is_ok());
        }
    });
}

#[test]
fn set_ttl_lands_on_the_tick() {
    exclusive(|| {
        let (map, clock) = unswept();
        let pin = map.pin();
        pin.insert(1, 0);
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
        pin.insert_with_ttl(0, 0, Duration::MAX);
        pin.insert_with_deadline(1, 0, Deadline::NEVER);
        pin.insert_with_deadline(2, 0, Deadline::from_nanos(u64::MAX));
        pin.insert_with_deadline(3, 0, Deadline::after(&clock, Duration::MAX));
        pin.insert_with_ttl(4, 0, ns(1));
        assert!(pin.set_ttl(&4, Duration::MAX));
        pin.insert(5, 0);
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
            let map: TtlMap<u64, u64> =
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
            let map: TtlMap<u64, u64> =
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
            let map: TtlMap<u64, u64> = builder().clock(clock).build().expect("valid options");
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
            map.pin().insert_with_ttl(key, 0, ns(1 + (key << 30)));
        }
        map.pin().insert(1000, 0);
        clock.advance(Duration::from_secs(4_000_000_000));
        assert_eq!(map.pin().iter().map(|(k, _)| *k).collect::<Vec<_>>(), [1000]);
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
            map.pin().insert(key, 0);
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
            map.pin().insert_with_ttl(key, 0, ns(10));
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
