//! What the calls beyond get, insert and remove answer, in every case.

use crate::common::tally::{Tally, Token};
use crate::common::{assert_slots_accounted, builder, exclusive, ns, settle};
use evanesce::{Budget, Compute, Deadline, ManualClock, Operation, RemovalCause, Ttl, TtlMap};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

type Map = TtlMap<u64, u64>;

fn map() -> (Map, ManualClock) {
    let clock = ManualClock::new();
    (builder().clock(clock.clone()).build().expect("valid options"), clock)
}

#[test]
fn lookups_are_counted_where_the_map_is_to_record_them() {
    exclusive(|| {
        for record in [false, true] {
            let map: Map = builder().record_stats(record).build().expect("valid options");
            map.insert_with_ttl(1, 7, ns(0));
            map.insert(2, 8);
            thread::scope(|scope| {
                let look_up = || {
                    let pin = map.pin();
                    for key in 0..3 {
                        let found = [
                            pin.get(&key).is_some(),
                            pin.get_key_value(&key).is_some(),
                            pin.get_entry(&key).is_some(),
                            pin.contains_key(&key),
                            pin.get_many([&key])[0].is_some(),
                            pin.get_or_refresh(&key, ns(1)).value().is_some(),
                            map.view(&key, |_| ()).is_some(),
                            map.get_cloned(&key).is_some(),
                        ];
                        assert_eq!(found, [key == 2; 8]);
                    }
                    assert_eq!(pin.get_by(0, |met| Ok::<_, ()>(*met == 0)), Ok(None));
                    let mut many = Vec::new();
                    pin.get_many_into(&[2, 2, 3], &mut many);
                    // Not counted: they look for no value.
                    assert!(pin.ttl(&2).is_some() && pin.iter().count() == 1);
                    pin.set_ttl(&3, ns(5));
                };
                let threads = [(); 4].map(|()| scope.spawn(look_up));
                for thread in threads {
                    thread.join().expect("no panic");
                }
            });
            let stats = map.clone().stats();
            assert_eq!((stats.hits, stats.misses), (0, 0), "a clone counts its own");
            let stats = map.stats();
            let expected = if record { (4 * (8 + 2), 4 * (16 + 2)) } else { (0, 0) };
            assert_eq!((stats.hits, stats.misses), expected);
        }
    });
}

#[test]
fn what_is_there_is_found_by_every_way_to_look() {
    exclusive(|| {
        let (map, clock) = map();
        (0..100).for_each(|n| _ = map.insert_with_ttl(n, n + 1000, ns(10 + n % 2)));
        clock.advance(ns(10));
        let there = || (0..100).filter(|n| n % 2 == 1);
        let pin = map.pin();
        let keys: BTreeSet<_> = pin.keys().copied().collect();
        let values: BTreeSet<_> = pin.values().map(|value| value - 1000).collect();
        assert!(keys == there().collect() && values == keys);
        assert_eq!((pin.keys().count(), pin.values().count()), (50, 50), "each once");
        for n in 0..100 {
            let (key, value) = (n, n + 1000);
            let expected = (n % 2 == 1).then_some((&key, &value));
            assert_eq!(pin.get_key_value(&n), expected);
            assert_eq!(map.view(&n, |value| value - n), expected.map(|_| 1000));
        }
    });
}

/// A key without a value, and one whose value has expired and is not swept: absent for every call.
#[test]
fn absent_and_expired_are_one_for_every_call() {
    exclusive(|| {
        for expired in [false, true] {
            let fresh = || {
                let (map, clock) = map();
                if expired {
                    map.insert_with_ttl(1, 7, ns(10));
                    clock.advance(ns(10));
                }
                map
            };
            let map = fresh();
            let pin = map.pin();
            assert_eq!((pin.get_key_value(&1), pin.get_entry(&1).is_none()), (None, true));
            assert_eq!(
                (map.view(&1, |v| *v), map.contains_key(&1), map.live_len()),
                (None, false, 0)
            );
            assert_eq!(
                (pin.keys().count(), pin.values().count(), pin.iter_entries().count()),
                (0, 0, 0)
            );
            assert!(
                !pin.set_deadline(&1, Deadline::NEVER)
                    && !pin.extend_ttl(&1, ns(9))
                    && !pin.persist(&1)
            );
            assert_eq!((pin.remove_entry(&1), pin.remove_if(&1, |_, _| true)), (None, Ok(None)));
            assert_eq!(pin.replace_if(1, 8, |_| true), Err(8));
            assert_eq!(pin.update(1, |v| v + 1), None);
            for operation in [Operation::Remove, Operation::Abort] {
                let computed = pin.compute(1, |value| {
                    assert_eq!(value, None);
                    operation
                });
                assert_eq!(computed, Compute::Unchanged(None));
            }
            assert_eq!(pin.get_by(5, |met| Ok::<_, ()>(*met == 5)), Ok(None));
            assert!(!map.remove(&1));
            // And what puts a value there finds none.
            assert_eq!(fresh().pin().compute(1, |_| Operation::Insert(2)), Compute::Inserted(&2));
            assert_eq!(fresh().pin().update_or_insert_with(1, |_| 0, || 3), &3);
            assert_eq!(fresh().pin().try_insert_with_ttl(1, 4, ns(5)), Ok(&4));
            assert_eq!(fresh().pin().get_or_insert_with_ttl(1, ns(5), || 6), &6);
            assert!(!fresh().insert(1, 5) && !fresh().insert_with_ttl(1, 5, ns(5)));
        }
    });
}

