//! papaya's `tests/stress.rs`: each operation against itself and the others on shared keys, and what must add up.

use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, left, ns, settle};
use crate::{Finish, scaled, shuffled, together};
use evanesce::{Compute, ManualClock, Operation, TtlMap};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

type Map = TtlMap<u64, u64>;

const THREADS: u64 = 4;

/// Shared keys of the contended tests.
const KEYS: u64 = 256;

#[test]
fn readers_find_every_key() {
    exclusive(|| {
        let keys = scaled(1 << 13, 1 << 19);
        for _ in 0..scaled(2, 32) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            (0..keys).for_each(|key| _ = map.pin().insert(key, key));
            together(THREADS, move |_| {
                let pin = map.pin();
                assert!((0..keys).all(|key| pin.contains_key(&key)), "a key is missing");
            });
        }
    });
}

#[test]
fn each_thread_finds_what_it_inserted_and_len_adds_up() {
    exclusive(|| {
        let (each, seed) = (scaled(dose(1 << 10, 1 << 12), 1 << 17), Rng::from_env().next());
        for round in 0..scaled(4, 64) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let shared = Arc::clone(&map);
            together(THREADS, move |me| {
                let mut rng = Rng::new(seed ^ (round * THREADS + me));
                for _ in 0..each {
                    // The thread in the lower bits: no two insert one key.
                    let key = (rng.next() / THREADS) * THREADS + me;
                    shared.pin().insert(key, key);
                    assert_eq!(shared.pin().get(&key), Some(&key), "just inserted");
                }
            });
            assert_eq!(map.len() as u64, each * THREADS);
            assert_eq!(map.pin().iter().count() as u64, each * THREADS);
        }
    });
}

#[test]
fn overwrites_answer_every_value_once() {
    exclusive(|| {
        let (times, seed) = (scaled(16, 1 << 10), Rng::from_env().next());
        for round in 0..scaled(6, 32) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let next: Arc<Vec<_>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
            let shared = Arc::clone(&map);
            let replaced = together(THREADS, move |me| {
                let mut rng = Rng::new(seed ^ (round * THREADS + me));
                let mut replaced = Vec::new();
                for key in shuffled(KEYS, times, &mut rng) {
                    let value = next[key as usize].fetch_add(1, Relaxed);
                    replaced.extend(shared.pin().insert(key, value).map(|old| (key, *old)));
                    assert!(shared.pin().contains_key(&key), "key {key}: hidden by an overwrite");
                }
                replaced
            });
            let mut answers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            let last = map.pin().iter().map(|(key, value)| (*key, *value)).collect();
            for (key, value) in replaced.into_iter().chain([last]).flatten() {
                answers.entry(key).or_default().push(value);
            }
            assert_eq!(answers.len() as u64, KEYS);
            for (key, mut values) in answers {
                values.sort_unstable();
                assert!(values.into_iter().eq(0..times * THREADS), "key {key}: lost or doubled");
            }
        }
    });
}

#[test]
fn updates_lose_no_increment_while_the_map_grows() {
    exclusive(|| {
        let (grow, seed) = (scaled(1 << 13, 1 << 18), Rng::from_env().next());
        // Few keys often, then as many as there will be others, once each.
        let shapes = [(KEYS, scaled(16, 1 << 10)), (grow, 1)];
        for (round, (keys, times)) in
            (0..scaled(dose(3, 6), 48)).flat_map(|round| shapes.map(|s| (round, s)))
        {
            let map: Arc<Map> =
                Arc::new(builder().clock(ManualClock::new()).build().expect("valid options"));
            (0..keys).for_each(|key| _ = map.pin().insert_with_ttl(key, 0, ns(key + 1)));
            let shared = Arc::clone(&map);
            together(THREADS, move |me| {
                if me == 0 {
                    (keys..keys + grow).for_each(|key| _ = shared.pin().insert(key, u64::MAX));
                    return;
                }
                let mut rng = Rng::new(seed ^ (round * THREADS + me));
                for key in shuffled(keys, times, &mut rng) {
                    let pin = shared.pin();
                    let new = *pin.update(key, |n| n + 1).expect("present");
                    assert!((1..=times * THREADS).contains(&new));
                }
            });
            let pin = map.pin();
            for key in 0..keys {
                assert_eq!(pin.get(&key), Some(&(times * (THREADS - 1))), "key {key}");
                assert_eq!(left(&pin, &key), Some(u128::from(key + 1)), "update moved a deadline");
            }
            assert!((keys..keys + grow).all(|key| pin.get(&key) == Some(&u64::MAX)));
            assert_eq!(map.len() as u64, keys + grow);
        }
    });
}

