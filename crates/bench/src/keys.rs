//! Keys and orders: the same for every map, and made before the clock starts.
//!
//! `key(i)` is splitmix64, a bijection: indices that differ give keys that differ, so fresh and
//! missing keys are disjoint from present ones by construction. Orders are about a million steps
//! long even for small maps, so that no branch predictor learns them.

use std::borrow::Borrow;
use std::hash::Hash;
use std::iter;

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand_distr::Zipf;

/// How unequal the draws of a Zipf stream are, unless a row says otherwise; the usual figure for caches.
const ZIPF_EXPONENT: f64 = 0.99;

/// A key that can be made from its index.
pub(crate) trait Key:
    Clone + Eq + Hash + Borrow<Self::Query> + Send + Sync + 'static
{
    /// What a lookup brings.
    type Query: Eq + Hash + ?Sized;

    /// The `i`-th key; different for every `i`.
    fn nth(i: usize) -> Self;

    /// The value that is put under it.
    fn value(&self) -> u64;

    fn query(&self) -> &Self::Query {
        self.borrow()
    }
}

impl Key for u64 {
    type Query = u64;

    fn nth(i: usize) -> Self {
        key(i)
    }

    fn value(&self) -> u64 {
        !self
    }
}

/// 16 to 32 bytes, the first 16 of them different for every index.
impl Key for String {
    type Query = str;

    fn nth(i: usize) -> Self {
        const LONGEST: usize = 32;
        let key = key(i);
        let mut text = format!("{key:016x}{:016x}", key.rotate_left(32));
        text.truncate(LONGEST / 2 + key as usize % (LONGEST / 2 + 1));
        text.shrink_to_fit();
        text
    }

    fn value(&self) -> u64 {
        self.len() as u64
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
pub(crate) fn keys<K: Key>(range: std::ops::Range<usize>) -> Vec<K> {
    range.map(K::nth).collect()
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

    /// `count` keys drawn uniformly, with replacement, from the first `n`.
    pub(crate) fn draws<K: Key>(&mut self, n: usize, count: usize) -> Vec<K> {
        (0..count).map(|_| K::nth(self.below(n))).collect()
    }
}

/// Where the most frequent keys of a Zipf stream stand in the order in which all were inserted.
///
/// A table with open addressing gives the first comers the best places; so this decides its figures.
#[derive(Clone, Copy)]
pub(crate) enum Hot {
    /// Before all others.
    First,
    /// Anywhere among them, as in YCSB's scrambled stream.
    Scattered,
    /// Behind all others.
    Last,
}

/// `count` keys of the first `n`, drawn by Zipf's law.
pub(crate) fn zipf<K: Key>(n: usize, count: usize, hot: Hot, seed: u64) -> Vec<K> {
    let mut by_rank: Vec<usize> = (0..n).collect();
    match hot {
        Hot::First => {}
        Hot::Scattered => by_rank.shuffle(&mut SmallRng::seed_from_u64(0x5ca7)),
        Hot::Last => by_rank.reverse(),
    }
    ranks(n, ZIPF_EXPONENT, seed).take(count).map(|rank| K::nth(by_rank[rank])).collect()
}

/// Numbers below `n`, drawn by Zipf's law for ever; 0 most often.
pub(crate) fn ranks(n: usize, exponent: f64, seed: u64) -> impl Iterator<Item = usize> {
    let ranks = Zipf::new(n as f64, exponent).expect("n is at least 1, the exponent a constant");
    let mut random = SmallRng::seed_from_u64(seed);
    iter::repeat_with(move || (ranks.sample(&mut random) as usize).clamp(1, n) - 1)
}

/// Makes Zipf streams over the same keys, among whose requests are some for a key that no other request asks for,
/// of whichever stream.
pub(crate) struct Scans {
    n: usize,
    exponent: f64,
    /// One request in so many.
    fresh: usize,
    next: usize,
}

impl Scans {
    pub(crate) fn new(n: usize, exponent: f64, fresh: usize) -> Self {
        Self { n, exponent, fresh, next: n }
    }

    /// The next stream, of `count` requests.
    pub(crate) fn stream(&mut self, count: usize, seed: u64) -> Vec<u64> {
        let mut ranks = ranks(self.n, self.exponent, seed);
        let mut rng = Rng::new(seed);
        (0..count)
            .map(|_| {
                if rng.below(self.fresh) > 0 {
                    return key(ranks.next().expect("it has no end"));
                }
                self.next += 1;
                key(self.next - 1)
            })
            .collect()
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

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn keys_differ_and_strings_are_16_to_32_bytes() {
        let numbers: HashSet<u64> = keys(0..10_000).into_iter().collect();
        assert_eq!(numbers.len(), 10_000);
        let strings: HashSet<String> = keys(0..10_000).into_iter().collect();
        assert_eq!(strings.len(), 10_000);
        let lengths: HashSet<usize> = strings.iter().map(String::len).collect();
        assert_eq!(lengths, (16..=32).collect());
    }

    #[test]
    fn zipf_draws_stay_in_range_and_follow_the_law() {
        const N: usize = 1_000;
        const DRAWS: usize = 200_000;
        let all: HashMap<u64, usize> = (0..N).map(|i| (key(i), i)).collect();
        let mass: f64 = (1..=N).map(|rank| (rank as f64).powf(-ZIPF_EXPONENT)).sum();
        for hot in [Hot::First, Hot::Scattered, Hot::Last] {
            let mut counts = [0; N];
            for key in zipf::<u64>(N, DRAWS, hot, 1) {
                counts[all[&key]] += 1;
            }
            match hot {
                Hot::First => {}
                Hot::Scattered => {
                    assert!(
                        counts[..10].iter().sum::<usize>() < DRAWS / 4,
                        "hot keys are together"
                    );
                    counts.sort_unstable_by(|a, b| b.cmp(a));
                }
                Hot::Last => counts.reverse(),
            }
            for rank in [1, 2, 10] {
                let expected = (rank as f64).powf(-ZIPF_EXPONENT) / mass * DRAWS as f64;
                let seen = counts[rank - 1] as f64;
                assert!((seen / expected - 1.0).abs() < 0.1, "rank {rank}: {seen}, not {expected}");
            }
        }
        assert_eq!(zipf::<u64>(N, 100, Hot::First, 7), zipf::<u64>(N, 100, Hot::First, 7));
    }

    #[test]
    fn scans_ask_once_for_a_quarter_of_their_keys() {
        const N: usize = 1_000;
        let mut scans = Scans::new(N, 0.9, 4);
        let streams = [scans.stream(10_000, 1), scans.stream(10_000, 2)].concat();
        let usual: HashSet<u64> = keys(0..N).into_iter().collect();
        let fresh: Vec<u64> = streams.iter().filter(|key| !usual.contains(*key)).copied().collect();
        assert!((4_700..5_300).contains(&fresh.len()), "{}", fresh.len());
        assert_eq!(fresh.iter().collect::<HashSet<_>>().len(), fresh.len());
    }

    #[test]
    fn churn_inserts_fresh_keys_and_removes_live_ones() {
        let mut live: HashSet<u64> = keys(0..50).into_iter().collect();
        let mut churn = Churn::new(50);
        for (fresh, old) in churn.steps(1_000) {
            assert!(live.insert(fresh));
            assert!(live.remove(&old));
        }
        assert_eq!(live.len(), 50);
    }
}
