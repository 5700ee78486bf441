//! One load for all who wait: what threads are promised. `asynchronous.rs` has the futures.

use crate::common::sites::{Site, SiteClock, SiteKey, SiteVal, arm, boom, caught, disarm, lying};
use crate::common::tally::Tally;
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, ns, settle};
use evanesce::{Budget, Compute, Load, Loaded, ManualClock, Operation, RemovalCause, Ttl, TtlMap};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

type Map = TtlMap<u64, u64>;

fn map() -> (Arc<Map>, ManualClock) {
    let clock = ManualClock::new();
    (Arc::new(builder().clock(clock.clone()).build().expect("valid options")), clock)
}

/// A thread that leads the load of key 1, in the middle of it.
struct Leader {
    goes_on: Sender<Result<u64, &'static str>>,
    thread: JoinHandle<Result<u64, &'static str>>,
}

impl Leader {
    fn begin(map: &Arc<Map>) -> Self {
        Self::begin_with(map, Load::new())
    }

    fn begin_with(map: &Arc<Map>, load: Load) -> Self {
        let (goes_on, held) = channel();
        let (tell, loading) = channel();
        let map = Arc::clone(map);
        let loader = move || {
            tell.send(()).expect("the test waits");
            let held: Receiver<_> = held;
            held.recv().unwrap_or_else(|_| panic!("the leader is given up"))
        };
        let thread = thread::spawn(move || map.try_get_or_load_blocking_with(&1, &load, loader));
        loading.recv().expect("it loads");
        Self { goes_on, thread }
    }

    fn end(self, answer: Result<u64, &'static str>) -> Result<u64, &'static str> {
        self.goes_on.send(answer).expect("it waits");
        self.thread.join().expect("no panic")
    }

    fn panics(self) {
        drop(self.goes_on);
        assert!(self.thread.join().is_err());
    }
}

/// A thread that waits for the load of key 1, or is about to, and would load this.
fn waiter(map: &Arc<Map>, own: u64) -> JoinHandle<u64> {
    let map = Arc::clone(map);
    thread::spawn(move || map.get_or_load_blocking(&1, || own))
}

#[test]
fn loader_is_called_only_if_the_key_is_absent_or_expired() {
    exclusive(|| {
        let (map, clock) = map();
        map.insert_with_ttl(1, 7, ns(5));
        assert_eq!(map.get_or_load_blocking(&1, || unreachable!("it is there")), 7);
        clock.advance(ns(5));
        assert_eq!(map.get_or_load_blocking(&1, || 8), 8);
        assert_eq!(map.get_or_load_blocking(&2, || 9), 9);
        assert_eq!((map.get_cloned(&1), map.get_cloned(&2), map.len()), (Some(8), Some(9), 2));
    });
}

#[test]
fn ttl_counts_from_the_end_of_the_load() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: Map = builder().time_to_live(ns(100)).clock(clock.clone()).build().unwrap();
        let slow = |value| {
            clock.advance(ns(1000));
            value
        };
        let left = |key| map.pin().ttl(&key);
        map.get_or_load_blocking(&1, || slow(1));
        map.get_or_load_blocking_with(&2, &Load::new().ttl(ns(20)), || slow(2));
        map.get_or_load_blocking_with(&3, &Load::new().ttl(ns(20)), || {
            Loaded::with_ttl(slow(3), ns(30))
        });
        assert_eq!(left(1), None, "2,000 ns since");
        assert_eq!(left(2), None, "1,000 ns since");
        assert_eq!(left(3), Some(Ttl::Remaining(ns(30))));
        map.get_or_load_blocking(&1, || slow(1));
        assert_eq!(left(1), Some(Ttl::Remaining(ns(100))));
        let never = Load::new().ttl(Duration::MAX);
        map.get_or_load_blocking_with(&4, &never, || 4);
        assert_eq!(left(4), Some(Ttl::Never));
        // Sweeps know of the deadlines.
        map.sweep(Budget::full_pass());
        let deadline = |after| map.now() + ns(after);
        assert_eq!((map.len(), map.next_deadline()), (2, Some(deadline(100))));
        map.get_or_load_blocking_with(&5, &Load::new().ttl(ns(7)), || 5);
        assert_eq!((map.len(), map.next_deadline()), (3, Some(deadline(7))));
        clock.advance(ns(200));
        map.sweep(Budget::full_pass());
        assert_eq!((map.len(), map.live_len()), (1, 1));
    });
}

