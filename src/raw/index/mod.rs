//! The index: from a key to the slots of its entry, in lines of cells (DESIGN.md, section 15).
//!
//! A line names up to eleven entries by fingerprint and slot. Keys stand in split order: line `i` of an array of
//! level `l` has the keys whose top `l` bits are `i`. What decides an entry is its state word; lines only lag behind.

mod array;
mod growth;
mod line;
mod lookup;
mod migrate;
mod publish;
mod search;
mod walk;

use crate::sync::Ordering;

use super::{
    chunked::PageSize,
    guard::Guard,
    retire::{DueBatch, Limbo},
    slab::Slab,
    state::State,
    stripe::{Stripes, Turn},
};

pub(in crate::raw) use growth::Lines;
pub(crate) use index::TOGETHER;
pub(in crate::raw) use publish::Reserved;
pub(in crate::raw) use search::{Found, Located};
pub(in crate::raw) use walk::{Named, Walk};

pub(in crate::raw) struct List<T> {
    pub(in crate::raw) lines: Lines,
    pub(in crate::raw) slab: Slab<T>,
    pub(in crate::raw) limbo: Limbo,
    pub(in crate::raw) stripes: Stripes,
}

impl<T> List<T> {
    pub(in crate::raw) fn new(
        capacity: usize,
        page_size: PageSize,
        slab: Slab<T>,
        limbo: Limbo,
        stripes: Stripes,
    ) -> Self {
        Self { lines: Lines::with_capacity(capacity, page_size), slab, limbo, stripes }
    }

    #[inline]
    pub(in crate::raw) fn capacity(&self) -> usize {
        self.lines.capacity()
    }

    pub(in crate::raw) fn growths(&self) -> u32 {
        self.lines.growths()
    }

    pub(in crate::raw) fn index_bytes(&self, guard: &Guard) -> usize {
        self.lines.bytes(guard)
    }

    #[inline]
    pub(in crate::raw) fn is_busy(&self, guard: &Guard) -> bool {
        self.lines.is_busy(guard)
    }

    pub(in crate::raw) fn grow(&self, entries: usize, writes: u32, guard: &Guard) {
        self.lines.grow(entries, writes, guard);
    }

    pub(in crate::raw) fn shrink(&self, entries: usize, exactly: bool, guard: &Guard) {
        self.lines.shrink(entries, exactly, guard);
    }

    /// Takes the next entry of a batch out and frees its slot; so a panic in the drop of one leaves the
    /// others in the batch. Slots of drafts that were not wanted are empty already.
    pub(in crate::raw) fn drain(&self, batch: &mut DueBatch<'_>, turn: &mut Turn<'_>) -> Option<T> {
        loop {
            let slot = batch.take()?;
            turn.count_pending(-1);
            // Relaxed: after its grace period nobody changes it.
            let state = self.slab.node(slot).state.load(Ordering::Relaxed);
            debug_assert!(state.is_terminal(), "I4: {slot:?} is retired, yet not over");
            if state != State::FREE {
                // SAFETY: I4: whoever ended its name retired it, once, and only a batch whose grace
                // period is over is due.
                return Some(unsafe { self.slab.reclaim(slot, turn) });
            }
            self.slab.free(slot, turn);
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        // What the collector still has are numbers; the slab drops the entries behind them.
        self.limbo.close();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
