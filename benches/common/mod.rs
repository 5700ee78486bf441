//! What the three benchmarks share: one hasher, one set of keys, and one way to drive every map.
//!
//! * **Hasher**: `foldhash::fast::FixedState` with one fixed seed for every map, so hashing costs
//!   all of them the same.
//! * **Keys**: `key(i)` is splitmix64, a bijection: indices that differ give keys that differ, so
//!   fresh and missing keys are disjoint from present ones by construction. Orders are uniform
//!   random, computed before the clock starts, and about a million steps long even for the small
//!   maps, so that no branch predictor learns them.
//! * **Guards**: where a map has guards, reads hold one for the whole batch. Writes hold one too
//!   and renew it every [`REPIN`] operations (`repin` for evanesce, drop and `pin` for papaya), so
//!   that reclamation can go on. dashmap and std have none. std is not synchronised at all: it is
//!   the limit, not a peer.
//! * **One loop for all**: the loops below are generic over the map and reached through one virtual
//!   call a batch, so each map gets its own copy of the same loop whichever benchmark runs it.

#![allow(dead_code)] // each benchmark uses its own part of this file

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use evanesce::TtlMap;
use foldhash::fast::FixedState;

/// Writers renew their guard after this many operations.
pub(crate) const REPIN: usize = 64;

/// The entry counts of the first table.
pub(crate) const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// What a smoke run says before its table.
pub(crate) const SMOKE: &str = "smoke run: the figures below mean nothing";

/// How the benchmark was started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `cargo bench`: measure.
    Measure,
    /// `cargo test --benches` or `cargo bench -- --test`: run each path once on a small map,
    /// measure nothing.
    Smoke,
    /// `--list`: say nothing and leave.
    List,
}

/// Reads the mode from the flags cargo passes to a benchmark with `harness = false`.
pub(crate) fn mode() -> Mode {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    if has("--list") {
        Mode::List
    } else if has("--bench") && !has("--test") {
        Mode::Measure
    } else {
        Mode::Smoke
    }
}

fn splitmix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `i`-th key; different for every `i`.
pub(crate) fn key(i: usize) -> u64 {
    splitmix((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The keys of a range of indices, in order of index (an order that says nothing about the hash).
pub(crate) fn keys(range: std::ops::Range<usize>) -> Vec<u64> {
    range.map(key).collect()
}

/// A small random generator for orders, with a fixed seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A uniform number below `n` (the bias is below 2^-40 for the sizes used here).
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(splitmix(self.0)) * n as u128) >> 64) as usize
    }

    pub(crate) fn shuffle(&mut self, items: &mut [u64]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `count` keys drawn uniformly, with replacement, from the first `n`.
    pub(crate) fn draws(&mut self, n: usize, count: usize) -> Vec<u64> {
        (0..count).map(|_| key(self.below(n))).collect()
    }
}

/// Replaces random members of a set of `n` keys by fresh ones, for ever.
pub(crate) struct Churn {
    live: Vec<u64>,
    next: usize,
    rng: Rng,
}

impl Churn {
    /// Starts from the first `n` keys.
    pub(crate) fn new(n: usize) -> Self {
        Self { live: keys(0..n), next: n, rng: Rng::new(0xc4) }
    }

    /// The next `count` steps, each a fresh key to insert and then a random older one to remove.
    pub(crate) fn steps(&mut self, count: usize) -> Vec<(u64, u64)> {
        (0..count)
            .map(|_| {
                let at = self.rng.below(self.live.len());
                let fresh = key(self.next);
                self.next += 1;
                (fresh, std::mem::replace(&mut self.live[at], fresh))
            })
            .collect()
    }
}

/// One map, driven a batch at a time.
pub(crate) trait Peer {
    /// Looks every key up under one guard; says how many were there.
    fn get(&self, keys: &[u64]) -> usize;
    /// Inserts every key; says how many were there before.
    fn insert(&mut self, keys: &[u64]) -> usize;
    /// Inserts every key and stores each one's nanoseconds, from the end of the insert before it;
    /// the first of each [`REPIN`] includes the renewed guard. `cpu` is read before and after each
    /// [`REPIN`] inserts, outside their times; the differences are stored too.
    fn insert_timed(&mut self, keys: &[u64], gaps: &mut [u32], cpu: (fn() -> u64, &mut Vec<u64>));
    /// Removes every key; says how many were there.
    fn remove(&mut self, keys: &[u64]) -> usize;
    /// For each step inserts the first key and removes the second; says how many were removed.
    fn churn(&mut self, steps: &[(u64, u64)]) -> usize;
}

