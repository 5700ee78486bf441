//! Ending many entries, line by line: clear and retain.

use smallvec::SmallVec;

use super::{
    guard::{self, Guard},
    judge,
    list::Named,
    state::State,
    table::Table,
};
use crate::{listener::RemovalCause, sync::Ordering};

/// Lines that are dealt with under one pin.
const LINES_PER_PIN: usize = 64;

impl<T> Table<T> {
    /// Removes every entry that is in the map for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        self.end_each(|_| true, true);
        self.settle_all();
    }

    /// Removes every visible entry that `keeps` does not want, of those that are in the map for the whole of
    /// the call.
    pub(crate) fn retain(&self, mut keeps: impl FnMut(&T) -> bool) {
        self.end_each(|entry| !keeps(entry), false);
    }

    /// Ends the visible entries that `ends` picks, and `expired` ones if they are to go as well.
    fn end_each(&self, mut ends: impl FnMut(&T) -> bool, expired: bool) {
        let mut from = 0;
        let mut guard = guard::pin();
        for n in 1.. {
            let mut named = SmallVec::<[Named<'_>; 64]>::new();
            from = self.index.snapshot(from as u32, &mut named, |named| named, &guard);
            for named in &named {
                self.end_one(named, &mut ends, expired, &guard);
            }
            if from >> 32 != 0 {
                break;
            }
            if n % LINES_PER_PIN == 0 {
                drop(named);
                guard.repin();
                self.after_sweep(&mut self.turn(&guard));
            }
        }
    }

    fn end_one<'g>(
        &'g self,
        named: &Named<'g>,
        ends: &mut impl FnMut(&T) -> bool,
        expired: bool,
        guard: &'g Guard,
    ) {
        let node = self.index.slab.node(named.slot);
        // Acquire (O2), as in every judgement.
        let mut state = node.state.load(Ordering::Acquire);
        let entry = judge::entry(node, guard);
        let mut picked = None;
        while !state.is_terminal() {
            let visible = self.is_visible(state);
            if !(if visible { *picked.get_or_insert_with(|| ends(entry)) } else { expired }) {
                return;
            }
            match node.state.advance(state, State::DEAD) {
                Ok(()) => {
                    let turn = &mut self.turn(guard);
                    turn.count_entries(-1);
                    self.index.take_off_named(named, turn);
                    turn.leave();
                    let cause = if visible { RemovalCause::Explicit } else { RemovalCause::Expired };
                    self.listener.tell(entry, cause);
                    return;
                }
                Err(now) => state = now,
            }
        }
    }
}
