//! Serving stale: what has expired stays readable for a grace, by `get_stale` and by nothing else.

use crate::common::{builder, exclusive, ns};
use evanesce::{Budget, Deadline, Lookup, ManualClock, RemovalCause, TtlMap};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

const GRACE: u64 = 100;

/// A map with a grace, of which writes do not sweep.
fn graceful() -> (TtlMap<u64, u64>, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(0).grace(ns(GRACE));
    (options.build().expect("valid options"), clock)
}

/// The value, and for how long it has been expired.
fn stale(map: &TtlMap<u64, u64>, key: u64) -> Option<(u64, Option<u64>)> {
    let pinned = map.pin();
    let found = pinned.get_stale(&key)?;
    Some((*found.value, found.expired_for.map(|time| time.as_nanos() as u64)))
}

#[test]
fn get_stale_tells_fresh_from_stale_to_the_tick() {
    exclusive(|| {
        let (map, clock) = graceful();
        map.insert_with_ttl(1, 10, ns(5));
        map.insert(2, 20);
        clock.advance(ns(4));
        assert_eq!(stale(&map, 1), Some((10, None)));
        clock.advance(ns(1));
        assert_eq!(stale(&map, 1), Some((10, Some(0))));
        clock.advance(ns(GRACE - 1));
        assert_eq!(stale(&map, 1), Some((10, Some(GRACE - 1))));
        clock.advance(ns(1));
        assert_eq!(stale(&map, 1), None);
        assert_eq!((stale(&map, 2), stale(&map, 3)), (Some((20, None)), None));
    });
}

#[test]
fn without_a_grace_nothing_is_stale() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map = builder().clock(clock.clone()).build().expect("valid options");
        map.insert_with_ttl(1, 10, ns(5));
        clock.advance(ns(4));
        assert_eq!(stale(&map, 1), Some((10, None)));
        clock.advance(ns(1));
        assert_eq!(stale(&map, 1), None);
    });
}

#[test]
fn all_other_calls_take_it_for_expired() {
    exclusive(|| {
        let (map, clock) = graceful();
        let pin = map.pin();
        pin.insert_with_ttl(1, 10, ns(5));
        clock.advance(ns(5));
        assert_eq!((pin.get(&1), pin.ttl(&1), pin.get_many([&1])), (None, None, [None]));
        assert!(pin.get_entry(&1).is_none() && !pin.contains_key(&1));
        assert!(matches!(pin.get_or_refresh(&1, ns(5)), Lookup::Missing));
        assert_eq!((pin.iter().count(), map.live_len(), map.len()), (0, 0, 1));
        assert!(!pin.set_ttl(&1, ns(5)) && !pin.persist(&1) && !pin.extend_ttl(&1, ns(5)));
        assert_eq!((pin.update(1, |n| n + 1), pin.remove(&1)), (None, None));
        assert_eq!(pin.replace_if(1, 11, |_| true), Err(11));
        assert_eq!(map.stats().expired_unswept, 1);
        assert_eq!(stale(&map, 1), Some((10, Some(0))), "still there after all of these");
        assert_eq!(map.clone().len(), 0);
        assert_eq!(pin.insert(1, 12), None, "replaced as an expired one");
        assert_eq!(stale(&map, 1), Some((12, None)));
    });
}

#[test]
fn writers_tell_the_listener_that_it_expired() {
    exclusive(|| {
        let (clock, log) = (ManualClock::new(), Arc::new(Mutex::new(Vec::new())));
        let listening = Arc::clone(&log);
        let options = builder().clock(clock.clone()).grace(ns(GRACE));
        let listener = move |key: &u64, value: &u64, cause| {
            listening.lock().unwrap().push((*key, *value, cause));
        };
        let map = options.eviction_listener(listener).build().expect("valid options");
        map.insert_with_ttl(1, 10, ns(5));
        clock.advance(ns(6));
        map.insert(1, 11);
        assert_eq!(*log.lock().unwrap(), [(1, 10, RemovalCause::Expired)]);
    });
}

#[test]
fn each_kind_of_sweep_comes_after_the_grace() {
    exclusive(|| {
        let sweeps: [fn(&TtlMap<u64, u64>); 3] = [
            |map| _ = map.sweep(Budget::full_pass()),
            |map| _ = map.sweep(Budget::entries(1000)),
            |map| (0..1000).for_each(|n| _ = map.insert(1000, n)),
        ];
        for sweep in sweeps {
            let clock = ManualClock::new();
            let options = builder().clock(clock.clone()).sweep_per_write(64).grace(ns(GRACE));
            let map = options.build().expect("valid options");
            map.insert_with_ttl(1, 10, ns(5));
            clock.advance(ns(5 + GRACE - 1));
            sweep(&map);
            assert_eq!(stale(&map, 1), Some((10, Some(GRACE - 1))));
            assert_eq!(map.stats().swept_total, 0);
            clock.advance(ns(4));
            sweep(&map);
            assert_eq!(map.stats().swept_total, 1);
            assert_eq!(map.stats().max_lag, ns(3), "from the end of the grace");
        }
    });
}