#[test]
fn value_with_a_ttl_of_zero_is_returned_and_not_kept() {
    exclusive(|| {
        let (map, _) = map();
        let load = Load::new().ttl(Duration::ZERO);
        assert_eq!(map.get_or_load_blocking_with(&1, &load, || 5), 5);
        assert_eq!(map.get_cloned(&1), None);
        assert_eq!(map.get_or_load_blocking_with(&1, &load, || 6), 6);
    });
}

#[test]
fn a_thousand_threads_on_ten_keys_load_ten_times() {
    exclusive(|| {
        for _ in 0..3 {
            let (map, _) = map();
            let loads = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..1000)
                .map(|n| {
                    let (map, loads) = (Arc::clone(&map), Arc::clone(&loads));
                    thread::spawn(move || {
                        map.get_or_load_blocking(&(n % 10), || {
                            thread::yield_now();
                            loads.fetch_add(1, Ordering::Relaxed);
                            n % 10 + 100
                        })
                    })
                })
                .collect();
            for (n, thread) in threads.into_iter().enumerate() {
                assert_eq!(thread.join().expect("no panic"), n as u64 % 10 + 100);
            }
            assert_eq!((loads.load(Ordering::Relaxed), map.len()), (10, 10));
            assert_slots_accounted(&map);
        }
    });
}

