//! Calls that go through many entries: each has its turn once, the call ends, and reclamation goes on meanwhile.

use crate::common::hashers::Hashing;
use crate::common::sites::{boom, caught};
use crate::common::{assert_slots_accounted, builder, dose, exclusive, ns, settle};
use equivalent::Equivalent;
use evanesce::{Lookup, ManualClock, RemovalCause, TtlMap};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

type Map = TtlMap<u64, u64, Hashing>;

/// Hashes that spread, and those that put all keys in one run, or few.
const HASHINGS: [Hashing; 3] = [Hashing::Sip, Hashing::Constant, Hashing::FewBits];

fn map(hashing: Hashing, keys: u64) -> Map {
    let map = builder().hasher(hashing).build().expect("valid options");
    (0..keys).for_each(|key| _ = map.insert(key, 0));
    map
}

// Retain and clear.

/// `retain` met what its closure put behind it, asked about that, and so on.
#[test]
fn retain_asks_about_each_entry_once_whatever_its_closure_puts() {
    exclusive(|| {
        for hashing in HASHINGS {
            for keys in [1, 4, 100] {
                let map = map(hashing, keys);
                let mut asked = BTreeMap::<u64, u32>::new();
                map.retain(|key, value| {
                    *asked.entry(*key).or_default() += 1;
                    assert_eq!(*value, 0, "asked about what was put meanwhile");
                    map.insert(*key, value + 1);
                    true
                });
                assert_eq!(asked, (0..keys).map(|key| (key, 1)).collect(), "{hashing:?}");
                assert!((0..keys).all(|key| map.get_cloned(&key) == Some(1)));
            }
        }
    });
}

/// As above, with keys that were not there: removed by the closure, or what it says, and put again.
#[test]
fn retain_ends_though_its_closure_puts_keys_anew() {
    exclusive(|| {
        for hashing in HASHINGS {
            for keep in [false, true] {
                let map = map(hashing, 100);
                let mut asked = vec![0; 100];
                map.retain(|key, value| {
                    asked[*key as usize] += 1;
                    map.remove(key);
                    map.insert(*key, value + 1);
                    keep
                });
                assert!(asked.iter().all(|times| *times == 1), "{hashing:?}: {asked:?}");
                assert!((0..100).all(|key| map.get_cloned(&key) == Some(1)), "what was put stays");
                assert_eq!(map.len(), 100);
            }
        }
    });
}

/// Each entry that the closure puts may lie ahead, and be asked about, and lead to more.
#[test]
fn retain_ends_though_its_closure_puts_twenty_keys_for_one() {
    exclusive(|| {
        for hashing in [Hashing::Sip, Hashing::Identity] {
            let map = map(hashing, 500);
            let (mut asked, mut next) = (vec![0; 500], 500_u64);
            let mut more = 0;
            map.retain(|key, _| {
                for _ in 0..20 {
                    map.insert(next, 0);
                    next += 1;
                }
                match asked.get_mut(*key as usize) {
                    Some(times) => *times += 1,
                    None => more += 1,
                }
                assert!(more < 10_000, "no end");
                true
            });
            assert!(asked.iter().all(|times| *times == 1));
        }
    });
}

/// Each entry that was there has its turn, in its bucket of the level at the call.
#[test]
fn retain_removes_what_it_is_told_though_the_map_grows_and_shrinks_meanwhile() {
    exclusive(|| {
        const KEYS: u64 = 2_000;
        let map = map(Hashing::Sip, KEYS);
        let mut asked = vec![0; KEYS as usize];
        let mut next = KEYS;
        let growths = map.stats().growths;
        map.retain(|key, _| {
            if let Some(times) = asked.get_mut(*key as usize) {
                *times += 1;
                if *key % 2 == 0 && next < 6 * KEYS {
                    (0..10).for_each(|n| _ = map.insert(next + n, 1));
                    next += 10;
                }
            }
            if next >= 6 * KEYS {
                map.shrink_to_fit();
            }
            key % 3 == 0
        });
        assert!(map.stats().growths > growths);
        assert!(asked.iter().all(|times| *times == 1));
        assert!((0..KEYS).all(|key| map.contains_key(&key) == (key % 3 == 0)));
        settle(&map);
        assert_slots_accounted(&map);
    });
}

