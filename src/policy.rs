//! What a map does by itself, changeable while it is in use.

use core::{cell::Cell, time::Duration};
use std::hash::{BuildHasher, RandomState};

use arc_swap::ArcSwapOption;

use crate::{
    build_error::{BuildError, check, refuse_if},
    clock::{ClockSource, nanos},
    raw::{Limit, State},
    sync::{Ordering, SettingWord, per_thread},
};

/// Slots that each write sweeps by default. Where all has expired, a whole pass then takes a quarter as many
/// writes as there are slots, so at a steady rate of inserts at most a quarter more slots are in use than
/// there are live entries; it costs a write about 10 ns, and nothing on a map without deadlines.
pub(crate) const SWEEP_PER_WRITE: usize = 4;

/// The largest useful value: at 1,024 a write looks at some kilobytes of slots.
const MAX_SWEEP_PER_WRITE: usize = 1024;

/// That so many entries leave room for what had to go, and waits until no pinned thread may see it.
pub(crate) fn check_entries(entries: Option<usize>, slots: usize) -> Result<(), BuildError> {
    let most = (slots - slots / 8).saturating_sub(2);
    let but = "max_slots leaves no room for what had to go";
    refuse_if(entries.is_some() && most == 0, "max_entries", but)?;
    check("max_entries", entries.unwrap_or(1), 1, most.max(1)).map(drop)
}

/// What a map may weigh at most: sums of weights stay far from the end of their words.
const MAX_WEIGHT: u64 = 1 << 62;

/// What a map does by itself: the default TTL, how long what has expired is kept, how much writes sweep, and how much
/// there may be.
///
/// From [`TtlMap::policy`](crate::TtlMap::policy), to be changed and given to
/// [`TtlMap::set_policy`](crate::TtlMap::set_policy). Other threads see the old one or the new one, whole. Ranges are
/// checked there.
///
/// It gets more fields in time, so it is made from another one, by a method a field or by setting fields.
///
/// # Examples
///
/// ```
/// use evanesce::{Policy, TtlMap};
/// use std::time::Duration;
///
/// let map = TtlMap::<&str, u32>::builder().max_entries(1000).build()?;
/// // One setting, the others as they are:
/// map.set_policy(map.policy().time_to_live(Duration::from_secs(60)))?;
/// map.set_policy(map.policy().max_entries(500))?;
/// assert_eq!(map.policy().time_to_live, Some(Duration::from_secs(60)));
///
/// // All of them:
/// let night = Policy::default().time_to_live(Duration::from_secs(3600)).ttl_jitter(0.1).max_entries(100);
/// map.set_policy(night.clone())?;
/// assert_eq!(map.policy(), night);
/// map.set_policy(night.time_to_live(None))?; // what is put from now on never expires
/// # Ok::<_, evanesce::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The time to live of entries that are put without one; `None`: they never expire.
    pub time_to_live: Option<Duration>,
    /// The time to live of entries that are put without one, of which each hit begins anew. Only for a map that was
    /// [built](crate::Builder::time_to_idle) with one, and not beside `time_to_live`.
    pub time_to_idle: Option<Duration>,
    /// How long an entry that has expired is kept for [`Pinned::get_stale`](crate::Pinned::get_stale).
    pub grace: Duration,
    /// The share of `time_to_live` by which it is shortened at most, at random for each entry, so that those that
    /// were put together do not expire at one instant: 0.0 to 1.0. One past the clock's range means "never" with
    /// any share.
    pub ttl_jitter: f64,
    /// How many slots each write checks for expired entries, on average: 0 to 1,024. With 0 only
    /// [`TtlMap::sweep`](crate::TtlMap::sweep) and a [`Sweeper`](crate::Sweeper) give their memory back.
    pub sweep_per_write: usize,
    /// How many entries there may be: 1 to seven eighths of the map's slots, less two; `None`: as many as there are
    /// slots. Only for a map that was [built](crate::Builder::max_entries) with a maximum of entries.
    pub max_entries: Option<usize>,
    /// What all entries may weigh together: 1 to 2^62; `None`: anything. Only for a map that was
    /// [built](crate::Builder::max_weight) with a maximum weight.
    pub max_weight: Option<u64>,
}

impl Default for Policy {
    /// No time to live nor to idle, no grace, no jitter, four slots a write, no maximum.
    fn default() -> Self {
        Self {
            time_to_live: None,
            time_to_idle: None,
            grace: Duration::ZERO,
            ttl_jitter: 0.0,
            sweep_per_write: SWEEP_PER_WRITE,
            max_entries: None,
            max_weight: None,
        }
    }
}

impl Policy {
    /// Returns this policy with another [`time_to_live`](Policy#structfield.time_to_live), or `None` for none.
    #[must_use]
    pub fn time_to_live(self, time_to_live: impl Into<Option<Duration>>) -> Self {
        Self { time_to_live: time_to_live.into(), ..self }
    }

    /// Returns this policy with another [`time_to_idle`](Policy#structfield.time_to_idle), or `None` for none.
    #[must_use]
    pub fn time_to_idle(self, time_to_idle: impl Into<Option<Duration>>) -> Self {
        Self { time_to_idle: time_to_idle.into(), ..self }
    }

