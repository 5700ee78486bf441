//! Ending many entries, line by line: clear and retain.
//!
//! What a line names is listed first, by a walk that runs no user code; then each has its turn. So what a closure or
//! the listener puts into that line is not come to, and each that was listed has one turn.

use smallvec::SmallVec;

use crate::{
    listener::RemovalCause,
    raw::{
        index::{Named, Range},
        reclaim::{guard, guard::Guard, stripe::Turn},
        slab::{judge, judge::reload},
        table::Table,
        words::{
            numbers::{BlockNumbers, block_of},
            state::State,
        },
    },
    sync::{order, planted},
};

/// Lines that are dealt with under one pin.
const LINES_PER_PIN: usize = 64;

/// Nodes that may be met beside twice as many as there were entries, before what is new is passed over.
const MET_BESIDE: usize = 1024;

impl<T> Table<T> {
    /// Removes every entry that is there for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        self.end_each(None::<fn(&T) -> bool>);
        self.reclaim_all();
    }

    /// Removes every visible entry that `keeps` does not want, of those that are there for the whole of
    /// the call.
    pub(crate) fn retain(&self, keeps: impl FnMut(&T) -> bool) {
        self.end_each(Some(keeps));
    }

    /// Ends the visible entries that `keeps` does not want; without it all, and expired ones as well.
    fn end_each(&self, mut keeps: Option<impl FnMut(&T) -> bool>) {
        let known_blocks = self.index.slab.blocks.handed_out();
        let mut room = 2 * self.entries() + MET_BESIDE;
        let mut guard = guard::pin();
        for (n, range) in self.ranges().enumerate() {
            self.end_range(range, &mut keeps, &mut room, known_blocks, &guard);
            if n % LINES_PER_PIN == LINES_PER_PIN - 1 {
                guard.repin();
                self.after_sweep(&mut self.turn(&guard));
            }
        }
    }

    /// The same in a range of keys.
    fn end_range<'g>(
        &'g self,
        range: Range,
        keeps: &mut Option<impl FnMut(&T) -> bool>,
        room: &mut usize,
        known_blocks: u32,
        guard: &'g Guard,
    ) {
        let mut listed = SmallVec::<[Named<'_>; 64]>::new();
        self.index.list_range(range, &mut listed, |named| named, guard);
        *room = room.saturating_sub(listed.len());
        if *room == 0 {
            // Each turn leads to more than one entry ahead, and there would be no end. What is in memory that
            // was first used meanwhile was put meanwhile.
            let is_known = |slot| BlockNumbers::count(block_of(slot)) < known_blocks;
            listed.retain(|named| is_known(named.slot));
        }
        let turn = &mut self.turn(guard);
        listed.iter().for_each(|named| self.end_one(named, keeps, turn));
    }

    /// The turn of an entry that was listed under the guard. What it ends is off its line before any user's code runs.
    ///
    /// An entry that has another in its place by then leaves its turn to that: its key has been there all the time. But
    /// after it was asked about it had its turn: the closure itself may have put the other.
    fn end_one<'g>(
        &'g self,
        named: &Named<'g>,
        keeps: &mut Option<impl FnMut(&T) -> bool>,
        turn: &mut Turn<'g>,
    ) {
        let (mut slot, mut is_kept) = (named.slot, None);
        loop {
            let node = self.index.slab.node(slot);
            // Acquire (O2), as in every judgement.
            let state = node.state.load(order!(retain_state, Acquire));
            if state.is_terminal() {
                match state.destination() {
                    Some((heir, _)) if is_kept.is_none() && !planted!(replacement_not_cleared) => {
                        // Then a line has named it (I3).
                        self.index.tidy(slot, turn);
                        slot = heir;
                        continue;
                    }
                    _ => return,
                }
            }
            let visible = self.is_visible(state);
            if let Some(keeps) = keeps {
                if !visible {
                    // Confirmed, as in a lookup: a renewal in time is not passed over.
                    if reload(node) == state {
                        return;
                    }
                    continue;
                }
                let entry = judge::entry(node, turn.guard);
                if *is_kept.get_or_insert_with(|| {
                    turn.leave();
                    keeps(entry)
                }) {
                    return;
                }
            }
            if node.state.advance(state, State::DEAD).is_ok() {
                let was_counted = !state.is_hidden();
                if was_counted {
                    turn.count_entries(-1);
                }
                if slot == named.slot {
                    self.index.take_off_named(named, turn);
                } else {
                    self.index.tidy(slot, turn);
                }
                if !was_counted {
                    self.leave_uncounted(slot);
                } else if self.tells_of_ends {
                    let cause =
                        if visible { RemovalCause::Explicit } else { RemovalCause::Expired };
                    self.tell_of(slot, cause, turn);
                }
                return;
            }
        }
    }
}
