//! The peers that are maps, each driven in the fastest way its documentation gives.
//!
//! * papaya: one pin for a batch; `insert` and `remove` through it.
//! * dashmap: `get`, whose guard lives for the copy of what is kept, and not for a look at the time.
//! * scc `HashMap`: `read_sync` and `upsert_sync`. scc `HashIndex`: `peek` under one held guard, which
//!   takes no lock; a write is an `entry_sync`, since there is no upsert.
//! * `RwLock<HashMap>`: the lock of std, taken once an operation.
//! * `ArcSwap<HashMap>`: a `Cache` handle, which looks once a get whether there is a newer map (a
//!   held `Guard` would be faster, but never see a write). A write copies the map, so a batch is one
//!   write, and the map takes part only where maps are read.
//! * std: a lock taken once a **batch**: nothing is synchronised within it.
//!
//! papaya and dashmap keep the number alone, or with its deadline: `stored.rs` says how.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::{ArcSwap, Cache};
use dashmap::DashMap;
use scc::hash_index::Entry;

use super::stored::Stored;
use super::{Hasher, Map, Peer, Reader, Writer, hasher};
use crate::keys::Key;

pub(super) fn papaya<K: Key, V: Stored>() -> Box<dyn Peer<K>> {
    Box::new(PapayaMap::<K, V>::with_hasher(hasher()))
}

pub(super) fn dashmap<K: Key, V: Stored>() -> Box<dyn Peer<K>> {
    Box::new(DashMap::<K, V, _>::with_hasher(hasher()))
}

pub(super) fn scc_map<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(scc::HashMap::<K, u64, _>::with_hasher(hasher()))
}

pub(super) fn scc_index<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(scc::HashIndex::<K, u64, _>::with_hasher(hasher()))
}

pub(super) fn rw_lock<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(RwLock::new(StdMap::<K>::with_hasher(hasher())))
}

pub(super) fn arc_swap<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(ArcSwap::from_pointee(StdMap::<K>::with_hasher(hasher())))
}

pub(super) fn std<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(Unsynchronised(RwLock::new(StdMap::<K>::with_hasher(hasher()))))
}

type StdMap<K> = HashMap<K, u64, Hasher>;
type PapayaMap<K, V> = papaya::HashMap<K, V, Hasher>;

struct PapayaPin<'m, K, V> {
    map: &'m PapayaMap<K, V>,
    pin: papaya::HashMapRef<'m, K, V, Hasher, papaya::LocalGuard<'m>>,
}

impl<K: Key, V: Stored> PapayaPin<'_, K, V> {
    #[inline(always)]
    fn renewed(self) -> Self {
        let map = self.map;
        drop(self.pin); // before the next pin: a nested pin would renew nothing
        Self { map, pin: map.pin() }
    }
}

impl<K: Key, V: Stored> Map<K> for PapayaMap<K, V> {
    fn reader(&self) -> impl Reader<K> {
        PapayaPin { map: self, pin: self.pin() }
    }

    fn writer(&self) -> impl Writer<K> {
        PapayaPin { map: self, pin: self.pin() }
    }
}

impl<K: Key, V: Stored> Reader<K> for PapayaPin<'_, K, V> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        self.pin.get(key)?.get()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        self.renewed()
    }
}

impl<K: Key, V: Stored> Writer<K> for PapayaPin<'_, K, V> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        black_box(self.pin.insert(key, V::new(value)));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        self.pin.remove(key).is_some()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        self.renewed()
    }
}

impl<K: Key, V: Stored> Map<K> for DashMap<K, V, Hasher> {
    fn reader(&self) -> impl Reader<K> {
        self
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key, V: Stored> Reader<K> for &DashMap<K, V, Hasher> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        let stored = DashMap::get(self, key).map(|stored| *stored);
        stored?.get()
    }
}

impl<K: Key, V: Stored> Writer<K> for &DashMap<K, V, Hasher> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        black_box(DashMap::insert(self, key, V::new(value)));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        DashMap::remove(self, key).is_some()
    }
}

