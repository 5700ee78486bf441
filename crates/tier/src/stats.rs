//! What is counted.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use crossbeam_utils::CachePadded;

/// What a tier did since it was made. From [`Tier::stats`](crate::Tier::stats).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that were answered without the server, "no such key" included.
    pub hits: u64,
    /// Of those, the ones of a lost connection, within `max_stale`.
    pub stale_hits: u64,
    /// Reads of the server that were made to keep what they find, early refreshes included.
    pub fills: u64,
    /// Fills whose value was not kept, since something was said of its key meanwhile.
    pub refused_fills: u64,
    /// Reads that waited for another's fill.
    pub joined: u64,
    /// Keys of this tier that the server has said to be changed.
    pub pushes: u64,
    /// Times that the server has said to forget all.
    pub flushes: u64,
    /// Times that the connection was lost.
    pub losses: u64,
    /// Times that a cluster was not as it was: a node has got or lost slots, has come or gone. One move counts for each node that says so.
    pub topology_changes: u64,
    /// Calls of loaders.
    pub loads: u64,
    /// Times that a load waited for another process with the lease.
    pub lease_waits: u64,
    /// How long the last heartbeat took, there and back: what the server had said before it answered has come by then.
    /// `None` before the first.
    pub push_lag: Option<Duration>,
    /// Entries kept: outdated and expired ones that nobody has asked for are among them.
    pub entries: usize,
}

/// A count that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Striped([CachePadded<AtomicU64>; 16]);

impl Striped {
    pub(crate) fn add(&self) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! { static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % 16; }
        // Relaxed, as all of these: nothing follows from a count.
        self.0[MINE.with(|mine| *mine)].fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }
}

/// A count that is far from any hot path.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a tier.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: Striped,
    pub(crate) stale_hits: Striped,
    pub(crate) fills: Count,
    pub(crate) refused_fills: Count,
    pub(crate) joined: Count,
    pub(crate) pushes: Count,
    pub(crate) flushes: Count,
    pub(crate) losses: Count,
    pub(crate) topology_changes: Count,
    pub(crate) loads: Count,
    pub(crate) lease_waits: Count,
    /// Nanoseconds; zero before the first.
    push_lag: AtomicU64,
}

impl Counts {
    pub(crate) fn heartbeat_took(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.push_lag.store(nanos.max(1), Ordering::Relaxed);
    }

    pub(crate) fn stats(&self, entries: usize) -> Stats {
        let push_lag = self.push_lag.load(Ordering::Relaxed);
        Stats {
            hits: self.hits.sum(),
            stale_hits: self.stale_hits.sum(),
            fills: self.fills.get(),
            refused_fills: self.refused_fills.get(),
            joined: self.joined.get(),
            pushes: self.pushes.get(),
            flushes: self.flushes.get(),
            losses: self.losses.get(),
            topology_changes: self.topology_changes.get(),
            loads: self.loads.get(),
            lease_waits: self.lease_waits.get(),
            push_lag: (push_lag > 0).then(|| Duration::from_nanos(push_lag)),
            entries,
        }
    }
}
