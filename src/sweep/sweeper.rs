//! Sweeping by a thread, of one map or of many.

use core::{fmt, time::Duration};
use std::{
    io,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use super::{
    Budget, SharedSweeper, SweepReport,
    timer::{Next, Timer},
};
use crate::map::TtlMap;

/// A thread that sweeps a map at an interval; or, by [`Sweeper::shared`], a map's place on the thread that sweeps many.
///
/// It holds the map weakly and ends, within an interval, when the map is gone. Dropping the sweeper stops it and waits
/// for the end of a sweep that is going on (a sweeper dropped by its own thread, in the `Drop` of a value say, only
/// stops it). A panic in the `Drop` of a key or value costs that sweep, not the thread. A child of a fork has no such
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
#[must_use = "the sweeping stops when the sweeper is dropped"]
pub struct Sweeper {
    timer: Arc<Timer>,
    task: u64,
    /// Whether the thread is for this alone.
    is_alone: bool,
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
        let map = Arc::downgrade(map);
        Self::alone(interval, move || {
            let Some(map) = map.upgrade() else { return Next::Never };
            let done = map.sweep(budget);
            // The map's last owner may be gone by now.
            drop(map);
            report(done);
            Next::After(interval)
        })
    }

    /// As [`Sweeper::spawn`], for a map that is a part of what an `Arc` holds. `map` finds it there.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// struct App {
    ///     sessions: TtlMap<u64, String>,
    /// }
    ///
    /// let app = Arc::new(App { sessions: TtlMap::new() });
    /// let every = Duration::from_millis(100);
    /// let sweeper = Sweeper::spawn_for(&app, |app| &app.sessions, every, Budget::full_pass())?;
    /// # drop(sweeper);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn spawn_for<T, K, V, S>(
        owner: &Arc<T>,
        map: impl Fn(&T) -> &TtlMap<K, V, S> + Send + 'static,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Self>
    where
        T: Send + Sync + 'static,
        K: 'static,
        V: 'static,
        S: 'static,
    {
        let owner = Arc::downgrade(owner);
        Self::alone(interval, move || {
            let Some(owner) = owner.upgrade() else { return Next::Never };
            map(&owner).sweep(budget);
            Next::After(interval)
        })
    }

    /// As [`Sweeper::spawn`], for a map in a static.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::LazyLock, time::Duration};
    ///
    /// static SESSIONS: LazyLock<TtlMap<u64, String>> = LazyLock::new(TtlMap::new);
    ///
    /// let every = Duration::from_millis(100);
    /// let sweeper = Sweeper::spawn_static(&SESSIONS, every, Budget::full_pass())?;
    /// # drop(sweeper);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn spawn_static<K, V, S>(
        map: &'static TtlMap<K, V, S>,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Self>
    where
        K: Send + Sync,
        V: Send + Sync,
        S: Sync,
    {
        Self::alone(interval, move || {
            map.sweep(budget);
            Next::After(interval)
        })
    }

    /// On a thread of its own.
    fn alone(interval: Duration, call: impl FnMut() -> Next + Send + 'static) -> io::Result<Self> {
        let timer = Arc::new(Timer::new());
        let task = timer.add(interval, call)?;
        Ok(Self { timer, task, is_alone: true })
    }

    /// A task of a thread that others have a part in.
    pub(super) fn of(timer: Arc<Timer>, task: u64) -> Self {
        Self { timer, task, is_alone: false }
    }

    /// Returns the sweeper of this process: one thread for any number of maps.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let maps: Vec<_> = (0..100).map(|_| Arc::new(TtlMap::<u64, String>::new())).collect();
    /// let shared = Sweeper::shared();
    /// let every = Duration::from_millis(100);
    /// let sweepers: Vec<_> =
    ///     maps.iter().map(|map| shared.add(map, every, Budget::full_pass())).collect::<Result<_, _>>()?;
    /// # drop(sweepers);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[must_use]
    pub fn shared() -> SharedSweeper {
        SharedSweeper::of_this_process()
    }

    /// Has it come by when this much time has passed, at the latest, though not before its interval has: for a writer
    /// that knows of an earlier deadline. Returns at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::Sweeper;
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (tell, told) = mpsc::channel();
    /// let look = move || {
    ///     let _ = tell.send(());
    ///     None // until it is woken
    /// };
    /// let sweeper = Sweeper::shared().add_timer(Duration::ZERO, look)?;
    /// told.recv().unwrap();
    /// sweeper.wake_in(Duration::ZERO);
    /// told.recv().unwrap();
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn wake_in(&self, after: Duration) {
        if self.timer.is_of_this_process() {
            self.timer.wake_in(self.task, after);
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if !self.timer.is_of_this_process() {
            // A child of a fork has a copy of this, and not the thread, which may have held anything.
            core::mem::forget(Arc::clone(&self.timer));
        } else if self.is_alone {
            self.timer.end();
        } else {
            self.timer.remove(self.task);
        }
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}