/// What may put or remove a key, and whether the key has a value after it.
type Write = (&'static str, fn(&Map), Option<u64>);

const WRITES: &[Write] = &[
    ("insert", |map| _ = map.pin().insert(1, 7), Some(7)),
    ("insert_with_ttl", |map| _ = map.pin().insert_with_ttl(1, 7, ns(9)), Some(7)),
    ("insert, expired", |map| _ = map.pin().insert_with_ttl(1, 7, ns(0)), None),
    (
        "insert_with_deadline",
        |map| {
            _ = map.pin().insert_with_deadline(1, 7, evanesce::Deadline::NEVER);
        },
        Some(7),
    ),
    ("try_insert", |map| assert!(map.pin().try_insert(1, 7).is_ok()), Some(7)),
    (
        "try_insert_with_ttl",
        |map| {
            assert!(map.pin().try_insert_with_ttl(1, 7, ns(9)).is_ok());
        },
        Some(7),
    ),
    ("get_or_insert_with", |map| assert_eq!(map.pin().get_or_insert_with(1, || 7), &7), Some(7)),
    (
        "get_or_insert_with_ttl",
        |map| {
            assert_eq!(map.pin().get_or_insert_with_ttl(1, ns(9), || 7), &7);
        },
        Some(7),
    ),
    (
        "update_or_insert_with",
        |map| {
            assert_eq!(map.pin().update_or_insert_with(1, |_| unreachable!(), || 7), &7);
        },
        Some(7),
    ),
    (
        "compute, insert",
        |map| {
            let computed = map.pin().compute(1, |value| {
                assert_eq!(value, None);
                Operation::Insert(7)
            }) == Compute::Inserted(&7);
            assert!(computed);
        },
        Some(7),
    ),
    (
        "compute, remove",
        |map| {
            assert!(map.pin().compute(1, |_| Operation::Remove) == Compute::Unchanged(None));
        },
        None,
    ),
    (
        "try_compute, insert",
        |map| {
            let insert = |_: Option<&u64>| Ok::<_, ()>(Operation::Insert(7));
            assert!(map.pin().try_compute(1, insert) == Ok(Compute::Inserted(&7)));
        },
        Some(7),
    ),
    (
        "by_ref, get_or_insert_with",
        |map| assert_eq!(map.pin().by_ref(&1, |key| *key).get_or_insert_with(|| 7), &7),
        Some(7),
    ),
    (
        "by_ref, try_insert",
        |map| assert_eq!(map.pin().by_ref(&1, |key| *key).try_insert(7).ok(), Some(&7)),
        Some(7),
    ),
    (
        "by_ref, update_or_insert_with",
        |map| {
            let pinned = map.pin();
            let by_ref = pinned.by_ref(&1, |key| *key);
            assert_eq!(by_ref.update_or_insert_with(|_| unreachable!(), || 7), &7);
        },
        Some(7),
    ),
    ("remove", |map| assert_eq!(map.pin().remove(&1), None), None),
    ("remove_entry", |map| assert_eq!(map.pin().remove_entry(&1), None), None),
    ("remove_if", |map| assert_eq!(map.pin().remove_if(&1, |_, _| unreachable!()), Ok(None)), None),
    ("clear", |map| map.clear(), None),
    (
        "insert and remove",
        |map| {
            map.insert(1, 7);
            assert!(map.remove(&1));
        },
        None,
    ),
];

#[test]
fn a_write_of_the_key_during_the_load_wins() {
    exclusive(|| {
        for (name, write, left) in WRITES {
            let (map, _) = map();
            let leader = Leader::begin(&map);
            write(&map);
            assert_eq!(leader.end(Ok(5)), Ok(5), "{name}: who waits gets it");
            assert_eq!(map.get_cloned(&1), *left, "{name}: and the map does not");
            assert_eq!(map.live_len(), usize::from(left.is_some()), "{name}");
            assert_slots_accounted(&map);
            // It is not so for the next.
            map.remove(&1);
            assert_eq!(map.get_or_load_blocking(&1, || 6), 6);
            assert_eq!(map.get_cloned(&1), Some(6), "{name}: the next load is kept");
        }
    });
}

#[test]
fn a_load_begun_before_the_write_came_is_not_joined_after_it() {
    exclusive(|| {
        for (name, write, left) in WRITES {
            let (map, _) = map();
            let leader = Leader::begin(&map);
            write(&map);
            // The leader is in its loader still: to join it would be to wait for ever.
            assert_eq!(map.get_or_load_blocking(&1, || 6), left.unwrap_or(6), "{name}");
            assert_eq!(leader.end(Ok(5)), Ok(5));
            assert_eq!(map.get_cloned(&1), Some(left.unwrap_or(6)), "{name}");
        }
    });
}

#[test]
fn by_forms_win_over_a_load_as_well() {
    exclusive(|| {
        type By = TtlMap<u64, u64, RandomState>;
        const EQUAL: fn(&u64) -> Result<bool, Infallible> = |met| Ok(*met == 1);
        let writes: [fn(&By, u64); 8] = [
            |map, hash| _ = map.pin().upsert_by(hash, EQUAL, |_| 1, |_| 7),
            |map, hash| _ = map.pin().upsert_with_ttl_by(hash, ns(9), EQUAL, |_| 1, |_| 7),
            |map, hash| _ = map.pin().insert_by(hash, 1, 7, EQUAL),
            |map, hash| _ = map.pin().insert_with_ttl_by(hash, 1, 7, ns(9), EQUAL),
            |map, hash| _ = map.pin().try_insert_by(hash, 1, 7, EQUAL),
            |map, hash| _ = map.pin().try_insert_with_ttl_by(hash, 1, 7, ns(9), EQUAL),
            |map, hash| _ = map.pin().remove_by(hash, EQUAL),
            |_, _| unreachable!(),
        ];
        for (n, write) in writes.into_iter().enumerate() {
            let hasher = RandomState::new();
            let hash = hasher.hash_one(1_u64);
            let map = builder().hasher(hasher).clock(ManualClock::new()).build().unwrap();
            let value = map.get_or_load_blocking(&1, || {
                // A comparison that fails changes nothing, and ends no load.
                assert_eq!(map.pin().insert_by(hash, 1, 6, |_| Err(())), Err(()));
                if n < 7 {
                    write(&map, hash);
                }
                5
            });
            let left = [Some(7), Some(7), Some(7), Some(7), Some(7), Some(7), None, Some(5)][n];
            assert_eq!((value, map.get_cloned(&1)), (5, left), "write {n}");
        }
    });
}

#[test]
fn what_changes_only_a_value_that_is_there_does_not_end_a_load() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let pin = map.pin();
        assert_eq!(pin.update(1, |_| unreachable!()), None);
        assert_eq!(pin.replace_if(1, 7, |_| unreachable!()), Err(7));
        assert!(!pin.set_ttl(&1, ns(9)) && !pin.persist(&1) && !pin.extend_ttl(&1, ns(9)));
        assert!(pin.get_or_refresh(&1, ns(9)).value().is_none());
        map.retain(|_, _| unreachable!("nothing is there"));
        map.sweep(Budget::full_pass());
        map.shrink_to_fit();
        map.insert(2, 2);
        map.remove(&2);
        drop(pin);
        assert_eq!(leader.end(Ok(5)), Ok(5));
        assert_eq!(map.get_cloned(&1), Some(5));
    });
}

