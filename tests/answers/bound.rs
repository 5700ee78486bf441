//! A maximum size: what goes, what stays, and what is counted.
#![cfg(not(any(evanesce_loom, evanesce_shuttle)))]

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crate::common::dose;
use evanesce::{Budget, ManualClock, Operation, RemovalCause, TtlMap};

const NANO: Duration = Duration::from_nanos(1);

fn bounded(entries: usize) -> TtlMap<u64, u64> {
    TtlMap::builder().max_entries(entries).build().unwrap()
}

/// A map whose values are what they weigh.
fn weighed(weight: u64) -> TtlMap<u64, u64> {
    TtlMap::builder().max_weight(weight).weigher(|_, value| *value as u32).build().unwrap()
}

fn weight_of(map: &TtlMap<u64, u64>) -> u64 {
    map.pin().values().sum()
}

#[test]
fn a_full_map_keeps_its_maximum_and_what_was_put_last() {
    for most in [1, 2, 3, 10, 64, 1000] {
        let map = bounded(most);
        for n in 0..20 * most as u64 {
            assert!(!map.insert(n, n), "it is new");
            assert_eq!(map.get_cloned(&n), Some(n), "what was just put is there");
            assert_eq!(map.len(), most.min(n as usize + 1));
            if n % 3 == 0 {
                map.get_cloned(&(n / 2));
            }
        }
        assert_eq!(map.pin().iter().count(), most);
        assert_eq!(map.stats().weight, most as u64);
        assert_eq!(map.stats().evicted_total, 19 * most as u64);
    }
}

#[test]
fn each_writer_takes_the_map_past_its_maximum_by_one_at_most() {
    const WRITERS: u64 = 8;
    for most in [1, 20] {
        let map = bounded(most);
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let map = &map;
                scope.spawn(move || {
                    for n in 0..dose(500, 2_000) {
                        let key = n.wrapping_mul(0x9E37_79B9) % 50 + 50 * (writer % 2);
                        match n % 4 {
                            0 => drop(map.remove(&key)),
                            1 => drop(map.pin().compute(key, |_| Operation::Insert(n))),
                            _ => drop(map.insert(key, n)),
                        }
                        assert!(map.stats().weight <= most as u64 + WRITERS);
                    }
                });
            }
        });
        let entries = map.pin().iter().count();
        assert!(entries <= most, "{entries} at rest");
        assert_eq!((map.len(), map.stats().weight), (entries, entries as u64));
    }
}

#[test]
fn what_takes_the_place_of_another_ends_nothing_else() {
    let map = bounded(10);
    (0..10).for_each(|n| _ = map.insert(n, 0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 1..5_000 {
                    map.insert(n % 10, n);
                    map.pin().update(n % 7, |value| value + 1);
                }
            });
        }
    });
    assert_eq!(map.len(), 10);
    assert_eq!(map.stats().evicted_total, 0);
}

#[test]
fn expired_entries_go_first() {
    let clock = ManualClock::new();
    let causes = Arc::new(Mutex::new(HashMap::new()));
    let told = Arc::clone(&causes);
    let map = TtlMap::<u64, u64>::builder()
        .max_entries(1000)
        .sweep_per_write(0)
        .clock(clock.clone())
        .eviction_listener(move |_, _, cause| *told.lock().unwrap().entry(cause).or_insert(0) += 1)
        .build()
        .unwrap();
    for n in 0..1000 {
        let ttl = if n % 2 == 0 { NANO } else { Duration::MAX };
        map.insert_with_ttl(n, n, ttl);
    }
    clock.advance(NANO);
    (1000..1500).for_each(|n| _ = map.insert(n, n));
    assert!((0..1000).filter(|n| n % 2 == 1).all(|n| map.get_cloned(&n) == Some(n)));
    let causes = causes.lock().unwrap();
    assert_eq!(causes.get(&RemovalCause::Size), None);
    assert_eq!(causes[&RemovalCause::Expired], 500);
}

