//! Iteration: each key that stays is seen once, whatever else happens.

use crate::common::hashers::Hashing;
use crate::common::{builder, dose, exclusive, ns};
use evanesce::{Budget, Compute, Deadline, ManualClock, Operation, Pinned, TtlMap};
use std::collections::BTreeSet;

type Map = TtlMap<u64, u64, Hashing>;

fn map(hashing: Hashing, keys: u64) -> (Map, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().hasher(hashing).clock(clock.clone()).sweep_per_write(0);
    let map: Map = options.build().expect("valid options");
    {
        let pin = map.pin();
        for key in 0..keys {
            pin.insert(key, key + 1);
        }
    }
    (map, clock)
}

/// The keys an iteration yields, each of which it may yield once.
fn keys_once<'a>(items: impl Iterator<Item = (&'a u64, &'a u64)>) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    for (key, value) in items {
        assert_eq!(*value % 1_000_000, key + 1, "the value of another key");
        assert!(seen.insert(*key), "key {key} twice");
    }
    seen
}

#[test]
fn each_present_key_is_seen_exactly_once() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            for keys in [0, 1, 2, 3, 64, 1000] {
                let (map, _) = map(hashing, keys);
                let seen = keys_once(map.pin().iter());
                assert_eq!(seen, (0..keys).collect(), "{hashing:?}");
            }
        }
    });
}

#[test]
fn ten_thousand_keys_are_seen_exactly_once() {
    exclusive(|| {
        for hashing in [Hashing::Sip, Hashing::Identity, Hashing::TiesGolden] {
            let keys = if hashing == Hashing::TiesGolden { 2_000 } else { 10_000 };
            let (map, _) = map(hashing, keys);
            assert_eq!(keys_once(map.pin().iter()), (0..keys).collect());
        }
    });
}

#[test]
fn empty_maps_yield_nothing() {
    exclusive(|| {
        let (map, _) = map(Hashing::Sip, 0);
        assert_eq!(map.pin().iter().next(), None);
        map.pin().insert(1, 2);
        map.pin().remove(&1);
        assert_eq!(map.pin().iter().next(), None);
        let map: TtlMap<u64, u64> = TtlMap::with_capacity(10_000);
        assert_eq!(map.pin().iter().next(), None);
    });
}

#[test]
fn expired_entries_are_skipped_swept_or_not() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, clock) = map(hashing, 0);
            let pin = map.pin();
            for key in 0..300 {
                pin.insert_with_ttl(key, key + 1, ns(1 + key % 3));
            }
            for passed in 0..=3 {
                let expected: BTreeSet<_> = (0..300).filter(|key| 1 + key % 3 > passed).collect();
                assert_eq!(keys_once(pin.iter()), expected);
                map.sweep(Budget::full_pass());
                assert_eq!(keys_once(pin.iter()), expected);
                clock.advance(ns(1));
            }
        }
    });
}

#[test]
fn entries_that_expire_during_an_iteration_are_not_yielded_later() {
    exclusive(|| {
        let (map, clock) = map(Hashing::Sip, 0);
        let pin = map.pin();
        for key in 0..100 {
            pin.insert_with_ttl(key, key + 1, ns(10));
        }
        let mut iter = pin.iter();
        assert!(iter.next().is_some());
        clock.advance(ns(10));
        assert_eq!(iter.count(), 0);
    });
}

#[test]
fn removing_each_key_as_it_is_yielded_empties_the_map() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 300);
            let pin = map.pin();
            let seen = keys_once(
                pin.iter().inspect(|(key, value)| assert_eq!(pin.remove(*key), Some(*value))),
            );
            assert_eq!(seen, (0..300).collect(), "{hashing:?}");
            assert_eq!(map.len(), 0);
        }
    });
}

#[test]
fn replacing_each_key_as_it_is_yielded_yields_it_once() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 300);
            let pin = map.pin();
            let replace = |(key, value): &(&u64, &u64)| {
                assert_eq!(pin.insert(**key, **value + 1_000_000), Some(*value));
            };
            let seen = keys_once(pin.iter().inspect(replace));
            assert_eq!(seen, (0..300).collect(), "{hashing:?}");
            assert_eq!(map.len(), 300);
            assert!(pin.iter().all(|(key, value)| *value == key + 1_000_001), "{hashing:?}");
        }
    });
}