#[test]
fn nothing_shows_a_load_that_goes_on() {
    exclusive(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let options = TtlMap::builder().record_stats(true).clock(ManualClock::new());
        let listener = move |key: &u64, value: &u64, cause| {
            tell.lock().expect("no panic").push((*key, *value, cause));
        };
        let map = Arc::new(options.eviction_listener(listener).build().expect("valid options"));
        let leader = Leader::begin(&map);
        let others: Vec<_> = (0..3).map(|own| waiter(&map, own)).collect();
        assert_eq!((map.len(), map.live_len(), map.is_empty()), (0, 0, true));
        assert!(map.get_cloned(&1).is_none() && !map.contains_key(&1));
        assert!(map.pin().iter().next().is_none() && map.pin().iter_linked().next().is_none());
        assert_eq!((map.next_deadline(), map.pin().ttl(&1)), (None, None));
        assert!(map.pin().get_many([&1])[0].is_none() && map.pin().get_entry(&1).is_none());
        assert_eq!(format!("{map:?}"), "{}");
        let stats = map.stats();
        assert_eq!((stats.len, stats.expired_unswept, stats.slots), (0, 0, 0));
        let copy = map.as_ref().clone();
        assert!(copy.is_empty() && copy == *map);
        // The first look of the leader; the three wait, or are about to; and four looks just now.
        assert!(stats.hits == 0 && (1 + 4..=4 + 4).contains(&stats.misses), "{stats:?}");
        assert_eq!(leader.end(Ok(5)), Ok(5));
        for other in others {
            assert_eq!(other.join().expect("no panic"), 5);
        }
        // One who came late has hit.
        let looks = map.stats().hits + map.stats().misses;
        assert_eq!((map.len(), looks), (1, 4 + 4), "each call is counted once");
        assert_eq!(*told.lock().expect("no panic"), []);
        map.remove(&1);
        assert_eq!(*told.lock().expect("no panic"), [(1, 5, RemovalCause::Explicit)]);
    });
}

#[test]
fn a_panic_unwinds_its_leader_alone_and_one_who_waits_goes_on() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let others: Vec<_> = (10..20).map(|own| waiter(&map, own)).collect();
        leader.panics();
        let values: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert!(values.iter().all(|value| *value == values[0] && (10..20).contains(value)));
        assert_eq!(map.get_cloned(&1), Some(values[0]));
    });
}

