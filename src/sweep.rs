//! Sweeping by hand; by a thread in [`sweeper`].

use core::time::Duration;

mod shared;
mod sweeper;
mod timer;

pub use shared::SharedSweeper;
pub use sweeper::Sweeper;

use crate::{
    clock::{Clock, MonotonicClock},
    raw::Table,
};

/// How much a call of [`TtlMap::sweep`](crate::TtlMap::sweep) may do.
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
    /// in which nothing is due, one look tells; where something is, it looks at all 64, even if that is more. With 0 it
    /// looks at none, and drops some keys and values of removed entries that no pinned thread may see, as every sweep.
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

    /// Goes once round (a write that is in progress, or another sweep, may keep an entry from it until the next),
    /// finishes an index that is half grown, drops all keys and values of removed entries that no pinned thread may
    /// see, and gives memory back that is worth it.
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

/// What a sweep did, from [`TtlMap::sweep`](crate::TtlMap::sweep).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepReport {
    /// Slots looked at; where one look told that nothing in 64 of them was due, one.
    pub examined: usize,
    /// Expired entries removed.
    pub removed: usize,
    /// Whether the sweep came to the end of the slots.
    pub completed_pass: bool,
    /// The longest time between the deadline of an entry, the map's [grace](crate::Builder::grace) added, and its
    /// removal by this sweep.
    pub max_lag: Duration,
    /// Removed entries, by whomever, whose keys and values are not dropped yet.
    pub pending_reclaim: usize,
}
