//! Putting an entry, in the place of that of its key or where there is none. The two steps by which an entry gets into
//! the index are here, for all that put one.

use crate::{
    listener::RemovalCause,
    raw::{
        bound::{Bound, Queue},
        index::{Gap, Located},
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
            let draft = &mut Draft::new(&self.index, waiting, guard);
            return self.put_draft(draft, key, state, None, turn, is_match, replace_visible);
        }
        let mut gap = None;
        let is_waiting = |(met, _): &(K, V)| is_match(waiting.key(), met);
        let Some(mut old) = self.index.find_entry(key, &mut gap, turn, is_waiting)? else {
            return match self.append_at_once(waiting, key, state, &mut gap, turn) {
                Ok(entry) => Ok(Ok(Put { entry, replaced: None })),
                Err(mut draft) => {
                    self.put_draft(&mut draft, key, state, gap, turn, is_match, replace_visible)
                }
            };
        };
        // The key has an entry, visible or expired: one step of its state word replaces it.
        while !old.state.is_terminal() {
            let visible = self.is_visible(old.state);
            if visible && !replace_visible {
                return Ok(Err(old.entry()));
            }
            if let Some(entry) = self.replace(waiting, key, state, &mut old, visible, turn) {
                let replaced = visible.then(|| old.entry());
                return Ok(Ok(Put { entry, replaced }));
            }
        }
        let draft = &mut Draft::new(&self.index, waiting, guard);
        self.put_draft(draft, key, state, None, turn, is_match, replace_visible)
    }

    /// The same with a draft, which outlives a gap that has closed; `gap` is where it belongs, if that is known.
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // those of the calls that it goes on with
    fn put_draft<'g, E>(
        &'g self,
        draft: &mut Draft<'g, '_, K, V>,
        key: SplitKey,
        state: State,
        mut gap: Option<Gap<'g>>,
        turn: &mut Turn<'g>,
        mut is_match: impl FnMut(&K, &K) -> Result<bool, E>,
        replace_visible: bool,
    ) -> Result<Outcome<'g, (K, V)>, E> {
        loop {
            if let Some(gap) = gap.take()
                && let Some(entry) = self.append(draft, key, state, &gap, turn)
            {
                return Ok(Ok(Put { entry, replaced: None }));
            }
            let is_mine = |(met, _): &(K, V)| is_match(draft.key(), met);
            let Some(mut old) = self.index.find_entry(key, &mut gap, turn, is_mine)? else {
                continue;
            };
            while !old.state.is_terminal() {
                let visible = self.is_visible(old.state);
                if visible && !replace_visible {
                    return Ok(Err(old.entry()));
                }
                if let Some(entry) =
                    self.replace_by_draft(draft, key, state, &mut old, visible, turn)
                {
                    let replaced = visible.then(|| old.entry());
                    return Ok(Ok(Put { entry, replaced }));
                }
            }
        }
    }

    /// Publishes what waits in the gap where its key, which is absent, belongs, and does what a write does after its
    /// effect. Or else the draft that it has become; the gap has closed then, unless it is left.
    ///
    /// Between the slot and the step no code runs that could panic, so up to there this needs no draft.
    #[inline(always)] // as `replace`
    pub(in crate::raw) fn append_at_once<'g, 'w>(
        &'g self,
        waiting: &'w mut Waiting<K, V>,
        key: SplitKey,
        state: State,
        gap: &mut Option<Gap<'g>>,
        turn: &mut Turn<'g>,
    ) -> Result<&'g (K, V), Draft<'g, 'w, K, V>> {
        let Some(there) = gap.as_ref().filter(|_| self.bound().is_none()) else {
            return Err(Draft::new(&self.index, waiting, turn.guard));
        };
        let slot = self.take_slot(turn);
        waiting.fill(&self.index, slot, key.node_key(), state);
        if let Err(reserved) = there.append_at_once(slot) {
            if reserved.has_cell() {
                *gap = None;
            }
            return Err(Draft::in_slot(&self.index, waiting, turn.guard, slot, reserved));
        }
        Ok(self.appended(slot, state, None, turn))
    }

    /// The same with a draft; `None` if the gap has closed.
    #[inline]
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
        draft.publish(turn.guard);
        Some(self.appended(slot, state, entered, turn))
    }

    /// What comes after our step that has published the entry in `slot`.
    #[inline(always)] // as `replace`
    fn appended<'g>(
        &'g self,
        slot: SlotIndex,
        state: State,
        entered: Option<Queue>,
        turn: &mut Turn<'g>,
    ) -> &'g (K, V) {
        self.note_deadline(slot, state);
        turn.count_entries(1);
        if let Some(queue) = entered {
            self.count_in_bound(slot, queue, turn);
        }
        self.after_write(turn);
        self.index.slab.published(slot, turn.guard)
    }

    /// Puts what waits in the place of the entry of its key, which was judged visible or not, and does what a write does
    /// after its effect; `None` if the state of that entry has changed: then it waits again.
    ///
    /// Between the slot and the step no code runs that could panic, so this needs no draft.
    #[inline(always)] // out of line an overwrite takes an eighth more instructions
    pub(in crate::raw) fn replace<'g>(
        &'g self,
        waiting: &mut Waiting<K, V>,
        key: SplitKey,
        state: State,
        old: &mut Located<'g, (K, V)>,
        visible: bool,
        turn: &mut Turn<'g>,
    ) -> Option<&'g (K, V)> {
        if self.bound().is_some() {
            let mut other = *old; // so that `old` is in registers
            let put = self.replace_in_bound(waiting, key, state, &mut other, visible, turn);
            *old = other;
            return put;
        }
        let slot = self.take_slot(turn);
        waiting.fill(&self.index, slot, key.node_key(), state);
        let judged = old.state;
        if !old.advance(self.moved(slot, visible)) {
            waiting.take_back(&self.index, slot, turn);
            return None;
        }
        Some(self.replaced(slot, state, old, judged, visible, None, turn))
    }

    /// The same on a map with a bound, whose weigher may panic.
    #[inline(never)]
    fn replace_in_bound<'g>(
        &'g self,
        waiting: &mut Waiting<K, V>,
        key: SplitKey,
        state: State,
        old: &mut Located<'g, (K, V)>,
        visible: bool,
        turn: &mut Turn<'g>,
    ) -> Option<&'g (K, V)> {
        let draft = &mut Draft::new(&self.index, waiting, turn.guard);
        self.replace_by_draft(draft, key, state, old, visible, turn)
    }

    /// The same with a draft, which may be in a slot already, and stays there if the state has changed.
    #[inline]
    fn replace_by_draft<'g>(
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
        let judged = old.state;
        if !old.advance(self.moved(slot, visible)) {
            return None;
        }
        draft.publish(turn.guard);
        Some(self.replaced(slot, state, old, judged, visible, entered, turn))
    }

    #[inline]
    #[allow(clippy::unused_self)] // for the type
    fn moved(&self, slot: SlotIndex, visible: bool) -> State {
        if planted!(replace_by_remove) { State::DEAD } else { State::moved(slot, visible) }
    }

    /// What comes after our step that has put the entry in `slot` in the place of another.
    #[inline(always)] // as `replace`
    #[allow(clippy::too_many_arguments)] // of one step, in two
    fn replaced<'g>(
        &'g self,
        slot: SlotIndex,
        state: State,
        old: &Located<'g, (K, V)>,
        judged: State,
        visible: bool,
        entered: Option<Queue>,
        turn: &mut Turn<'g>,
    ) -> &'g (K, V) {
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
        self.index.slab.published(slot, turn.guard)
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
        let entered = self.try_enter_bound(self.bound()?, draft.entry(), slot, old, turn);
        Some(entered.unwrap_or_else(|refused| panic!("evanesce: {refused}")))
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
