//! Ending many entries, bucket by bucket: clear and retain.
//!
//! The nodes of a bucket are listed first, by a walk that runs no user code; then each has its turn. So what a closure or
//! the listener puts into that bucket is not come to, and each listed node has one turn.

use core::{cell::Cell, convert::Infallible};

use crate::{
    listener::RemovalCause,
    sync::{Ordering, planted},
};

use super::{
    blocks::{BlockNumbers, block_of},
    guard::{self, Guard},
    key::SlotIndex,
    index::Index,
    state::State,
    stripe::Turn,
    table::Table,
    walk::Range,
};

/// Buckets that are dealt with under one pin.
const BUCKETS_PER_PIN: usize = 256;

/// Nodes that may be met beside twice as many as there were entries, before what is new is passed over.
const MET_BESIDE: usize = 1024;

impl<T> Table<T> {
    /// Removes every entry that is in the list for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        self.end_each(None::<fn(&T) -> bool>);
        self.settle_all();
    }

    /// Removes every visible entry that `keeps` does not want, of those that are in the list for the whole of
    /// the call.
    pub(crate) fn retain(&self, keeps: impl FnMut(&T) -> bool) {
        self.end_each(Some(keeps));
    }

    /// Ends the visible entries that `keeps` does not want; without it all, and expired ones as well.
    fn end_each(&self, mut keeps: Option<impl FnMut(&T) -> bool>) {
        let known_blocks = self.index.slab.blocks.handed_out();
        let mut room = 2 * self.entries() + MET_BESIDE;
        let mut slots = Vec::new();
        let mut guard = guard::pin();
        for (n, range) in self.ranges().enumerate() {
            self.index.list_range(range, &guard, &mut slots);
            room = room.saturating_sub(slots.len());
            if room == 0 {
                // Each turn leads to more than one entry ahead, and there would be no end. What is in memory that
                // was first used meanwhile was put meanwhile.
                slots.retain(|slot| BlockNumbers::count(block_of(*slot)) < known_blocks);
            }
            self.end_listed(range, &slots, &mut keeps, &guard);
            if n % BUCKETS_PER_PIN == BUCKETS_PER_PIN - 1 {
                guard.repin();
                self.after_sweep(&mut self.turn(&guard));
            }
        }
    }

    /// The same of the listed nodes of a range, which a find unlinks then, all at once: so both are linear, also for
    /// a bucket that holds all.
    fn end_listed(
        &self,
        range: Range,
        slots: &[SlotIndex],
        keeps: &mut Option<impl FnMut(&T) -> bool>,
        guard: &Guard,
    ) {
        let ended = Ended { table: self, range, guard, any: Cell::new(false) };
        let turn = &mut self.turn(guard);
        for slot in slots {
            if self.end_one(*slot, keeps, turn) {
                ended.any.set(true);
            }
        }
    }

    /// The turn of a node that was listed under the guard; whether it ended an entry.
    ///
    /// An entry that has another in its place by then leaves its turn to that: its key has been there all the time. But
    /// after it was asked about it had its turn: the closure itself may have put the other.
    fn end_one<'g>(
        &'g self,
        mut slot: SlotIndex,
        keeps: &mut Option<impl FnMut(&T) -> bool>,
        turn: &mut Turn<'g>,
    ) -> bool {
        let mut is_kept = None;
        loop {
            let node = self.index.slab.node(slot);
            // Acquire (O2), as in every judgement.
            let state = node.state.load(Ordering::Acquire);
            if state.is_terminal() {
                match state.destination() {
                    Some((heir, _)) if is_kept.is_none() && !planted!(replacement_not_cleared) => {
                        // Meets it by links (I3), if it is not over as well.
                        self.index.locate(heir, turn);
                        slot = heir;
                        continue;
                    }
                    _ => return false,
                }
            }
            let visible = self.is_visible(state);
            if let Some(keeps) = keeps {
                if !visible {
                    return false;
                }
                let entry = List::entry(node, turn.guard);
                if *is_kept.get_or_insert_with(|| {
                    turn.leave();
                    keeps(entry)
                }) {
                    return false;
                }
            }
            if node.state.advance(state, State::DEAD).is_ok() {
                turn.count_entries(-1);
                if self.listener.is_some() {
                    let cause =
                        if visible { RemovalCause::Explicit } else { RemovalCause::Expired };
                    self.tell_of(slot, cause, turn);
                }
                return true;
            }
        }
    }
}

/// Unlinks what was ended in a range, also when the user's code panics in the middle.
struct Ended<'g, T> {
    table: &'g Table<T>,
    range: Range,
    guard: &'g Guard,
    any: Cell<bool>,
}

impl<T> Drop for Ended<'_, T> {
    fn drop(&mut self) {
        if self.any.get() {
            let (Range { start, last }, turn) = (self.range, &mut self.table.turn(self.guard));
            let none = |_, _: &_| Ok::<_, Infallible>(false);
            let Ok(_) = self.table.list.find(start, last, turn, none);
        }
    }
}
