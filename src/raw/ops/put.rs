//! Putting an entry, in the place of that of its key or where there is none. The two steps by which an entry gets into
//! the index are here, for all that put one.

use crate::{
    listener::RemovalCause,
    raw::{
        bound::{Bound, Queue},
        index::{Found, Gap, Located},
        ops::draft::{Draft, Waiting},
        reclaim::{guard::Guard, stripe::Turn},
        table::Table,
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
    sync::planted,
    weigher::TooHeavyError,
};

/// What was put, and the visible entry that it replaced.
pub(crate) struct Put<'g, T> {
    pub(crate) entry: &'g T,
    pub(crate) replaced: Option<&'g T>,
}

/// What was put; or else the visible entry that the key had before.
pub(crate) type Outcome<'g, T> = Result<Put<'g, T>, &'g T>;

impl<K, V> Table<(K, V)> {
    /// Puts what waits, in the place of the entry of its key if there is one; returns the replaced
    /// entry if it was visible.
    #[inline]
    pub(crate) fn insert<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&K, &K) -> Result<bool, E>,
    ) -> Result<Option<&'g (K, V)>, E> {
        let put = self.put(key, waiting, state, guard, is_match, true)?;
        Ok(put.unwrap_or_else(|_| unreachable!("an insert replaces what it finds")).replaced)
    }

    /// Puts what waits, unless its key has a visible entry; then it waits still.
    #[inline]
    pub(crate) fn try_insert<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&K, &K) -> Result<bool, E>,
    ) -> Result<Outcome<'g, (K, V)>, E> {
        self.put(key, waiting, state, guard, is_match, false)
    }

    #[inline]
    fn put<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        state: State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&K, &K) -> Result<bool, E>,
        replace_visible: bool,
    ) -> Result<Outcome<'g, (K, V)>, E> {
        let turn = &mut self.turn(guard);
        if let Some(bound) = self.bound() {
            bound.bring_ghost(key.node_key(), self.index.slab.room());
        }
        let mut found =
            self.index.find_entry(key, turn, |(met, _)| is_match(waiting.key(), met))?;
        let draft = &mut Draft::new(&self.index, waiting, guard);
        loop {
            match found {
                Found::Gap(gap) => {
                    if let Some(entry) = self.append(draft, key, state, &gap, turn) {
                        return Ok(Ok(Put { entry, replaced: None }));
                    }
                }
                // The key has an entry, visible or expired: one step of its state word replaces it.
                Found::At(mut old) => {
                    while !old.state.is_terminal() {
                        let visible = self.is_visible(old.state);
                        if visible && !replace_visible {
                            return Ok(Err(old.entry()));
                        }
                        if let Some(entry) =
                            self.replace(draft, key, state, &mut old, visible, turn)
                        {
                            let replaced = visible.then(|| old.entry());
                            return Ok(Ok(Put { entry, replaced }));
                        }
                    }
                }
            }
            let mine = draft.key();
            found = self.index.find_whole(key, turn, |(met, _)| is_match(mine, met))?;
        }
    }

    /// Publishes a draft in the gap where its key, which is absent, belongs, and does what a write does after its
    /// effect; `None` if the gap has closed.
    #[inline(always)] // as `replace`
    pub(in crate::raw) fn append<'g>(
        &'g self,
        draft: &mut Draft<'g, '_, K, V>,
        key: SplitKey,
        state: State,
        gap: &Gap<'g>,
        turn: &mut Turn<'g>,
    ) -> Option<&'g (K, V)> {
        let slot = draft.place(key.node_key(), state, || self.take_slot(turn));
        let entered = self.enter_bound(draft, slot, None, turn);
        if !gap.append(slot, draft.reserved()) {
            return None;
        }
        let entry = draft.publish(turn.guard);
        self.note_deadline(slot, state);
        turn.count_entries(1);
        if let Some(queue) = entered {
            self.count_in_bound(slot, queue, turn);
        }
        self.after_write(turn);
        Some(entry)
    }

    /// Publishes a draft in the place of the entry of its key, which was judged visible or not, and does what a write
    /// does after its effect; `None` if the state of that entry has changed.
    #[inline(always)] // out of line an overwrite takes an eighth more instructions
    pub(in crate::raw) fn replace<'g>(
        &'g self,
        draft: &mut Draft<'g, '_, K, V>,
        key: SplitKey,
        state: State,
        old: &mut Located<'g, (K, V)>,
        visible: bool,
        turn: &mut Turn<'g>,
    ) -> Option<&'g (K, V)> {
        let slot = draft.place(key.node_key(), state, || self.take_slot(turn));
        // In the place of one that has expired it is as a new one.
        let entered = self.enter_bound(draft, slot, visible.then(|| old.slot()), turn);
        let moved = State::moved(slot, visible);
        let judged = old.state;
        if !old.advance(if planted!(replace_by_remove) { State::DEAD } else { moved }) {
            return None;
        }
        let entry = draft.publish(turn.guard);
        self.note_deadline(slot, state);
        old.take_off(&self.index, turn);
        if visible {
            self.tell(old, RemovalCause::Replaced, turn);
        } else if judged.is_hidden() && !planted!(hidden_taken_for_expired) {
            // Neither counted nor known to anyone.
            turn.count_entries(1);
            self.leave_uncounted(old.slot());
        } else {
            self.tell(old, RemovalCause::Expired, turn);
        }
        if let Some(queue) = entered {
            // After the old one has left: as long as weights stay the same, the sum is at no time above what is there.
            self.count_in_bound(slot, queue, turn);
        }
        self.after_write(turn);
        Some(entry)
    }

    /// Enters a draft with the map's bound, as `try_enter_bound`.
    ///
    /// # Panics
    ///
    /// If it weighs more than all of the map may; it goes back to its owner then.
    #[inline]
    fn enter_bound<'g>(
        &'g self,
        draft: &Draft<'g, '_, K, V>,
        slot: SlotIndex,
        old: Option<SlotIndex>,
        turn: &mut Turn<'g>,
    ) -> Option<Queue> {
        let enter = |bound| self.try_enter_bound(bound, draft.entry(), slot, old, turn);
        let entered = self.bound().map(enter);
        entered.map(|entered| entered.unwrap_or_else(|refused| panic!("evanesce: {refused}")))
    }

    /// Enters a draft, which is in this slot, with the map's bound, before it is published; returns the queue. The weigher
    /// is the user's code, so it runs in no turn; it may panic, and the draft goes back to its owner then.
    #[cold]
    #[inline(never)]
    pub(super) fn try_enter_bound<'g>(
        &'g self,
        bound: &Bound,
        entry: &(K, V),
        slot: SlotIndex,
        old: Option<SlotIndex>,
        turn: &mut Turn<'g>,
    ) -> Result<Queue, TooHeavyError> {
        let weight = if self.weigher.is_some() {
            turn.leave();
            self.weigh(entry)?
        } else {
            1
        };
        let slab = &self.index.slab;
        Ok(bound.enter(slot, slab.key(slot), old, weight, slab.room()))
    }
}
