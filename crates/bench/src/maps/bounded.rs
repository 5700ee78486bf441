//! Maps with a maximum of entries, asked as one asks a read-through cache.
//!
//! * evanesce with `max_entries`; `quick_cache` and moka with as much room, of weight 1 each. Numbers of shards
//!   and whatever else they choose themselves are their defaults.
//! * moka makes room some inserts later, and holds more meanwhile: with room for 71 it was seen with 120. `moka, prompt`
//!   is told to do it after each insert, by `run_pending_tasks`; it takes part only in hit ratios.
//! * lru is not synchronised. Its lock is taken once a batch; it takes part only in hit ratios.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use quick_cache::UnitWeighter;
use quick_cache::sync::DefaultLifecycle;

use super::caches::{Moka, QuickCache};
use super::{
    EVANESCE, Hasher, LRU, MOKA, MOKA_PROMPT, Peer, QUICK_CACHE, Reader, Writer, evanesce, hasher,
    put,
};

/// A map from numbers to numbers that makes room for what is put.
pub(crate) trait Bounded: Send + Sync {
    /// Looks each key up and puts it if it is not there; says how many were there.
    fn request(&self, keys: &[u64]) -> usize;
    /// Only looks them up.
    fn get(&self, keys: &[u64]) -> usize;
    /// How many entries there are, once all that was put off is done.
    fn entries(&self) -> usize;
}

/// An empty map with room for so many entries.
pub(crate) fn bounded(name: &str, entries: usize) -> Box<dyn Bounded> {
    match name {
        EVANESCE => Box::new(evanesce::bounded(entries)),
        QUICK_CACHE => Box::new(QuickCache::<u64>::with(
            entries,
            entries as u64,
            UnitWeighter,
            hasher(),
            DefaultLifecycle::default(),
        )),
        MOKA => Box::new(moka(entries)),
        MOKA_PROMPT => Box::new(Prompt(moka(entries))),
        LRU => {
            let room = NonZeroUsize::new(entries).expect("a bound is not 0");
            Box::new(Lru(Mutex::new(LruCache::with_hasher(room, hasher()))))
        }
        other => unreachable!("no map with a bound is called {other}"),
    }
}

fn moka(entries: usize) -> Moka<u64> {
    let builder = moka::sync::Cache::<u64, u64>::builder().max_capacity(entries as u64);
    builder.build_with_hasher(hasher())
}

impl Bounded for QuickCache<u64> {
    fn request(&self, keys: &[u64]) -> usize {
        requested(self, keys)
    }

    fn get(&self, keys: &[u64]) -> usize {
        Peer::get(self, keys)
    }

    fn entries(&self) -> usize {
        self.len()
    }
}

impl Bounded for Moka<u64> {
    fn request(&self, keys: &[u64]) -> usize {
        requested(self, keys)
    }

    fn get(&self, keys: &[u64]) -> usize {
        Peer::get(self, keys)
    }

    fn entries(&self) -> usize {
        self.run_pending_tasks();
        self.entry_count() as usize
    }
}

/// What `request` says of a map without guards.
fn requested(mut map: impl Reader<u64> + Writer<u64>, keys: &[u64]) -> usize {
    let mut found = 0;
    for key in keys {
        if let Some(value) = map.get(black_box(key)) {
            black_box(value);
            found += 1;
        } else {
            put(&mut map, key);
        }
    }
    found
}

struct Prompt(Moka<u64>);

impl Bounded for Prompt {
    fn request(&self, keys: &[u64]) -> usize {
        let is_there = |key: &&u64| {
            let hit = self.0.get(*key).is_some();
            if !hit {
                self.0.insert(**key, !**key);
                self.0.run_pending_tasks();
            }
            hit
        };
        keys.iter().filter(is_there).count()
    }

    fn get(&self, keys: &[u64]) -> usize {
        Bounded::get(&self.0, keys)
    }

    fn entries(&self) -> usize {
        self.0.entries()
    }
}

struct Lru(Mutex<LruCache<u64, u64, Hasher>>);

impl Bounded for Lru {
    fn request(&self, keys: &[u64]) -> usize {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |key: &&u64| {
            let hit = cache.get(*key).is_some();
            if !hit {
                cache.put(**key, !**key);
            }
            hit
        };
        keys.iter().filter(is_there).count()
    }

    fn get(&self, keys: &[u64]) -> usize {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter(|key| cache.get(*key).is_some()).count()
    }

    fn entries(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::keys;

    #[test]
    fn every_map_keeps_its_bound_and_says_what_was_there() {
        const ROOM: usize = 1_000;
        for name in [EVANESCE, QUICK_CACHE, MOKA, MOKA_PROMPT, LRU] {
            let map = bounded(name, ROOM);
            assert_eq!(map.request(&keys(0..10 * ROOM)), 0, "{name}");
            // Shards of quick_cache round their shares of the room up.
            let entries = map.entries();
            assert!((ROOM / 2..=ROOM + ROOM / 10).contains(&entries), "{name}: {entries}");
            assert_eq!(map.get(&keys(0..10 * ROOM)), entries, "{name}");
            assert_eq!(map.get(&keys(10 * ROOM..11 * ROOM)), 0, "{name}");
        }
    }

    #[test]
    fn lru_gives_up_what_was_used_longest_ago() {
        let map = bounded(LRU, 2);
        assert_eq!(map.request(&[1, 2, 1, 3]), 1);
        assert_eq!(map.get(&[1, 2, 3]), 2);
        assert_eq!(map.get(&[2]), 0);
    }
}