#[test]
fn what_is_used_outlasts_what_is_not() {
    let map = bounded(1000);
    let (mut misses, rounds) = (0, dose(150, 500));
    for round in 1..rounds {
        // Half a map's worth of keys that are asked for all the time, in a stream of others.
        for n in 0..500 {
            misses += u64::from(map.get_cloned(&n).is_none());
            map.pin().get_or_insert_with(n, || n);
        }
        (0..500).for_each(|n| _ = map.insert(1000 * round + n, n));
    }
    assert!(misses < 500 + 500 * rounds / 50, "{misses} of {} lookups missed", 500 * rounds);
}

/// Each way to find an entry keeps it, in a stream of new ones.
#[test]
fn each_lookup_is_a_use_and_a_walk_is_none() {
    type Look = fn(&TtlMap<u64, u64>);
    let uses: [(&str, Look); 12] = [
        ("get", |map| _ = map.pin().get(&1)),
        ("get_key_value", |map| _ = map.pin().get_key_value(&1)),
        ("get_entry", |map| _ = map.pin().get_entry(&1)),
        ("get_many", |map| _ = map.pin().get_many([&1, &2])),
        ("contains_key", |map| _ = map.pin().contains_key(&1)),
        ("ttl", |map| _ = map.pin().ttl(&1)),
        ("view", |map| _ = map.view(&1, |value| *value)),
        ("get_or_insert_with", |map| _ = map.pin().get_or_insert_with(1, || 1)),
        ("get_or_load_blocking", |map| _ = map.get_or_load_blocking(&1, || 1)),
        ("by_ref", |map| _ = map.pin().by_ref(&1, |key| *key).get_or_insert_with(|| 1)),
        ("get_or_refresh", |map| _ = map.pin().get_or_refresh(&1, NANO)),
        ("insert", |map| _ = map.insert(1, 1)),
    ];
    let stays = |look: Look| {
        let map = bounded(64);
        map.insert(1, 1);
        (2..1000).all(|n| {
            map.insert(n, n);
            let is_there = map.pin().iter().any(|(key, _)| *key == 1);
            if is_there {
                look(&map);
            }
            is_there
        })
    };
    for (name, look) in uses {
        assert!(stays(look), "{name}");
    }
    assert!(!stays(|_| ()), "unused");
    assert!(!stays(|map| _ = map.pin().iter().count()), "iter");
}

#[test]
fn a_stream_of_fresh_keys_does_not_grow_a_full_map() {
    let map = bounded(1000);
    let fill = |range: std::ops::Range<u64>| {
        for n in range {
            map.insert(n, n);
        }
        map.stats()
    };
    let first = fill(0..100_000);
    let last = fill(100_000..dose(300_000, 1_000_000));
    // What waits for reclamation has a slot as well, and other tests share the collector.
    assert!(last.slots < 100_000, "{first:?}, then {last:?}");
    assert!(last.bytes_allocated < 4 << 20, "{first:?}, then {last:?}");
    assert_eq!(last.growths, first.growths);
}

#[test]
fn the_listener_is_told_of_each_entry_that_had_to_go_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let map = TtlMap::<u64, u64>::builder()
        .max_entries(100)
        .eviction_listener(move |key, _, cause| telling.lock().unwrap().push((*key, cause)))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let map = &map;
            scope.spawn(move || (0..1000).for_each(|n| _ = map.insert(1000 * writer + n, n)));
        }
    });
    let mut keys: Vec<_> = told.lock().unwrap().iter().map(|(key, _)| *key).collect();
    assert!(told.lock().unwrap().iter().all(|(_, cause)| *cause == RemovalCause::Size));
    assert_eq!(map.stats().evicted_total, keys.len() as u64);
    keys.extend(map.pin().keys());
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..4000));
}

#[test]
fn a_listener_that_puts_back_what_had_to_go_comes_to_an_end() {
    let place = Arc::new(std::sync::OnceLock::<Arc<TtlMap<u64, u64>>>::new());
    let again = Arc::clone(&place);
    let map = TtlMap::<u64, u64>::builder()
        .max_entries(10)
        .eviction_listener(move |key, value, cause| {
            if cause == RemovalCause::Size
                && let Some(map) = again.get()
            {
                map.insert(key + 1_000_000, *value);
            }
        })
        .build()
        .unwrap();
    let map = place.get_or_init(|| Arc::new(map));
    (0..100).for_each(|n| _ = map.insert(n, n));
    assert!((10..=110).contains(&map.len()), "{}", map.len());
    // A cycle through the listener would keep it.
    assert_eq!(map.stats().weight, map.len() as u64);
}

