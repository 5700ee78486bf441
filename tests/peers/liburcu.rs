//! liburcu's `test_urcu_hash` under the ranges of keys, the ways to add and the chains that `runhash.sh` lists.

use crate::common::hashers::Hashing;
use crate::common::tally::{Tally, Token};
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, settle};
use crate::{Finish, scaled, together};
use evanesce::TtlMap;
use std::collections::BTreeSet;
use std::sync::Arc;

type Map = TtlMap<u64, (u64, Token), Hashing>;

fn map(hashing: Hashing) -> Arc<Map> {
    Arc::new(builder().hasher(hashing).build().expect("valid options"))
}

/// Operations of each thread; a peer's case of 30 seconds has about so many.
fn operations() -> u64 {
    scaled(dose(10_000, 40_000), 2_560_000)
}

/// How a writer adds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Add {
    Unique,
    Replace,
}

/// Adds or removes random keys of `range`; returns how many more it added than it removed.
fn write(map: &Map, tally: &Tally, add: Add, keys: (u64, u64), rng: &mut Rng) -> i64 {
    let mut balance = 0;
    for _ in 0..operations() {
        let (key, pin) = (keys.0 + rng.below(keys.1), map.pin());
        if rng.below(2) == 0 {
            balance -= i64::from(pin.remove(&key).is_some());
            continue;
        }
        let value = (key, tally.token());
        let added = match add {
            Add::Unique => pin.try_insert(key, value).is_ok(),
            Add::Replace => pin.insert(key, value).is_none(),
        };
        balance += i64::from(added);
    }
    balance
}

/// What was added and not removed is there, and nothing else is alive.
fn adds_up(map: &Map, tally: &Tally, balance: i64, case: &str) {
    assert_eq!(i64::try_from(map.len()), Ok(balance), "{case}");
    let seen: BTreeSet<u64> = map.pin().iter().map(|(key, _)| *key).collect();
    assert_eq!(seen.len(), map.len(), "{case}");
    settle(map);
    assert_eq!(tally.alive(), map.len(), "{case}");
    assert_slots_accounted(map);
}

#[test]
fn adds_less_removes_are_what_is_left() {
    exclusive(|| {
        let seed = Rng::from_env().next();
        for keys in [1, 10, scaled(1 << 14, 1_000_000)] {
            for add in [Add::Unique, Add::Replace] {
                // Four writers, then two and two readers.
                for writers in [4, 2] {
                    let case = format!("{add:?}, {keys} keys, {writers} writers");
                    let (map, tally) = (map(Hashing::Sip), Tally::new());
                    let (shared, tokens) = (Arc::clone(&map), tally.clone());
                    let balances = together(4, move |me| {
                        let mut rng = Rng::new(seed ^ me);
                        if me < writers {
                            return write(&shared, &tokens, add, (0, keys), &mut rng);
                        }
                        for _ in 0..operations() {
                            let (key, pin) = (rng.below(keys), shared.pin());
                            if let Some((value, token)) = pin.get(&key) {
                                assert_eq!(*value, key);
                                assert!(tokens.is_alive(token.number()), "dropped under a pin");
                            }
                        }
                        0
                    });
                    adds_up(&map, &tally, balances.iter().sum(), &case);
                }
            }
        }
    });
}

#[test]
fn lookups_beside_the_written_range_always_or_never_hit() {
    exclusive(|| {
        let seed = Rng::from_env().next();
        // 10 known keys, then the written ones, then as many that are never there.
        for (hashing, written) in
            [(Hashing::Sip, 10), (Hashing::FewBits, 10), (Hashing::Sip, scaled(1 << 14, 1_000_000))]
        {
            let (map, tally) = (map(hashing), Tally::new());
            (0..10).for_each(|key| _ = map.pin().insert(key, (key, tally.token())));
            let (shared, tokens, finish) = (Arc::clone(&map), tally.clone(), Finish::of(2));
            let balances = together(4, move |me| {
                let mut rng = Rng::new(seed ^ me);
                if me < 2 {
                    let _writer = finish.writer();
                    return write(&shared, &tokens, Add::Replace, (10, written), &mut rng);
                }
                while !finish.is_near() {
                    let pin = shared.pin();
                    for _ in 0..100 {
                        let (known, never) = (rng.below(10), 10 + written + rng.below(written));
                        assert!(pin.contains_key(&known), "{hashing:?}: missed {known}");
                        assert!(!pin.contains_key(&never), "{hashing:?}: found {never}");
                    }
                }
                0
            });
            let balance = 10 + balances.iter().sum::<i64>();
            adds_up(&map, &tally, balance, &format!("{hashing:?}, {written} keys written"));
        }
    });
}

#[test]
fn iteration_yields_no_key_twice_while_writers_add_and_replace() {
    exclusive(|| {
        let seed = Rng::from_env().next();
        // Ordinary chains, then four for all keys.
        for (hashing, keys, each) in [
            (Hashing::Sip, scaled(1 << 14, 1_000_000), operations()),
            (Hashing::FewBits, scaled(400, 25_600), operations() / 8),
        ] {
            let map: Arc<TtlMap<u64, u64, Hashing>> =
                Arc::new(builder().hasher(hashing).build().expect("valid options"));
            let (shared, finish) = (Arc::clone(&map), Finish::of(2));
            together(4, move |me| {
                let mut rng = Rng::new(seed ^ me);
                if me < 2 {
                    let _writer = finish.writer();
                    for op in 0..each {
                        let (key, pin) = (rng.below(keys), shared.pin());
                        if rng.below(2) == 0 {
                            _ = pin.try_insert(key, op);
                        } else {
                            pin.insert(key, op);
                        }
                    }
                    return;
                }
                let mut before = BTreeSet::new();
                while !finish.is_near() {
                    let (pin, mut found) = (shared.pin(), BTreeSet::new());
                    for (key, _) in &pin {
                        assert!(found.insert(*key), "{hashing:?}: key {key} twice");
                    }
                    assert!(before.is_subset(&found), "{hashing:?}: a key that stays was missed");
                    before = found;
                }
            });
            assert_eq!(map.pin().iter().count(), map.len());
        }
    });
}