/// A map for so many keys, whose listener puts each back.
fn reviving(hashing: Hashing, keys: usize, told: &Arc<AtomicUsize>) -> Arc<Map> {
    let map: Arc<OnceLock<Weak<Map>>> = Arc::default();
    let (theirs, told) = (Arc::clone(&map), Arc::clone(told));
    let built = builder()
        .hasher(hashing)
        .eviction_listener(move |key: &u64, value: &u64, cause| {
            assert_eq!(cause, RemovalCause::Explicit);
            told.fetch_add(1, Ordering::Relaxed);
            if let Some(map) = theirs.get().and_then(Weak::upgrade) {
                assert!(map.len() < keys, "not counted");
                map.insert(*key, value + 1);
            }
        })
        .build();
    let built = Arc::new(built.expect("valid options"));
    map.set(Arc::downgrade(&built)).expect("once");
    built
}

/// `clear` met what the listener put back, and so on.
#[test]
fn clear_removes_each_entry_once_whatever_its_listener_puts() {
    exclusive(|| {
        for hashing in HASHINGS {
            let told = Arc::new(AtomicUsize::new(0));
            let keys = dose(600, 1_000); // more than the lines of one pin have
            let map = reviving(hashing, keys as usize, &told);
            (0..keys).for_each(|key| _ = map.insert(key, 0));
            map.clear();
            assert_eq!(told.swap(0, Ordering::Relaxed) as u64, keys);
            assert!((0..keys).all(|key| map.get_cloned(&key) == Some(1)), "{hashing:?}");
            map.retain(|key, _| key % 2 == 0);
            assert_eq!(told.load(Ordering::Relaxed) as u64, keys / 2);
            assert!((0..keys).all(|key| map.get_cloned(&key) == Some(1 + key % 2)));
            assert_eq!(map.len() as u64, keys);
        }
    });
}

/// The listener and the closure see what was ended as ended, and a panic finds it counted.
#[test]
fn what_retain_has_removed_is_counted_though_its_closure_panics() {
    exclusive(|| {
        for hashing in HASHINGS {
            let map = map(hashing, 100);
            let mut asked = 0;
            let panicked = caught(|| {
                map.retain(|_, _| {
                    assert_eq!(map.len(), 100 - asked, "{hashing:?}");
                    asked += 1;
                    if asked == 50 {
                        boom();
                    }
                    false
                });
            });
            assert!(panicked.is_none());
            assert_eq!((map.len(), map.live_len()), (51, 51));
            settle(&map);
            assert_slots_accounted(&map);
        }
    });
}

/// An entry in whose place another one was put is asked about as the other one, before it was its turn.
#[test]
fn retain_asks_about_the_entry_that_is_there_when_a_key_has_its_turn() {
    exclusive(|| {
        for hashing in HASHINGS {
            let map = map(hashing, 10);
            let mut asked = Vec::new();
            map.retain(|key, value| {
                if asked.is_empty() {
                    (0..10).filter(|other| other != key).for_each(|other| _ = map.insert(other, 7));
                }
                asked.push((*key, *value));
                *value == 0
            });
            let sevens = asked.iter().filter(|(_, value)| *value == 7).count();
            assert_eq!((asked.len(), sevens, map.len()), (10, 9, 1), "{hashing:?}: {asked:?}");
        }
    });
}

// Iteration.

/// In a run of colliding keys one that was removed and put again stands behind the others, ahead of the walk.
#[test]
fn no_key_is_seen_twice_though_it_is_removed_and_put_again() {
    exclusive(|| {
        for hashing in HASHINGS {
            for keys in [1, 2, 3, 50] {
                let map = map(hashing, keys);
                let pin = map.pin();
                let mut seen = BTreeMap::<u64, u32>::new();
                for (key, _) in &pin {
                    *seen.entry(*key).or_default() += 1;
                    pin.remove(key);
                    pin.insert(*key, 1);
                    if *key > 0 {
                        pin.remove(&(key - 1));
                        pin.insert(key - 1, 1);
                    }
                }
                assert!(seen.values().all(|times| *times == 1), "{hashing:?}: {seen:?}");
                let entries = pin.iter_entries();
                let mut seen = 0;
                for entry in entries {
                    pin.remove(entry.key());
                    pin.insert(*entry.key(), 1);
                    seen += 1;
                }
                assert_eq!(seen, keys);
            }
        }
    });
}

