//! What a map tells about itself.

use core::{fmt, time::Duration};

use crossbeam_utils::CachePadded;

use crate::{
    raw::{Figures, chain_count, thread_number},
    sync::{AtomicU64, Ordering},
};

/// The figures of a map, from [`TtlMap::stats`](crate::TtlMap::stats).
///
/// At rest `len + free_slots + pending_reclaim == slots`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Entries in the map, expired ones that are not swept included.
    pub len: usize,
    /// Entries in the map that have expired, those in their [grace](crate::Builder::grace) included.
    pub expired_unswept: usize,
    /// Entries that sweeps have removed, those of writes included.
    pub swept_total: u64,
    /// Entries that had to go since the map was full. Zero unless it has a [maximum](crate::Builder::max_entries).
    pub evicted_total: u64,
    /// What all entries weigh together, each 1 without a [weigher](crate::Builder::weigher). Zero unless the map has a
    /// maximum.
    pub weight: u64,
    /// The longest time that passed between an entry's deadline, the grace added, and its removal by a sweep.
    pub max_lag: Duration,
    /// Removed entries whose keys and values are not dropped yet, since a pinned thread may see
    /// them or since no write or sweep has come by. It grows while a thread stays pinned.
    pub pending_reclaim: usize,
    /// Slots in use or ready for use: what entries, free slots and pending ones add up to.
    pub slots: usize,
    /// Slots ready for use.
    pub free_slots: usize,
    /// How often the index has doubled.
    pub growths: u32,
    /// Bytes that the map itself takes from the allocator and the system, pages not touched yet
    /// included (of entries of 4 KiB and more only what was used), what keys and values own not included.
    pub bytes_allocated: usize,
    /// Lookups that found a value. Zero unless the map [records](crate::Builder::record_stats) them.
    pub hits: u64,
    /// Lookups that found none. Zero unless the map records them.
    pub misses: u64,
}

impl Stats {
    pub(crate) fn of(figures: &Figures, lookups: &Lookups, loads_bytes: usize) -> Self {
        let (hits, misses) = lookups.totals();
        Self {
            len: figures.entries,
            expired_unswept: figures.expired_unswept,
            swept_total: figures.swept_total,
            evicted_total: figures.evicted_total,
            weight: figures.weight,
            max_lag: figures.max_lag,
            pending_reclaim: figures.pending,
            slots: figures.slots,
            free_slots: figures.free_slots,
            growths: figures.growths,
            bytes_allocated: figures.bytes + lookups.bytes() + loads_bytes,
            hits,
            misses,
        }
    }
}

/// What lookups leave behind, if the map is to know: how they ended, counted by stripes, so that readers do not share a
/// line; or, in the table, which entries were used.
pub(crate) struct Lookups(Option<Box<Traces>>);

struct Traces {
    /// Empty where only uses are counted.
    counts: Stripes,
}

/// One for each of the threads that read at a time; a power of two of them.
struct Stripes(Box<[CachePadded<Counts>]>);

struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    pub(crate) const NONE: Self = Self(None);

    /// Whether their ends are recorded, and whether the table counts uses.
    pub(crate) fn new(are_recorded: bool, are_uses_counted: bool) -> Self {
        let counts = || Counts { hits: AtomicU64::new(0), misses: AtomicU64::new(0) };
        let len = if are_recorded { chain_count() } else { 0 };
        let stripes = || Stripes((0..len).map(|_| counts().into()).collect());
        let traces = are_recorded || are_uses_counted;
        Self(traces.then(|| Traces { counts: stripes() }.into()))
    }

    /// The same with counts of its own.
    pub(crate) fn like(&self) -> Self {
        Self::new(self.are_recorded(), self.leave_traces())
    }

    /// Whether a lookup has more to do than to find the entry.
    #[inline]
    pub(crate) fn leave_traces(&self) -> bool {
        self.0.is_some()
    }

    fn are_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|traces| !traces.counts.0.is_empty())
    }

    /// Counts a lookup. Where nothing is recorded it is one comparison.
    #[inline]
    pub(crate) fn count(&self, is_hit: bool) {
        if let Some(traces) = &self.0
            && !traces.counts.0.is_empty()
        {
            traces.counts.count(is_hit);
        }
    }

    fn totals(&self) -> (u64, u64) {
        let stripes = self.0.iter().flat_map(|traces| &traces.counts.0);
        stripes.fold((0, 0), |(hits, misses), counts| {
            let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (hits + load(&counts.hits), misses + load(&counts.misses))
        })
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |traces| size_of::<Traces>() + size_of_val(&*traces.counts.0))
    }
}

impl Stripes {
    #[inline(never)]
    fn count(&self, is_hit: bool) {
        let counts = &self.0[thread_number() & (self.0.len() - 1)];
        // Relaxed: only the sums mean anything.
        (if is_hit { &counts.hits } else { &counts.misses }).fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookups").field(&self.are_recorded()).finish()
    }
}
