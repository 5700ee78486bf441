//! One way to drive every map: batches of one monomorphic loop, behind one virtual call each.
//!
//! * **Hasher**: `foldhash::fast::FixedState` with one fixed seed for every map.
//! * **Guards**: where a map has guards, a batch of reads holds one. Writes hold one too and renew
//!   it every [`RENEW`] operations, so that reclamation can go on; so do reads beside writers.
//! * **Each peer's fastest documented way**: `peers.rs` says which calls those are.
//! * Caches get room for far more than is put, so that none evicts; but in `bounded.rs`, where that is the point.

#[cfg(feature = "before")]
mod before;
mod bounded;
mod caches;
mod evanesce;
mod expiring;
mod kinds;
mod limiters;
mod loading;
mod peers;
mod stored;
mod walks;

use std::hint::black_box;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use foldhash::fast::FixedState;

pub(crate) use self::bounded::{Bounded, bounded};
pub(crate) use self::expiring::{expiring, sweepable};
pub(crate) use self::kinds::{Expiring, SWEEP_INTERVAL, Sweepable, Walked};
pub(crate) use self::limiters::limiter;
pub(crate) use self::loading::{Loading, loading};
pub(crate) use self::walks::walked;
use crate::keys::Key;
use crate::measure::Latencies;

/// A guard is renewed after this many operations.
pub(crate) const RENEW: usize = 64;

pub(crate) const EVANESCE: &str = "evanesce";
/// evanesce with a deadline, an hour away, on each entry.
pub(crate) const EVANESCE_TTL: &str = "evanesce+ttl";
/// The same, but the time is a word that a thread sets every millisecond.
pub(crate) const EVANESCE_TICKS: &str = "evanesce+ticks";
/// evanesce, asked for [`MANY`] keys at once.
pub(crate) const EVANESCE_MANY: &str = "evanesce get_many";
/// The older build of these (it has no `+ticks`), where there is one.
pub(crate) const BEFORE: &str = "before";
pub(crate) const BEFORE_TTL: &str = "before+ttl";
pub(crate) const BEFORE_MANY: &str = "before get_many";
pub(crate) const PAPAYA: &str = "papaya";
pub(crate) const DASHMAP: &str = "dashmap";
pub(crate) const SCC_MAP: &str = "scc HashMap";
pub(crate) const SCC_INDEX: &str = "scc HashIndex";
pub(crate) const QUICK_CACHE: &str = "quick_cache";
pub(crate) const MOKA: &str = "moka";
/// moka, told after each insert to do what it puts off.
pub(crate) const MOKA_PROMPT: &str = "moka, prompt";
/// Least recently used; not synchronised.
pub(crate) const LRU: &str = "lru";
/// A rate limiter over a dashmap.
pub(crate) const GOVERNOR: &str = "governor";
pub(crate) const RW_LOCK: &str = "RwLock<HashMap>";
pub(crate) const ARC_SWAP: &str = "ArcSwap<HashMap>";
/// Peers with a deadline, an hour away, on each entry; each lookup reads the exact time.
pub(crate) const PAPAYA_TTL: &str = "papaya+ttl";
pub(crate) const DASHMAP_TTL: &str = "dashmap+ttl";
pub(crate) const MOKA_TTL: &str = "moka+ttl";
/// The same, but the time is a word that a thread sets every millisecond.
pub(crate) const PAPAYA_TICKS: &str = "papaya+ticks";
pub(crate) const DASHMAP_TICKS: &str = "dashmap+ticks";
/// Not synchronised: the limit, not a peer.
pub(crate) const STD: &str = "std HashMap";

/// How many keys `get_many` is given at once.
pub(crate) const MANY: usize = 16;

/// The seconds to a deadline that shall not come in any run.
const HOUR: u64 = 3_600;
/// The seconds to one that does not come in a pass, but is so near that evanesce's default clock is read exactly.
pub(crate) const BRIEF: u64 = 3;

/// How a map of ours is driven.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Asked for one key at a time. Deadlines, where there are some, are an hour away.
    Usual,
    /// Asked for [`MANY`] keys at once.
    Many,
    /// Deadlines are [`BRIEF`] seconds away.
    Briefly,
}

/// Those that take part where maps are read.
pub(crate) fn read() -> Vec<&'static str> {
    entrants(&[EVANESCE, PAPAYA, DASHMAP, SCC_MAP, SCC_INDEX, QUICK_CACHE, RW_LOCK, ARC_SWAP, STD])
}

