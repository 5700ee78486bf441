//! A listener may call its map, or another: it is not called within itself, and is told of each end once, with the
//! pair that ended and the cause.

use crate::common::nesting::{counted, deepest, on_a_small_stack};
use crate::common::sites::boom;
use crate::common::{assert_slots_accounted, builder, dose, exclusive, ns};
use evanesce::{Budget, Builder, Compute, ManualClock, Operation, RemovalCause, TtlMap};
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;

type Map = TtlMap<u64, u64>;

/// A map whose listener is given the map as well.
fn listening(
    clock: &ManualClock,
    max_slots: usize,
    heard: impl Fn(&Map, u64, RemovalCause) + Send + Sync + 'static,
) -> Arc<Map> {
    let map: Arc<OnceLock<Weak<Map>>> = Arc::default();
    let theirs = Arc::clone(&map);
    let listener = move |key: &u64, _: &u64, cause| {
        if let Some(map) = theirs.get().and_then(Weak::upgrade) {
            counted(|| heard(&map, *key, cause));
        }
    };
    let options = builder().clock(clock.clone()).max_slots(max_slots).eviction_listener(listener);
    let built = Arc::new(options.build().expect("valid options"));
    map.set(Arc::downgrade(&built)).expect("once");
    built
}

/// Puts `keys` entries that have expired when this returns.
fn put_expired(map: &Map, clock: &ManualClock, keys: u64) {
    for key in 0..keys {
        map.insert_with_ttl(key, key, ns(1_000_000));
    }
    clock.advance(ns(1_000_000));
}

/// How often each key was told of.
struct Told(Vec<AtomicUsize>);