/// Adds `n` to the value of `key`, or puts it if there is none, in a way that `choice` picks.
fn add(map: &Map, key: u64, n: u64, choice: u64) {
    let pin = map.pin();
    match choice % 3 {
        0 => while pin.update(key, |old| old + n).is_none() && pin.try_insert(key, n).is_err() {},
        1 => _ = pin.update_or_insert_with(key, |old| old + n, || n),
        _ => _ = pin.compute(key, |old| Operation::Insert(old.map_or(n, |old| old + n))),
    }
}

/// Takes the value of `key` out, in a way that `choice` picks; or leaves it, where it does not meet the condition.
fn take(map: &Map, key: u64, choice: u64) -> Option<u64> {
    let pin = map.pin();
    match choice % 3 {
        0 => pin.remove(&key).copied(),
        1 => pin.remove_if(&key, |_, n| n % 2 == 1).unwrap_or(None).copied(),
        _ => match pin.compute(key, |n| match n {
            Some(n) if n % 2 == 0 => Operation::Remove,
            _ => Operation::Abort,
        }) {
            Compute::Removed(n) => Some(*n),
            _ => None,
        },
    }
}

#[test]
fn counts_taken_out_and_put_back_add_up() {
    exclusive(|| {
        let (times, seed) = (scaled(16, 1 << 9), Rng::from_env().next());
        for round in 0..scaled(6, 32) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let shared = Arc::clone(&map);
            together(THREADS, move |me| {
                let mut rng = Rng::new(seed ^ (round * THREADS + me));
                for key in shuffled(KEYS, times, &mut rng) {
                    let choice = rng.next();
                    if me % 2 == 0 {
                        add(&shared, key, 1, choice);
                    } else if let Some(n) = take(&shared, key, choice) {
                        add(&shared, key, n, choice / 3);
                    }
                    let far = KEYS + rng.below(KEYS * times);
                    shared.pin().insert(far, u64::MAX);
                }
            });
            let pin = map.pin();
            let counted = (0..KEYS).map(|key| (key, pin.get(&key).copied()));
            let expected = times * THREADS / 2;
            assert!(
                counted.clone().all(|(_, n)| n == Some(expected)),
                "{:?}",
                counted.collect::<Vec<_>>()
            );
            drop(pin);
            settle(&map);
            assert_slots_accounted(&map);
        }
    });
}

#[test]
fn keys_removed_and_put_back_are_all_there_at_the_end() {
    exclusive(|| {
        let (times, seed) = (scaled(16, 1 << 9), Rng::from_env().next());
        for round in 0..scaled(6, 48) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let shared = Arc::clone(&map);
            together(THREADS, move |me| {
                let mut rng = Rng::new(seed ^ (round * THREADS + me));
                for key in shuffled(KEYS, times, &mut rng) {
                    let pin = shared.pin();
                    if me % 2 == 0 || pin.remove(&key).is_some() {
                        pin.insert(key, key);
                    }
                }
            });
            assert_eq!(map.len() as u64, KEYS);
            assert!((0..KEYS).all(|key| map.pin().get(&key) == Some(&key)));
        }
    });
}

