//! What a map does by itself, changeable while it is in use.

use core::{cell::Cell, time::Duration};
use std::hash::{BuildHasher, RandomState};

use arc_swap::ArcSwap;

use crate::{
    build_error::{BuildError, check},
    clock::nanos,
    raw::State,
    sync::{Ordering, SettingWord, per_thread},
};

/// Slots that each write sweeps by default. Where all has expired, a whole pass then takes a quarter as many
/// writes as there are slots, so at a steady rate of inserts at most a quarter more slots are in use than
/// there are live entries; it costs a write about 10 ns, and nothing on a map without deadlines.
pub(crate) const SWEEP_PER_WRITE: usize = 4;

/// The largest useful value: at 1,024 a write looks at some kilobytes of slots.
const MAX_SWEEP_PER_WRITE: usize = 1024;

/// What a map does by itself: the default TTL, and how much writes sweep.
///
/// From [`TtlMap::policy`](crate::TtlMap::policy), to be changed and given to
/// [`TtlMap::set_policy`](crate::TtlMap::set_policy). Other threads see the old one or the new one, whole.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The time to live of entries that are put without one; `None`: they never expire.
    pub time_to_live: Option<Duration>,
    /// The share of `time_to_live` by which it is shortened at most, at random for each entry, so that those that
    /// were put together do not expire at one instant: 0.0 to 1.0. One past the clock's range means "never" with
    /// any share.
    pub ttl_jitter: f64,
    /// How many slots each write checks for expired entries, on average: 0 to 1,024. With 0 only
    /// [`TtlMap::sweep`](crate::TtlMap::sweep) and a [`Sweeper`](crate::Sweeper) give their memory back.
    pub sweep_per_write: usize,
}

impl Default for Policy {
    /// No time to live, no jitter, four slots a write.
    fn default() -> Self {
        Self { time_to_live: None, ttl_jitter: 0.0, sweep_per_write: SWEEP_PER_WRITE }
    }
}

impl Policy {
    /// That all is in its range.
    pub(crate) fn checked(self) -> Result<Self, BuildError> {
        check("sweep_per_write", self.sweep_per_write, 0, MAX_SWEEP_PER_WRITE)?;
        check("ttl_jitter", self.ttl_jitter, 0.0, 1.0)?;
        Ok(self)
    }

    /// A time to live for one more entry.
    fn draw(&self) -> Option<Duration> {
        let ttl = self.time_to_live?;
        // One that no deadline is as far off as means "never", and is not shortened.
        if self.ttl_jitter == 0.0 || ttl.is_zero() || State::until(nanos(ttl)).is_never() {
            return Some(ttl);
        }
        // A nanosecond at least, since zero would be absent at once.
        let drawn = ttl.mul_f64(1.0 - self.ttl_jitter * random());
        Some(drawn.max(Duration::from_nanos(1)))
    }
}

/// The policy of a map, swapped whole. Reads of the map never load it.
pub(crate) struct Live {
    policy: ArcSwap<Policy>,
    /// Whether it ever had a time to live: until then a write does not load it.
    had_ttl: SettingWord,
}

impl Live {
    pub(crate) fn new(policy: Policy) -> Self {
        let had_ttl = SettingWord::new(policy.time_to_live.is_some().into());
        Self { policy: ArcSwap::from_pointee(policy), had_ttl }
    }

    pub(crate) fn get(&self) -> Policy {
        (**self.policy.load()).clone()
    }

    pub(crate) fn set(&self, policy: Policy) {
        if policy.time_to_live.is_some() {
            // Release, and before the policy: a write that misses it came before this one.
            self.had_ttl.store(1, Ordering::Release);
        }
        self.policy.store(policy.into());
    }

    /// A time to live for an entry that is put without one.
    #[inline]
    pub(crate) fn draw_ttl(&self) -> Option<Duration> {
        // Acquire: as above.
        if self.had_ttl.load(Ordering::Acquire) != 0 { self.load_and_draw() } else { None }
    }

    #[inline(never)]
    fn load_and_draw(&self) -> Option<Duration> {
        self.policy.load().draw()
    }
}

per_thread! { static RANDOM: Cell<u64> = Cell::new(0) }

/// A number from 0 below 1, of a sequence of this thread's (Steele, Lea and Flood's `SplitMix64`, 2014).
fn random() -> f64 {
    let next = |state: &Cell<u64>| {
        if state.get() == 0 {
            state.set(RandomState::new().hash_one(0_u8));
        }
        state.set(state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let z = state.get();
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 32) as u32
    };
    f64::from(RANDOM.with(next)) / f64::from(2.0_f32.powi(32))
}
