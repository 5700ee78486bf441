//! A clock that a thread keeps in a word.

use core::{fmt, time::Duration};
use std::{
    process,
    sync::{Arc, Weak},
};

use arc_swap::ArcSwapWeak;

use super::{Clock, MonotonicClock};
use crate::{
    build_error::{BuildError, check},
    raw::{Now, WipedWord},
    sync::{Ordering, ProcessBox, SettingWord, thread},
};

/// The system's monotonic clock, read ahead: a thread of its own puts the time into a word every millisecond, or as
/// often as it is told, and a map judges its entries by that word. So a lookup of an entry with a deadline takes one
/// load more than that of one without.
///
/// # Error
///
/// An entry may be seen for a tick, plus the delay of that thread, beyond its deadline; and it never vanishes early:
/// deadlines are counted from the exact time.
///
/// The delay is mostly some tens of microseconds, and has no bound: where all processors are busy it is what the
/// scheduler makes of it, and after the process was stopped (`SIGSTOP`, a debugger, a frozen container) the first lookups
/// may come before the thread. So do not use it where an entry must not be seen after its deadline: a revoked
/// permission, a lease, a lock, a limit that somebody is billed by. An entry that is given a deadline which has passed is
/// seen until the next tick as well, and a sweep removes what has expired by the last one.
///
/// # The thread
///
/// Clones share it. It begins with [`shared`](Self::shared) or [`every`](Self::every) and ends, within a tick, when the
/// last clone is gone, also those that maps keep.
///
/// Where there is no such thread each judgement reads the exact time instead: slower, and never wrong. So it is
///
/// - if the system starts no thread;
/// - in a child of a `fork`, which has a copy of the clock and not its thread (there `shared` begins another);
/// - on systems where a child could not tell (all but Linux, Android and Windows).
///
/// # Examples
///
/// ```
/// use evanesce::{TickClock, TtlMap};
/// use std::time::Duration;
///
/// let sessions = TtlMap::<u64, &str>::builder()
///     .time_to_live(Duration::from_secs(1800))
///     .clock(TickClock::shared())
///     .build()?;
/// sessions.insert(1, "ada");
/// assert_eq!(sessions.get_cloned(&1), Some("ada"));
/// # Ok::<_, evanesce::BuildError>(())
/// ```
#[derive(Clone)]
pub struct TickClock(Arc<Ticker>);

struct Ticker {
    /// The last reading, as [`Now::inverted`]; zero where no thread keeps it.
    word: WipedWord,
    tick: Duration,
    process: u32,
}

impl TickClock {
    /// The clock of this process that ticks every millisecond.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Clock, TickClock};
    ///
    /// let clock = TickClock::shared();
    /// assert!(clock.now() <= TickClock::shared().now());
    /// ```
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: ProcessBox<ArcSwapWeak<Ticker>> = ProcessBox::new();
        let shared = SHARED.get_or_init(ArcSwapWeak::default);
        loop {
            let there = shared.load_full();
            // Not that of a parent, which has its thread elsewhere.
            if let Some(ticker) = there.upgrade().filter(|ticker| ticker.process == process::id()) {
                return Self(ticker);
            }
            let new = Self::started(Duration::from_millis(1));
            let before = shared.compare_and_swap(&there, Arc::downgrade(&new.0));
            if Weak::ptr_eq(&before, &there) {
                return new;
            }
        }
    }

    /// A clock that ticks as often as this, with a thread of its own.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if `tick` is not from 100 microseconds to 1 second.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TickClock;
    /// use std::time::Duration;
    ///
    /// let refused = TickClock::every(Duration::from_nanos(5)).unwrap_err();
    /// assert_eq!(refused.to_string(), "tick is 5ns, but must be from 100µs to 1s");
    /// let clock = TickClock::every(Duration::from_millis(10))?;
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn every(tick: Duration) -> Result<Self, BuildError> {
        let tick = check("tick", tick, Duration::from_micros(100), Duration::from_secs(1))?;
        Ok(Self::started(tick))
    }

    /// One with a thread, if the system starts one.
    fn started(tick: Duration) -> Self {
        let ticker = Arc::new(Ticker { word: WipedWord::new(), tick, process: process::id() });
        if let Some(word) = ticker.word.writable() {
            // Before anybody judges by it: what was judged by the exact time must not be judged by an earlier one then.
            set(word);
            let kept = Arc::downgrade(&ticker);
            let thread = thread::Builder::new().name("evanesce-tick".into());
            if thread.spawn(move || keep(&kept)).is_err() {
                word.store(0, Ordering::Relaxed);
            }
        }
        Self(ticker)
    }

    /// Where the last tick stands, as [`Now::inverted`]; zero where no thread keeps it.
    pub(super) fn word(&self) -> WipedWord {
        self.0.word.clone()
    }
}

/// What the thread does, until all clones are gone.
fn keep(kept: &Weak<Ticker>) {
    while let Some(ticker) = kept.upgrade() {
        ticker.word.writable().into_iter().for_each(set);
        let tick = ticker.tick;
        drop(ticker);
        thread::park_timeout(tick);
    }
}

/// Puts the time into a word. One thread at a time, so it never goes back.
fn set(word: &SettingWord) {
    // Relaxed: it is all there is to know.
    word.store(Now::from_tick(MonotonicClock.now()).inverted(), Ordering::Relaxed);
}

impl Clock for TickClock {
    /// Returns the exact time, from which deadlines are to be counted; its origin is that of [`MonotonicClock`].
    fn now(&self) -> u64 {
        MonotonicClock.now()
    }
}

impl fmt::Debug for TickClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TickClock").field("tick", &self.0.tick).finish_non_exhaustive()
    }
}
