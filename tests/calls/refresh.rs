//! Early refresh: one holder of an entry's token, and no value that comes too late.

use crate::common::{builder, exclusive, ns, settle};
use evanesce::{Lookup, ManualClock, RefreshToken, Ttl, TtlMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

type Map = TtlMap<u64, u64>;

const EARLY: Duration = Duration::from_nanos(10);

/// A map in which key 1 has the value 7 and 100 ns to live, and its clock.
fn map() -> (Map, ManualClock) {
    let clock = ManualClock::new();
    let map = builder().clock(clock.clone()).build().expect("valid options");
    map.insert_with_ttl(1, 7, ns(100));
    (map, clock)
}

/// One in the last ten nanoseconds of key 1.
fn due() -> (Map, ManualClock) {
    let (map, clock) = map();
    clock.advance(ns(95));
    (map, clock)
}

/// What a lookup says, its token given back.
fn said<'p>(lookup: &Lookup<'p, u64>) -> (&'static str, Option<&'p u64>) {
    match lookup {
        Lookup::Fresh(value) => ("fresh", Some(value)),
        Lookup::Refresh(value, _) => ("refresh", Some(value)),
        Lookup::Stale(value) => ("stale", Some(value)),
        Lookup::Missing => ("missing", None),
    }
}

fn ask(map: &Map) -> &'static str {
    said(&map.pin().get_or_refresh(&1, EARLY)).0
}

fn token(map: &Map) -> RefreshToken {
    match map.pin().get_or_refresh(&1, EARLY) {
        Lookup::Refresh(_, token) => token,
        other => panic!("no token: {other:?}"),
    }
}

/// A map on which nobody ever asks for a token pays nothing for them; one token brings the first of the words.
#[test]
fn what_tokens_take_is_counted() {
    exclusive(|| {
        let (map, _clock) = due();
        let before = map.stats().bytes_allocated;
        drop(token(&map));
        let taken = map.stats().bytes_allocated - before;
        assert!((64..10_000).contains(&taken), "{taken}");
    });
}

#[test]
fn a_token_is_given_out_from_early_to_the_deadline_and_at_no_other_time() {
    exclusive(|| {
        let (map, clock) = map();
        assert_eq!(said(&map.pin().get_or_refresh(&2, EARLY)), ("missing", None));
        for (step, expected) in [(0, "fresh"), (89, "fresh"), (1, "refresh"), (9, "refresh")] {
            clock.advance(ns(step));
            assert_eq!(said(&map.pin().get_or_refresh(&1, EARLY)), (expected, Some(&7)), "{step}");
        }
        clock.advance(ns(1));
        assert_eq!(ask(&map), "missing");
        assert!(!map.is_empty(), "not swept yet");
    });
}

#[test]
fn early_may_be_nothing_or_all_of_the_life_or_more() {
    exclusive(|| {
        let (map, clock) = map();
        let pin = map.pin();
        assert_eq!(said(&pin.get_or_refresh(&1, Duration::MAX)), ("refresh", Some(&7)));
        pin.insert(2, 8);
        assert_eq!(said(&pin.get_or_refresh(&2, Duration::MAX)), ("fresh", Some(&8)));
        clock.advance(ns(99));
        assert_eq!(said(&pin.get_or_refresh(&1, Duration::ZERO)), ("fresh", Some(&7)));
    });
}

#[test]
fn of_many_threads_one_gets_the_token() {
    const THREADS: usize = 16;
    exclusive(|| {
        for _ in 0..200 {
            let (map, _clock) = due();
            let barrier = Barrier::new(THREADS);
            let answers: Vec<_> = thread::scope(|scope| {
                let ask = || {
                    barrier.wait();
                    let pin = map.pin();
                    match pin.get_or_refresh(&1, EARLY) {
                        Lookup::Refresh(7, token) => Some(token),
                        Lookup::Stale(7) => None,
                        other => panic!("{other:?}"),
                    }
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(answers.iter().flatten().count(), 1);
        }
    });
}

#[test]
fn a_token_comes_back_when_it_is_dropped_or_its_holder_panics() {
    exclusive(|| {
        let (map, _clock) = due();
        let held = token(&map);
        assert_eq!((ask(&map), ask(&map)), ("stale", "stale"));
        drop(held);
        assert_eq!((ask(&map), ask(&map)), ("refresh", "refresh"));
        let holder = || {
            let _held = token(&map);
            assert_eq!(ask(&map), "stale");
            panic!("could not reach the server");
        };
        assert!(catch_unwind(AssertUnwindSafe(holder)).is_err());
        assert_eq!(ask(&map), "refresh");
        let refused = catch_unwind(AssertUnwindSafe(|| {
            let held = token(&map);
            let _ = map.pin().get_or_refresh(&Panics(held), EARLY);
        }));
        assert!(refused.is_err());
        assert_eq!(ask(&map), "refresh");
    });
}

/// Hashes as key 1 and panics when it is compared.
struct Panics(#[allow(dead_code)] RefreshToken);

impl std::hash::Hash for Panics {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        1_u64.hash(state);
    }
}

impl evanesce::Equivalent<u64> for Panics {
    fn equivalent(&self, _: &u64) -> bool {
        panic!("a key that cannot be compared");
    }
}

#[test]
fn a_refresh_puts_the_value_with_the_default_ttl_or_its_own() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).time_to_live(ns(50));
        let map: Map = options.build().expect("valid options");
        let pin = map.pin();
        pin.insert(1, 7);
        clock.advance(ns(45));
        assert_eq!(pin.refresh(token(&map), 1, 8), Ok(&8));
        assert_eq!(pin.ttl(&1), Some(Ttl::Remaining(ns(50))));
        clock.advance(ns(45));
        assert_eq!(pin.refresh_with_ttl(token(&map), 1, 9, ns(3)), Ok(&9));
        assert_eq!(pin.ttl(&1), Some(Ttl::Remaining(ns(3))));
        assert_eq!((pin.get(&1), map.len()), (Some(&9), 1));
    });
}