#[test]
fn deadlines_are_told_set_lengthened_and_taken_off() {
    exclusive(|| {
        let (map, clock) = map();
        let pin = map.pin();
        clock.advance(ns(100));
        pin.insert_with_ttl(1, 7, ns(50));
        let entry = pin.get_entry(&1).unwrap();
        assert_eq!((entry.key(), entry.value()), (&1, &7));
        assert_eq!(
            (entry.ttl(), entry.expires_at()),
            (Ttl::Remaining(ns(50)), Some(Deadline::from_nanos(150)))
        );
        assert!(pin.extend_ttl(&1, ns(20)));
        assert_eq!(pin.ttl(&1), Some(Ttl::Remaining(ns(50))), "never shorter");
        assert!(pin.extend_ttl(&1, ns(70)));
        assert_eq!(pin.ttl(&1), Some(Ttl::Remaining(ns(70))));
        assert!(pin.set_deadline(&1, Deadline::from_nanos(110)));
        assert_eq!(pin.iter_entries().next().unwrap().ttl(), Ttl::Remaining(ns(10)));
        assert!(pin.persist(&1) && pin.extend_ttl(&1, ns(5)));
        let entry = pin.get_entry(&1).unwrap();
        assert_eq!((entry.ttl(), entry.expires_at()), (Ttl::Never, None));
        assert!(pin.set_deadline(&1, Deadline::from_nanos(100)), "it was there");
        assert_eq!(pin.get(&1), None, "its deadline is now");
    });
}

/// What replaces a value keeps its deadline, unless it brings one; where there was none it gets the default.
#[test]
fn a_deadline_is_kept_by_what_changes_the_value() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: Map =
            builder().clock(clock.clone()).time_to_live(ns(1000)).build().expect("valid options");
        let pin = map.pin();
        let left = |key| pin.ttl(&key).unwrap();
        pin.insert_with_ttl(1, 1, ns(50));
        pin.update(1, |v| v + 1);
        assert_eq!(pin.replace_if(1, 3, |v| *v == 2), Ok(&2));
        assert_eq!(pin.compute(1, |_| Operation::Insert(4)), Compute::Updated { old: &3, new: &4 });
        pin.update_or_insert_with(1, |v| v + 1, || 0);
        assert_eq!((pin.get(&1), left(1)), (Some(&5), Ttl::Remaining(ns(50))));
        pin.compute(1, |_| Operation::InsertWithTtl(6, ns(70)));
        assert_eq!(left(1), Ttl::Remaining(ns(70)));
        pin.compute(2, |_| Operation::Insert(1));
        pin.update_or_insert_with(3, |v| *v, || 1);
        assert_eq!((left(2), left(3)), (Ttl::Remaining(ns(1000)), Ttl::Remaining(ns(1000))));
        clock.advance(ns(100));
        pin.compute(1, |_| Operation::Insert(7));
        assert_eq!(left(1), Ttl::Remaining(ns(1000)), "the old deadline had passed");
    });
}

