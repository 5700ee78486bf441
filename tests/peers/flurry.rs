//! flurry's tests, and those it took over: the JDK's map checks and libcuckoo's stress.

use crate::common::hashers::Hashing;
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, ns, settle};
use crate::{scaled, shuffled, together};
use evanesce::{ManualClock, TtlMap};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The two values of a key, if it has some.
type Known = Mutex<Option<(u64, u64)>>;

#[test]
fn first_middle_and_last_of_one_bucket_behave_alike() {
    exclusive(|| {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let map: TtlMap<u64, u64, _> =
                builder().hasher(Hashing::Constant).build().expect("valid options");
            let pin = map.pin();
            assert!((0..3).all(|key| pin.insert(key, key).is_none()));
            assert!(order.iter().all(|key| pin.insert(*key, key + 10) == Some(key)), "{order:?}");
            assert!((0..3).all(|key| pin.update(key, |v| v + 10) == Some(&(key + 20))));
            for (i, key) in order.iter().enumerate() {
                assert_eq!(pin.remove(key), Some(&(key + 20)), "{order:?}");
                let there = |key: &u64| !order[..=i].contains(key);
                for other in 0..3 {
                    let expected = there(&other).then_some(other + 20);
                    assert_eq!(pin.get(&other).copied(), expected, "{order:?}, key {other}");
                }
                assert_eq!(map.len(), 2 - i);
            }
        }
    });
}

#[test]
fn one_bucket_survives_inserters_removers_and_readers() {
    exclusive(|| {
        let (keys, each, seed) = (scaled(100, 1000), scaled(300, 1000), Rng::from_env().next());
        let map: Arc<TtlMap<u64, u64, Hashing>> =
            Arc::new(builder().hasher(Hashing::Constant).build().expect("valid options"));
        (0..10).for_each(|key| _ = map.pin().insert(key, key * 1000));
        let shared = Arc::clone(&map);
        let changes: i64 = together(30, move |me| {
            let (pin, mut rng) = (shared.pin(), Rng::new(seed ^ me));
            let mut change = 0;
            for _ in 0..each {
                let key = rng.below(keys);
                let old = match me % 6 {
                    0 => pin.insert(key, key * 1000 + me).inspect(|_| change -= 1),
                    1 => pin.remove(&key),
                    _ => pin.get(&key),
                };
                assert!(old.is_none_or(|value| value / 1000 == key), "a value of another key");
                match me % 6 {
                    0 => change += 1,
                    1 if old.is_some() => change -= 1,
                    _ => {}
                }
            }
            change
        })
        .into_iter()
        .sum();
        assert_eq!(i64::try_from(map.len()), Ok(10 + changes));
        let found: BTreeSet<u64> = map.pin().iter().map(|(key, _)| *key).collect();
        assert_eq!(found.len(), map.len(), "a key twice");
        settle(&map);
        assert_slots_accounted(&map);
    });
}

#[test]
fn threads_that_remove_the_same_keys_get_each_once() {
    exclusive(|| {
        let keys = scaled(1 << 10, 1 << 16);
        for _ in 0..scaled(40, 64) {
            let map: Arc<TtlMap<String, u64>> = Arc::new(TtlMap::new());
            (0..keys).for_each(|key| _ = map.pin().insert(key.to_string(), key));
            let shared = Arc::clone(&map);
            let removed = together(4, move |_| {
                let pin = shared.pin();
                let remove = |key: u64| pin.remove(key.to_string().as_str()).copied();
                (0..keys).filter_map(remove).collect::<Vec<_>>()
            });
            let mut all = removed.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..keys), "a key was got twice or by none");
            assert!(map.is_empty());
        }
    });
}

#[test]
fn try_insert_under_one_pin_keeps_the_first_value() {
    exclusive(|| {
        let (map, mut rng) = (TtlMap::new(), Rng::from_env());
        let mut first = vec![None; 1000];
        let pin = map.pin();
        for n in 0..scaled(20_000, 100_000) {
            let key = rng.below(1000);
            let refused = pin.try_insert(key, n).err().map(|occupied| *occupied.current);
            assert_eq!(refused, first[key as usize], "key {key}");
            first[key as usize].get_or_insert(n);
        }
        assert_eq!(map.len(), first.iter().flatten().count());
    });
}

