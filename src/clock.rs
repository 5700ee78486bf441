//! Time: the clocks a map can run on, points in time, and what is left of it.

use core::{any::Any, fmt, ops::Add, time::Duration};
use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::Instant,
};

#[allow(unsafe_code)] // calls the C library
mod coarse;
mod tick;

pub use tick::TickClock;

use coarse::Coarse;

use crate::{
    raw::{Now, State, WipedWord},
    sync::{AtomicU64, Ordering, ProcessBox, planted},
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
///
/// # Trade-offs
///
/// Such a reading costs some 25 ns, and more in a stream of lookups, which it keeps from overlapping. On
/// Linux and Android a map therefore looks at the system's coarse clock first, which costs 5 ns and lags
/// by a few milliseconds: an entry whose deadline is more than 4 s past the coarse time has not expired.
/// This trusts that the coarse clock never lags by 4 s; where it may (the host stops one processor of a
/// virtual machine for so long and lets another run on), build the map with
/// [`clock(MonotonicClock)`](crate::Builder::clock), which reads the exact time for each judgement.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl MonotonicClock {
    /// The origin, and what a map's [`Coarse`] is made from.
    fn origin() -> (Instant, Option<Now>) {
        static ORIGIN: ProcessBox<(Instant, Option<Now>)> = ProcessBox::new();
        #[cfg(test)]
        uses::count();
        *ORIGIN.get_or_init(|| {
            // The coarse clock's origin comes first: so its ticks are never too small for that.
            let latest_at_boot = Coarse::latest_at_boot();
            (Instant::now(), latest_at_boot)
        })
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> u64 {
        nanos(Self::origin().0.elapsed())
    }
}

/// How often this thread has asked for the system's clock: a map that has another must never.
#[cfg(test)]
pub(crate) mod uses {
    use core::cell::Cell;

    crate::sync::per_thread! { static USES: Cell<u32> = Cell::new(0) }

    pub(super) fn count() {
        USES.with(|uses| uses.set(uses.get() + 1));
    }

    #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
    pub(crate) fn so_far() -> u32 {
        USES.with(Cell::get)
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
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Clock, ManualClock};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let copy = clock.clone();
    /// clock.advance(Duration::from_micros(2));
    /// assert_eq!(copy.now(), 2_000);
    /// clock.advance(Duration::MAX);
    /// assert_eq!(copy.now(), u64::MAX);
    /// ```
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
        Self(clock.now()) + ttl
    }

    /// The time from `earlier` to this point; zero if this is not the later one.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::Deadline;
    /// use std::time::Duration;
    ///
    /// let earlier = Deadline::from_nanos(40);
    /// let later = earlier + Duration::from_nanos(2);
    /// assert_eq!(later.saturating_duration_since(earlier), Duration::from_nanos(2));
    /// assert_eq!(earlier.saturating_duration_since(later), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The point, in nanoseconds after the origin of the map's clock.
    ///
    /// # Examples
    ///
    /// ```
    /// let deadline = evanesce::Deadline::from_nanos(42);
    /// assert_eq!(deadline.as_nanos(), 42);
    /// ```
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn state(self) -> State {
        State::until(self.0)
    }

    /// The deadline of a living state; `None` if it never expires.
    pub(crate) fn of(state: State) -> Option<Self> {
        state.tick().map(Self)
    }
}

impl Add<Duration> for Deadline {
    type Output = Self;

    /// The point so much later; past the range it is [`Deadline::NEVER`].
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }
}