#[test]
fn a_condition_that_fails_changes_nothing() {
    exclusive(|| {
        let (map, _) = map();
        let pin = map.pin();
        pin.insert(1, 7);
        assert_eq!(pin.replace_if(1, 8, |v| *v == 1), Err(8));
        assert_eq!(pin.remove_if(&1, |k, v| (*k, *v) == (1, 1)), Err(&7), "refused, and told");
        assert_eq!(pin.compute(1, |_| Operation::Abort), Compute::Unchanged(Some(&7)));
        assert_eq!(pin.try_insert_with_ttl(1, 9, ns(1)).unwrap_err().not_inserted, 9);
        assert_eq!(pin.get_or_insert_with_ttl(1, ns(1), || unreachable!()), &7);
        assert_eq!(pin.compute(1, |_| Operation::Remove), Compute::Removed(&7));
        assert_eq!((map.len(), pin.remove_entry(&1)), (0, None));
    });
}

/// A walk over many entries pins anew now and then, and lets go of what it has removed.
#[test]
fn retain_drops_what_it_removes_while_it_goes_on() {
    exclusive(|| {
        let (map, tally) = (TtlMap::<u64, Token>::new(), Tally::new());
        (0..50_000).for_each(|n| _ = map.insert(n, tally.token()));
        let (mut removed, mut most) = (0, 0);
        map.retain(|_, _| {
            most = most.max(removed + tally.alive() - 50_000);
            removed += 1;
            false
        });
        assert_eq!(removed, 50_000);
        assert!(most < 10_000, "{most} were removed and there");
    });
}

/// Where a level is linked again that was being given up, the walk for a bucket without a sentinel starts at an
/// earlier one's, and `retain` asked about what lies between anew. Found by the fuzz target.
#[test]
fn retain_asks_about_each_entry_once_while_the_index_changes() {
    exclusive(|| {
        for capacity in [0, 64, 225, 1000] {
            let map: TtlMap<u64, u64> =
                builder().capacity(capacity).build().expect("valid options");
            {
                let _pin = map.pin(); // so that it is prepared to shrink, and no more
                map.shrink_to_fit();
            }
            for n in 0..300 {
                map.insert(n, n);
                let mut asked = BTreeSet::new();
                map.retain(|key, _| asked.insert(*key) || panic!("asked twice about {key} of {n}"));
                assert_eq!(asked.len(), map.len());
            }
        }
    });
}

#[test]
fn retain_asks_of_visible_entries_and_removes_what_is_not_wanted() {
    exclusive(|| {
        let (map, clock) = map();
        (0..5000).for_each(|n| _ = map.insert(n, n));
        (5000..6000).for_each(|n| _ = map.insert_with_ttl(n, n, ns(1)));
        clock.advance(ns(1));
        let mut asked = 0;
        map.retain(|key, value| {
            assert!(key == value && *key < 5000, "an expired one");
            asked += 1;
            key % 5 == 0
        });
        assert_eq!((asked, map.live_len()), (5000, 1000));
        assert!((0..5000).all(|n| map.contains_key(&n) == (n % 5 == 0)));
        settle(&map);
        assert_eq!(map.len(), 1000);
        let panics = catch_unwind(AssertUnwindSafe(|| {
            map.retain(|key, _| *key != 2500 || panic!("as asked"));
        }));
        assert!(panics.is_err());
        let left = map.live_len();
        map.retain(|_, _| false);
        settle(&map);
        assert!(left <= 1000 && map.is_empty());
        assert_slots_accounted(&map);
    });
}

/// Each entry that ends is told of once, with the right cause, whoever ended it; and the listener may call the map
/// and panic.
#[test]
fn the_listener_hears_of_each_end_once() {
    exclusive(|| {
        use RemovalCause::{Expired, Explicit, Replaced};
        let clock = ManualClock::new();
        let log = Arc::new(Mutex::new(Vec::new()));
        let listening = Arc::clone(&log);
        let map: Map = builder()
            .clock(clock.clone())
            .sweep_per_write(0)
            .eviction_listener(move |key, value, cause| {
                listening.lock().unwrap().push((*key, *value, cause));
                assert_ne!(*value, 13, "a listener that panics");
            })
            .build()
            .expect("valid options");
        let heard = || std::mem::take(&mut *log.lock().unwrap());
        let pin = map.pin();
        pin.insert(1, 10);
        pin.insert(1, 11);
        pin.update(1, |_| 12);
        assert_eq!(heard(), [(1, 10, Replaced), (1, 11, Replaced)]);
        pin.compute(1, |_| Operation::Insert(13));
        assert_eq!(pin.remove(&1), Some(&13), "the panic is the listener's own");
        assert_eq!(heard(), [(1, 12, Replaced), (1, 13, Explicit)]);
        pin.insert_with_ttl(2, 20, ns(1));
        pin.insert_with_ttl(3, 30, ns(1));
        clock.advance(ns(1));
        assert_eq!((pin.insert(2, 21), pin.remove(&3)), (None, None));
        assert_eq!(heard(), [(2, 20, Expired)]);
        assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
        assert_eq!(heard(), [(3, 30, Expired)]);
        pin.insert_with_ttl(4, 40, ns(1));
        clock.advance(ns(1));
        map.retain(|_, _| false);
        assert_eq!(heard(), [(2, 21, Explicit)]);
        map.clear();
        assert_eq!(heard(), [(4, 40, Expired)]);
        assert_eq!(
            (pin.try_insert(5, 50), pin.remove_if(&5, |_, _| true)),
            (Ok(&50), Ok(Some(&50)))
        );
        pin.insert_with_ttl(5, 51, ns(0));
        pin.insert(5, 52);
        assert_eq!(heard(), [(5, 50, Explicit), (5, 51, Expired)]);
        drop(pin);
        drop(map);
        assert_eq!(heard(), [], "what is there at the end of the map is not told of");
    });
}