/// Those that take part where one thread writes.
pub(crate) fn written() -> Vec<&'static str> {
    entrants(&[EVANESCE, PAPAYA, DASHMAP, SCC_MAP, SCC_INDEX, QUICK_CACHE, RW_LOCK, STD])
}

/// Those that take part where maps are written beside other threads.
pub(crate) fn shared() -> Vec<&'static str> {
    entrants(&[EVANESCE, PAPAYA, DASHMAP, SCC_MAP, SCC_INDEX, QUICK_CACHE, RW_LOCK])
}

/// These, and behind each of ours the same of the older build, where there is one.
pub(crate) fn entrants(names: &[&'static str]) -> Vec<&'static str> {
    let with_older = |name: &&'static str| {
        let older = older(name).filter(|_| cfg!(feature = "before"));
        iter::once(*name).chain(older)
    };
    names.iter().flat_map(with_older).collect()
}

/// Each of ours, and what the same of the older build is called.
pub(crate) const OLDER: [(&str, &str); 3] =
    [(EVANESCE, BEFORE), (EVANESCE_TTL, BEFORE_TTL), (EVANESCE_MANY, BEFORE_MANY)];

fn older(ours: &str) -> Option<&'static str> {
    OLDER.iter().find(|(name, _)| *name == ours).map(|(_, older)| *older)
}

/// Which of ours is the same of the present build.
pub(crate) fn newer(before: &str) -> Option<&'static str> {
    OLDER.iter().find(|(_, older)| *older == before).map(|(name, _)| *name)
}

/// Whether it is of this library, of whichever build.
pub(crate) fn is_ours(entrant: &str) -> bool {
    entrant.starts_with(EVANESCE) || newer(entrant).is_some()
}

/// An empty map to which no capacity was given.
pub(crate) fn new<K: Key>(name: &str) -> Box<dyn Peer<K>> {
    match name {
        EVANESCE_MANY => driven(EVANESCE, Way::Many),
        BEFORE_MANY => driven(BEFORE, Way::Many),
        _ => driven(name, Way::Usual),
    }
}

/// The same, driven in this way if it is ours.
pub(crate) fn driven<K: Key>(name: &str, way: Way) -> Box<dyn Peer<K>> {
    use self::evanesce::{entrants, ticking};

    match name {
        EVANESCE => entrants::immortal(entrants::fresh(), way),
        EVANESCE_TTL => entrants::mortal(entrants::fresh(), way),
        EVANESCE_TICKS => entrants::mortal(ticking(), way),
        #[cfg(feature = "before")]
        BEFORE => before::entrants::immortal(before::entrants::fresh(), way),
        #[cfg(feature = "before")]
        BEFORE_TTL => before::entrants::mortal(before::entrants::fresh(), way),
        PAPAYA => peers::papaya::<K, u64>(),
        PAPAYA_TTL => peers::papaya::<K, (u64, Instant)>(),
        PAPAYA_TICKS => peers::papaya::<K, (u64, quanta::Instant)>(),
        DASHMAP => peers::dashmap::<K, u64>(),
        DASHMAP_TTL => peers::dashmap::<K, (u64, Instant)>(),
        DASHMAP_TICKS => peers::dashmap::<K, (u64, quanta::Instant)>(),
        SCC_MAP => peers::scc_map(),
        SCC_INDEX => peers::scc_index(),
        QUICK_CACHE => caches::quick_cache(),
        MOKA => caches::moka(),
        MOKA_TTL => caches::moka_ttl(),
        RW_LOCK => peers::rw_lock(),
        ARC_SWAP => peers::arc_swap(),
        STD => peers::std(),
        other => unreachable!("no map is called {other}"),
    }
}

/// What hashes for every map.
pub(crate) type Hasher = FixedState;

pub(crate) fn hasher() -> Hasher {
    FixedState::with_seed(0x5eed)
}

/// One map, driven a batch at a time.
pub(crate) trait Peer<K>: Send + Sync {
    /// Looks every key up under one guard; says how many were there.
    fn get(&self, keys: &[K]) -> usize;
    /// Puts every key.
    fn insert(&self, keys: &[K]);
    /// Puts every key and stores each one's nanoseconds, from the end of the insert before it; the
    /// first of each [`RENEW`] includes the renewed guard. This thread's processor time is read
    /// before and after each [`RENEW`] inserts, outside their times; `own` takes the differences.
    fn insert_timed(&self, keys: &[K], gaps: &mut [u32], own: &mut Vec<u32>);
    /// Puts the first key of each step and removes the second; says how many were removed.
    fn churn(&self, steps: &[(K, K)]) -> usize;
    /// Looks keys up, round after round, until `stop`; records each lookup's nanoseconds from the
    /// end of the one before it. The guard is renewed every [`RENEW`] lookups.
    fn read_until(&self, keys: &[K], stop: &AtomicBool, latencies: &mut Latencies) -> u64;
    /// Puts keys, round after round, until `stop`; with `removing`, removes every fourth instead.
    /// Says how many calls were made.
    fn write_until(&self, keys: &[K], stop: &AtomicBool, removing: bool) -> u64;
}