#[test]
fn a_lower_maximum_holds_when_it_is_set_and_a_higher_one_fills() {
    let map = bounded(1000);
    (0..1000).for_each(|n| _ = map.insert(n, n));
    let set = |most| {
        let mut policy = map.policy();
        policy.max_entries = most;
        map.set_policy(policy).unwrap();
    };
    set(Some(10));
    assert_eq!((map.len(), map.pin().iter().count()), (10, 10));
    set(Some(500));
    (0..1000).for_each(|n| _ = map.insert(n, n));
    assert_eq!(map.len(), 500);
    set(None);
    assert_eq!(map.policy().max_entries, None);
    (0..5000).for_each(|n| _ = map.insert(n, n));
    assert_eq!(map.len(), 5000);
    set(Some(1));
    assert_eq!(map.len(), 1);
}

#[test]
fn writers_keep_a_maximum_that_is_lowered_under_them() {
    let map = bounded(2000);
    thread::scope(|scope| {
        for writer in 0..2 {
            let map = &map;
            scope.spawn(move || (0..20_000).for_each(|n| _ = map.insert(n * 2 + writer, n)));
        }
        for most in (1..=20).rev() {
            let mut policy = map.policy();
            policy.max_entries = Some(most * 100);
            map.set_policy(policy).unwrap();
        }
    });
    assert_eq!(map.len(), 100);
    assert_eq!(map.pin().iter().count(), 100);
}

#[test]
fn options_that_do_not_fit_are_refused_by_name() {
    type Map = TtlMap<u64, u64>;
    let refused = |builder: evanesce::Builder<u64, u64>| builder.build().unwrap_err().to_string();
    assert_eq!(
        refused(Map::builder().max_entries(0)),
        "max_entries is 0, but must be from 1 to 381681620"
    );
    assert_eq!(
        refused(Map::builder().max_slots(10).max_entries(11)),
        "max_entries is 11, but must be from 1 to 7"
    );
    assert_eq!(
        refused(Map::builder().max_weight(0).weigher(|_, _| 1)),
        "max_weight is 0, but must be from 1 to 4611686018427387904"
    );
    assert_eq!(refused(Map::builder().max_weight(5)), "max_weight is set, but no weigher");
    assert_eq!(refused(Map::builder().weigher(|_, _| 1)), "weigher is set, but no max_weight");
    assert_eq!(
        refused(Map::builder().max_entries(5).max_weight(5).weigher(|_, _| 1)),
        "max_weight is set, but so is max_entries"
    );
    let map = Map::new();
    let mut policy = map.policy();
    policy.max_entries = Some(5);
    let refused = map.set_policy(policy.clone()).unwrap_err();
    assert_eq!(refused.to_string(), "max_entries is set, but the map was built without it");
    assert_eq!(map.policy().max_entries, None);
    policy.max_entries = Some(0);
    let refused = bounded(1).set_policy(policy.clone()).unwrap_err();
    assert_eq!(refused.to_string(), "max_entries is 0, but must be from 1 to 381681620");
    (policy.max_entries, policy.max_weight) = (None, Some(1));
    let refused = bounded(1).set_policy(policy).unwrap_err();
    assert_eq!(refused.to_string(), "max_weight is set, but the map was built without it");
}