#[test]
fn retain_beside_inserts_takes_what_it_is_to_take_and_nothing_else() {
    exclusive(|| {
        let keys = scaled(1 << 11, 1 << 17);
        for _ in 0..scaled(6, 32) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let (shared, finish) = (Arc::clone(&map), Finish::of(THREADS - 1));
            together(THREADS, move |me| {
                if me == THREADS - 1 {
                    while !finish.is_near() {
                        shared.retain(|key, _| key % 2 == 0);
                    }
                    return;
                }
                let _writer = finish.writer();
                for key in (me * keys..(me + 1) * keys).step_by(2) {
                    let pin = shared.pin();
                    assert_eq!((pin.insert(key, key), pin.insert(key + 1, key)), (None, None));
                    assert_eq!(pin.get(&key), Some(&key), "taken by a retain that is to keep it");
                }
            });
            map.retain(|key, _| key % 2 == 0);
            let kept = (THREADS - 1) * keys / 2;
            assert_eq!((map.len() as u64, map.pin().iter().count() as u64), (kept, kept));
            assert!((0..2 * kept).step_by(2).all(|key| map.pin().get(&key) == Some(&key)));
            settle(&map);
            assert_slots_accounted(&map);
        }
    });
}

#[test]
fn update_never_brings_a_removed_key_back() {
    exclusive(|| {
        let (keys, seed) = (scaled(1 << 11, 1 << 17), Rng::from_env().next());
        for round in 0..scaled(6, 64) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            (0..keys).for_each(|key| _ = map.pin().insert(key, 0));
            let (shared, finish) = (Arc::clone(&map), Finish::of(1));
            together(THREADS, move |me| match me {
                0 => {
                    let _writer = finish.writer();
                    let pin = shared.pin();
                    for key in 0..keys {
                        assert!(pin.remove(&key).is_some(), "nobody else removes key {key}");
                        assert_eq!(pin.get(&key), None, "key {key}");
                    }
                    assert!((0..keys).all(|key| !pin.contains_key(&key)), "a key came back");
                }
                1 => (keys..2 * keys).for_each(|key| _ = shared.pin().insert(key, key)),
                _ => {
                    let order = shuffled(keys, 1, &mut Rng::new(seed ^ (round * THREADS + me)));
                    while !finish.is_near() {
                        for key in &order {
                            shared.pin().update(*key, |n| n + 1);
                        }
                    }
                }
            });
            assert_eq!(map.len() as u64, keys);
            assert!((keys..2 * keys).all(|key| map.pin().get(&key) == Some(&key)));
        }
    });
}

#[test]
fn chunks_filled_changed_and_emptied_side_by_side_answer_exactly() {
    exclusive(|| {
        let each = scaled(1 << 11, 1 << 17);
        for _ in 0..scaled(4, 48) {
            let map: Arc<Map> = Arc::new(TtlMap::new());
            let shared = Arc::clone(&map);
            together(THREADS, move |me| {
                let chunk = || each * me..each * (me + 1);
                for key in chunk() {
                    assert_eq!(shared.pin().insert(key, key), None, "filled");
                }
                for key in chunk() {
                    assert_eq!(shared.pin().get(&key), Some(&key), "filled");
                    assert_eq!(shared.pin().update(key, |n| n + 1), Some(&(key + 1)));
                }
                for (key, value) in &shared.pin() {
                    assert!(*key < each * THREADS && (*value == *key || *value == key + 1));
                }
                for key in chunk() {
                    assert_eq!(shared.pin().remove(&key), Some(&(key + 1)), "changed");
                }
                for key in chunk() {
                    assert_eq!(shared.pin().get(&key), None, "emptied");
                    assert_eq!(shared.pin().update(key, |n| n + 1), None, "emptied");
                }
                if me % 2 == 1 {
                    for key in chunk() {
                        assert_eq!(shared.pin().insert(key, key + 1), None, "filled again");
                    }
                }
            });
            let mut left: Vec<_> = map.pin().iter().map(|(key, value)| (*key, *value)).collect();
            left.sort_unstable();
            let odd = (0..each * THREADS).filter(|key| key / each % 2 == 1);
            assert!(left.iter().copied().eq(odd.map(|key| (key, key + 1))), "lost, or come back");
            assert_eq!(map.len(), left.len());
            settle(&map);
            assert_slots_accounted(&map);
        }
    });
}
