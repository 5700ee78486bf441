//! What is counted.

use std::{
    array,
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crossbeam_utils::CachePadded;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::threads::{NUMBERS, own, own_or_shared};

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

/// Hits, counted by the thread: each adds in a line of its own, without a locked instruction, which would cost a hit some nanoseconds.
#[derive(Debug)]
pub(crate) struct Hits([CachePadded<Line>; NUMBERS + 1]);

/// What one thread has counted. The last of them is of all threads without a number.
#[derive(Debug, Default)]
struct Line {
    /// By `get`. Also the clock of turns, so nothing else counts here: a `get` might never find it at the end of a turn.
    gets: AtomicU64,
    /// By `hit` and `view`.
    views: AtomicU64,
    /// Of both, those of a lost connection.
    stale: AtomicU64,
}

/// Hits of a thread from one turn that it gives others to the next, where no other thread runs the tasks of its runtime: each costs a look at the
/// network, about a microsecond.
const HITS_A_TURN: u64 = 1 << 10;

/// The same where others do, about five milliseconds. They hear the server meanwhile, unless they all are in such loops. Each turn
/// wakes one of them, and where processors are scarce that one takes the place of this: with the shorter turn a hit took four times as long.
const HITS_A_TURN_OF_MANY: u64 = 1 << 16;

impl Default for Hits {
    fn default() -> Self {
        Self(array::from_fn(|_| CachePadded::default()))
    }
}

impl Hits {
    /// Counts a hit of `hit` or `view`.
    #[inline]
    pub(crate) fn add_view(&self) {
        self.add_to(|line| &line.views);
    }

    /// Counts a hit of `get`: if it is not the turn of others before, or `was_turn`. Whether it did.
    #[inline]
    pub(crate) fn add_in_turn(&self, was_turn: bool) -> bool {
        let Some(number) = own() else { return self.add_in_turn_elsewhere(was_turn) };
        let gets = &self.0[number].gets;
        let hits = gets.load(Ordering::Relaxed);
        if is_turn(hits) && !was_turn && !planted!(no_turn) {
            return false;
        }
        gets.store(hits + 1, Ordering::Relaxed);
        true
    }

    #[cold]
    fn add_in_turn_elsewhere(&self, was_turn: bool) -> bool {
        if own_or_shared() < NUMBERS {
            return self.add_in_turn(was_turn);
        }
        if is_turn_without_number() && !was_turn && !planted!(no_turn) {
            return false;
        }
        self.0[NUMBERS].gets.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Counts that a hit was one of a lost connection.
    pub(crate) fn add_stale(&self) {
        self.add_to(|line| &line.stale);
    }

    // Relaxed, as all of these: nothing follows from a count.
    #[inline]
    fn add_to(&self, count: impl Fn(&Line) -> &AtomicU64) {
        let Some(number) = own() else {
            return self.add_elsewhere(count);
        };
        // Nobody else stores here (`threads.rs`).
        let count = count(&self.0[number]);
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[cold]
    fn add_elsewhere(&self, count: impl Fn(&Line) -> &AtomicU64) {
        // One instruction, as the line may be of many. If the thread has a number now, its next hits do not come here.
        count(&self.0[own_or_shared()]).fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self, count: impl Fn(&Line) -> &AtomicU64) -> u64 {
        self.0.iter().map(|line| count(line).load(Ordering::Relaxed)).sum()
    }
}

/// Whether others are to have their turn before the next hit of a thread that has had so many.
#[inline]
fn is_turn(hits: u64) -> bool {
    hits % HITS_A_TURN == HITS_A_TURN - 1 && is_turn_in_this_runtime(hits)
}

#[cold]
fn is_turn_in_this_runtime(hits: u64) -> bool {
    let has_other_threads = Handle::try_current().is_ok_and(|runtime| {
        runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
            && runtime.metrics().num_workers() > 1
    });
    !has_other_threads || hits % HITS_A_TURN_OF_MANY == HITS_A_TURN_OF_MANY - 1
}

/// The same for a thread that shares its line.
#[cold]
fn is_turn_without_number() -> bool {
    thread_local! {
        static HITS: Cell<u64> = const { Cell::new(0) };
    }
    let hits = HITS.replace(HITS.get() + 1);
    is_turn(hits)
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
    pub(crate) hits: Hits,
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
            hits: self.hits.sum(|line| &line.gets) + self.hits.sum(|line| &line.views),
            stale_hits: self.hits.sum(|line| &line.stale),
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

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use std::thread;

    use super::*;

    fn sum(hits: &Hits) -> u64 {
        hits.sum(|line| &line.gets) + hits.sum(|line| &line.views)
    }

    #[test]
    fn no_hit_is_lost_where_threads_come_and_go() {
        const THREADS: u64 = NUMBERS as u64 + 8;
        let hits = Hits::default();
        for round in 1..=10 {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            hits.add_view();
                            assert!(hits.add_in_turn(true));
                        }
                    });
                }
            });
            assert_eq!(sum(&hits), round * THREADS * 2000);
        }
    }

    #[test]
    fn views_put_off_no_turn() {
        let hits = Hits::default();
        let mut turns = 0;
        for _ in 0..3 * HITS_A_TURN {
            hits.add_view();
            if !hits.add_in_turn(false) {
                turns += 1;
                assert!(hits.add_in_turn(true));
            }
        }
        assert_eq!((turns, sum(&hits)), (3, 6 * HITS_A_TURN));
    }
}