#[test]
fn weights_are_what_was_put_however_entries_end() {
    let clock = ManualClock::new();
    let options =
        TtlMap::<u64, u64>::builder().max_weight(1_000_000).weigher(|_, value| *value as u32);
    let map = options.clock(clock.clone()).build().unwrap();
    let is_exact = |step: &str| assert_eq!(map.stats().weight, weight_of(&map), "{step}");
    let pinned = map.pin();
    (0..100).for_each(|n| _ = pinned.insert(n, n));
    is_exact("insert");
    (0..50).for_each(|n| _ = pinned.insert(n, 1));
    is_exact("insert over");
    (0..50).for_each(|n| _ = pinned.update(n, |value| value + n));
    pinned.update_or_insert_with(1000, |value| *value, || 7);
    assert!(pinned.try_insert(1, 77).is_err());
    assert_eq!(pinned.replace_if(2, 5, |_| true), Ok(&3));
    assert_eq!(pinned.replace_if(2, 6, |_| false), Err(6));
    is_exact("update");
    (0..10).for_each(|n| _ = pinned.remove(&n));
    assert!(pinned.remove_if(&20, |_, _| true).is_ok());
    pinned.compute(21, |_| Operation::Remove);
    is_exact("remove");
    map.retain(|key, _| key % 2 == 0);
    is_exact("retain");
    drop(pinned);
    map.insert_with_ttl(7, 77, NANO);
    clock.advance(NANO);
    map.sweep(Budget::full_pass());
    is_exact("sweep");
    map.clear();
    is_exact("clear");
    assert_eq!(map.stats().weight, 0);
}

#[test]
fn a_heavy_entry_makes_as_many_go_as_it_needs() {
    let map = weighed(1000);
    (0..1000).for_each(|n| _ = map.insert(n, 1));
    map.insert(5000, 900);
    assert_eq!(map.get_cloned(&5000), Some(900));
    assert!((99..=100).contains(&(map.len() - 1)), "{} beside it", map.len() - 1);
    map.insert(5001, 1000);
    assert_eq!((map.len(), map.get_cloned(&5001)), (1, Some(1000)));
}

#[test]
fn what_weighs_nothing_is_not_ended_for_others() {
    let map = weighed(10);
    (0..100).for_each(|n| _ = map.insert(n, 0));
    (100..1000).for_each(|n| _ = map.insert(n, 1));
    assert!((0..100).all(|n| map.get_cloned(&n) == Some(0)));
    assert_eq!((map.len(), map.stats().weight), (110, 10));
}

