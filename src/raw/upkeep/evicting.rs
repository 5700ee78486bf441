//! Keeping a map within its bound: who goes past it ends another's entry (DESIGN.md, section 14).
//!
//! Which entry is to go, the bound says, and may be wrong about it: it knows slots. What makes it sure is what a sweep
//! does: a cell names the slot, and the CAS is from the state that was met.

use crate::{
    listener::RemovalCause,
    raw::{
        bound::{Bound, Queue},
        index::Located,
        reclaim::{guard, stripe::Turn},
        table::Table,
        words::{key::SlotIndex, state::State},
    },
    sync::{MODEL, planted},
};

/// Blocks that a write which is past the bound looks at for expired entries: those go first.
const BLOCKS_LOOKED_AT: u32 = 64;

/// Entries in a row that are spared for what they were used, before the next goes whatever it was: so much work does
/// a write at most for each that has to go.
const MOST_SPARED: u32 = if MODEL { 2 } else { 64 };

/// Entries that the change of a bound ends under one pin.
const EVICTED_PER_PIN: u32 = 64;

/// Entries that a write ends beside the weight that it has brought, where the map is past its bound all the same: what
/// a listener put, or what a lower bound has left.
const EVICTED_BESIDE: u32 = 1;

impl<T> Table<T> {
    /// Counts the entry that a write has put, and while the map is past its bound ends entries of as much weight as that,
    /// and one more. The listener, which is told of them, may put others; it does not come back here, or there might be no end.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn count_in_bound<'g>(&'g self, put: SlotIndex, turn: &mut Turn<'g>) {
        let Some(bound) = self.bound() else { return };
        bound.count(bound.weight(put));
        if bound.excess() > 0 {
            self.make_way(bound, put, turn);
        }
    }

    fn make_way<'g>(&'g self, bound: &'g Bound, put: SlotIndex, turn: &mut Turn<'g>) {
        if self.listener.is_running(self.address()) || planted!(bound_not_kept) {
            return;
        }
        if self.has_deadlines() {
            // What is in its grace stays, as in each sweep: else a map that is always full would keep none of it.
            self.sweep_aside(BLOCKS_LOOKED_AT, self.grace(), turn);
        }
        let (brought, mut freed, mut beside) = (u64::from(bound.weight(put)), 0, 0);
        while bound.excess() > 0 && beside < EVICTED_BESIDE {
            beside += u32::from(freed >= brought);
            let Some(weight) = self.evict_one(bound, Some(put), turn) else { return };
            freed += u64::from(weight);
        }
    }

    /// Ends entries until the map is within its bound, after that was lowered.
    pub(crate) fn shrink_to_bound(&self) {
        let Some(bound) = self.bound() else { return };
        let mut is_left = true;
        while is_left && bound.excess() > 0 {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            for _ in 0..EVICTED_PER_PIN {
                is_left = bound.excess() > 0 && self.evict_one(bound, None, turn).is_some();
                if !is_left {
                    break;
                }
            }
            self.after_sweep(turn);
        }
        self.reclaim_some();
    }

    /// Ends one entry, but not the one in `spared`; returns its weight. `None` if the map is within its bound, or if a
    /// whole round over all slots has met none that is what its queue says.
    fn evict_one<'g>(
        &'g self,
        bound: &'g Bound,
        spared: Option<SlotIndex>,
        turn: &mut Turn<'g>,
    ) -> Option<u32> {
        let blocks = self.index.slab.blocks.handed_out();
        let (mut spared_for_uses, mut new_met) = (0, 0);
        for _ in 0..self.index.slab.blocks.slots().saturating_add(MOST_SPARED) {
            let (slot, queue) = bound.next_candidate(blocks, new_met > 1)?;
            if Some(slot) == spared {
                new_met += 1;
                continue;
            }
            if spared_for_uses < MOST_SPARED && bound.spares(slot, queue) {
                spared_for_uses += 1;
                continue;
            }
            let weight = bound.weight(slot);
            if weight == 0 {
                continue;
            }
            let found = self.find_in(slot, |state| !state.is_terminal(), turn);
            // What a load has not shown yet is not counted either.
            let Some(old) = found.filter(|old| !old.state.is_hidden()) else { continue };
            // Off the sum first: so of two writers that find the map past its bound by one entry, one ends one. What is
            // discounted is there, and if it is not ended here, then by another, who takes it off the sum as well.
            if !bound.discount(weight) {
                return None;
            }
            if self.evict(bound, old, queue, turn) {
                return Some(weight);
            }
            bound.count(weight);
        }
        None
    }

    /// Ends an entry that was found, and was discounted.
    fn evict<'g>(
        &'g self,
        bound: &'g Bound,
        mut old: Located<'g, T>,
        queue: Queue,
        turn: &mut Turn<'g>,
    ) -> bool {
        while !old.state.is_terminal() {
            let visible = self.is_visible(old.state);
            if old.advance(State::DEAD) || planted!(evicted_without_claim) {
                let (slab, slot) = (&self.index.slab, old.slot());
                if visible {
                    bound.count_evicted(slab.key(slot), queue, slab.room());
                }
                turn.count_entries(-1);
                old.take_off(&self.index, turn);
                bound.leave_uncounted(slot);
                let cause = if visible { RemovalCause::Size } else { RemovalCause::Expired };
                self.tell_listener(slot, cause, turn);
                return true;
            }
        }
        false
    }
}