impl<K: Key> Map<K> for scc::HashMap<K, u64, Hasher> {
    fn reader(&self) -> impl Reader<K> {
        self
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key> Reader<K> for &scc::HashMap<K, u64, Hasher> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        self.read_sync(key, |_, value| *value)
    }
}

impl<K: Key> Writer<K> for &scc::HashMap<K, u64, Hasher> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        black_box(self.upsert_sync(key, value));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        self.remove_sync(key).is_some()
    }
}

type SccIndex<K> = scc::HashIndex<K, u64, Hasher>;

struct SccGuard<'m, K: Key> {
    map: &'m SccIndex<K>,
    guard: scc::Guard,
}

impl<K: Key> Map<K> for SccIndex<K> {
    fn reader(&self) -> impl Reader<K> {
        SccGuard { map: self, guard: scc::Guard::new() }
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key> Reader<K> for SccGuard<'_, K> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        self.map.peek(key, &self.guard).copied()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        let Self { map, guard } = self;
        drop(guard);
        Self { map, guard: scc::Guard::new() }
    }
}

impl<K: Key> Writer<K> for &SccIndex<K> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        match self.entry_sync(key) {
            Entry::Occupied(mut entry) => entry.update(value),
            Entry::Vacant(entry) => {
                black_box(entry.insert_entry(value));
            }
        }
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        self.remove_sync(key)
    }
}

impl<K: Key> Map<K> for RwLock<StdMap<K>> {
    fn reader(&self) -> impl Reader<K> {
        self
    }

    fn writer(&self) -> impl Writer<K> {
        self
    }
}

impl<K: Key> Reader<K> for &RwLock<StdMap<K>> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        StdMap::get(&lock_to_read(self), key).copied()
    }
}

impl<K: Key> Writer<K> for &RwLock<StdMap<K>> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        black_box(StdMap::insert(&mut lock_to_write(self), key, value));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        StdMap::remove(&mut lock_to_write(self), key).is_some()
    }
}

impl<K: Key> Map<K> for ArcSwap<StdMap<K>> {
    fn reader(&self) -> impl Reader<K> {
        Cache::new(self)
    }

    fn writer(&self) -> impl Writer<K> {
        Copy { place: self, map: StdMap::clone(&self.load()) }
    }
}

impl<K: Key> Reader<K> for Cache<&ArcSwap<StdMap<K>>, Arc<StdMap<K>>> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        self.load().get(key).copied()
    }
}

/// A copy that takes the map's place when it is dropped.
struct Copy<'m, K: Key> {
    place: &'m ArcSwap<StdMap<K>>,
    map: StdMap<K>,
}

impl<K: Key> Writer<K> for Copy<'_, K> {
    fn insert(&mut self, key: K, value: u64) {
        self.map.insert(key, value);
    }

    fn remove(&mut self, key: &K::Query) -> bool {
        self.map.remove(key).is_some()
    }
}

impl<K: Key> Drop for Copy<'_, K> {
    fn drop(&mut self) {
        self.place.store(Arc::new(std::mem::take(&mut self.map)));
    }
}

struct Unsynchronised<K>(RwLock<StdMap<K>>);

impl<K: Key> Map<K> for Unsynchronised<K> {
    fn reader(&self) -> impl Reader<K> {
        lock_to_read(&self.0)
    }

    fn writer(&self) -> impl Writer<K> {
        lock_to_write(&self.0)
    }
}

impl<K: Key> Reader<K> for RwLockReadGuard<'_, StdMap<K>> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        StdMap::get(self, key).copied()
    }
}

impl<K: Key> Writer<K> for RwLockWriteGuard<'_, StdMap<K>> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        black_box(StdMap::insert(self, key, value));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        StdMap::remove(self, key).is_some()
    }
}

#[inline(always)]
fn lock_to_read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

#[inline(always)]
fn lock_to_write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