#[test]
fn an_entry_above_the_maximum_weight_is_refused_and_changes_nothing() {
    type Put = fn(&TtlMap<u64, u64>);
    let map = weighed(10);
    map.insert(1, 5);
    assert_eq!(map.weigh(&(1, 10)), Ok(10));
    assert_eq!(map.weigh(&(1, 11)).unwrap_err().most, 10);
    let puts: [(&str, Put); 4] = [
        ("insert", |map| _ = map.insert(1, 11)),
        ("try_insert", |map| _ = map.pin().try_insert(2, 11)),
        ("update", |map| _ = map.pin().update(1, |_| 11)),
        ("compute", |map| _ = map.pin().compute(3, |_| Operation::Insert(11))),
    ];
    for (name, put) in puts {
        let panic = catch_unwind(AssertUnwindSafe(|| put(&map))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert_eq!(
            message, "evanesce: an entry weighs 11, but all of the map may weigh at most 10",
            "{name}"
        );
        assert_eq!((map.len(), map.get_cloned(&1)), (1, Some(5)), "{name}");
    }
    assert_eq!(map.stats().weight, 5);
}

#[test]
fn a_maximum_weight_below_an_entry_makes_that_go() {
    let map = weighed(100);
    map.insert(1, 90);
    map.insert(2, 5);
    let mut policy = map.policy();
    policy.max_weight = Some(50);
    map.set_policy(policy).unwrap();
    assert_eq!(map.get_cloned(&1), None);
    assert!(map.stats().weight <= 50);
}

#[test]
fn a_weigher_that_lies_or_panics_costs_no_account() {
    let asked = Arc::new(AtomicU32::new(0));
    let asking = Arc::clone(&asked);
    let map = TtlMap::<u64, u64>::builder()
        .max_weight(u64::from(u32::MAX))
        .weigher(move |key, _| {
            assert_ne!(*key, 13, "no");
            asking.fetch_add(0x1234_5671, Relaxed) % 1000
        })
        .build()
        .unwrap();
    for n in 0..1000 {
        let put = catch_unwind(AssertUnwindSafe(|| map.insert(n % 100, n)));
        assert_eq!(put.is_err(), n % 100 == 13);
    }
    assert_eq!(map.len(), 99);
    assert!(map.stats().weight <= 99 * 999);
    map.clear();
    assert_eq!(map.stats().weight, 0);
    assert!(map.sweep(Budget::full_pass()).removed == 0 && map.is_empty());
}

#[test]
fn a_weigher_may_use_the_map() {
    let place = Arc::new(std::sync::OnceLock::<Arc<TtlMap<u64, u64>>>::new());
    let (inside, calls) = (Arc::clone(&place), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&calls);
    let map = TtlMap::<u64, u64>::builder()
        .max_weight(100)
        .weigher(move |key, _| {
            counting.fetch_add(1, Relaxed);
            if *key < 1000 {
                inside.get().unwrap().insert(key + 1000, 0);
            }
            1
        })
        .build()
        .unwrap();
    let map = place.get_or_init(|| Arc::new(map));
    (0..1000).for_each(|n| _ = map.insert(n, n));
    assert_eq!((map.len(), map.stats().weight), (100, 100));
    assert!(calls.load(Relaxed) >= 2000, "once for each, and again where it has put another");
}

#[test]
fn loads_keep_the_maximum_and_count_when_they_are_shown() {
    let map = bounded(10);
    for n in 0..100 {
        let loaded = map.get_or_load_blocking(&n, || {
            // What is loading is in nobody's way, and not counted.
            assert_eq!(map.stats().weight, map.len() as u64);
            n
        });
        assert_eq!((loaded, map.get_cloned(&n)), (n, Some(n)));
        assert!(map.len() <= 10);
    }
    // One that loses to a write leaves no weight behind.
    let writes: [fn(&TtlMap<u64, u64>); 3] =
        [|map| _ = map.insert(1000, 1), |map| _ = map.remove(&1000), |map| map.clear()];
    for write in writes {
        map.get_or_load_blocking(&1000, || {
            write(&map);
            5
        });
        assert_ne!(map.get_cloned(&1000), Some(5));
        assert_eq!(map.stats().weight, map.pin().iter().count() as u64);
        map.remove(&1000);
    }
}

#[test]
fn what_is_loaded_and_too_heavy_is_given_and_not_kept() {
    let map = weighed(10);
    map.insert(1, 5);
    assert_eq!(map.get_or_load_blocking(&2, || 11), 11);
    assert_eq!((map.get_cloned(&2), map.get_cloned(&1)), (None, Some(5)));
    assert_eq!((map.len(), map.stats().weight), (1, 5));
    assert_eq!(map.get_or_load_blocking(&2, || 10), 10);
    assert_eq!((map.get_cloned(&2), map.stats().weight), (Some(10), 10));
}

#[test]
fn a_clone_has_the_same_maximum() {
    let map = bounded(100);
    (0..200).for_each(|n| _ = map.insert(n, n));
    let copy = map.clone();
    assert_eq!(copy.len(), 100);
    (200..400).for_each(|n| _ = copy.insert(n, n));
    assert_eq!((copy.len(), map.len()), (100, 100));
    assert_eq!(copy.policy(), map.policy());
}

#[test]
fn ticks_and_readers_beside_eviction_see_what_was_put() {
    let map = bounded(500);
    thread::scope(|scope| {
        scope.spawn(|| (0..100_000).for_each(|n| _ = map.insert(n % 2000, n)));
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..100_000 {
                    if let Some(value) = map.pin().get(&(n % 2000)) {
                        assert_eq!(value % 2000, n % 2000);
                    }
                }
            });
        }
    });
    assert_eq!(map.len(), 500);
}

/// What comes back after it had to go is in the main queue at once, and alone there.
#[test]
fn a_heavier_entry_makes_others_go_whichever_queue_they_are_in() {
    let map = weighed(100);
    map.insert(1, 60);
    map.insert(2, 60);
    assert_eq!(map.get_cloned(&1), None);
    map.remove(&2);
    (10..20).for_each(|n| _ = map.insert(n, 1));
    map.insert(1, 95);
    assert_eq!(map.get_cloned(&1), Some(95));
    assert!(map.stats().weight <= 100, "{}", map.stats().weight);
}

#[test]
fn entries_that_weigh_nothing_are_in_no_ones_way() {
    let map = weighed(100);
    (0..5).for_each(|n| _ = map.insert(n, 60));
    map.remove(&4);
    // These had to go before, so they are not on probation.
    (0..4).for_each(|n| _ = map.insert(n, 10));
    (10_000..11_000).for_each(|n| _ = map.insert(n, 0));
    map.insert(1_000_000, 70);
    assert!(map.stats().weight <= 100, "{}", map.stats().weight);
    assert_eq!(map.len(), 1000 + 1 + 3);
}

