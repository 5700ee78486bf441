//! A key that is always there is always found, whatever happens to it and around it. `EVANESCE_STRESS_OPS` sets
//! the rounds of the writer.

use crate::common::{builder, dose, exclusive, ns};
use evanesce::{Budget, ManualClock, TtlMap};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

type Map = TtlMap<u64, u64>;

/// Keys that are always present.
const KEYS: u64 = 4;

fn rounds() -> u64 {
    std::env::var("EVANESCE_STRESS_OPS")
        .map_or_else(|_| dose(8_000, 30_000), |text| text.parse().expect("a number"))
}

/// Runs `writer` on this thread, and the others over and over on threads of their own until it has returned.
fn meanwhile(map: &Arc<Map>, writer: impl FnOnce(&Map), others: &[fn(&Map)]) {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = others
        .iter()
        .map(|other| {
            let (map, stop, other) = (Arc::clone(map), Arc::clone(&stop), *other);
            thread::spawn(move || {
                let mut runs = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    other(&map);
                    runs += 1;
                }
                runs
            })
        })
        .collect();
    writer(map);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let runs = thread.join().expect("no panic");
        println!("{runs} runs beside the writer");
    }
}

fn all_are_read(map: &Map) {
    let mut pin = map.pin();
    for _ in 0..50 {
        for key in 0..KEYS {
            assert!(pin.get(&key).is_some(), "get missed key {key}");
            assert!(pin.contains_key(&key), "contains_key missed key {key}");
            assert!(pin.ttl(&key).is_some(), "ttl missed key {key}");
        }
        pin.repin();
    }
}

fn all_are_iterated(map: &Map) {
    let pin = map.pin();
    let mut seen = BTreeSet::new();
    for (key, _) in &pin {
        assert!(seen.insert(*key), "iter yielded key {key} twice");
    }
    assert!((0..KEYS).all(|key| seen.contains(&key)), "iter missed a key: {seen:?}");
}

fn none_can_be_added(map: &Map) {
    let pin = map.pin();
    for key in 0..KEYS {
        assert!(pin.try_insert(key, u64::MAX).is_err(), "try_insert missed key {key}");
        assert_ne!(*pin.get_or_insert_with(key, || u64::MAX), u64::MAX, "missed key {key}");
    }
}

fn sweep(map: &Map) {
    map.sweep(Budget::full_pass());
}

/// `keep` must keep a key from expiring for 10 ticks; the clock then moves by 9.
fn never_hides_a_key(keep: fn(&Map, u64, u64)) {
    let clock = ManualClock::new();
    let map: Arc<Map> = Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
    for key in 0..KEYS {
        map.pin().insert_with_ttl(key, 0, ns(10));
    }
    let writer = |map: &Map| {
        for round in 1..=rounds() {
            for key in 0..KEYS {
                keep(map, key, round);
            }
            clock.advance(ns(9));
        }
    };
    meanwhile(
        &map,
        writer,
        &[all_are_read, all_are_read, all_are_iterated, none_can_be_added, sweep],
    );
    assert_eq!(map.pin().iter().count() as u64, KEYS);
}

#[test]
fn replacing_never_hides_a_key_whose_old_deadline_passes() {
    exclusive(|| {
        never_hides_a_key(|map, key, round| {
            let replaced = map.pin().insert_with_ttl(key, round, ns(10)).copied();
            assert_eq!(replaced, Some(round - 1));
        });
    });
}

#[test]
fn renewing_never_hides_a_key_whose_old_deadline_passes() {
    exclusive(|| never_hides_a_key(|map, key, _| assert!(map.pin().set_ttl(&key, ns(10)))));
}

#[test]
fn renewing_and_updating_never_hides_a_key_whose_old_deadline_passes() {
    exclusive(|| {
        never_hides_a_key(|map, key, round| {
            assert!(map.pin().set_ttl(&key, ns(10)));
            assert_eq!(map.pin().update(key, |old| old + 1), Some(&round));
        });
    });
}

#[test]
fn update_by_another_thread_never_loses_a_renewal() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: Arc<Map> =
            Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
        for key in 0..KEYS {
            map.pin().insert_with_ttl(key, 0, ns(10));
        }
        let writer = |map: &Map| {
            for _ in 0..rounds() {
                for key in 0..KEYS {
                    assert!(
                        map.pin().set_ttl(&key, ns(10)),
                        "key {key} expired: a renewal was lost"
                    );
                }
                clock.advance(ns(9));
            }
        };
        let update_all: fn(&Map) = |map| {
            for key in 0..KEYS {
                assert!(map.pin().update(key, |old| old + 1).is_some(), "update missed key {key}");
            }
        };
        meanwhile(&map, writer, &[update_all, update_all, all_are_read, sweep]);
    });
}

#[test]
fn growth_and_churn_never_hide_a_key_that_stays() {
    exclusive(|| {
        for _ in 0..10 {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            for key in 0..KEYS {
                map.pin().insert(key, 0);
            }
            let writer = |map: &Map| {
                for key in KEYS..rounds() / 10 + KEYS {
                    map.pin().insert(key, key);
                    map.pin().insert(key % KEYS, key);
                    if key % 3 == 0 {
                        map.pin().remove(&(key / 2 + KEYS));
                    }
                }
            };
            meanwhile(&map, writer, &[all_are_read, all_are_iterated, none_can_be_added, sweep]);
            assert!(map.stats().growths > 0);
        }
    });
}

#[test]
fn len_never_falls_below_zero_while_entries_come_and_go() {
    exclusive(|| {
        let map: Arc<Map> = Arc::new(TtlMap::new());
        let writer = |map: &Map| {
            for round in 0..20 * rounds() {
                map.pin().insert(round % KEYS, round);
            }
        };
        let remove_all: fn(&Map) = |map| {
            for key in 0..KEYS {
                if map.pin().remove(&key).is_some() {
                    // At once, when the insert may not have counted its entry yet.
                    let len = map.len();
                    assert!(len as u64 <= 2 * KEYS, "len is {len}");
                }
            }
        };
        meanwhile(&map, writer, &[remove_all]);
        assert_eq!(map.len(), map.pin().iter().count());
    });
}