    /// Returns this policy with another [`grace`](Policy#structfield.grace).
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Returns this policy with another [`ttl_jitter`](Policy#structfield.ttl_jitter).
    #[must_use]
    pub fn ttl_jitter(self, ttl_jitter: f64) -> Self {
        Self { ttl_jitter, ..self }
    }

    /// Returns this policy with another [`sweep_per_write`](Policy#structfield.sweep_per_write).
    #[must_use]
    pub fn sweep_per_write(self, sweep_per_write: usize) -> Self {
        Self { sweep_per_write, ..self }
    }

    /// Returns this policy with another [`max_entries`](Policy#structfield.max_entries), or `None` for none.
    #[must_use]
    pub fn max_entries(self, max_entries: impl Into<Option<usize>>) -> Self {
        Self { max_entries: max_entries.into(), ..self }
    }

    /// Returns this policy with another [`max_weight`](Policy#structfield.max_weight), or `None` for none.
    #[must_use]
    pub fn max_weight(self, max_weight: impl Into<Option<u64>>) -> Self {
        Self { max_weight: max_weight.into(), ..self }
    }

    /// That all is in its range.
    pub(crate) fn checked(self) -> Result<Self, BuildError> {
        check("sweep_per_write", self.sweep_per_write, 0, MAX_SWEEP_PER_WRITE)?;
        check("ttl_jitter", self.ttl_jitter, 0.0, 1.0)?;
        check("max_weight", self.max_weight.unwrap_or(1), 1, MAX_WEIGHT)?;
        let nanosecond = Duration::from_nanos(1);
        check("time_to_idle", self.time_to_idle.unwrap_or(nanosecond), nanosecond, Duration::MAX)?;
        let are_both = self.time_to_idle.is_some() && self.time_to_live.is_some();
        refuse_if(are_both, "time_to_idle", "so is time_to_live: an entry has one deadline")?;
        Ok(self)
    }

    /// Whether an entry that is put without a TTL gets a deadline.
    fn gives_deadlines(&self) -> bool {
        self.time_to_live.is_some() || self.time_to_idle.is_some()
    }

    /// The limit of a map that is being built with this policy, with a weigher or without.
    pub(crate) fn first_limit(&self, is_weighed: bool) -> Result<Option<Limit>, BuildError> {
        let (entries, weight) = (self.max_entries, self.max_weight);
        refuse_if(entries.is_some() && weight.is_some(), "max_weight", "so is max_entries")?;
        refuse_if(weight.is_some() && !is_weighed, "max_weight", "no weigher")?;
        refuse_if(is_weighed && weight.is_none(), "weigher", "no max_weight")?;
        let entries = entries.map(|most| Limit::Entries(most as u64));
        Ok(entries.or(weight.map(Limit::Weight)))
    }

    /// The limit by this policy of a map that has had this one.
    pub(crate) fn next_limit(&self, limit: Option<Limit>) -> Result<Option<Limit>, BuildError> {
        let (entries, weight) = (self.max_entries, self.max_weight);
        let (by_entries, by_weight) = match limit {
            Some(Limit::Entries(_)) => (true, false),
            Some(Limit::Weight(_)) => (false, true),
            None => (false, false),
        };
        refuse_if(entries.is_some() && !by_entries, "max_entries", "the map was built without it")?;
        refuse_if(weight.is_some() && !by_weight, "max_weight", "the map was built without it")?;
        Ok(limit.map(|limit| match limit {
            Limit::Entries(_) => Limit::Entries(entries.map_or(MAX_WEIGHT, |most| most as u64)),
            Limit::Weight(_) => Limit::Weight(weight.unwrap_or(MAX_WEIGHT)),
        }))
    }

    /// `time_to_idle`, in nanoseconds; zero for none.
    pub(crate) fn idle_nanos(&self) -> u64 {
        self.time_to_idle.map_or(0, nanos)
    }

    /// The state of one more entry.
    fn first_state(&self, clock: &ClockSource) -> State {
        if let Some(idle) = self.time_to_idle {
            return clock.state_after(idle).sliding();
        }
        self.draw().map_or(State::NEVER, |ttl| clock.state_after(ttl))
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
    /// None: the default one, which most maps have, and which takes no memory so.
    policy: ArcSwapOption<Policy>,
    /// Whether it ever gave entries a deadline: until then a write does not load it.
    had_ttl: SettingWord,
}

impl Live {
    pub(crate) fn new(policy: Policy) -> Self {
        let had_ttl = SettingWord::new(policy.gives_deadlines().into());
        let policy = (policy != Policy::default()).then_some(policy);
        Self { policy: ArcSwapOption::from_pointee(policy), had_ttl }
    }

    pub(crate) fn get(&self) -> Policy {
        self.policy.load().as_deref().cloned().unwrap_or_default()
    }

    pub(crate) fn set(&self, policy: Policy) {
        if policy.gives_deadlines() {
            // Release, and before the policy: a write that misses it came before this one.
            self.had_ttl.store(1, Ordering::Release);
        }
        self.policy.store(Some(policy.into()));
    }

    /// The state of an entry that is put without a TTL.
    #[inline]
    pub(crate) fn first_state(&self, clock: &ClockSource) -> State {
        // Acquire: as above.
        let may_have_ttl = self.had_ttl.load(Ordering::Acquire) != 0;
        if may_have_ttl { self.load_first_state(clock) } else { State::NEVER }
    }

    #[inline(never)]
    fn load_first_state(&self, clock: &ClockSource) -> State {
        self.policy.load().as_ref().map_or(State::NEVER, |policy| policy.first_state(clock))
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