#[test]
fn present_and_absent_keys_are_told_apart_at_every_step() {
    exclusive(|| {
        let mut rng = Rng::from_env();
        let size = scaled(1 << 14, 1 << 20);
        let all = shuffled(3 * size, 1, &mut rng);
        let (keys, absent) = all.split_at(size as usize);
        let map: TtlMap<u64, u64> = TtlMap::new();
        let pin = map.pin();
        let found = |keys: &[u64]| keys.iter().filter(|key| pin.get(*key).is_some()).count() as u64;
        let inserted =
            |keys: &[u64]| keys.iter().filter(|key| pin.insert(**key, 0).is_none()).count() as u64;
        let removed =
            |keys: &[u64]| keys.iter().filter(|key| pin.remove(*key).is_some()).count() as u64;
        assert_eq!((inserted(keys), inserted(keys)), (size, 0));
        assert_eq!((found(keys), found(absent)), (size, 0));
        assert_eq!(removed(absent), 0);
        let (gone, kept) = keys.split_at(keys.len() / 2);
        assert_eq!(removed(gone), size / 2);
        assert_eq!((found(gone), found(kept), found(absent)), (0, size - size / 2, 0));
        assert_eq!(inserted(keys), size / 2);
        assert_eq!((found(keys), pin.iter().count() as u64, map.len() as u64), (size, size, size));
    });
}

#[test]
fn two_maps_agree_with_a_table_behind_locks() {
    exclusive(|| {
        let keys = scaled(1 << 9, 1 << 14);
        let (each, seed) = (scaled(dose(15_000, 40_000), 2_560_000), Rng::from_env().next());
        let clock = ManualClock::new();
        let plain: Arc<TtlMap<u64, u64>> = Arc::new(TtlMap::new());
        // Every entry of this one has a deadline, which is renewed and never comes.
        let timed: Arc<TtlMap<u64, u64>> =
            Arc::new(builder().clock(clock).build().expect("valid options"));
        let table: Arc<Vec<Known>> = Arc::new((0..keys).map(|_| Mutex::default()).collect());
        let (a, b, known) = (Arc::clone(&plain), Arc::clone(&timed), Arc::clone(&table));
        together(12, move |me| {
            let mut rng = Rng::new(seed ^ me);
            let (mut a, mut b) = (a.pin(), b.pin());
            for op in 0..each {
                let key = rng.below(keys);
                let Ok(mut known) = known[key as usize].try_lock() else { continue };
                match me % 3 {
                    0 => {
                        let values = (rng.next(), rng.next());
                        let both = (a.try_insert(key, values.0), b.try_insert(key, values.1));
                        match *known {
                            None => {
                                assert!(both.0.is_ok() && both.1.is_ok(), "key {key} was absent");
                            }
                            Some(_) => assert!(both.0.is_err() && both.1.is_err(), "key {key}"),
                        }
                        known.get_or_insert(values);
                        assert!(b.set_ttl(&key, ns(1 + rng.below(9))));
                    }
                    1 => {
                        let removed = (a.remove(&key).copied(), b.remove(&key).copied());
                        assert_eq!(removed, known.take().unzip(), "key {key}");
                        assert!(a.get(&key).is_none() && b.get(&key).is_none(), "key {key}");
                    }
                    _ => {
                        let got = (a.get(&key).copied(), b.get(&key).copied());
                        assert_eq!(got, known.unzip(), "key {key}");
                    }
                }
                drop(known);
                if op % 64 == 0 {
                    a.repin();
                    b.repin();
                }
            }
        });
        let filled = table.iter().filter(|known| known.lock().expect("no panic").is_some()).count();
        assert_eq!((plain.len(), timed.len()), (filled, filled));
    });
}