#[test]
fn the_listener_may_call_the_map() {
    exclusive(|| {
        let map: Arc<std::sync::OnceLock<Map>> = Arc::default();
        let theirs = Arc::clone(&map);
        let built = builder()
            .eviction_listener(move |key, value, _| {
                if *key < 1000 {
                    theirs.get().unwrap().insert(key + 1000, *value);
                }
            })
            .build();
        let map = map.get_or_init(|| built.expect("valid options"));
        for key in 0..1000 {
            map.insert(key, 1);
            map.insert(key, 2);
            map.remove(&key);
        }
        assert_eq!(map.len(), 1000);
        assert!((1000..2000).all(|key| map.pin().get(&key) == Some(&2)));
    });
}

/// Sixteen threads count in one entry, and none of the steps is lost; a listener hears of each.
#[test]
fn compute_loses_no_step_under_contention() {
    const THREADS: u64 = 16;
    const STEPS: u64 = 2000;
    exclusive(|| {
        let replaced = Arc::new(Mutex::new(0));
        let hearing = Arc::clone(&replaced);
        let map: Map = builder()
            .eviction_listener(move |_, _, _| *hearing.lock().unwrap() += 1)
            .build()
            .expect("valid options");
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|n| {
                    let map = &map;
                    scope.spawn(move || {
                        for _ in 0..STEPS {
                            match n % 2 {
                                0 => _ = map.pin().update_or_insert_with(1, |v| v + 1, || 1),
                                _ => {
                                    _ = map
                                        .pin()
                                        .compute(1, |v| Operation::Insert(v.map_or(1, |v| v + 1)));
                                }
                            }
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
        assert_eq!(map.pin().get(&1), Some(&(THREADS * STEPS)));
        assert_eq!(*replaced.lock().unwrap(), THREADS * STEPS - 1);
    });
}

#[test]
fn a_panic_in_a_closure_changes_nothing() {
    exclusive(|| {
        let (map, _) = map();
        map.insert(1, 7);
        let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        panics(&|| _ = map.pin().compute(1, |_| panic!()));
        panics(&|| _ = map.pin().compute(2, |_| panic!()));
        panics(&|| _ = map.pin().replace_if(1, 8, |_| panic!()));
        panics(&|| _ = map.pin().remove_if(&1, |_, _| panic!()));
        panics(&|| _ = map.pin().update_or_insert_with(2, |v| *v, || panic!()));
        panics(&|| _ = map.pin().get_or_insert_with_ttl(2, ns(1), || panic!()));
        assert_eq!((map.len(), map.pin().get(&1)), (1, Some(&7)));
        settle(&map);
        assert_slots_accounted(&map);
    });
}

/// An error of the comparison comes back, and the map is as it was.
#[test]
fn errors_of_a_comparison_come_back_and_change_nothing() {
    exclusive(|| {
        let (map, clock) = map();
        let pin = map.pin();
        let fails = |_: &u64| Err("no");
        assert_eq!(pin.insert_by(9, 1, 7, fails), Ok(None), "nothing to compare with");
        assert_eq!(pin.insert_by(9, 1, 8, fails), Err("no"));
        assert_eq!(pin.get_by(9, fails), Err("no"));
        assert_eq!(pin.remove_by(9, fails), Err("no"));
        assert_eq!(pin.get_by(9, |k| Ok::<_, ()>(*k == 1)), Ok(Some(&7)));
        assert_eq!(pin.insert_by(9, 1, 8, |k| Ok::<_, ()>(*k == 1)), Ok(Some(&7)));
        assert_eq!(pin.insert_by(9, 2, 9, |k| Ok::<_, ()>(*k == 2)), Ok(None));
        let one = |k: &u64| Ok::<_, ()>(*k == 1);
        assert_eq!(pin.try_insert_by(9, 1, 7, fails).unwrap_err(), "no");
        let refused = pin.try_insert_by(9, 1, 7, one).unwrap().unwrap_err();
        assert_eq!((refused.current, refused.not_inserted), (&8, 7));
        assert_eq!(
            (pin.set_ttl_by(9, ns(5), fails), pin.set_ttl_by(9, ns(5), one)),
            (Err("no"), Ok(true))
        );
        assert_eq!(pin.get_entry_by(9, fails).err(), Some("no"));
        let entry = pin.get_entry_by(9, one).unwrap().expect("it is there");
        assert_eq!((*entry.value(), entry.ttl()), (8, Ttl::Remaining(ns(5))));
        assert_eq!(pin.insert_with_ttl_by(9, 1, 7, ns(4), fails), Err("no"));
        assert_eq!(pin.insert_with_ttl_by(9, 1, 7, ns(4), one), Ok(Some(&8)));
        clock.advance(ns(4));
        assert_eq!((pin.get_by(9, one), pin.set_ttl_by(9, ns(5), one)), (Ok(None), Ok(false)));
        assert!(pin.get_entry_by(9, one).unwrap().is_none());
        assert_eq!(pin.try_insert_with_ttl_by(9, 1, 8, ns(3), one), Ok(Ok(&8)));
        assert_eq!(pin.remove_by(9, |k| Ok::<_, ()>(*k == 1)), Ok(Some(&8)));
        assert_eq!(map.len(), 1);
    });
}

/// `upsert_with_ttl_by` keeps the key that is there, sets value and deadline in one step, and is as `insert` for what
/// is absent or expired.
#[test]
fn an_upsert_by_a_comparison_is_given_what_is_there() {
    exclusive(|| {
        type Pairs = TtlMap<(u64, u64), u64>;
        let clock = ManualClock::new();
        let map: Pairs = TtlMap::builder().clock(clock.clone()).build().unwrap();
        let pin = map.pin();
        let put = |number, value, ttl| {
            let met = Cell::new((None, None));
            let is_match = |met: &(u64, u64)| Ok::<_, ()>(met.0 == 1);
            let make_key = |key: Option<&(u64, u64)>| {
                met.set((key.copied(), met.get().1));
                key.copied().unwrap_or((1, number))
            };
            let make = |old: Option<&u64>| {
                met.set((met.get().0, old.copied()));
                value
            };
            let replaced = pin.upsert_with_ttl_by(9, ttl, is_match, make_key, make);
            (replaced.unwrap().copied(), met.get(), pin.keys().next().copied())
        };
        assert_eq!(put(10, 7, ns(5)), (None, (None, None), Some((1, 10))));
        assert_eq!(put(11, 8, ns(9)), (Some(7), (Some((1, 10)), Some(7)), Some((1, 10))));
        clock.advance(ns(8));
        assert_eq!(map.pin().values().next(), Some(&8), "the deadline is the new one");
        clock.advance(ns(1));
        assert_eq!(put(12, 9, ns(3)), (None, (None, None), Some((1, 12))), "it had expired");
        let fails = |_: &(u64, u64)| Err("no");
        let refused =
            pin.upsert_with_ttl_by(9, ns(1), fails, |_| unreachable!(), |_| unreachable!());
        assert_eq!(refused, Err("no"));
        assert_eq!((map.len(), pin.values().next()), (1, Some(&9)));
    });
}

/// `upsert_by` gives the map's default TTL, to a new entry and to one in the place of another.
#[test]
fn an_upsert_by_a_comparison_has_the_default_ttl() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: Map = builder().clock(clock.clone()).time_to_live(ns(5)).build().unwrap();
        let pin = map.pin();
        let one = |met: &u64| Ok::<_, ()>(*met == 1);
        for replaced in [None, Some(&7)] {
            assert_eq!(pin.upsert_by(9, one, |_| 1, |_| 7), Ok(replaced));
            let entry = pin.get_entry_by(9, one).unwrap().unwrap();
            assert_eq!(entry.ttl(), Ttl::Remaining(ns(5)));
            clock.advance(ns(1));
        }
    });
}

/// The entry is replaced while `make` runs, which makes another then; and a comparison that fails in that second search
/// comes back, with nothing put.
#[test]
fn an_upsert_by_a_comparison_makes_anew_what_another_has_outrun() {
    exclusive(|| {
        for fails in [false, true] {
            let (map, _) = map();
            let pin = map.pin();
            let one = |met: &u64| Ok::<_, ()>(*met == 1);
            pin.insert_by(9, 1, 0, one).unwrap();
            let mut replaced_values = Vec::new();
            let is_match = |met: &u64| {
                let is_second = *pin.get_by(9, one).unwrap().unwrap() == 100;
                if fails && is_second { Err("no") } else { Ok(*met == 1) }
            };
            let make = |met: Option<&u64>| {
                replaced_values.push(*met.unwrap());
                if replaced_values.len() == 1 {
                    pin.insert_by(9, 1, 100, one).unwrap();
                }
                replaced_values.len() as u64
            };
            let put = pin.upsert_with_ttl_by(9, Duration::MAX, is_match, |_| 1, make);
            let (result, there) = if fails { (Err("no"), 100) } else { (Ok(Some(&100)), 2) };
            assert_eq!(put, result);
            assert_eq!(replaced_values, if fails { vec![0] } else { vec![0, 100] });
            assert_eq!(pin.get_by(9, one), Ok(Some(&there)));
        }
    });
}

#[test]
fn maps_are_collected_extended_and_compared() {
    exclusive(|| {
        let mut map: Map = (0..10).map(|n| (n, n)).collect();
        let same: Map = (0..10).rev().map(|n| (n, n)).collect();
        assert_eq!(map, same);
        map.extend([(3, 4), (10, 10)]);
        assert_ne!(map, same);
        assert_eq!((map.len(), map.pin().get(&3)), (11, Some(&4)));
        same.insert_with_ttl(11, 0, ns(0));
        map.pin().remove(&10);
        map.pin().insert(3, 3);
        assert_eq!(map, same, "expired entries do not count");
    });
}

#[test]
fn a_clone_has_the_visible_entries_with_their_deadlines() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).time_to_live(ns(500)).max_slots(5000);
        let map: Map = options.build().expect("valid options");
        (0..1000).for_each(|n| _ = map.insert_with_ttl(n, n, ns(10 + n % 2 * 100)));
        clock.advance(ns(10));
        let copy = map.clone();
        assert_eq!((copy.len(), copy.max_slots()), (500, 5000));
        assert_eq!(copy, map);
        assert_eq!(copy.pin().ttl(&1), Some(Ttl::Remaining(ns(100))));
        copy.insert(7, 8);
        assert_eq!(
            (map.pin().get(&7), copy.pin().ttl(&7)),
            (Some(&7), Some(Ttl::Remaining(ns(500))))
        );
        clock.advance(ns(100));
        assert_eq!((copy.live_len(), map.live_len()), (1, 0), "they share a clock");
    });
}