impl From<Instant> for Deadline {
    /// The same point on a [`MonotonicClock`] or a [`TickClock`]; it means nothing on another clock. An instant
    /// from before the clock's origin has passed.
    fn from(at: Instant) -> Self {
        Self(nanos(at.saturating_duration_since(MonotonicClock::origin().0)))
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
///
/// These are all the cases there are, and none will be added, so a `match` needs no `_`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    /// It stays until it is removed.
    Never,
    /// It expires after this much time.
    Remaining(Duration),
}

/// The clock of one map, or of several. The default costs no dynamic call.
#[derive(Clone)]
pub(crate) struct ClockSource {
    /// The last tick of a [`TickClock`], as [`Now::inverted`]; zero where there is none.
    last: WipedWord,
    coarse: Coarse,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Monotonic(Instant),
    Tick(TickClock),
    Custom(Arc<dyn Clock>),
}

// A clock that panics ends the call that read it, and nothing is half done then.
impl UnwindSafe for ClockSource {}
impl RefUnwindSafe for ClockSource {}

impl ClockSource {
    pub(crate) fn monotonic() -> Self {
        let (origin, latest_at_boot) = MonotonicClock::origin();
        let (last, coarse) = (WipedWord::zero(), Coarse::new(latest_at_boot));
        Self { last, coarse, source: Source::Monotonic(origin) }
    }

    pub(crate) fn of(clock: impl Clock) -> Self {
        let (last, source) = match (&clock as &dyn Any).downcast_ref::<TickClock>() {
            Some(clock) => (clock.word(), Source::Tick(clock.clone())),
            None => (WipedWord::zero(), Source::Custom(Arc::new(clock))),
        };
        Self { last, coarse: Coarse::new(None), source }
    }

    /// The present, from which deadlines are counted.
    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        match &self.source {
            Source::Monotonic(origin) => nanos(origin.elapsed()),
            Source::Tick(clock) => clock.now(),
            Source::Custom(clock) => clock.now(),
        }
    }

    /// The reading by which entries are judged: the last tick if there is one, or the present.
    #[inline]
    pub(crate) fn now(&self) -> Now {
        Now::from_inverted(self.last.load()).unwrap_or_else(|| Now::from_tick(self.tick()))
    }

    /// Whether an entry in this state is visible by the last tick. Where there is none: false.
    #[inline]
    pub(crate) fn is_before_deadline(&self, state: State) -> bool {
        state.inverted() < self.last.load()
    }

    /// Whether an entry in this state is visible by the coarse clock.
    #[inline]
    pub(crate) fn is_far(&self, state: State) -> bool {
        self.coarse.reading_before(state).is_some()
    }

    /// A reading to judge this state by: [`ClockSource::now`], or a later one at which it is visible still.
    #[inline]
    pub(crate) fn reading_for(&self, state: State) -> Now {
        self.coarse.reading_before(state).unwrap_or_else(|| self.late())
    }

    /// The same for a write, which moves the horizon on with the exact time that it reads: so the next one does not ask the
    /// coarse clock in vain.
    #[inline]
    pub(crate) fn reading_to_write(&self, state: State) -> Now {
        self.coarse.reading_before(state).unwrap_or_else(|| {
            let now = self.late();
            self.coarse.note(now);
            now
        })
    }

    /// The same as `now`, out of line: few lookups come to it.
    #[cold]
    #[inline(never)]
    fn late(&self) -> Now {
        self.now()
    }

    /// How long an entry that is visible by `now` has to live: by the exact time, where that is another, and not zero.
    pub(crate) fn left_of(&self, state: State, now: Now) -> Duration {
        let exact = match &self.source {
            Source::Tick(clock) => Now::from_tick(clock.now()),
            _ => now,
        };
        state.remaining(exact).max(Duration::from_nanos(1))
    }

    /// The state of an entry that lives for `ttl` from now. No reading for one that saturates, or of zero.
    pub(crate) fn state_after(&self, ttl: Duration) -> State {
        match nanos(ttl) {
            0 if !planted!(passed_deadline_is_stored) => State::OVER,
            u64::MAX => State::NEVER,
            ttl => {
                let now = Now::from_tick(self.tick());
                self.coarse.note(now);
                now.plus(ttl)
            }
        }
    }
}

impl fmt::Debug for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Monotonic(_) => "Monotonic",
            Source::Tick(_) => "Tick",
            Source::Custom(_) => "Custom",
        })
    }
}

/// Whole nanoseconds, saturating at 584 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