#[test]
fn every_leader_may_panic_and_the_next_one_leads() {
    exclusive(|| {
        // Many more than moka's 200 tries.
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let panics = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..400)
            .map(|_| {
                let (map, panics) = (Arc::clone(&map), Arc::clone(&panics));
                thread::Builder::new()
                    .stack_size(128 << 10)
                    .spawn(move || {
                        catch_unwind(AssertUnwindSafe(|| {
                            map.get_or_load_blocking(&1, || {
                                panics.fetch_add(1, Ordering::Relaxed);
                                std::panic::resume_unwind(Box::new(()))
                            })
                        }))
                        .is_err()
                    })
                    .expect("a thread")
            })
            .collect();
        leader.panics();
        assert!(others.into_iter().all(|other| other.join().expect("caught")));
        assert_eq!(panics.load(Ordering::Relaxed), 400, "each by its own loader, once");
        assert_eq!(map.get_or_load_blocking(&1, || 3), 3);
    });
}

#[test]
fn an_error_goes_to_those_who_wait_and_is_not_kept() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let others: Vec<_> = (0..3)
            .map(|_| {
                let map = Arc::clone(&map);
                thread::spawn(move || {
                    map.try_get_or_load_blocking(&1, || Err::<u64, _>("a late loader"))
                })
            })
            .collect();
        assert_eq!(leader.end(Err("no route")), Err("no route"));
        for other in others {
            // Who came too late loads by itself.
            assert!(matches!(other.join().unwrap(), Err("no route" | "a late loader")));
        }
        assert_eq!(map.try_get_or_load_blocking(&1, || Ok::<_, &str>(4)), Ok(4));
    });
}

#[test]
fn one_who_waits_for_another_type_of_error_goes_on_by_its_own_loader() {
    exclusive(|| {
        let (map, _) = map();
        let keep = Load::new().negative_ttl(Duration::MAX);
        let leader = Leader::begin_with(&map, keep);
        let infallible = waiter(&map, 8);
        assert_eq!(leader.end(Err("no route")), Err("no route"));
        assert_eq!(infallible.join().unwrap(), 8);
        assert_eq!(map.get_cloned(&1), Some(8));
        // Also where it is kept.
        let failed = map.try_get_or_load_blocking_with(&2, &keep, || Err::<u64, _>("no route"));
        assert_eq!(failed, Err("no route"));
        let other = map.try_get_or_load_blocking(&2, || Err::<u64, _>(404_u16));
        assert_eq!(other, Err(404));
        // The other one has taken its place.
        assert_eq!(map.try_get_or_load_blocking(&2, || Err::<u64, _>("later")), Err("later"));
    });
}

#[test]
fn a_negative_ttl_keeps_an_error_until_its_time_or_a_write_of_the_key() {
    exclusive(|| {
        for (name, write, left) in WRITES {
            let (map, clock) = map();
            let load = Load::new().negative_ttl(ns(10));
            let fail = |text| map.try_get_or_load_blocking_with(&1, &load, || Err::<u64, _>(text));
            assert_eq!(fail("first"), Err("first"));
            assert_eq!(fail("second"), Err("first"), "kept");
            assert_eq!(map.try_get_or_load_blocking(&1, || Ok(1)), Err("first"), "for all");
            assert!(map.is_empty() && map.live_len() == 0 && map.next_deadline().is_none());
            clock.advance(ns(9));
            assert_eq!(fail("third"), Err("first"));
            clock.advance(ns(1));
            assert_eq!(fail("fourth"), Err("fourth"), "over");
            write(&map);
            let expected = left.ok_or("fifth");
            assert_eq!(fail("fifth"), expected, "{name} ends it");
        }
    });
}

#[test]
fn an_error_is_not_kept_if_a_write_of_the_key_came_during_the_load() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin_with(&map, Load::new().negative_ttl(Duration::MAX));
        map.remove(&1);
        assert_eq!(leader.end(Err("stale")), Err("stale"));
        assert_eq!(map.try_get_or_load_blocking(&1, || Ok::<_, &str>(4)), Ok(4));
    });
}