#[test]
fn a_maximum_that_the_weigher_lowers_holds_for_what_it_has_weighed() {
    let place = Arc::new(std::sync::OnceLock::<Arc<TtlMap<u64, u64>>>::new());
    let inside = Arc::clone(&place);
    let weigher = move |key: &u64, value: &u64| {
        if *key == 7 {
            let map = inside.get().unwrap();
            let mut policy = map.policy();
            policy.max_weight = Some(50);
            map.set_policy(policy).unwrap();
        }
        *value as u32
    };
    let map = TtlMap::<u64, u64>::builder().max_weight(100).weigher(weigher).build().unwrap();
    let map = place.get_or_init(|| Arc::new(map));
    let put = catch_unwind(AssertUnwindSafe(|| map.insert(7, 90)));
    assert!(put.is_err(), "it is too heavy by now");
    assert!(map.stats().weight <= 50, "{}", map.stats().weight);
    map.insert(8, 50);
    assert_eq!(map.stats().weight, 50);
}

#[test]
fn a_lower_maximum_is_set_whatever_the_listener_puts() {
    let place = Arc::new(std::sync::OnceLock::<Arc<TtlMap<u64, u64>>>::new());
    let (again, puts) = (Arc::clone(&place), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&puts);
    let map = TtlMap::<u64, u64>::builder()
        .max_entries(100)
        .eviction_listener(move |key, value, cause| {
            if cause == RemovalCause::Size && counting.fetch_add(1, Relaxed) < 100_000 {
                again.get().unwrap().insert(key + 1000, *value);
            }
        })
        .build()
        .unwrap();
    let map = place.get_or_init(|| Arc::new(map));
    (0..100).for_each(|n| _ = map.insert(n, n));
    let mut policy = map.policy();
    policy.max_entries = Some(50);
    map.set_policy(policy).unwrap();
    assert_eq!(puts.load(Relaxed), 50);
}

#[test]
fn a_clock_that_panics_costs_no_account() {
    struct Failing(Arc<AtomicU32>);
    impl evanesce::Clock for Failing {
        fn now(&self) -> u64 {
            assert_ne!(self.0.fetch_sub(1, Relaxed), 0, "no time");
            0
        }
    }
    let mut failed = 0;
    for at in 0..20 {
        let left = Arc::new(AtomicU32::new(u32::MAX));
        let options = TtlMap::<u64, u64>::builder().max_entries(10);
        let map = options.clock(Failing(Arc::clone(&left))).build().unwrap();
        (0..10).for_each(|n| _ = map.insert_with_ttl(n, n, Duration::from_secs(1)));
        left.store(at, Relaxed);
        failed += usize::from(catch_unwind(AssertUnwindSafe(|| map.insert(100, 1))).is_err());
        left.store(u32::MAX, Relaxed);
        assert_eq!(map.stats().weight, map.pin().iter().count() as u64, "the reading {at}");
        // It is made up for, one entry a write.
        (0..10).for_each(|n| _ = map.insert(200 + n, n));
        assert_eq!(map.len(), 10, "the reading {at}");
    }
    assert!(failed > 0);
}

#[test]
fn a_maximum_leaves_room_for_what_had_to_go() {
    for slots in [3, 10, 100, 1000] {
        let refused = TtlMap::<u64, u64>::builder().max_slots(slots).max_entries(slots).build();
        let refused = refused.unwrap_err().to_string();
        let (_, most) = refused.rsplit_once(' ').unwrap();
        let most: usize = most.parse().unwrap();
        assert!(most > 0 && most + slots / 8 + 2 <= slots, "{most} of {slots}");
        let map = TtlMap::<u64, u64>::builder().max_slots(slots).max_entries(most).build().unwrap();
        assert_eq!(map.policy().max_entries, Some(most));
    }
    let none = TtlMap::<u64, u64>::builder().max_slots(2).max_entries(1).build().unwrap_err();
    let reason = "max_entries is set, but max_slots leaves no room for what had to go";
    assert_eq!(none.to_string(), reason);
}

