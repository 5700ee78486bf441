//! Putting what was loaded, unless a write of its key came while it was (docs/lab/loading.md).
//!
//! The entry is put hidden, then the load is asked whether it has lost, and only then the entry is shown. So a write that
//! the load did not know of when it was asked is one that meets the entry.

use crate::{
    listener::RemovalCause,
    raw::{
        bound::Queue,
        index::Located,
        ops::draft::{Draft, Waiting},
        reclaim::{guard::Guard, stripe::Turn},
        table::Table,
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
};

impl<K, V> Table<(K, V)> {
    /// Puts what waits, with the deadline `state`, if its key has no visible entry, and if `may_stay`, asked when each write
    /// of the key that comes later meets the entry, says so. False if it is not put; it may wait still.
    pub(crate) fn put_loaded<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&K, &K) -> Result<bool, E>,
        may_stay: impl FnOnce() -> bool,
    ) -> Result<bool, E> {
        let turn = &mut self.turn(guard);
        let Some((slot, entered)) = self.put_hidden(key, waiting, turn, is_match)? else {
            return Ok(false);
        };
        let stays = may_stay();
        let shown = if stays { state } else { State::DEAD };
        // Linearization of a load that is kept. It fails if a write has met the entry.
        let is_ended = self.index.slab.node(slot).state.advance(State::HIDDEN, shown).is_err();
        if !is_ended {
            if stays {
                self.note_deadline(slot, state);
                turn.count_entries(1);
                if let Some(queue) = entered {
                    self.count_in_bound(slot, queue, turn);
                }
            } else {
                self.index.tidy(slot, turn);
                self.leave_uncounted(slot);
            }
        }
        self.after_write(turn);
        Ok(stays && !is_ended)
    }

    /// Publishes what waits, in a state in which nobody sees it; `None` if its key has a visible entry, or if it weighs more
    /// than all of the map may. Tells the queue of a bounded map that it was entered in.
    fn put_hidden<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        turn: &mut Turn<'g>,
        mut is_match: impl FnMut(&K, &K) -> Result<bool, E>,
    ) -> Result<Option<(SlotIndex, Option<Queue>)>, E> {
        let draft = &mut Draft::new(&self.index, waiting, turn.guard);
        let mut gap = None;
        loop {
            match self
                .index
                .find_entry(key, &mut gap, turn, |(met, _)| is_match(draft.key(), met))?
            {
                None => {
                    let take = || self.take_slot(turn);
                    let slot = draft.place(key.node_key(), State::HIDDEN, take);
                    let enter =
                        |bound| self.try_enter_bound(bound, draft.entry(), slot, None, turn);
                    let Ok(entered) = self.bound().map(enter).transpose() else { return Ok(None) };
                    if gap.take().is_some_and(|gap| gap.append(slot, draft.reserved())) {
                        draft.publish(turn.guard);
                        return Ok(Some((slot, entered)));
                    }
                }
                Some(old) if self.is_visible(old.state) => return Ok(None),
                // What another load has put that has lost: no two that have not are of one key.
                Some(mut old) if old.state.is_hidden() => _ = self.end_hidden(&mut old, turn),
                // Ended first, and not replaced: it was counted, and a hidden one is not.
                Some(mut old) => {
                    if old.advance(State::DEAD) {
                        self.end(&old, RemovalCause::Expired, turn);
                    }
                }
            }
        }
    }
}

impl<T> Table<T> {
    /// Ends an entry that a load has put and not shown; false if its state has changed since. It was not counted, and
    /// nobody is told.
    pub(in crate::raw) fn end_hidden<'g>(
        &'g self,
        old: &mut Located<'g, T>,
        turn: &mut Turn<'g>,
    ) -> bool {
        let is_ended = old.advance(State::DEAD);
        if is_ended {
            old.take_off(&self.index, turn);
            self.leave_uncounted(old.slot());
        }
        is_ended
    }

    /// Removes the entry of a key, also an expired one, and does nothing of what a write does beside: no user's `Drop` runs.
    /// False if there is none.
    pub(crate) fn remove_quietly<'g>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl Fn(&T) -> bool,
    ) -> bool {
        let turn = &mut self.turn(guard);
        loop {
            let is_match = |met: &T| Ok::<_, core::convert::Infallible>(is_match(met));
            let Ok(Some(mut old)) = self.index.find_entry(key, &mut None, turn, is_match) else {
                return false;
            };
            if old.advance(State::DEAD) {
                self.end(&old, RemovalCause::Explicit, turn);
                return true;
            }
        }
    }
}