#[test]
fn kept_errors_are_dropped_by_a_sweep_when_their_time_is_over() {
    exclusive(|| {
        let (tally, (map, clock)) = (Tally::new(), map());
        let load = Load::new().negative_ttl(ns(10));
        for key in 0..10_000 {
            let error = Arc::new(tally.token());
            let failed = map.try_get_or_load_blocking_with(&key, &load, || Err::<u64, _>(error));
            assert!(failed.is_err());
        }
        let with_errors = map.stats().bytes_allocated;
        assert_eq!(tally.alive(), 10_000);
        clock.advance(ns(10));
        map.sweep(Budget::full_pass());
        assert_eq!(tally.alive(), 0);
        map.shrink_to_fit();
        assert!(map.stats().bytes_allocated <= with_errors);
        assert_eq!(map.get_or_load_blocking(&7, || 1), 1);
    });
}

#[test]
fn kept_errors_that_a_write_ends_are_forgotten_at_once() {
    exclusive(|| {
        let tally = Tally::new();
        let map = TtlMap::<u64, u64>::new();
        let load = Load::new().negative_ttl(Duration::MAX);
        let fail = |key| {
            let error = Arc::new(tally.token());
            assert!(
                map.try_get_or_load_blocking_with(&key, &load, || Err::<u64, _>(error)).is_err()
            );
        };
        for round in 0..3 {
            (0..500).for_each(fail);
            assert_eq!(tally.alive(), 500);
            if round == 0 {
                (0..500).for_each(|key| _ = map.remove(&key));
            } else {
                map.clear();
            }
            settle(&map);
            assert_eq!(tally.alive(), 0, "round {round}");
        }
    });
}

#[test]
fn no_more_errors_are_kept_than_the_map_has_slots() {
    exclusive(|| {
        let map: Map = builder().max_slots(10).build().expect("valid options");
        let load = Load::new().negative_ttl(Duration::MAX);
        let calls = AtomicUsize::new(0);
        for _ in 0..2 {
            for key in 0..1000 {
                let failed = map.try_get_or_load_blocking_with(&key, &load, || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    Err::<u64, _>(key)
                });
                assert_eq!(failed, Err(key));
            }
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2000 - 10);
    });
}

#[test]
fn patience_ends_and_the_one_who_waits_loads_by_itself() {
    exclusive(|| {
        for patience in [Duration::ZERO, Duration::from_millis(1)] {
            let (map, _) = map();
            let leader = Leader::begin(&map);
            let load = Load::new().patience(patience);
            assert_eq!(map.get_or_load_blocking_with(&1, &load, || 6), 6);
            assert_eq!(map.get_cloned(&1), Some(6));
            // The leader was given up.
            assert_eq!(leader.end(Ok(5)), Ok(5));
            assert_eq!(map.get_cloned(&1), Some(6));
        }
    });
}

#[test]
fn patience_that_does_not_end_is_none() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let waits = {
            let map = Arc::clone(&map);
            let load = Load::new().patience(Duration::MAX);
            thread::spawn(move || map.get_or_load_blocking_with(&1, &load, || 6))
        };
        assert_eq!(leader.end(Ok(5)), Ok(5));
        // It waited, or came when the value was there.
        assert_eq!(waits.join().unwrap(), 5);
    });
}

#[test]
fn a_load_that_was_given_up_does_not_come_back_after_a_remove() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Leader::begin(&map);
        let load = Load::new().patience(Duration::ZERO);
        assert_eq!(map.get_or_load_blocking_with(&1, &load, || 6), 6);
        map.remove(&1);
        assert_eq!(leader.end(Ok(5)), Ok(5));
        assert_eq!(map.get_cloned(&1), None, "the remove came during both loads");
    });
}

