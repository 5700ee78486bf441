//! Hash functions that collide, tie or change, and an `Eq` that lies.

use crate::common::hashers::Hashing;
use crate::common::tally::{Tally, Token};
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, left, ns, settle};
use evanesce::{Budget, Deadline, ManualClock, TtlMap};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// Puts `count` keys through every operation: inserts all, and touches about `sample` of them in each other way.
fn every_operation(hashing: Hashing, count: u64, sample: usize) {
    let clock = ManualClock::new();
    let options = builder().hasher(hashing).clock(clock.clone());
    let map: TtlMap<u64, u64, Hashing> = options.build().expect("valid options");
    let step = (count as usize / sample).max(1);
    let some = || (0..count).step_by(step);
    for n in 0..count {
        assert_eq!(map.pin().insert_with_ttl(n, n, ns(100)), None);
    }
    assert_eq!(map.len() as u64, count);
    for n in some() {
        let pin = map.pin();
        assert_eq!(pin.get(&n), Some(&n), "{hashing:?}");
        assert_eq!(map.get_cloned(&n), Some(n));
        assert!(pin.contains_key(&n) && !pin.contains_key(&(n + count)));
        assert_eq!(left(&pin, &n), Some(100));
        assert!(pin.try_insert(n, 0).is_err());
        assert_eq!(pin.get_or_insert_with(n, || 0), &n);
        assert_eq!(pin.insert_with_ttl(n, n + 1, ns(100)), Some(&n));
        assert_eq!(pin.insert_with_deadline(n, n + 2, Deadline::from_nanos(100)), Some(&(n + 1)));
        assert_eq!(pin.update(n, |v| v + 1), Some(&(n + 3)));
        assert_eq!(pin.remove(&(n + count)), None);
    }
    assert_eq!(map.len() as u64, count);
    let keys: BTreeSet<_> = map.pin().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys.len() as u64, count);

    // Of the sample, every other one lives on; some are removed.
    for (i, n) in some().enumerate() {
        match i % 4 {
            0 | 2 => assert!(map.pin().set_ttl(&n, ns(200))),
            1 => assert_eq!(map.pin().remove(&n), Some(&(n + 3))),
            _ => {}
        }
    }
    clock.advance(ns(100));
    let expected: BTreeSet<_> = some().step_by(2).collect();
    assert_eq!(map.pin().iter().map(|(key, _)| *key).collect::<BTreeSet<_>>(), expected);
    assert_eq!(map.pin().get(&1).is_some(), expected.contains(&1));
    map.sweep(Budget::full_pass());
    assert_eq!(map.len(), expected.len(), "{hashing:?}");
    assert!(some().step_by(2).all(|n| map.pin().get(&n) == Some(&(n + 3))));
    assert!(expected.iter().all(|n| map.pin().contains_key(n)));
    let stats = assert_slots_accounted(&map);
    assert_eq!((stats.pending_reclaim, stats.expired_unswept), (0, 0));

    for n in 0..count / 10 {
        map.pin().insert(n, n);
    }
    map.clear();
    assert_eq!((map.len(), map.pin().iter().count()), (0, 0));
    settle(&map);
    assert_eq!(map.pin().insert(1, 1), None);
}

#[test]
fn thousands_of_keys_of_one_hash_work() {
    exclusive(|| every_operation(Hashing::Constant, dose(2_000, 10_000), 40));
}

#[test]
fn identity_hashes_work() {
    exclusive(|| every_operation(Hashing::Identity, 10_000, 10_000));
}

#[test]
fn few_bits_of_hash_work() {
    exclusive(|| every_operation(Hashing::FewBits, 1000, 100));
}

#[test]
fn hashes_that_tie_in_one_half_work() {
    exclusive(|| {
        for hashing in [
            Hashing::LowHalf,
            Hashing::HighHalf,
            Hashing::TiesGolden,
            Hashing::TiesFx,
            Hashing::TiesRustc,
        ] {
            every_operation(hashing, 1500, 100);
        }
    });
}

