//! What the integration tests share. The fuzz target includes `changes.rs`, `hashers.rs`, `ops.rs` and
//! `tally.rs` by path.

pub mod books;
pub mod changes;
mod example;
pub mod hashers;
pub mod history;
#[cfg(all(feature = "maps", debug_assertions, not(planted)))] // optimised crates share no such code
pub mod maps;
pub mod nesting;
pub mod on_drop;
pub mod ops;
pub mod samples;
pub mod sites;
pub mod tally;
mod within;
pub mod world;

pub use within::within;

use evanesce::{Budget, Builder, Clock, Pinned, Stats, Ttl, TtlMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a test may take before it counts as hung, in seconds, unless `EVANESCE_TEST_LIMIT` says otherwise.
const TEST_LIMIT: u64 = 300;

/// How much a test does. Builds without optimisation take seconds for the `full` number: there it is `few`. Optimised ones
/// do it in full, and so do the rungs of the ladder, which have debug assertions and set `EVANESCE_FULL` (`ci/rungs.sh`).
pub fn dose(few: u64, full: u64) -> u64 {
    let is_full = !cfg!(debug_assertions) || std::env::var_os("EVANESCE_FULL").is_some();
    if is_full { full } else { few }
}

/// Runs `test` alone among the tests of this binary, on a thread that has ended (thread-local destructors
/// included) when this returns. Reclamation is shared by all maps of a process: a guard held by another test
/// would delay it; so would a thread that is about to end, so a test joins those it makes. (The end of a scope does not
/// wait for thread-local destructors.) Panics when `test` hangs (see [`TEST_LIMIT`]).
pub fn exclusive(test: impl FnOnce() + Send + 'static) {
    exclusive_boxed(Box::new(test));
}

/// By a box, for the reason that [`within`] has one.
fn exclusive_boxed(test: Box<dyn FnOnce() + Send>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = std::env::var("EVANESCE_TEST_LIMIT")
        .map_or(TEST_LIMIT, |text| text.parse().expect("a number of seconds"));
    within(Duration::from_secs(limit), test);
}

/// A builder of whatever map the caller asks for.
pub fn builder<K, V>() -> Builder<K, V> {
    TtlMap::builder()
}

pub const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// The nanoseconds left: `None` when absent, [`FOREVER`] when the entry never expires.
pub fn left<K: Hash + Eq, V, S: BuildHasher>(p: &Pinned<'_, K, V, S>, key: &K) -> Option<u128> {
    p.ttl(key).map(|ttl| match ttl {
        Ttl::Never => FOREVER,
        Ttl::Remaining(d) => d.as_nanos(),
    })
}

/// What [`left`] answers for an entry without a deadline; more than any `Duration`.
pub const FOREVER: u128 = u128::MAX;

/// Sweeps until nothing is pending. No guard may be held anywhere.
pub fn settle<K, V, S>(map: &TtlMap<K, V, S>) {
    for _ in 0..100 {
        if map.sweep(Budget::full_pass()).pending_reclaim == 0 {
            return;
        }
    }
    panic!("100 full passes left work pending: {:?}", map.stats());
}

/// Asserts that every slot is linked, free or pending.
pub fn assert_slots_accounted<K, V, S>(map: &TtlMap<K, V, S>) -> Stats {
    let stats = map.stats();
    assert_eq!(stats.len, map.len(), "{stats:?}");
    assert_eq!(
        stats.len + stats.free_slots + stats.pending_reclaim,
        stats.slots,
        "a slot is lost or counted twice: {stats:?}"
    );
    stats
}

/// A clock that can be set to any time. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct SetClock(Arc<AtomicU64>);

impl SetClock {
    pub fn at(now: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now)))
    }

    pub fn set(&self, now: u64) {
        let before = self.0.swap(now, Ordering::SeqCst);
        assert!(before <= now, "a clock never runs backwards");
    }
}

impl Clock for SetClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A small generator of pseudo-random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeds from `EVANESCE_SEED` or at random, and prints the seed.
    pub fn from_env() -> Self {
        let seed = std::env::var("EVANESCE_SEED").map_or_else(
            |_| RandomState::new().hash_one(0_u8),
            |text| text.parse().expect("EVANESCE_SEED is a u64"),
        );
        println!("EVANESCE_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The finalizer of `SplitMix64`: spreads every input bit over the output.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