impl Told {
    fn new(keys: u64) -> Arc<Self> {
        Arc::new(Self((0..keys).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// Notes a key, if it is one of those; whether it is.
    fn note(&self, key: u64) -> bool {
        let told = self.0.get(key as usize);
        told.map(|times| times.fetch_add(1, Ordering::Relaxed)).is_some()
    }

    fn assert_each_once(&self) {
        let not_once = self.0.iter().position(|times| times.load(Ordering::Relaxed) != 1);
        assert_eq!(not_once, None, "told of never, or more than once");
    }
}

/// A write within the listener swept, and told the listener of what it found, one level deeper: for each 64
/// entries that had expired there was one.
#[test]
fn a_listener_that_writes_to_its_own_map_does_not_nest() {
    on_a_small_stack(|| {
        let keys = dose(8_000, 100_000);
        for by_sweep in [false, true] {
            let (clock, told) = (ManualClock::new(), Told::new(keys));
            let noting = Arc::clone(&told);
            let map = listening(&clock, 1 << 20, move |map, key, _| {
                if noting.note(key) {
                    map.insert(keys + key, key);
                }
            });
            put_expired(&map, &clock, keys);
            if by_sweep {
                map.sweep(Budget::full_pass());
            } else {
                // A step of 64 slots for each 16 writes of the test, and again half as much.
                (0..keys / 3).for_each(|key| _ = map.insert(2 * keys + key % 10, key));
            }
            assert_eq!(deepest(), 1, "by sweep: {by_sweep}");
            told.assert_each_once();
            let pin = map.pin();
            assert!((keys..2 * keys).all(|key| pin.contains_key(&key)), "an entry is lost");
        }
    });
}

/// What a listener itself ends, it is told of when it returns, and not within itself.
#[test]
fn a_listener_that_ends_another_entry_is_not_called_within_itself() {
    on_a_small_stack(|| {
        const KEYS: u64 = 10_000;
        let (clock, told) = (ManualClock::new(), Told::new(KEYS));
        let noting = Arc::clone(&told);
        let map = listening(&clock, 1 << 20, move |map, key, _| {
            noting.note(key);
            map.remove(&(key + 1));
        });
        (0..KEYS).for_each(|key| _ = map.insert(key, key));
        map.remove(&0);
        assert_eq!(deepest(), 1);
        told.assert_each_once();
        assert!(map.is_empty());
    });
}

#[test]
fn a_listener_that_sweeps_or_clears_or_retains_does_not_nest() {
    type Act = fn(&Map);
    let acts: [Act; 4] = [
        |map| _ = map.sweep(Budget::entries(1 << 20)),
        TtlMap::clear,
        |map| map.retain(|_, _| false),
        |map| map.retain(|key, _| key % 2 == 0),
    ];
    on_a_small_stack(move || {
        const KEYS: u64 = 300;
        for (n, within) in acts.into_iter().enumerate() {
            for (m, outside) in acts.into_iter().enumerate() {
                let (clock, told) = (ManualClock::new(), Told::new(KEYS));
                let noting = Arc::clone(&told);
                let map = listening(&clock, 1 << 20, move |map, key, _| {
                    noting.note(key);
                    within(map);
                });
                if n * m == 0 {
                    put_expired(&map, &clock, KEYS / 2);
                    (KEYS / 2..KEYS).for_each(|key| _ = map.insert(key, key));
                } else {
                    (0..KEYS).for_each(|key| _ = map.insert(key, key));
                }
                outside(&map);
                map.clear();
                assert_eq!(deepest(), 1, "{n} within {m}");
                told.assert_each_once();
                assert!(map.is_empty());
            }
        }
    });
}

#[test]
fn listeners_of_two_maps_that_write_to_each_other_do_not_nest() {
    on_a_small_stack(|| {
        let keys = dose(8_000, 20_000);
        let clock = ManualClock::new();
        let told = [Told::new(keys), Told::new(keys)];
        let maps: Arc<[OnceLock<Weak<Map>>; 2]> = Arc::default();
        let made = [0, 1].map(|n| {
            let (noting, maps) = (Arc::clone(&told[n]), Arc::clone(&maps));
            listening(&clock, 1 << 20, move |_, key, _| {
                if noting.note(key)
                    && let Some(other) = maps[1 - n].get().and_then(Weak::upgrade)
                {
                    other.insert(keys + key, key);
                }
            })
        });
        for (map, made) in maps.iter().zip(&made) {
            map.set(Arc::downgrade(made)).expect("once");
        }
        (0..keys).for_each(|key| _ = made[0].insert_with_ttl(key, key, ns(1_000_000)));
        put_expired(&made[1], &clock, keys);
        for map in &made {
            map.sweep(Budget::full_pass());
        }
        assert!(deepest() <= 2);
        for (map, told) in made.iter().zip(&told) {
            told.assert_each_once();
            let pin = map.pin();
            assert!((keys..2 * keys).all(|key| pin.contains_key(&key)), "an entry is lost");
        }
    });
}

/// A write at the limit sweeps to make room, within the listener it does not.
#[test]
fn a_listener_of_a_map_at_its_limit_does_not_nest() {
    on_a_small_stack(|| {
        let keys = dose(8_000, 20_000);
        let (clock, told) = (ManualClock::new(), Told::new(keys));
        let noting = Arc::clone(&told);
        let map = listening(&clock, keys as usize, move |map, key, _| {
            // Where there is no room it panics, which is caught.
            if noting.note(key) && key % 500 == 0 {
                map.insert(keys + key, key);
            }
        });
        put_expired(&map, &clock, keys);
        for key in 0..keys / 3 {
            while map.try_reserve(1).is_err() {
                map.sweep(Budget::entries(keys as usize / 2));
            }
            map.insert(2 * keys + key % 10, key);
        }
        map.sweep(Budget::full_pass());
        assert_eq!(deepest(), 1);
        told.assert_each_once();
    });
}

/// A panic of the listener costs that call, not those that wait for it.
#[test]
fn what_waits_for_a_listener_that_panics_is_told() {
    on_a_small_stack(|| {
        const KEYS: u64 = 100;
        let (clock, told) = (ManualClock::new(), Told::new(KEYS));
        let noting = Arc::clone(&told);
        let map = listening(&clock, 1 << 20, move |map, key, _| {
            noting.note(key);
            map.clear();
            boom();
        });
        (0..KEYS).for_each(|key| _ = map.insert(key, key));
        map.clear();
        assert_eq!(deepest(), 1);
        told.assert_each_once();
        assert_eq!(map.len(), 0);
        assert_slots_accounted(&map);
    });
}

/// A listener that is called by the end of a thread.
#[test]
fn the_end_of_a_thread_may_tell_a_listener() {
    struct AtTheEnd(Arc<Map>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            (0..1_000).for_each(|key| _ = self.0.insert(key, key));
            self.0.clear();
        }
    }
    thread_local! { static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) } }

    exclusive(|| {
        let told = Told::new(1_000);
        let noting = Arc::clone(&told);
        let map = listening(&ManualClock::new(), 1 << 20, move |map, key, _| {
            noting.note(key);
            map.insert(key + 1_000, 0);
        });
        let kept = AtTheEnd(Arc::clone(&map));
        let ends = move || KEPT.set(Some(kept));
        thread::spawn(ends).join().expect("no panic");
        told.assert_each_once();
        assert_eq!(map.len(), 1_000);
    });
}