#[test]
fn a_loader_that_asks_for_its_own_key_panics_and_does_not_hang() {
    exclusive(|| {
        let (map, _) = map();
        let own = catch_unwind(AssertUnwindSafe(|| {
            map.get_or_load_blocking(&1, || map.get_or_load_blocking(&1, || 2))
        }));
        let text = *own.unwrap_err().downcast::<&str>().expect("a message");
        assert!(text.contains("a loader asks for the key that it loads"), "{text}");
        // By way of another key.
        let round = catch_unwind(AssertUnwindSafe(|| {
            map.get_or_load_blocking(&1, || {
                map.get_or_load_blocking(&2, || map.get_or_load_blocking(&1, || 3))
            })
        }));
        assert!(round.is_err() && map.is_empty());
        // One that asks for another, or uses the map, does not.
        let value = map.get_or_load_blocking(&1, || {
            map.insert(3, 3);
            map.get_or_load_blocking(&2, || 1) + 1
        });
        assert_eq!((value, map.len()), (2, 3));
    });
}

#[test]
fn a_loader_that_puts_its_own_key_keeps_what_it_put() {
    exclusive(|| {
        let (map, _) = map();
        let value = map.get_or_load_blocking(&1, || {
            map.insert(1, 9);
            5
        });
        assert_eq!((value, map.get_cloned(&1)), (5, Some(9)));
    });
}

#[test]
fn values_keys_and_errors_are_dropped_once() {
    exclusive(|| {
        let tally = Tally::new();
        {
            let map = TtlMap::<u64, Arc<crate::common::tally::Token>>::new();
            let load = Load::new().negative_ttl(Duration::MAX);
            for key in 0..300 {
                map.get_or_load_blocking(&key, || Arc::new(tally.token()));
                let failed: Result<_, Arc<crate::common::tally::Token>> = map
                    .try_get_or_load_blocking_with(&(key + 1000), &load, || {
                        Err::<Arc<_>, _>(Arc::new(tally.token()))
                    });
                assert!(failed.is_err());
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    map.get_or_load_blocking(&(key + 2000), || {
                        std::panic::resume_unwind(Box::new(()))
                    })
                }));
                map.get_or_load_blocking(&(key + 3000), || {
                    map.clear();
                    Arc::new(tally.token())
                });
            }
        }
        tally.assert_all_dropped();
    });
}

#[test]
fn a_map_at_its_limit_of_slots_refuses_a_load_as_it_refuses_an_insert() {
    exclusive(|| {
        let map: Map = builder().max_slots(2).build().expect("valid options");
        map.insert(1, 1);
        map.insert(2, 2);
        let refused = catch_unwind(AssertUnwindSafe(|| map.get_or_load_blocking(&3, || 3)));
        assert!(refused.is_err() && map.len() == 2);
        map.remove(&1);
        settle(&map);
        assert_eq!(map.get_or_load_blocking(&3, || 3), 3);
    });
}

fn is_send<T: Send>() {}

#[test]
fn loads_of_one_thread_and_a_map_that_no_other_sees_need_no_send() {
    exclusive(|| {
        let map = TtlMap::<u64, std::rc::Rc<u64>>::new();
        let value = map.get_or_load_blocking(&1, || std::rc::Rc::new(5));
        assert_eq!((*value, std::rc::Rc::strong_count(&value)), (5, 2));
        // A map goes to another thread if what it holds does, which need not be shared.
        is_send::<TtlMap<u64, std::cell::Cell<u64>>>();
        // Nothing need be 'static.
        let text = String::from("borrowed");
        let map = TtlMap::<&str, &str>::new();
        assert_eq!(map.get_or_load_blocking(&text.as_str(), || text.as_str()), "borrowed");
    });
}

