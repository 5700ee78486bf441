//! moka's tests of expiry, of iteration beside writers, and of values made on demand.

use crate::common::{Rng, builder, dose, exclusive, left};
use crate::{Finish, scaled, together};
use evanesce::{Budget, ManualClock, TtlMap};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn timed<K, V>(time_to_live: Option<Duration>) -> (TtlMap<K, V>, ManualClock) {
    let clock = ManualClock::new();
    let mut options = builder().clock(clock.clone());
    if let Some(ttl) = time_to_live {
        options = options.time_to_live(ttl);
    }
    (options.build().expect("valid options"), clock)
}

#[test]
fn default_ttl_counts_from_the_last_insert_whenever_swept() {
    exclusive(|| {
        for sweeps in [false, true] {
            let (map, clock) = timed(Some(secs(10)));
            let wait = |time| {
                clock.advance(time);
                if sweeps {
                    map.sweep(Budget::full_pass());
                }
            };
            map.pin().insert("a", 1);
            wait(secs(5));
            assert_eq!(map.get_cloned("a"), Some(1));
            wait(secs(5));
            assert_eq!((map.get_cloned("a"), map.pin().iter().count()), (None, 0));
            assert_eq!(map.len(), usize::from(!sweeps));

            map.pin().insert("b", 1);
            wait(secs(5));
            assert_eq!(map.pin().insert("b", 2), Some(&1));
            wait(millis(9_999));
            assert_eq!(map.get_cloned("b"), Some(2), "the old deadline counted");
            wait(MILLI);
            assert_eq!((map.get_cloned("b"), map.pin().iter().count()), (None, 0));
            map.sweep(Budget::full_pass());
            assert!(map.is_empty());
        }
    });
}

/// A step in the life of an entry.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64),
    InsertForEver,
    Update,
    SetTtl(u64),
    Wait(u64),
}

#[test]
fn each_change_of_a_ttl_counts_from_its_own_time() {
    use Step::{Insert, InsertForEver, SetTtl, Update, Wait};
    exclusive(|| {
        // Seconds; the last number is the time from the last step to the end.
        let lives: [(&[Step], u64); 9] = [
            (&[Insert(1)], 1),
            (&[InsertForEver, Wait(1), SetTtl(3)], 3),
            (&[InsertForEver, Wait(1), Update, Wait(2), Insert(3)], 3),
            (&[InsertForEver, Wait(100), Update, SetTtl(7), Update], 7),
            (&[Insert(8), Wait(5), SetTtl(8), Update, Wait(1)], 7),
            (&[Insert(8), Wait(5), SetTtl(9), Wait(6), SetTtl(10), Wait(5)], 5),
            (&[Insert(9), Wait(6), Insert(8), Wait(6), SetTtl(9), Wait(6), SetTtl(5)], 5),
            (&[Insert(9), Wait(1), InsertForEver, Wait(20), Insert(2)], 2),
            (&[Insert(20), Wait(1), SetTtl(2), Wait(1), Update], 1),
        ];
        let (map, clock) = timed::<u64, u64>(None);
        for (steps, end) in lives {
            for step in steps {
                let pin = map.pin();
                match *step {
                    Insert(ttl) => _ = pin.insert_with_ttl(0, 0, secs(ttl)),
                    InsertForEver => _ = pin.insert(0, 0),
                    Update => assert!(pin.update(0, |n| n + 1).is_some(), "{steps:?}"),
                    SetTtl(ttl) => assert!(pin.set_ttl(&0, secs(ttl)), "{steps:?}"),
                    Wait(time) => clock.advance(secs(time)),
                }
                map.sweep(Budget::full_pass());
                assert!(pin.contains_key(&0), "{steps:?}: gone after {step:?}");
            }
            assert_eq!(left(&map.pin(), &0), Some(secs(end).as_nanos()), "{steps:?}");
            clock.advance(millis(end * 1000 - 1));
            map.sweep(Budget::full_pass());
            assert!(map.pin().contains_key(&0), "{steps:?}: too early");
            clock.advance(MILLI);
            assert!(!map.pin().contains_key(&0), "{steps:?}: too late");
            map.sweep(Budget::full_pass());
            assert!(map.is_empty(), "{steps:?}");
        }
    });
}