/// A map and how to get a guard for it.
trait Map<K: Key>: Send + Sync {
    fn reader(&self) -> impl Reader<K>;
    fn writer(&self) -> impl Writer<K>;
}

/// A guard (or the map itself, where there are none) to read with.
trait Reader<K: Key>: Sized {
    fn get(&mut self, key: &K::Query) -> Option<u64>;

    /// Looks every key up; says how many were there.
    #[inline(always)]
    fn get_all(&mut self, keys: &[K]) -> usize {
        one_by_one(self, keys)
    }

    #[inline(always)]
    fn renew(self) -> Self {
        self
    }
}

/// A guard to write with.
trait Writer<K: Key>: Sized {
    fn insert(&mut self, key: K, value: u64);
    fn remove(&mut self, key: &K::Query) -> bool;

    #[inline(always)]
    fn renew(self) -> Self {
        self
    }
}

impl<K: Key, M: Map<K>> Peer<K> for M {
    fn get(&self, keys: &[K]) -> usize {
        self.reader().get_all(keys)
    }

    fn insert(&self, keys: &[K]) {
        let mut writer = self.writer();
        for chunk in keys.chunks(RENEW) {
            writer = writer.renew();
            for key in chunk {
                put(&mut writer, key);
            }
        }
    }

    fn insert_timed(&self, keys: &[K], gaps: &mut [u32], own: &mut Vec<u32>) {
        assert_eq!(keys.len(), gaps.len());
        let mut writer = self.writer();
        for (chunk, gaps) in keys.chunks(RENEW).zip(gaps.chunks_mut(RENEW)) {
            let before = processor_time();
            let mut last = Instant::now();
            writer = writer.renew();
            for (key, gap) in chunk.iter().zip(gaps) {
                put(&mut writer, key);
                let now = Instant::now();
                *gap = nanos(now - last);
                last = now;
            }
            own.push(nanos(processor_time().saturating_sub(before)));
        }
    }

    fn churn(&self, steps: &[(K, K)]) -> usize {
        let mut writer = self.writer();
        let mut removed = 0;
        for chunk in steps.chunks(RENEW / 2) {
            writer = writer.renew();
            for (fresh, old) in chunk {
                put(&mut writer, fresh);
                removed += usize::from(writer.remove(black_box(old.query())));
            }
        }
        removed
    }

    fn read_until(&self, keys: &[K], stop: &AtomicBool, latencies: &mut Latencies) -> u64 {
        let mut reader = self.reader();
        let mut reads = 0;
        let mut last = Instant::now();
        for chunk in keys.chunks(RENEW).cycle() {
            reader = reader.renew();
            for key in chunk {
                black_box(reader.get(black_box(key.query())));
                let now = Instant::now();
                latencies.record(now - last);
                last = now;
            }
            reads += chunk.len() as u64;
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        reads
    }

    fn write_until(&self, keys: &[K], stop: &AtomicBool, removing: bool) -> u64 {
        let mut writer = self.writer();
        let mut calls = 0_u64;
        for chunk in keys.chunks(RENEW).cycle() {
            writer = writer.renew();
            for key in chunk {
                if removing && calls % 4 == 3 {
                    black_box(writer.remove(black_box(key.query())));
                } else {
                    put(&mut writer, key);
                }
                calls += 1;
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        calls
    }
}

#[inline(always)]
fn one_by_one<K: Key>(reader: &mut impl Reader<K>, keys: &[K]) -> usize {
    let mut found = 0;
    for key in keys {
        if let Some(value) = reader.get(black_box(key.query())) {
            black_box(value);
            found += 1;
        }
    }
    found
}

#[inline(always)]
fn put<K: Key>(writer: &mut impl Writer<K>, key: &K) {
    let key = black_box(key).clone();
    let value = key.value();
    writer.insert(key, value);
}

/// Whole nanoseconds; anything over four seconds reads as `u32::MAX`.
pub(crate) fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

/// For how long this thread has run.
fn processor_time() -> Duration {
    ThreadTime::now().as_duration()
}
