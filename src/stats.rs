//! What a map tells about itself.

use core::time::Duration;

use crate::raw::Figures;

/// The figures of a map, from [`TtlMap::stats`](crate::TtlMap::stats).
///
/// At rest `len + free_slots + pending_reclaim == slots`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Entries in the map, expired ones that are not swept included.
    pub len: usize,
    /// Entries in the map that have expired.
    pub expired_unswept: usize,
    /// Entries that sweeps have removed, those of writes included.
    pub swept_total: u64,
    /// The longest time that passed between an entry's deadline and its removal by a sweep.
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
    /// included, what keys and values own not included.
    pub bytes_allocated: usize,
}

impl Stats {
    pub(crate) fn of(figures: &Figures) -> Self {
        Self {
            len: figures.entries,
            expired_unswept: figures.expired_unswept,
            swept_total: figures.swept_total,
            max_lag: figures.max_lag,
            pending_reclaim: figures.pending,
            slots: figures.slots,
            free_slots: figures.free_slots,
            growths: figures.growths,
            bytes_allocated: figures.bytes,
        }
    }
}