#[test]
fn sweeps_remove_exactly_what_is_due_from_seconds_to_days() {
    exclusive(|| {
        let (map, clock) = timed(None);
        clock.advance(secs(10));
        for unit in [1, 60, 60 * 60, 24 * 60 * 60] {
            let mut waiting: BTreeSet<u64> = [1, 2, 3, 5, 8, 31, 63].into();
            for ttl in &waiting {
                map.pin().insert_with_ttl(*ttl, (), secs(ttl * unit));
            }
            for now in 1..=64 {
                clock.advance(millis(unit * 1000 - 1));
                assert_eq!(
                    map.sweep(Budget::full_pass()).removed,
                    0,
                    "before {now} times {unit} s"
                );
                clock.advance(MILLI);
                let report = map.sweep(Budget::full_pass());
                let due = usize::from(waiting.remove(&now));
                assert_eq!(report.removed, due, "at {now} times {unit} s");
                assert_eq!(report.max_lag, Duration::ZERO);
                let there: BTreeSet<u64> = map.pin().iter().map(|(key, ())| *key).collect();
                assert_eq!(there, waiting, "at {now} times {unit} s");
            }
        }
    });
}

#[test]
fn entries_made_eternal_survive_clock_sweeps_and_readers() {
    exclusive(|| {
        const WRITERS: u64 = 4;
        let (keys, rounds) = (scaled(100, 200), scaled(dose(100, 300), 19_200));
        let (map, clock) = timed::<u64, Result<u64, u64>>(None);
        let (map, finish) = (Arc::new(map), Finish::of(WRITERS));
        let shared = Arc::clone(&map);
        together(2 * WRITERS + 1, move |me| {
            if me < WRITERS {
                let _writer = finish.writer();
                for op in 0..rounds * keys {
                    let key = me * 10_000 + op % keys;
                    let pin = shared.pin();
                    pin.insert_with_ttl(key, Err(op), MILLI);
                    pin.insert(key, Ok(op));
                    drop(pin);
                    // However long the writer was stopped here.
                    assert_eq!(shared.get_cloned(&key), Some(Ok(op)), "key {key} was swept");
                    if op % 3 == 0 && op < (rounds - 1) * keys {
                        shared.pin().insert_with_ttl(key, Err(op), MILLI);
                    }
                    if op % 7 == 0 && op < (rounds - 1) * keys {
                        shared.pin().remove(&key);
                    }
                }
            } else if me < 2 * WRITERS {
                while !finish.is_near() {
                    let pin = shared.pin();
                    for key in 0..keys {
                        let value = pin.get(&(key + (me % WRITERS) * 10_000));
                        let (Ok(op) | Err(op)) = *value.unwrap_or(&Ok(key));
                        assert_eq!(op % keys, key, "a value of another key");
                    }
                }
            } else {
                while !finish.is_near() {
                    clock.advance(MILLI / 4);
                    shared.sweep(Budget::full_pass());
                }
            }
        });
        assert_eq!(map.pin().iter().filter(|(_, value)| value.is_ok()).count(), map.len());
        assert_eq!(map.len() as u64, WRITERS * keys);
    });
}

#[test]
fn iterations_see_every_key_while_others_replace_all() {
    exclusive(|| {
        const KEYS: u64 = 1024;
        let value = |key: u64| format!("value of {key}");
        let map = Arc::new(TtlMap::<u64, String>::new());
        (0..KEYS).for_each(|key| _ = map.pin().insert(key, value(key)));
        let (rounds, shared) = (scaled(4, 16), Arc::clone(&map));
        together(16, move |me| {
            for _ in 0..rounds {
                let pin = shared.pin();
                if me % 2 == 0 {
                    (0..KEYS).for_each(|key| assert!(pin.insert(key, value(key)).is_some()));
                    continue;
                }
                let mut seen = BTreeSet::new();
                for (key, found) in &pin {
                    assert_eq!(*found, value(*key));
                    assert!(seen.insert(*key), "key {key} twice");
                }
                assert_eq!(seen.len() as u64, KEYS, "a key was missed");
            }
        });
        assert_eq!(map.len() as u64, KEYS);
    });
}

#[test]
fn get_or_insert_with_answers_all_threads_one_value() {
    exclusive(|| {
        let (keys, threads) = (scaled(1 << 10, 1 << 16), scaled(8, 64));
        let (map, made) = (Arc::new(TtlMap::<u64, u64>::new()), Arc::new(AtomicU64::new(0)));
        let (shared, serial) = (Arc::clone(&map), Arc::clone(&made));
        let seed = Rng::from_env().next();
        let answers = together(threads, move |me| {
            let (pin, start) = (shared.pin(), Rng::new(seed).below(keys) + me % 2);
            let answer = |key| *pin.get_or_insert_with(key, || serial.fetch_add(1, Relaxed));
            (0..keys)
                .map(|i| answer((start + i) % keys))
                .enumerate()
                .map(|(i, value)| ((start + i as u64) % keys, value))
                .collect::<BTreeSet<_>>()
        });
        assert!(answers.iter().all(|others| *others == answers[0]), "two values of one key");
        assert_eq!(answers[0].len(), map.len());
        assert!(answers[0].iter().all(|(key, value)| map.get_cloned(key) == Some(*value)));
        println!("{} values made for {keys} keys", made.load(Relaxed));
    });
}