/// A key that is replaced, over and over, is seen; once.
#[test]
fn a_key_of_a_run_that_is_replaced_while_an_iterator_stands_on_it_is_seen_once() {
    exclusive(|| {
        for keys in [2, 3, 20] {
            let map = map(Hashing::Constant, keys);
            let pin = map.pin();
            let mut seen = Vec::new();
            for (key, value) in &pin {
                seen.push(*key);
                assert!(*value <= 3 * (seen.len() as u64 - 1));
                (0..keys).for_each(|key| {
                    (0..3).for_each(|_| _ = pin.insert(key, pin.get(&key).unwrap() + 1));
                });
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..keys).collect::<Vec<_>>());
        }
    });
}

/// A clone of an iterator goes on from where it was.
#[test]
fn a_clone_of_an_iterator_within_a_run_yields_the_rest() {
    exclusive(|| {
        for hashing in HASHINGS {
            let map = map(hashing, 10);
            let pin = map.pin();
            let mut iter = pin.iter();
            for left in (0..10).rev() {
                iter.next();
                assert_eq!(iter.clone().count(), left);
            }
        }
    });
}

// Pins.

/// A value that, where it is cloned or compared, puts an entry into another map.
struct Busy(Arc<TtlMap<u64, u64>>, Arc<AtomicU64>);

impl Busy {
    fn work(&self) {
        self.0.insert(0, 0);
        self.1.fetch_max(self.0.stats().pending_reclaim as u64, Ordering::Relaxed);
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.work();
        Self(Arc::clone(&self.0), Arc::clone(&self.1))
    }
}

impl PartialEq for Busy {
    fn eq(&self, _: &Self) -> bool {
        self.work();
        true
    }
}

/// A clone held a pin of the old map all the time beside that of the new one, and so kept all memory from all maps.
#[test]
fn what_is_removed_while_a_map_is_cloned_or_compared_is_reclaimed() {
    exclusive(|| {
        const KEYS: u64 = 5_000;
        let most = Arc::default();
        let value = Busy(Arc::default(), Arc::clone(&most));
        let clock = ManualClock::new();
        let map: TtlMap<u64, Busy> = builder().clock(clock.clone()).build().expect("valid options");
        (0..KEYS).for_each(|key| _ = map.insert_with_ttl(key, value.clone(), ns(10 + key)));
        settle(&value.0);
        most.store(0, Ordering::Relaxed);
        let copy = map.clone();
        assert!(most.swap(0, Ordering::Relaxed) < 1_000, "{most:?} waited for a clone");
        settle(&value.0);
        assert!(map == copy);
        assert!(most.load(Ordering::Relaxed) < 1_000, "{most:?} waited for a comparison");
        // And it is a clone, with its deadlines.
        clock.advance(ns(1_010));
        assert_eq!((copy.len() as u64, copy.live_len() as u64), (KEYS, KEYS - 1_001));
        copy.remove(&(KEYS - 1));
        assert!(map != copy);
    });
}

// Refresh.

/// A key that is equal now, and now is not.
struct Fickle(Cell<u32>);

impl Hash for Fickle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(1);
    }
}

impl Equivalent<u64> for Fickle {
    fn equivalent(&self, _: &u64) -> bool {
        self.0.set(self.0.get() + 1);
        assert!(self.0.get() < 1_000, "no end");
        self.0.get() % 2 == 1
    }
}

/// The lookup found the entry that the find did not, over and over.
#[test]
fn a_refresh_ends_though_its_key_is_equal_now_and_not_then() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> = builder().clock(clock).build().expect("valid options");
        let pin = map.pin();
        pin.insert_with_ttl(1, 1, ns(10));
        let fickle = Fickle(Cell::new(0));
        assert!(matches!(pin.get_or_refresh(&fickle, ns(100)), Lookup::Missing));
        fickle.0.set(1);
        assert!(matches!(pin.get_or_refresh(&fickle, ns(100)), Lookup::Missing));
        assert!(matches!(pin.get_or_refresh(&1, ns(100)), Lookup::Refresh(1, _)));
    });
}
