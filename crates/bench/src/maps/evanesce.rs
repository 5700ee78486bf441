//! evanesce: plain, with a deadline on each entry, and with `get_many`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use evanesce::{Pinned, TtlMap};

use super::{Hasher, MANY, Map, Peer, Reader, Writer, hasher, one_by_one};
use crate::keys::Key;

/// The deadline of `evanesce+ttl`: far enough not to come in any run.
const TTL: Duration = Duration::from_secs(3600);

pub(super) fn plain<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(Plain::<K>::of(fresh()))
}

pub(super) fn with_ttl<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(Evanesce::<K, true, false>(fresh()))
}

pub(super) fn many<K: Key>() -> Box<dyn Peer<K>> {
    Box::new(Evanesce::<K, false, true>(fresh()))
}

fn fresh<K>() -> Arc<TtlMap<K, u64, Hasher>> {
    Arc::new(TtlMap::with_hasher(hasher()))
}

/// A map, shared with a sweeper where there is one.
pub(super) struct Evanesce<K, const MORTAL: bool, const BATCHED: bool>(Arc<TtlMap<K, u64, Hasher>>);

pub(super) type Plain<K> = Evanesce<K, false, false>;

impl<K> Plain<K> {
    pub(super) fn of(map: Arc<TtlMap<K, u64, Hasher>>) -> Self {
        Self(map)
    }

    pub(super) fn map(&self) -> &TtlMap<K, u64, Hasher> {
        &self.0
    }
}

struct Pin<'m, K, const MORTAL: bool, const BATCHED: bool>(Pinned<'m, K, u64, Hasher>);

impl<K: Key, const M: bool, const B: bool> Map<K> for Evanesce<K, M, B> {
    fn reader(&self) -> impl Reader<K> {
        Pin::<K, M, B>(self.0.pin())
    }

    fn writer(&self) -> impl Writer<K> {
        Pin::<K, M, B>(self.0.pin())
    }
}

impl<K: Key, const MORTAL: bool, const BATCHED: bool> Reader<K> for Pin<'_, K, MORTAL, BATCHED> {
    #[inline(always)]
    fn get(&mut self, key: &K::Query) -> Option<u64> {
        self.0.get(key).copied()
    }

    #[inline(always)]
    fn get_all(&mut self, keys: &[K]) -> usize {
        if !BATCHED {
            return one_by_one(self, keys);
        }
        let mut found = 0;
        let mut values = Vec::with_capacity(MANY);
        for chunk in keys.chunks(MANY) {
            evanesce_get_many(&self.0, black_box(chunk), &mut values);
            for value in values.drain(..).flatten() {
                black_box(*value);
                found += 1;
            }
        }
        found
    }

    #[inline(always)]
    fn renew(mut self) -> Self {
        self.0.repin();
        self
    }
}

/// Looks all of `keys` up at once; `values` takes what each has, in order.
#[inline(always)]
fn evanesce_get_many<'p, K: Key>(
    pinned: &'p Pinned<'_, K, u64, Hasher>,
    keys: &[K],
    values: &mut Vec<Option<&'p u64>>,
) {
    values.clear();
    pinned.get_many_into(keys.iter().map(Key::query), values);
}

impl<K: Key, const MORTAL: bool, const BATCHED: bool> Writer<K> for Pin<'_, K, MORTAL, BATCHED> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        if MORTAL {
            black_box(self.0.insert_with_ttl(key, value, TTL));
        } else {
            black_box(self.0.insert(key, value));
        }
    }

    #[inline(always)]
    fn remove(&mut self, key: &K::Query) -> bool {
        self.0.remove(key).is_some()
    }

    #[inline(always)]
    fn renew(mut self) -> Self {
        self.0.repin();
        self
    }
}
