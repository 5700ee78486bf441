//! Ending many entries, bucket by bucket: clear and retain.

use core::{cell::Cell, convert::Infallible};

use crate::{listener::RemovalCause, sync::order};

use super::{
    guard::{self, Guard},
    link::{Order, SplitKey},
    list::List,
    state::State,
    stripe::Turn,
    table::Table,
};

/// Buckets that are dealt with under one pin.
const BUCKETS_PER_PIN: usize = 256;

impl<T> Table<T> {
    /// Removes every entry that is in the list for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        self.end_each(|_| true, true);
        self.settle_all();
    }

    /// Removes every visible entry that `keeps` does not want, of those that are in the list for the whole of
    /// the call.
    pub(crate) fn retain(&self, mut keeps: impl FnMut(&T) -> bool) {
        self.end_each(|entry| !keeps(entry), false);
    }

    /// Ends the visible entries that `ends` picks, and `expired` ones if they are to go as well.
    fn end_each(&self, mut ends: impl FnMut(&T) -> bool, expired: bool) {
        let mut guard = guard::pin();
        for (n, (start, last)) in self.list.directory.buckets().enumerate() {
            self.end_in_bucket(start, last, &mut ends, expired, &guard);
            if n % BUCKETS_PER_PIN == BUCKETS_PER_PIN - 1 {
                guard.repin();
                self.after_sweep(&mut self.turn(&guard));
            }
        }
    }

    /// The same between two places. One walk decides and ends, each entry on its own state word; a second one
    /// unlinks what was ended: linear, also for one bucket with all entries.
    fn end_in_bucket<'g>(
        &'g self,
        start: SplitKey,
        last: Order,
        ends: &mut impl FnMut(&T) -> bool,
        expired: bool,
        guard: &'g Guard,
    ) {
        let ended = Ended { table: self, guard, entries: Cell::new(0) };
        let walk = &mut self.turn(guard);
        let Ok(_) = self.list.find(start, last, walk, |_, node| {
            if node.key() < start.node_key() {
                // The bucket has no sentinel yet, and the walk began at an earlier one's.
                return Ok(false);
            }
            let entry = List::entry(node, guard);
            // Acquire (O2), as in every judgement.
            let mut state = node.state.load(order!(retain_state, Acquire));
            let mut picked = None;
            while !state.is_terminal() {
                let visible = self.is_visible(state);
                if !(if visible { *picked.get_or_insert_with(|| ends(entry)) } else { expired }) {
                    break;
                }
                match node.state.advance(state, State::DEAD) {
                    Ok(()) => {
                        ended.entries.set(ended.entries.get() + 1);
                        let cause =
                            if visible { RemovalCause::Explicit } else { RemovalCause::Expired };
                        self.listener.tell(entry, cause);
                        break;
                    }
                    Err(now) => state = now,
                }
            }
            Ok::<_, Infallible>(false)
        });
        walk.leave();
        if ended.entries.get() > 0 {
            let none = |_, _: &_| Ok::<_, Infallible>(false);
            let Ok(_) = self.list.find(start, last, &mut self.turn(guard), none);
        }
    }
}

/// Counts what was ended, also when the user's code panics in the middle.
struct Ended<'g, T> {
    table: &'g Table<T>,
    guard: &'g Guard,
    entries: Cell<isize>,
}

impl<T> Drop for Ended<'_, T> {
    fn drop(&mut self) {
        Turn::new(&self.table.list.stripes, self.guard).count_entries(-self.entries.get());
    }
}