/// Each thing that may come between, and what stands there afterwards.
#[test]
fn a_late_refresh_changes_nothing() {
    type Between = fn(&Map, &ManualClock);
    static LATE: [(&str, Between, Option<u64>); 6] = [
        ("replaced", |map, _| _ = map.insert(1, 8), Some(8)),
        ("updated", |map, _| _ = map.pin().update(1, |n| n + 2), Some(9)),
        ("removed", |map, _| _ = map.remove(&1), None),
        ("removed and put", |map, _| _ = map.remove(&1) && map.insert(1, 8), Some(8)),
        ("expired", |_, clock| clock.advance(ns(5)), None),
        ("cleared", |map, _| map.clear(), None),
    ];
    exclusive(|| {
        for (name, between, value) in LATE {
            let (map, clock) = due();
            let token = token(&map);
            between(&map, &clock);
            assert_eq!(map.pin().refresh(token, 1, 100), Err(100), "{name}");
            assert_eq!(map.get_cloned(&1), value, "{name}");
        }
        // A renewal is of the same entry.
        let (map, _clock) = due();
        let token = token(&map);
        map.pin().set_ttl(&1, ns(1000));
        assert_eq!(map.pin().refresh(token, 1, 100), Ok(&100));
    });
}

#[test]
fn a_token_is_of_its_own_key_and_map_only() {
    exclusive(|| {
        let ((map, _clock), (other, _other_clock)) = (due(), due());
        map.insert(2, 70);
        assert_eq!(map.pin().refresh(token(&map), 2, 100), Err(100));
        // The first tokens of two maps, for the first slots of both.
        let (held, _theirs) = (token(&map), token(&other));
        assert_eq!(other.pin().refresh(held, 1, 100), Err(100));
        assert_eq!((map.get_cloned(&2), other.get_cloned(&1)), (Some(70), Some(7)));
        assert_eq!((ask(&map), ask(&other)), ("refresh", "stale"));
    });
}

/// The next entry in the slot has a token of its own, and the old token does nothing to it.
#[test]
fn a_token_that_outlives_its_entry_is_nothing_to_the_next_in_its_slot() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = TtlMap::builder().clock(clock.clone()).sweep_per_write(0).max_slots(1);
        let map: Map = options.build().expect("valid options");
        let put = || {
            map.insert_with_ttl(1, 7, ns(5));
        };
        put();
        let old = token(&map);
        map.remove(&1);
        settle(&map);
        put();
        assert_eq!(ask(&map), "refresh", "a new entry, that no one refreshes");
        let held = token(&map);
        drop(old);
        assert_eq!(ask(&map), "stale");
        let pin = map.pin();
        assert_eq!(pin.get_or_refresh(&1, EARLY).value(), Some(&7));
        drop(held);
        assert_eq!(ask(&map), "refresh");
    });
}

#[test]
fn a_token_outlives_its_map_and_goes_to_other_threads() {
    exclusive(|| {
        let (map, _clock) = due();
        let (first, second) = (map.clone(), map.clone());
        let held = token(&first);
        let theirs = thread::spawn(move || drop(held));
        theirs.join().unwrap();
        assert_eq!(ask(&first), "refresh");
        let held = token(&second);
        drop(second);
        assert!(format!("{held:?}").starts_with("RefreshToken"));
        drop(held);
        assert_eq!(ask(&map), "refresh", "a clone has tokens of its own");
    });
}

/// Under writers, readers and a sweep: what was refreshed is never put over what is newer.
#[test]
fn refreshes_beside_writes_never_go_back() {
    exclusive(|| {
        const ROUNDS: u64 = 2000;
        let clock = ManualClock::new();
        let map: Map = builder().clock(clock.clone()).build().expect("valid options");
        map.insert_with_ttl(1, 0, ns(5));
        thread::scope(|scope| {
            // A writer of even numbers that grow, and refreshers that put the odd number above what they saw.
            scope.spawn(|| {
                for n in 1..ROUNDS {
                    map.insert_with_ttl(1, 2 * n, ns(5));
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut newest = 0;
                    for _ in 0..ROUNDS {
                        let pin = map.pin();
                        match pin.get_or_refresh(&1, EARLY) {
                            Lookup::Refresh(seen, token) => {
                                assert!(*seen >= newest, "{seen} after {newest}");
                                newest = *seen;
                                if let Ok(new) = pin.refresh_with_ttl(token, 1, seen | 1, ns(5)) {
                                    newest = *new;
                                }
                            }
                            Lookup::Stale(seen) => {
                                assert!(*seen >= newest, "{seen} after {newest}");
                                newest = *seen;
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
        assert!(map.get_cloned(&1) >= Some(2 * (ROUNDS - 1)));
    });
}