/// What a load reads after a remove has returned is what was there before the remove began, or later.
#[test]
fn no_load_undoes_a_remove_while_others_load_and_remove() {
    exclusive(|| {
        let (map, _) = map();
        let origin = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (map, origin, is_over) =
                    (Arc::clone(&map), Arc::clone(&origin), Arc::clone(&is_over));
                thread::spawn(move || {
                    while is_over.load(Ordering::Relaxed) == 0 {
                        map.get_or_load_blocking(&1, || origin.load(Ordering::SeqCst) as u64);
                    }
                })
            })
            .collect();
        for version in 1..dose(6_000, 20_000) as usize {
            origin.store(version, Ordering::SeqCst);
            match version % 3 {
                0 => _ = map.remove(&1),
                1 => map.clear(),
                _ => _ = map.pin().compute(1, |_| Operation::Remove),
            }
            let kept = map.get_or_load_blocking(&1, || origin.load(Ordering::SeqCst) as u64);
            assert_eq!(kept as usize, version, "a stale value was kept");
            if let Some(kept) = map.get_cloned(&1) {
                assert_eq!(kept as usize, version, "a stale value was kept");
            }
        }
        is_over.store(1, Ordering::Relaxed);
        for reader in readers {
            reader.join().expect("no panic");
        }
        assert_slots_accounted(&map);
    });
}

#[test]
fn a_panic_in_any_call_of_user_code_strands_no_key() {
    const SITES: [Site; 6] =
        [Site::Hash, Site::Eq, Site::Clone, Site::Clock, Site::DropKey, Site::DropVal];
    exclusive(|| {
        for site in SITES {
            let mut ran = 0;
            for nth in 1..=60 {
                let tally = Tally::new();
                let clock = SiteClock(ManualClock::new());
                let map = builder().time_to_live(ns(10)).clock(clock.clone()).build().unwrap();
                let load = Load::new().negative_ttl(ns(5));
                let key = |n| SiteKey::new(n, &tally);
                arm(site, nth, boom);
                for n in 0..400 {
                    let ask = || {
                        clock.0.advance(ns(3));
                        map.try_get_or_load_blocking_with(&key(n % 3), &load, || {
                            if n % 5 == 0 { Err(()) } else { Ok(SiteVal::new(n, &tally)) }
                        })
                        .is_ok()
                    };
                    caught(ask);
                    caught(|| n % 7 == 0 && map.remove(&key(n % 3)));
                    caught(|| {
                        if n % 50 == 0 {
                            map.clear();
                        }
                    });
                }
                ran += u64::from(disarm());
                clock.0.advance(ns(10));
                for n in 0..3 {
                    let value = map.get_or_load_blocking(&key(n), || SiteVal::new(n + 7, &tally));
                    assert_eq!(value.n, n + 7, "{site:?} {nth}");
                }
                assert_eq!(map.live_len(), 3, "{site:?} {nth}");
                settle(&map);
                assert_slots_accounted(&map);
                drop(map);
                tally.assert_all_dropped();
            }
            assert_eq!(ran, 60, "{site:?} is reached");
        }
    });
}

#[test]
fn lies_of_user_code_hang_nobody_and_lose_nothing() {
    exclusive(|| {
        let tally = Tally::new();
        let clock = SiteClock(ManualClock::new());
        let map = builder().time_to_live(ns(10)).clock(clock.clone()).build().unwrap();
        let load = Load::new().negative_ttl(ns(5));
        let key = |n| SiteKey::new(n, &tally);
        lying(Rng::from_env(), &[Site::Hash, Site::Eq, Site::Clock], || {
            for n in 0..20_000 {
                clock.0.advance(ns(1));
                let _ = map.try_get_or_load_blocking_with(&key(n % 16), &load, || {
                    if n % 5 == 0 { Err(()) } else { Ok(SiteVal::new(n, &tally)) }
                });
                if n % 3 == 0 {
                    map.remove(&key(n % 16));
                }
            }
        });
        settle(&map);
        assert_slots_accounted(&map);
        drop(map);
        tally.assert_all_dropped();
    });
}
