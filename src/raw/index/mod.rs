//! The index: from a key to the slots of its entry, in lines of cells (DESIGN.md, section 1).
//!
//! A line names up to eleven entries by fingerprint and slot. Keys stand in split order: line `i` of an array of
//! level `l` has the keys whose top `l` bits are `i`. What decides an entry is its state word; lines only lag behind.

mod array;
#[cfg(any(test, evanesce_loom, evanesce_shuttle))]
mod check;
mod growth;
mod line;
mod lookup;
mod migrate;
mod publish;
mod search;
mod walk;

use core::mem::{MaybeUninit, needs_drop};

pub(in crate::raw) use growth::Lines;
pub(crate) use lookup::TOGETHER;
pub(in crate::raw) use publish::{Gap, Reserved};
pub(in crate::raw) use search::Located;
pub(in crate::raw) use walk::Named;
pub(crate) use walk::{Position, Range};

use crate::{
    raw::{
        reclaim::{
            limbo::Limbo,
            stripe::{Stripes, Turn},
        },
        slab::Slab,
        words::{key::SlotIndex, state::State},
    },
    sync::{Ordering, planted},
};

/// The index, with what it names and how that is reclaimed.
pub(in crate::raw) struct Index<T> {
    pub(in crate::raw) lines: Lines,
    pub(in crate::raw) slab: Slab<T>,
    pub(in crate::raw) limbo: Limbo,
    pub(in crate::raw) stripes: Stripes,
}

impl<T> Index<T> {
    /// Frees a slot of a due batch, and drops the entry in it, in no turn; that of a draft which was not wanted is
    /// empty already. One copy of an entry is on the stack, whatever its size, since it goes by its pointer.
    pub(in crate::raw) fn reclaim(&self, slot: SlotIndex, turn: &mut Turn<'_>) {
        turn.count_reclaimed();
        // Relaxed: after its grace period nobody changes it.
        let state = self.slab.node(slot).state.load(Ordering::Relaxed);
        debug_assert!(state.is_terminal(), "I4: {slot:?} is retired, yet not over");
        if state == State::FREE {
            self.slab.free(slot, turn);
            return;
        }
        let mut entry = MaybeUninit::<T>::uninit();
        let read = |place| {
            // SAFETY: an entry each, one on the stack.
            unsafe { entry.as_mut_ptr().copy_from_nonoverlapping(place, 1) };
        };
        // SAFETY: I4: whoever ended its name retired it, once, and only a batch whose grace period is over is due.
        // `read` moves the entry.
        unsafe { self.slab.reclaim(slot, turn, read) };
        if planted!(value_not_dropped) {
            return;
        }
        if needs_drop::<T>() && !planted!(drop_in_a_turn) {
            // A `Drop` may call the map, or take its time: the slots of the stripe are not to be
            // out of reach meanwhile.
            turn.leave();
        }
        // SAFETY: moved there just now, and dropped this once.
        unsafe { entry.assume_init_drop() };
    }
}

impl<T> Drop for Index<T> {
    fn drop(&mut self) {
        // What the collector still has are numbers; the slab drops the entries behind them.
        self.limbo.close();
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests;

#[cfg(all(test, evanesce_loom, not(crossbeam_loom)))]
mod models;