#[test]
fn next_deadline_has_the_grace_added() {
    exclusive(|| {
        let (map, _) = graceful();
        map.insert_with_ttl(1, 10, ns(5));
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(5 + GRACE)));
        map.insert_with_ttl(2, 20, Duration::ZERO);
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(0)), "that one has no grace");
    });
}

#[test]
fn what_was_to_go_at_once_has_no_grace() {
    exclusive(|| {
        let (map, clock) = graceful();
        clock.advance(ns(50));
        map.insert_with_ttl(1, 10, Duration::ZERO);
        map.insert(2, 20);
        map.insert(3, 30);
        assert!(map.pin().set_ttl(&2, Duration::ZERO));
        assert!(map.pin().set_deadline(&3, Deadline::from_nanos(49)));
        assert_eq!([1, 2, 3].map(|key| stale(&map, key)), [None; 3]);
        assert_eq!(map.sweep(Budget::full_pass()).removed, 3);
    });
}

#[test]
fn a_removed_value_is_not_stale() {
    exclusive(|| {
        let (map, clock) = graceful();
        map.insert_with_ttl(1, 10, ns(5));
        assert!(map.remove(&1));
        clock.advance(ns(6));
        assert_eq!(stale(&map, 1), None);
        map.insert_with_ttl(2, 20, ns(5));
        clock.advance(ns(6));
        map.clear();
        assert_eq!(stale(&map, 2), None);
    });
}

#[test]
fn a_full_map_may_end_what_is_stale_and_tells_that_it_expired() {
    exclusive(|| {
        let (clock, log) = (ManualClock::new(), Arc::new(Mutex::new(Vec::new())));
        let listening = Arc::clone(&log);
        let listener =
            move |key: &u64, _: &u64, cause| listening.lock().unwrap().push((*key, cause));
        let options = builder().clock(clock.clone()).grace(ns(GRACE)).max_entries(4);
        let map = options.eviction_listener(listener).build().expect("valid options");
        (0..4).for_each(|key| _ = map.insert_with_ttl(key, 10, ns(5)));
        clock.advance(ns(6));
        assert!((0..4).all(|key| stale(&map, key).is_some()));
        map.insert(7, 70);
        assert_eq!((map.len(), map.stats().evicted_total), (4, 0));
        let log = log.lock().unwrap();
        assert!(matches!(log[..], [(0..4, RemovalCause::Expired)]), "{log:?}");
        assert_eq!((0..4).filter(|key| stale(&map, *key).is_some()).count(), 3);
    });
}

#[test]
fn a_map_at_its_limit_of_slots_gives_up_what_is_stale() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder::<u64, u64>().clock(clock.clone()).grace(ns(GRACE)).max_slots(64);
        let map = options.build().expect("valid options");
        (0..64).for_each(|key| _ = map.insert_with_ttl(key, 1, ns(5)));
        clock.advance(ns(5));
        // Under its own pin nothing is reclaimed yet: so it finds no room, as in any map that is full of expired entries.
        let insert = |key| catch_unwind(AssertUnwindSafe(|| map.insert(key, 2)));
        assert!(insert(100).is_err());
        // A sweeper's thread, which other tests here start, may be pinned for a moment.
        let comes_in = |key| (0..1_000).any(|_| insert(key).is_ok());
        assert!((101..140).all(comes_in), "it has made room");
    });
}

#[test]
fn the_grace_can_be_changed_live() {
    exclusive(|| {
        let (map, clock) = graceful();
        map.insert_with_ttl(1, 10, ns(5));
        clock.advance(ns(10));
        let mut policy = map.policy();
        assert_eq!(policy.grace, ns(GRACE));
        policy.grace = ns(5);
        map.set_policy(policy.clone()).expect("valid options");
        assert_eq!(stale(&map, 1), None);
        policy.grace = Duration::MAX;
        map.set_policy(policy).expect("valid options");
        clock.advance(ns(1 << 40));
        assert_eq!(stale(&map, 1), Some((10, Some((1 << 40) + 5))));
        assert_eq!(map.clone().policy().grace, Duration::MAX);
    });
}

#[test]
fn a_failed_load_can_fall_back_on_the_stale_value() {
    exclusive(|| {
        let (map, clock) = graceful();
        let load = |made: Result<u64, &'static str>| {
            map.try_get_or_load_blocking(&1, || made).or_else(|error| {
                let pinned = map.pin();
                pinned.get_stale(&1).map(|found| *found.value).ok_or(error)
            })
        };
        assert_eq!(load(Err("down")), Err("down"));
        assert_eq!(load(Ok(1)), Ok(1));
        assert!(map.pin().set_ttl(&1, ns(5)));
        clock.advance(ns(6));
        assert_eq!(load(Err("down")), Ok(1));
        assert_eq!(load(Ok(2)), Ok(2));
        assert_eq!(stale(&map, 1), Some((2, None)));
    });
}

/// Replaced again and again, each time after it has expired: it is stale or fresh, and never missing.
#[test]
fn a_late_replacement_leaves_no_gap() {
    let map = builder().grace(Duration::from_secs(3600)).build().expect("valid options");
    map.insert_with_ttl(1, 0, ns(1));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..20_000).for_each(|n| _ = map.insert_with_ttl(1, n, ns(1))));
        while !writer.is_finished() {
            assert!(stale(&map, 1).is_some());
        }
    });
}
