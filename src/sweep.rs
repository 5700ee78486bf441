//! Sweeping by hand and by a thread.

use core::{fmt, time::Duration};
use std::{
    io,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use crate::{
    clock::{Clock, MonotonicClock},
    map::TtlMap,
    raw::Table,
    sync::{AtomicBool, Ordering, thread},
};

/// How much a call of [`TtlMap::sweep`] may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget(Limit);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limit {
    Entries(usize),
    Time(Duration),
    FullPass,
}

impl Budget {
    /// Looks at `slots` slots, going on where the last sweep stopped, and at each once at most. Of 64 slots
    /// in which nothing is due, one look tells; where something is, it looks at all 64, even if that is more.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::new();
    /// (0..6400).for_each(|n| _ = map.insert_with_ttl(n, n, Duration::from_secs(60)));
    /// let report = map.sweep(Budget::entries(10));
    /// assert!(report.examined <= 10 && !report.completed_pass);
    /// ```
    #[must_use]
    pub const fn entries(slots: usize) -> Self {
        Self(Limit::Entries(slots))
    }

    /// Goes on for about `time`, of the system's clock whatever the map's is (so it panics where
    /// [`Instant`](std::time::Instant) does), but not more than once round. The time is checked every 1,024 slots,
    /// counted as in [`Budget::entries`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<u32, u32>::new();
    /// let report = map.sweep(Budget::time(Duration::from_millis(1)));
    /// assert_eq!(report.removed, 0);
    /// ```
    #[must_use]
    pub const fn time(time: Duration) -> Self {
        Self(Limit::Time(time))
    }

    /// Goes once round (a write that is in progress, or another sweep, may keep an entry from it until the next), finishes an index that is half grown, drops all keys and values of removed entries
    /// that no pinned thread may see, and gives memory back that is worth it.
    #[must_use]
    pub const fn full_pass() -> Self {
        Self(Limit::FullPass)
    }

    pub(crate) fn run<T>(self, table: &Table<T>) -> SweepReport {
        let swept = match self.0 {
            Limit::Entries(slots) => {
                table.sweep_some(u32::try_from(slots).unwrap_or(u32::MAX), || false)
            }
            Limit::Time(time) => {
                let start = MonotonicClock.now();
                let spent = || Duration::from_nanos(MonotonicClock.now().saturating_sub(start));
                table.sweep_some(u32::MAX, || spent() >= time)
            }
            Limit::FullPass => table.sweep_all(),
        };
        SweepReport {
            examined: swept.examined,
            removed: swept.removed,
            completed_pass: swept.wrapped,
            max_lag: swept.max_lag,
            pending_reclaim: table.pending(),
        }
    }
}

/// What a sweep did, from [`TtlMap::sweep`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepReport {
    /// Slots looked at; where one look told that nothing in 64 of them was due, one.
    pub examined: usize,
    /// Expired entries removed.
    pub removed: usize,
    /// Whether the sweep came to the end of the slots.
    pub completed_pass: bool,
    /// The longest time between the deadline of an entry, the map's [grace](crate::Builder::grace) added, and its removal
    /// by this sweep.
    pub max_lag: Duration,
    /// Removed entries, by whomever, whose keys and values are not dropped yet.
    pub pending_reclaim: usize,
}

/// A thread that sweeps a map at an interval.
///
/// It holds the map weakly and ends, within an interval, when the map is gone. Dropping the sweeper stops the thread and
/// waits for its end (a sweeper dropped by its own thread, in the `Drop` of a value say, only stops
/// it). A panic in the `Drop` of a key or value costs that sweep, not the thread. A child of a fork has no such
/// thread; dropping the sweeper there does nothing.
///
/// # Examples
///
/// ```
/// use evanesce::{Budget, Sweeper, TtlMap};
/// use std::{sync::Arc, time::Duration};
///
/// let map = Arc::new(TtlMap::<String, String>::new());
/// let sweeper = Sweeper::spawn(&map, Duration::from_millis(100), Budget::full_pass())?;
/// # drop(sweeper);
/// # Ok::<_, std::io::Error>(())
/// ```
#[must_use = "the thread stops when the sweeper is dropped"]
pub struct Sweeper {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    /// The process that has the thread.
    process: u32,
}

// It has no part in what its thread does, whose panics are caught there.
impl UnwindSafe for Sweeper {}
impl RefUnwindSafe for Sweeper {}

impl Sweeper {
    /// Starts a thread named `evanesce-sweeper` that calls [`TtlMap::sweep`] with `budget` and then
    /// waits for `interval`, over and over.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    pub fn spawn<K, V, S>(
        map: &Arc<TtlMap<K, V, S>>,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Self>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        Self::spawn_with(map, interval, budget, |_| {})
    }

    /// As [`Sweeper::spawn`], and calls `report` after each sweep, on the sweeper's thread, with what was done. A
    /// panic in it costs that call.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::{Arc, mpsc}, time::Duration};
    ///
    /// let map = Arc::new(TtlMap::new());
    /// map.insert_with_ttl("a", 1, Duration::ZERO);
    /// let (tell, told) = mpsc::channel();
    /// let report = move |report| _ = tell.send(report);
    /// let sweeper = Sweeper::spawn_with(&map, Duration::from_secs(60), Budget::full_pass(), report)?;
    /// assert_eq!(told.recv().unwrap().removed, 1);
    /// # drop(sweeper);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn spawn_with<K, V, S>(
        map: &Arc<TtlMap<K, V, S>>,
        interval: Duration,
        budget: Budget,
        mut report: impl FnMut(SweepReport) + Send + 'static,
    ) -> io::Result<Self>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let map: Weak<_> = Arc::downgrade(map);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sweep = move || {
            while !stopped.load(Ordering::Acquire) {
                let Some(map) = map.upgrade() else { return };
                // The map stays usable through a panic of a user's `Drop`; so does this thread.
                let swept = catch_unwind(AssertUnwindSafe(|| {
                    let done = map.sweep(budget);
                    // The map's last owner may be gone by now: `map` is dropped in here too.
                    drop(map);
                    report(done);
                }));
                // What was panicked with may panic when dropped, and has said all it had to say.
                core::mem::forget(swept);
                // User code in the sweep may have parked and consumed our wake-up.
                if !stopped.load(Ordering::Acquire) {
                    thread::park_timeout(interval);
                }
            }
        };
        let thread = thread::Builder::new().name("evanesce-sweeper".into()).spawn(sweep)?;
        Ok(Self { stop, thread: Some(thread), process: std::process::id() })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A child of a fork has a copy of this, and not the thread.
            let is_there = self.process == std::process::id();
            if is_there && thread.thread().id() != thread::current().id() {
                // It cannot have panicked but in a user's panic hook.
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}
