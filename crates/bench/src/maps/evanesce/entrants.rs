//! evanesce: without and with deadlines, asked for one key or many, and with a sweeper or swept by hand.
//!
//! `super::library` is the build that is driven: that of the checkout, or the older one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::library::{Budget, Deadline, Pinned, Sweeper, TtlMap};
use crate::keys::{Key, key};
use crate::maps::kinds::{Expiring, Pass, SWEEP_INTERVAL, Sweepable, Walked, read_all};
use crate::maps::{
    BRIEF, HOUR, Hasher, MANY, Map, Peer, RENEW, Reader, Way, Writer, hasher, one_by_one,
};

/// A map, shared with whoever sweeps it.
pub(crate) type Shared<K> = Arc<TtlMap<K, u64, Hasher>>;

/// An empty map with all defaults.
pub(crate) fn fresh<K>() -> Shared<K> {
    Arc::new(TtlMap::with_hasher(hasher()))
}

/// Without deadlines.
pub(crate) fn immortal<K: Key>(map: Shared<K>, way: Way) -> Box<dyn Peer<K>> {
    match way {
        Way::Many => Box::new(Evanesce::<K, 0, true>(map)),
        Way::Usual | Way::Briefly => Box::new(Evanesce::<K, 0, false>(map)),
    }
}

/// With a deadline on each entry.
pub(crate) fn mortal<K: Key>(map: Shared<K>, way: Way) -> Box<dyn Peer<K>> {
    match way {
        Way::Usual => Box::new(Evanesce::<K, HOUR, false>(map)),
        Way::Many => Box::new(Evanesce::<K, HOUR, true>(map)),
        Way::Briefly => Box::new(Evanesce::<K, BRIEF, false>(map)),
    }
}

/// A map whose entries are put for so many seconds, or for ever where that is 0.
struct Evanesce<K, const SECONDS: u64, const BATCHED: bool>(Shared<K>);

type Plain<K> = Evanesce<K, 0, false>;

struct Pin<'m, K, const SECONDS: u64, const BATCHED: bool>(Pinned<'m, K, u64, Hasher>);

impl<K: Key, const S: u64, const B: bool> Map<K> for Evanesce<K, S, B> {
    fn reader(&self) -> impl Reader<K> {
        Pin::<K, S, B>(self.0.pin())
    }

    fn writer(&self) -> impl Writer<K> {
        Pin::<K, S, B>(self.0.pin())
    }
}

impl<K: Key, const SECONDS: u64, const BATCHED: bool> Reader<K> for Pin<'_, K, SECONDS, BATCHED> {
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

impl<K: Key, const SECONDS: u64, const BATCHED: bool> Writer<K> for Pin<'_, K, SECONDS, BATCHED> {
    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        if SECONDS > 0 {
            black_box(self.0.insert_with_ttl(key, value, Duration::from_secs(SECONDS)));
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

/// A map with a sweeper, as one would run it.
pub(crate) fn expiring(map: Shared<u64>) -> Box<dyn Expiring> {
    Box::new(Swept::of(map))
}

struct Swept {
    plain: Plain<u64>,
    _sweeper: Sweeper,
}

impl Swept {
    fn of(map: Shared<u64>) -> Self {
        let sweeper = Sweeper::spawn(&map, SWEEP_INTERVAL, Budget::full_pass());
        Self { plain: Evanesce(map), _sweeper: sweeper.expect("the system starts a thread") }
    }

    fn map(&self) -> &TtlMap<u64, u64, Hasher> {
        &self.plain.0
    }
}

impl Expiring for Swept {
    fn put(&self, keys: &[u64], until: Option<Instant>) {
        let deadline = until.map_or(Deadline::NEVER, Deadline::from);
        let mut pinned = self.map().pin();
        for chunk in keys.chunks(RENEW) {
            pinned.repin();
            for key in chunk {
                pinned.insert_with_deadline(*key, !key, deadline);
            }
        }
    }

    fn count(&self, keys: &[u64]) -> usize {
        let pinned = self.map().pin();
        keys.iter().filter(|key| pinned.contains_key(*key)).count()
    }

    fn entries(&self) -> usize {
        self.map().len()
    }

    fn reaps_itself(&self) -> bool {
        true
    }

    fn reap(&self) {
        self.map().sweep(Budget::full_pass());
    }

    fn request(&self, key: u64, ttl: Duration) -> bool {
        let pinned = self.map().pin();
        let hit = pinned.get(&key).is_some();
        if !hit {
            pinned.insert_with_ttl(key, !key, ttl);
        }
        hit
    }

    fn peer(&self) -> Option<&dyn Peer<u64>> {
        Some(&self.plain)
    }
}

/// A map that is walked over.
pub(crate) fn walked() -> Box<dyn Walked> {
    Box::new(Evanesce::<u64, 0, false>(fresh()))
}

impl Walked for Plain<u64> {
    fn walk(&self) -> usize {
        read_all(self.0.pin().iter().map(|(key, value)| (*key, *value)))
    }
}

/// A map whose writes do not sweep, with the first `n` keys until a time or for ever.
pub(crate) fn sweepable(n: usize, until: Option<Instant>) -> Box<dyn Sweepable> {
    let deadline = until.map_or(Deadline::NEVER, Deadline::from);
    let map = TtlMap::builder().hasher(hasher()).sweep_per_write(0).build();
    let map: TtlMap<u64, u64, Hasher> = map.expect("0 is in the range");
    let mut pinned = map.pin();
    for i in 0..n {
        if i % RENEW == 0 {
            pinned.repin();
        }
        pinned.insert_with_deadline(key(i), !key(i), deadline);
    }
    drop(pinned);
    Box::new(map)
}

impl Sweepable for TtlMap<u64, u64, Hasher> {
    fn sweep(&self) -> Pass {
        let report = TtlMap::sweep(self, Budget::full_pass());
        Pass { removed: report.removed, pending: report.pending_reclaim }
    }
}