/// A name and a way to make an empty map to which no capacity was given.
pub(crate) type Entrant = (&'static str, fn() -> Box<dyn Peer>);

pub(crate) const EVANESCE: Entrant =
    ("evanesce", || Box::new(Evanesce::<false>(TtlMap::with_hasher(hasher()))));
/// evanesce with a deadline, an hour away, on each entry.
pub(crate) const EVANESCE_TTL: Entrant =
    ("evanesce+ttl", || Box::new(Evanesce::<true>(TtlMap::with_hasher(hasher()))));
pub(crate) const PAPAYA: Entrant =
    ("papaya", || Box::new(papaya::HashMap::<u64, u64, _>::with_hasher(hasher())));
pub(crate) const DASHMAP: Entrant =
    ("dashmap", || Box::new(DashMap::<u64, u64, _>::with_hasher(hasher())));
pub(crate) const STD: Entrant = ("std", || Box::new(HashMap::<u64, u64, _>::with_hasher(hasher())));

fn hasher() -> FixedState {
    FixedState::with_seed(0x5eed)
}

/// A map and how to get a guard for it.
trait Map {
    fn handle(&mut self) -> impl Handle;
    fn reader(&self) -> impl Reader;
}

/// A guard (or the map itself, where there are none) to read with.
trait Reader {
    fn get(&self, key: u64) -> Option<u64>;
}

/// A guard to write with.
trait Handle: Sized {
    fn insert(&mut self, key: u64, value: u64) -> bool;
    fn remove(&mut self, key: u64) -> bool;
    fn renew(self) -> Self;
}

impl<M: Map> Peer for M {
    fn get(&self, keys: &[u64]) -> usize {
        let reader = self.reader();
        let mut found = 0;
        for &key in keys {
            if let Some(value) = reader.get(black_box(key)) {
                black_box(value);
                found += 1;
            }
        }
        found
    }

    fn insert(&mut self, keys: &[u64]) -> usize {
        let mut handle = self.handle();
        let mut replaced = 0;
        for chunk in keys.chunks(REPIN) {
            handle = handle.renew();
            for &key in chunk {
                replaced += usize::from(handle.insert(black_box(key), !key));
            }
        }
        replaced
    }

    fn insert_timed(&mut self, keys: &[u64], gaps: &mut [u32], cpu: (fn() -> u64, &mut Vec<u64>)) {
        assert_eq!(keys.len(), gaps.len());
        let mut handle = self.handle();
        for (chunk, gaps) in keys.chunks(REPIN).zip(gaps.chunks_mut(REPIN)) {
            let before = cpu.0();
            let mut last = Instant::now();
            handle = handle.renew();
            for (&key, gap) in chunk.iter().zip(gaps) {
                black_box(handle.insert(black_box(key), !key));
                let now = Instant::now();
                *gap = nanos(now - last);
                last = now;
            }
            cpu.1.push(cpu.0() - before);
        }
    }

    fn remove(&mut self, keys: &[u64]) -> usize {
        let mut handle = self.handle();
        let mut removed = 0;
        for chunk in keys.chunks(REPIN) {
            handle = handle.renew();
            for &key in chunk {
                removed += usize::from(handle.remove(black_box(key)));
            }
        }
        removed
    }

    fn churn(&mut self, steps: &[(u64, u64)]) -> usize {
        let mut handle = self.handle();
        let mut removed = 0;
        for chunk in steps.chunks(REPIN / 2) {
            handle = handle.renew();
            for &(fresh, old) in chunk {
                black_box(handle.insert(black_box(fresh), !fresh));
                removed += usize::from(handle.remove(black_box(old)));
            }
        }
        removed
    }
}

/// Whole nanoseconds; anything over four seconds reads as `u32::MAX`.
pub(crate) fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

struct Evanesce<const TTL: bool>(TtlMap<u64, u64, FixedState>);

struct EvanescePin<'m, const TTL: bool>(evanesce::Pinned<'m, u64, u64, FixedState>);