#[test]
fn maps_of_one_hash_are_dropped_without_recursion() {
    exclusive(|| {
        let tally = Tally::new();
        let map = builder().hasher(Hashing::Constant).build().expect("valid options");
        for n in 0..dose(2000, 5000) {
            map.pin().insert(n, tally.token());
        }
        // A stack that would not take so many nested drops.
        let small = std::thread::Builder::new().stack_size(64 << 10);
        small.spawn(move || drop(map)).expect("spawn").join().expect("no panic");
        tally.assert_all_dropped();
    });
}

thread_local!(static LIES: RefCell<Option<Rng>> = const { RefCell::new(None) });

/// A random number while lies are told, else `None`.
fn lie() -> Option<u64> {
    LIES.with_borrow_mut(|rng| rng.as_mut().map(Rng::next))
}

/// A key that may lie about equality and hash.
struct Liar {
    n: u64,
    lies_in_eq: bool,
    lies_in_hash: bool,
    _token: Token,
}

impl PartialEq for Liar {
    fn eq(&self, other: &Self) -> bool {
        match lie() {
            Some(random) if self.lies_in_eq => random % 2 == 0,
            _ => self.n == other.n,
        }
    }
}

impl Eq for Liar {}

impl Hash for Liar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match lie() {
            Some(random) if self.lies_in_hash => state.write_u64(random % 16),
            _ => state.write_u64(self.n),
        }
    }
}

/// Random operations with lying keys: they end, and everything is dropped once.
fn survives_lies(lies_in_eq: bool, lies_in_hash: bool) {
    let mut rng = Rng::from_env();
    for hashing in [Hashing::Sip, Hashing::Identity, Hashing::Constant, Hashing::TiesGolden] {
        let (tally, clock) = (Tally::new(), ManualClock::new());
        let options = builder().hasher(hashing).clock(clock.clone());
        let map: TtlMap<Liar, Token, Hashing> = options.build().expect("valid options");
        LIES.set(Some(rng.clone()));
        let mut inserts = 0;
        for _ in 0..dose(1_000, 3_000) {
            let key = |n| Liar { n, lies_in_eq, lies_in_hash, _token: tally.token() };
            let (pin, n) = (map.pin(), rng.below(100));
            inserts += 1;
            match rng.below(12) {
                0..=2 => _ = pin.insert(key(n), tally.token()),
                3 => _ = pin.insert_with_ttl(key(n), tally.token(), ns(rng.below(10))),
                4 => _ = pin.try_insert(key(n), tally.token()),
                5 => _ = pin.get_or_insert_with(key(n), || tally.token()),
                6 => _ = pin.update(key(n), |_| tally.token()),
                7 => _ = pin.remove(&key(n)),
                8 => _ = pin.set_ttl(&key(n), ns(rng.below(10))),
                9 => _ = pin.get(&key(n)).map(Token::number),
                10 => {
                    drop(pin);
                    clock.advance(ns(1));
                    map.sweep(Budget::entries(10));
                }
                _ => _ = pin.iter().count(),
            }
            assert!(map.len() <= inserts, "{:?}", map.stats());
            assert_slots_accounted(&map);
        }
        LIES.set(None);
        settle(&map);
        let stats = assert_slots_accounted(&map);
        assert_eq!(tally.alive(), 2 * stats.len, "a key and a value an entry");
        map.clear();
        settle(&map);
        assert_eq!((map.len(), tally.alive()), (0, 0));
        let key = Liar { n: 1, lies_in_eq, lies_in_hash, _token: tally.token() };
        map.pin().insert(key, tally.token());
        drop(map);
        tally.assert_all_dropped();
    }
}

#[test]
fn eq_that_lies_costs_answers_and_nothing_else() {
    exclusive(|| survives_lies(true, false));
}

#[test]
fn hash_that_changes_costs_answers_and_nothing_else() {
    exclusive(|| survives_lies(false, true));
}

#[test]
fn eq_and_hash_that_lie_cost_answers_and_nothing_else() {
    exclusive(|| survives_lies(true, true));
}