#[test]
fn the_policy_that_stays_is_the_one_that_is_kept() {
    let map = bounded(100);
    for _ in 0..dose(500, 2_000) {
        thread::scope(|scope| {
            for most in [10, 20] {
                let map = &map;
                scope.spawn(move || {
                    let mut policy = map.policy();
                    policy.max_entries = Some(most);
                    map.set_policy(policy).unwrap();
                });
            }
        });
        (0..30).for_each(|n| _ = map.insert(n, n));
        assert_eq!(map.policy().max_entries, Some(map.len()));
    }
}

#[test]
fn weights_stay_exact_while_drafts_come_to_nothing() {
    let map = weighed(200);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..5000_u64 {
                    let (key, weight) = (n * 7 % 20, 1 + (n + thread) % 60);
                    _ = map.pin().try_insert(key, weight);
                    map.pin().update(key, |value| 1 + (value + thread) % 60);
                    if n % 3 == 0 {
                        map.remove(&(key + 1));
                    }
                }
            });
        }
    });
    assert_eq!(map.stats().weight, weight_of(&map));
    assert!(map.stats().weight <= 200);
    map.clear();
    assert_eq!(map.stats().weight, 0);
}

/// A clock at which another thread does something each time that the thread which armed it asks.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Armed>>>);

/// Which thread armed it, and what is done.
type Armed = (thread::ThreadId, Box<dyn FnMut() + Send>);

impl evanesce::Clock for Meanwhile {
    fn now(&self) -> u64 {
        // None while it is done, so that this thread waits for nothing of its own.
        let armed = self.0.lock().unwrap().take_if(|(thread, _)| *thread == thread::current().id());
        if let Some((thread, mut other)) = armed {
            thread::scope(|scope| scope.spawn(&mut other).join().unwrap());
            *self.0.lock().unwrap() = Some((thread, other));
        }
        0
    }
}

#[test]
fn what_others_put_while_a_write_looks_for_one_to_go_keeps_no_map_past_its_maximum() {
    for most in [1, 2, 10] {
        for (first, times) in (0..4).flat_map(|first| (1..12).map(move |times| (first, times))) {
            let clock = Meanwhile::default();
            let options = TtlMap::<u64, u64>::builder().max_entries(most).clock(clock.clone());
            let map = Arc::new(options.build().unwrap());
            let second = Duration::from_secs(1);
            (0..most as u64).for_each(|n| _ = map.insert_with_ttl(n, n, second));
            let (same, mut asked) = (Arc::clone(&map), 0);
            let put_another = move || {
                asked += 1;
                if asked > first && asked <= first + times {
                    // So that another goes, if there is one: what the write looks at.
                    (0..4).for_each(|_| _ = same.get_cloned(&100));
                    same.insert_with_ttl(1000 + asked, 0, second);
                }
            };
            *clock.0.lock().unwrap() = Some((thread::current().id(), Box::new(put_another)));
            map.insert_with_ttl(100, 0, second);
            *clock.0.lock().unwrap() = None;
            assert_eq!(map.stats().weight, map.len() as u64);
            assert_eq!(map.len(), most, "{times} times from {first}");
        }
    }
}

#[test]
fn while_the_listener_is_told_of_a_heavy_entry_its_room_is_free() {
    let place = Arc::new(std::sync::OnceLock::<Arc<TtlMap<u64, u64>>>::new());
    let inside = Arc::clone(&place);
    let map = TtlMap::<u64, u64>::builder()
        .max_weight(100)
        .weigher(|_, value| *value as u32)
        .eviction_listener(move |key, _, _| {
            let map = inside.get().unwrap();
            if *key == 1 {
                assert_eq!(map.stats().weight, 15);
                thread::scope(|scope| _ = scope.spawn(|| map.insert(4, 5)));
            }
        })
        .build()
        .unwrap();
    let map = place.get_or_init(|| Arc::new(map));
    for (key, weight) in [(1, 90), (2, 10), (3, 5)] {
        map.insert(key, weight);
    }
    assert_eq!(map.stats().evicted_total, 1);
    assert_eq!(map.stats().weight, 20);
}