impl<const TTL: bool> Map for Evanesce<TTL> {
    fn handle(&mut self) -> impl Handle {
        EvanescePin::<TTL>(self.0.pin())
    }

    fn reader(&self) -> impl Reader {
        EvanescePin::<TTL>(self.0.pin())
    }
}

impl<const TTL: bool> Reader for EvanescePin<'_, TTL> {
    #[inline(always)]
    fn get(&self, key: u64) -> Option<u64> {
        self.0.get(&key).copied()
    }
}

impl<const TTL: bool> Handle for EvanescePin<'_, TTL> {
    #[inline(always)]
    fn insert(&mut self, key: u64, value: u64) -> bool {
        if TTL {
            self.0.insert_with_ttl(key, value, Duration::from_secs(3600)).is_some()
        } else {
            self.0.insert(key, value).is_some()
        }
    }

    #[inline(always)]
    fn remove(&mut self, key: u64) -> bool {
        self.0.remove(&key).is_some()
    }

    #[inline(always)]
    fn renew(mut self) -> Self {
        self.0.repin();
        self
    }
}

type PapayaMap = papaya::HashMap<u64, u64, FixedState>;

struct PapayaPin<'m> {
    map: &'m PapayaMap,
    pin: papaya::HashMapRef<'m, u64, u64, FixedState, papaya::LocalGuard<'m>>,
}

impl Map for PapayaMap {
    fn handle(&mut self) -> impl Handle {
        PapayaPin { map: self, pin: self.pin() }
    }

    fn reader(&self) -> impl Reader {
        PapayaPin { map: self, pin: self.pin() }
    }
}

impl Reader for PapayaPin<'_> {
    #[inline(always)]
    fn get(&self, key: u64) -> Option<u64> {
        self.pin.get(&key).copied()
    }
}

impl Handle for PapayaPin<'_> {
    #[inline(always)]
    fn insert(&mut self, key: u64, value: u64) -> bool {
        self.pin.insert(key, value).is_some()
    }

    #[inline(always)]
    fn remove(&mut self, key: u64) -> bool {
        self.pin.remove(&key).is_some()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        let map = self.map;
        drop(self.pin); // before the next pin: a nested pin would renew nothing
        Self { map, pin: map.pin() }
    }
}

impl Map for DashMap<u64, u64, FixedState> {
    fn handle(&mut self) -> impl Handle {
        &*self
    }

    fn reader(&self) -> impl Reader {
        self
    }
}

impl Reader for &DashMap<u64, u64, FixedState> {
    #[inline(always)]
    fn get(&self, key: u64) -> Option<u64> {
        DashMap::get(self, &key).map(|value| *value)
    }
}

impl Handle for &DashMap<u64, u64, FixedState> {
    #[inline(always)]
    fn insert(&mut self, key: u64, value: u64) -> bool {
        DashMap::insert(self, key, value).is_some()
    }

    #[inline(always)]
    fn remove(&mut self, key: u64) -> bool {
        DashMap::remove(self, &key).is_some()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        self
    }
}

impl Map for HashMap<u64, u64, FixedState> {
    fn handle(&mut self) -> impl Handle {
        self
    }

    fn reader(&self) -> impl Reader {
        self
    }
}

impl Reader for &HashMap<u64, u64, FixedState> {
    #[inline(always)]
    fn get(&self, key: u64) -> Option<u64> {
        HashMap::get(self, &key).copied()
    }
}

impl Handle for &mut HashMap<u64, u64, FixedState> {
    #[inline(always)]
    fn insert(&mut self, key: u64, value: u64) -> bool {
        HashMap::insert(self, key, value).is_some()
    }

    #[inline(always)]
    fn remove(&mut self, key: u64) -> bool {
        HashMap::remove(self, &key).is_some()
    }

    #[inline(always)]
    fn renew(self) -> Self {
        self
    }
}
