//! Time: the clocks a map can run on, points in time, and what is left of it.

use core::{fmt, time::Duration};
use std::{sync::Arc, time::Instant};

use crate::{
    raw::{Now, State},
    sync::{AtomicU64, OnceLock, Ordering, planted},
};

/// A source of monotonic time for a map.
///
/// A reading must not be smaller than one that happened before it. A clock that breaks this costs
/// wrong answers about expiry, and at worst a call that goes on while it jumps to and fro; one that
/// panics ends the call; neither breaks the map.
pub trait Clock: Send + Sync + 'static {
    /// Returns the nanoseconds since the clock's own origin.
    fn now(&self) -> u64;
}

/// The operating system's monotonic clock; the default.
///
/// Its origin is the first use in the process, so that all its copies agree. It is read through
/// [`Instant`], which orders the reading behind the loads before it (on x86-64 the raw time-stamp
/// counter is cheaper but may be read before an earlier load, and a map decides by that order).
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl MonotonicClock {
    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> u64 {
        nanos(Self::origin().elapsed())
    }
}

/// A clock that stands still until it is moved, for tests.
///
/// Clones share their time.
///
/// # Examples
///
/// ```
/// use evanesce::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(clock.now(), 5_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Creates a clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Moves time forward by `by`; past the last nanosecond of 584 years it stays there.
    pub fn advance(&self, by: Duration) {
        // AcqRel (O8): time that a thread saw pass is time for whoever it tells.
        let step = |now: u64| Some(now.saturating_add(nanos(by)));
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> u64 {
        // A read-modify-write (O8): readings are totally ordered, as those of a real clock are.
        self.0.fetch_add(0, Ordering::AcqRel)
    }
}

/// A point in time of a map's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

impl Deadline {
    /// The deadline that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the origin of the map's clock. A point past the range
    /// of 146 years counts as [`Deadline::NEVER`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `ttl` after the present of `clock`, which must be the map's, or one that shares
    /// its time. Past the range it is [`Deadline::NEVER`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Deadline, ManualClock};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_nanos(40));
    /// let deadline = Deadline::after(&clock, Duration::from_nanos(2));
    /// assert_eq!(deadline, Deadline::from_nanos(42));
    /// assert_eq!(Deadline::after(&clock, Duration::MAX), Deadline::NEVER);
    /// ```
    #[must_use]
    pub fn after(clock: &impl Clock, ttl: Duration) -> Self {
        Self(clock.now().saturating_add(nanos(ttl)))
    }

    pub(crate) fn state(self) -> State {
        State::until(self.0)
    }
}

impl From<Instant> for Deadline {
    /// The same point on a [`MonotonicClock`]; it means nothing on another clock. An instant from
    /// before the clock's origin has passed.
    fn from(at: Instant) -> Self {
        Self(nanos(at.saturating_duration_since(MonotonicClock::origin())))
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            f.write_str("Deadline::NEVER")
        } else {
            write!(f, "Deadline::from_nanos({})", self.0)
        }
    }
}

/// How long an entry has to live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    /// It stays until it is removed.
    Never,
    /// It expires after this much time.
    Remaining(Duration),
}

/// The clock of one map. The default costs no dynamic call.
pub(crate) enum ClockSource {
    Monotonic(Instant),
    Custom(Box<dyn Clock>),
}

impl ClockSource {
    pub(crate) fn monotonic() -> Self {
        Self::Monotonic(MonotonicClock::origin())
    }

    #[inline]
    fn tick(&self) -> u64 {
        match self {
            Self::Monotonic(origin) => nanos(origin.elapsed()),
            Self::Custom(clock) => clock.now(),
        }
    }

    /// The present.
    #[inline]
    pub(crate) fn now(&self) -> Now {
        Now::from_tick(self.tick())
    }

    /// The state of an entry that lives for `ttl` from now. No reading for one that saturates, or of zero.
    pub(crate) fn state_after(&self, ttl: Duration) -> State {
        match nanos(ttl) {
            0 if !planted!(zero_ttl_is_the_present) => State::OVER,
            u64::MAX => State::NEVER,
            ttl => self.now().plus(ttl),
        }
    }
}

impl fmt::Debug for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monotonic(_) => "Monotonic",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Whole nanoseconds, saturating at 584 years.
#[inline]
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
