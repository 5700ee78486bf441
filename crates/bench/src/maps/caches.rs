//! The peers that are caches. They copy values out, and have room for far more than is put.
//!
//! * `quick_cache`: `get`, which marks the entry as used; `peek` would not, but a cache that is only
//!   peeked at is none.
//! * moka: `get`, `insert`, `remove` of the synchronous cache, without a limit of entries. With
//!   deadlines, by its `time_to_live`.

use std::hint::black_box;
use std::time::Duration;

use quick_cache::sync::DefaultLifecycle;
use quick_cache::{OptionsBuilder, UnitWeighter};

use super::{HOUR, Hasher, Map, Peer, Reader, Writer, hasher};
use crate::keys::Key;

/// Of each weight 1: more than any row puts.
const ROOM: u64 = 1 << 40;
/// What `quick_cache` sizes its shards and its memory of evicted keys (there are none) by.
const EXPECTED: usize = 10_000_000;

pub(super) fn quick_cache<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(roomy::<K>())
}

pub(super) fn moka<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(unbounded::<K>())
}

pub(super) fn roomy<K: Key>() -> QuickCache<K> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(EXPECTED)
        .weight_capacity(ROOM)
        .build()
        .expect("both options that have no default are given");
    let lifecycle = DefaultLifecycle::default();
    QuickCache::<K>::with_options(options, UnitWeighter, hasher(), lifecycle)
}

pub(super) fn unbounded<K: Key>() -> Moka<K> {
    moka::sync::Cache::<K, u64>::builder().build_with_hasher(hasher())
}

pub(super) fn moka_ttl<K: Key>() -> Box<dyn Peer<K>> {
    let builder = moka::sync::Cache::<K, u64>::builder().time_to_live(Duration::from_secs(HOUR));
    Box::new(builder.build_with_hasher(hasher()))
}

pub(super) type QuickCache<K> = quick_cache::sync::Cache<K, u64, UnitWeighter, Hasher>;
pub(super) type Moka<K> = moka::sync::Cache<K, u64, Hasher>;

impl<K: Key> Map<K> for QuickCache<K> {
    fn reader(&self) -> impl Reader<K> {
        self
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key> Reader<K> for &QuickCache<K> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        QuickCache::get(self, key)
    }
}

impl<K: Key> Writer<K> for &QuickCache<K> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        QuickCache::insert(self, key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        black_box(QuickCache::remove(self, key)).is_some()
    }
}

impl<K: Key> Map<K> for Moka<K> {
    fn reader(&self) -> impl Reader<K> {
        self
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key> Reader<K> for &Moka<K> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        Moka::get(self, key)
    }
}

impl<K: Key> Writer<K> for &Moka<K> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        Moka::insert(self, key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        Moka::remove(self, key).is_some()
    }
}