/// A key that carries a word which is not compared.
#[derive(Clone, Copy, Debug)]
struct Spelled(u64, &'static str);

impl PartialEq for Spelled {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Spelled {}

impl Hash for Spelled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

type Endings<K, V> = mpsc::Receiver<(K, V, RemovalCause)>;

/// A map on a clock that is set by hand, of which writes do not sweep, and what its listener was told.
fn told_on_a_clock<K, V>(options: Builder<K, V>) -> (TtlMap<K, V>, ManualClock, Endings<K, V>)
where
    K: Copy + Send + Sync + 'static,
    V: Copy + Send + Sync + 'static,
{
    let (clock, (tell, told)) = (ManualClock::new(), mpsc::channel());
    let options = options
        .clock(clock.clone())
        .sweep_per_write(0)
        .eviction_listener(move |key, value, cause| _ = tell.send((*key, *value, cause)));
    (options.build().expect("valid options"), clock, told)
}

/// Each write that puts an equal key that is not the same. moka's listener gets the old value with the new key
/// (findings/moka-listener-key.sh), so that what hangs on the old one is lost.
#[test]
fn where_an_equal_key_takes_its_place_the_old_key_is_told() {
    exclusive(|| {
        use RemovalCause::{Expired, Explicit, Replaced};
        type Write = fn(&TtlMap<Spelled, u64>, Spelled);
        let writes: [Write; 6] = [
            |map, key| _ = map.pin().insert(key, 2),
            |map, key| _ = map.pin().insert_with_ttl(key, 2, ns(100)),
            |map, key| _ = map.pin().compute(key, |_| Operation::Insert(2)),
            |map, key| _ = map.pin().update(key, |_| 2),
            |map, key| _ = map.pin().update_or_insert_with(key, |_| 2, || 2),
            |map, key| _ = map.pin().replace_if(key, 2, |_| true),
        ];
        let tuple = |(key, value, cause): (Spelled, u64, _)| (key.1, value, cause);
        for (n, write) in writes.into_iter().enumerate() {
            let (map, clock, told) = told_on_a_clock(builder());
            let heard = || told.try_iter().map(tuple).collect::<Vec<_>>();
            map.insert(Spelled(1, "old"), 1);
            write(&map, Spelled(1, "new"));
            assert_eq!(heard(), [("old", 1, Replaced)], "write {n}");
            // What is looked up by is not told, but the key that is there.
            assert!(map.remove(&Spelled(1, "asked")));
            assert_eq!(heard(), [("new", 2, Explicit)], "write {n}");
            map.insert_with_ttl(Spelled(1, "old"), 1, ns(1));
            clock.advance(ns(1));
            write(&map, Spelled(1, "new"));
            map.sweep(Budget::full_pass());
            assert_eq!(heard(), [("old", 1, Expired)], "write {n}");
        }
    });
}

/// In moka the cause hangs on how the deadline was set (findings/moka-expiry-says-replaced.sh).
#[test]
fn an_expired_entry_is_told_as_expired_whoever_set_its_deadline_and_whoever_meets_it() {
    exclusive(|| {
        type Act = fn(&Map, u64);
        let puts: [Act; 4] = [
            |map, key| _ = map.insert(key, 1), // the map's default
            |map, key| _ = map.insert_with_ttl(key, 1, ns(100)),
            |map, key| _ = map.pin().insert_with_deadline(key, 1, map.now() + ns(100)),
            |map, key| {
                let pin = map.pin();
                pin.insert_with_ttl(key, 1, ns(200));
                assert!(pin.set_ttl(&key, ns(100)));
            },
        ];
        let meets: [Act; 6] = [
            |map, key| _ = map.insert(key, 2),
            |map, key| assert_eq!(map.pin().try_insert(key, 2), Ok(&2)),
            |map, key| _ = map.pin().compute(key, |_| Operation::Insert(2)),
            |map, key| _ = map.pin().get_or_insert_with(key, || 2),
            |map, _| map.clear(),
            |map, _| _ = map.sweep(Budget::full_pass()),
        ];
        // These find no entry and end none.
        let passes: [Act; 4] = [
            |map, key| assert_eq!(map.pin().remove(&key), None),
            |map, key| assert_eq!(map.pin().remove_if(&key, |_, _| true), Ok(None)),
            |map, key| {
                let pin = map.pin();
                assert_eq!(pin.compute(key, |_| Operation::Remove), Compute::Unchanged(None));
            },
            |map, key| assert_eq!(map.pin().update(key, |_| 2), None),
        ];
        for (n, put) in puts.into_iter().enumerate() {
            for (m, meet) in meets.into_iter().enumerate() {
                let (map, clock, told) = told_on_a_clock(builder().time_to_live(ns(100)));
                put(&map, 7);
                clock.advance(ns(100));
                for pass in passes {
                    pass(&map, 7);
                }
                assert_eq!(told.try_recv().ok(), None, "put {n}: told by what finds nothing");
                meet(&map, 7);
                let heard: Vec<_> = told.try_iter().collect();
                assert_eq!(heard, [(7, 1, RemovalCause::Expired)], "put {n}, met by {m}");
            }
        }
    });
}