#[test]
fn a_map_is_taken_apart_into_its_visible_entries() {
    exclusive(|| {
        let (map, clock) = map();
        (0..1000).for_each(|n| _ = map.insert(n, n));
        (1000..2000).for_each(|n| _ = map.insert_with_ttl(n, n, ns(1)));
        (0..500).for_each(|n| _ = map.insert(n, n + 1));
        (900..1000).for_each(|n| _ = map.remove(&n));
        clock.advance(ns(1));
        let mut entries: Vec<_> = map.into_iter().collect();
        entries.sort_unstable();
        let expected = (0..900).map(|n| (n, if n < 500 { n + 1 } else { n }));
        assert!(entries.into_iter().eq(expected));
        assert_eq!(self::map().0.into_iter().count(), 0);
    });
}

#[test]
fn the_next_deadline_is_no_later_than_any() {
    exclusive(|| {
        let (map, clock) = map();
        map.insert(1, 1);
        assert_eq!(map.next_deadline(), None);
        map.insert_with_ttl(2, 2, ns(50));
        map.insert_with_ttl(3, 3, ns(40));
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(40)));
        map.pin().set_ttl(&1, ns(30));
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(30)));
        clock.advance(ns(30));
        map.sweep(Budget::full_pass());
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(40)));
        map.pin().persist(&3);
        assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(40)), "until a sweep comes by");
        clock.advance(ns(20));
        map.sweep(Budget::full_pass());
        assert_eq!((map.next_deadline(), map.len()), (None, 1));
    });
}
