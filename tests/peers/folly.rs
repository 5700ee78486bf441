//! folly's `ConcurrentHashMapTest.cpp` and `ConcurrentHashMapStressTest.cpp`.

use crate::common::hashers::Hashing;
use crate::common::tally::{Tally, Token};
use crate::common::{assert_slots_accounted, builder, exclusive, settle};
use crate::{scaled, together};
use evanesce::TtlMap;
use std::sync::Arc;

/// Eight words that are all the same.
#[derive(Clone)]
struct Big([u64; 8]);

impl Big {
    fn new(n: u64) -> Self {
        Self([n; 8])
    }

    /// The number; panics when the words differ.
    fn whole(&self) -> u64 {
        assert!(self.0.iter().all(|word| *word == self.0[0]), "torn: {:?}", self.0);
        self.0[0]
    }
}

#[test]
fn try_insert_answers_its_value_while_others_remove_it() {
    exclusive(|| {
        let each = scaled(2_000, 100_000);
        let map: Arc<TtlMap<u64, (Big, Token)>> = Arc::new(TtlMap::new());
        let tally = Tally::new();
        let (shared, tokens) = (Arc::clone(&map), tally.clone());
        let books = together(scaled(8, 32), move |me| {
            let (mut put, mut removed) = (0, 0);
            for _ in 0..each {
                let pin = shared.pin();
                let (current, mine) = match pin.try_insert(1, (Big::new(me), tokens.token())) {
                    Ok(new) => (new, true),
                    Err(occupied) => (occupied.current, false),
                };
                put += usize::from(mine);
                removed += usize::from(pin.remove(&1).is_some());
                assert!(current.0.whole() == me || !mine, "the value of another");
                assert!(tokens.is_alive(current.1.number()), "dropped under a pin");
            }
            (put, removed)
        });
        let (put, removed) = books.into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        assert_eq!(put, removed + map.len());
        settle(&map);
        assert_eq!(tally.alive(), map.len());
    });
}

#[test]
fn values_of_several_words_are_never_torn() {
    exclusive(|| {
        let (keys, rounds) = (scaled(128, 512), scaled(32, 512));
        let map: Arc<TtlMap<u64, Big>> = Arc::new(TtlMap::new());
        (0..keys).for_each(|key| _ = map.pin().insert(key, Big::new(key)));
        let shared = Arc::clone(&map);
        let threads = scaled(8, 32);
        together(threads, move |_| {
            for _ in 0..rounds {
                // What it met and what it replaced stay as they were while the pin lasts.
                let (pin, mut held) = (shared.pin(), Vec::new());
                for key in 0..keys {
                    let old = pin.get(&key).expect("present");
                    let new = Big::new(old.whole() + 1);
                    let replaced = pin.insert(key, new).expect("present");
                    assert!(replaced.whole() >= key, "a value of another key");
                    held.extend([old, replaced].map(|value| (value, value.whole())));
                }
                for (value, number) in held {
                    assert_eq!(value.whole(), number, "changed under a pin");
                }
            }
        });
        for (key, value) in &map.pin() {
            assert!((key + 1..=key + rounds * threads).contains(&value.whole()), "key {key}");
        }
        assert_eq!(map.len() as u64, keys);
    });
}

#[test]
fn overwrites_between_two_neighbours_of_one_hash_leave_them_alone() {
    exclusive(|| {
        let tally = Tally::new();
        let map: Arc<TtlMap<u64, Token, Hashing>> =
            Arc::new(builder().hasher(Hashing::Constant).build().expect("valid options"));
        (0..3).for_each(|key| _ = map.pin().insert(key, tally.token()));
        let (shared, tokens) = (Arc::clone(&map), tally.clone());
        together(scaled(64, 1024), move |_| {
            for _ in 0..100 {
                let pin = shared.pin();
                let replaced = pin.insert(1, tokens.token()).expect("never absent");
                assert!(tokens.is_alive(replaced.number()), "dropped under a pin");
                let neighbours = [0, 2].map(|key| pin.get(&key).map(Token::number));
                assert_eq!(neighbours, [Some(0), Some(2)]);
            }
        });
        assert_eq!(map.len(), 3);
        settle(&map);
        assert_eq!(tally.alive(), 3);
        assert_slots_accounted(&map);
    });
}

#[test]
fn references_stay_whole_through_growth_and_removal_of_all() {
    exclusive(|| {
        let (tally, map) = (Tally::new(), TtlMap::<u64, (Box<u64>, Token)>::new());
        let pin = map.pin();
        let value = |key| (Box::new(key), tally.token());
        let held: Vec<_> =
            (0..33).map(|key| pin.try_insert(key, value(key)).ok().expect("absent")).collect();
        let keys = scaled(10_000, 100_000);
        (33..keys).for_each(|key| _ = map.pin().insert(key, value(key)));
        assert!(map.stats().growths > 0);
        (0..keys).for_each(|key| assert!(map.pin().remove(&key).is_some(), "key {key}"));
        for (key, (number, token)) in (0..33).zip(&held) {
            assert!(tally.is_alive(token.number()), "key {key} was dropped under a pin");
            assert_eq!(**number, key);
        }
        drop(held);
        drop(pin);
        settle(&map);
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn inserts_and_clears_by_all_threads_balance_the_books() {
    exclusive(|| {
        let base = scaled(128, 8192);
        let (threads, each) = (scaled(8, 32), scaled(5_000, 50_000));
        let tally = Tally::new();
        let map: Arc<TtlMap<u64, (u64, Token)>> = Arc::new(TtlMap::new());
        let (shared, tokens) = (Arc::clone(&map), tally.clone());
        let clears = together(threads, move |me| {
            let mut clears = 0;
            for round in 0..each {
                let key = (round * threads + me) % (9 * base);
                if shared.len() as u64 >= 8 * base {
                    shared.clear();
                    clears += 1;
                }
                let old = shared.pin().insert(key, (key, tokens.token())).map(|value| value.0);
                assert!(old.is_none_or(|old| old == key), "a value of another key");
            }
            clears
        });
        assert!(clears.iter().sum::<u64>() > 0, "no clear met an insert");
        let seen = map.pin().iter().filter(|(key, value)| **key == value.0).count();
        assert_eq!(seen, map.len());
        settle(&map);
        assert_slots_accounted(&map);
        assert_eq!(tally.alive(), map.len());
        map.clear();
        assert_eq!((map.len(), map.pin().iter().count(), tally.alive()), (0, 0, 0));
    });
}