/// "Walk, and count up or renew what is in use": an update puts a new entry, which the walk does not come to. scc's
/// `HashIndex` shows a key many times in this loop (findings/scc-walk-meets-its-own-updates.sh).
#[test]
fn updating_or_renewing_each_key_as_it_is_yielded_yields_it_once() {
    type Change = fn(&Pinned<'_, u64, u64, Hashing>, u64);
    let changes: [Change; 7] = [
        |pin, key| assert!(pin.update(key, |value| value + 1_000_000).is_some()),
        |pin, key| {
            let next = |value: Option<&u64>| {
                value.map_or(Operation::Abort, |value| Operation::Insert(value + 1_000_000))
            };
            assert!(matches!(pin.compute(key, next), Compute::Updated { .. }));
        },
        |pin, key| assert!(pin.insert_with_ttl(key, key + 1_000_001, ns(20)).is_some()),
        |pin, key| assert!(pin.replace_if(key, key + 1_000_001, |_| true).is_ok()),
        |pin, key| assert!(pin.set_ttl(&key, ns(20))),
        |pin, key| assert!(pin.extend_ttl(&key, ns(20))),
        |pin, key| {
            assert!(pin.persist(&key) && pin.update(key, |value| value + 1_000_000).is_some());
        },
    ];
    exclusive(move || {
        for hashing in Hashing::ALL {
            for (n, change) in changes.into_iter().enumerate() {
                let (map, clock) = map(hashing, 0);
                let pin = map.pin();
                for key in 0..300 {
                    pin.insert_with_ttl(key, key + 1, ns(10 + key % 2));
                }
                clock.advance(ns(9));
                let seen = keys_once(pin.iter().inspect(|(key, _)| change(&pin, **key)));
                assert_eq!(seen, (0..300).collect(), "{hashing:?}, change {n}");
                let entries = pin.iter_entries().map(|entry| (entry.key(), entry.value()));
                let seen = keys_once(entries.inspect(|(key, _)| {
                    assert!(pin.update(**key, |value| value % 1_000_000).is_some());
                }));
                assert_eq!(seen, (0..300).collect(), "{hashing:?}, entries, change {n}");
                assert_eq!(map.len(), 300);
            }
        }
    });
}

#[test]
fn replacing_all_keys_at_each_step_yields_each_once() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 40);
            let pin = map.pin();
            let replace_all = |(_, value): &(&u64, &u64)| {
                let round = **value / 1_000_000 + 1;
                (0..40).for_each(|key| _ = pin.insert(key, key + 1 + round * 1_000_000));
            };
            let seen = keys_once(pin.iter().inspect(replace_all));
            assert_eq!(seen, (0..40).collect(), "{hashing:?}");
        }
    });
}

#[test]
fn removing_other_keys_meanwhile_hides_no_key_that_stays() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 300);
            let pin = map.pin();
            let mut next = 1;
            let mut remove_an_odd_one = |_: &(&u64, &u64)| {
                pin.remove(&next);
                next += 2;
            };
            let seen = keys_once(pin.iter().inspect(&mut remove_an_odd_one));
            assert!((0..300).step_by(2).all(|key| seen.contains(&key)), "{hashing:?}");
        }
    });
}

#[test]
fn inserting_meanwhile_hides_no_key_and_ends() {
    exclusive(|| {
        let most = dose(1_000, 2_000);
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 50);
            let pin = map.pin();
            let mut next = 50;
            let mut insert_some = |_: &(&u64, &u64)| {
                for _ in 0..40 {
                    if next < most {
                        pin.insert(next, next + 1);
                        next += 1;
                    }
                }
            };
            let seen = keys_once(pin.iter().inspect(&mut insert_some));
            assert!((0..50).all(|key| seen.contains(&key)), "{hashing:?}: growth hid a key");
        }
    });
}

#[test]
fn removed_and_reinserted_keys_are_yielded_at_most_once_a_life() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, _) = map(hashing, 50);
            let pin = map.pin();
            let mut lives = BTreeSet::new();
            for (key, value) in &pin {
                assert!(lives.insert((*key, *value)), "{hashing:?}: one life of {key} twice");
                if *value < 5_000_000 {
                    assert_eq!(pin.remove(key), Some(value));
                    assert_eq!(pin.insert(*key, value + 1_000_000), None);
                }
            }
            assert!((0..50).all(|key| lives.contains(&(key, key + 1))), "{hashing:?}");
        }
    });
}

#[test]
fn clearing_or_sweeping_meanwhile_leaves_yielded_references_valid() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, clock) = map(hashing, 0);
            let pin = map.pin();
            for key in 0..100 {
                pin.insert_with_ttl(key, key + 1, ns(10));
            }
            let mut iter = pin.iter();
            let first: Vec<_> = iter.by_ref().take(50).collect();
            clock.advance(ns(10));
            map.sweep(Budget::full_pass());
            map.clear();
            assert_eq!(iter.count(), 0);
            for (key, value) in first {
                assert_eq!(*value, key + 1);
            }
        }
    });
}

#[test]
fn two_iterations_do_not_disturb_each_other() {
    exclusive(|| {
        let (map, _) = map(Hashing::FewBits, 100);
        let (pin, other) = (map.pin(), map.pin());
        for (key, _) in &pin {
            if key % 10 == 0 {
                assert_eq!(keys_once(other.iter()).len(), 100);
            }
        }
    });
}

/// Deadlines of every kind, passed or not; each key once, until a sweep or a write has ended its entry.
#[test]
fn linked_entries_are_seen_exactly_once_whether_they_have_expired_or_not() {
    exclusive(|| {
        for hashing in Hashing::ALL {
            let (map, clock) = map(hashing, 50);
            let pin = map.pin();
            for key in 50..100 {
                pin.insert_with_ttl(key, key + 1, ns(key % 3));
                pin.set_ttl(&(key % 50), ns(key % 5));
            }
            pin.insert_with_deadline(100, 101, Deadline::from_nanos(0));
            for _ in 0..6 {
                assert_eq!(keys_once(pin.iter_linked()), (0..101).collect(), "{hashing:?}");
                clock.advance(ns(1));
            }
            pin.insert(60, 61);
            pin.remove(&60);
            assert_eq!(keys_once(pin.iter_linked()).len(), 100);
            drop(pin);
            map.sweep(Budget::full_pass());
            assert_eq!(map.pin().iter_linked().count(), map.pin().iter().count());
        }
    });
}
