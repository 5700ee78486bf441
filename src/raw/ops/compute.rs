//! Read-modify-write of one key: look, decide, and change the state word once from what was looked at.

use crate::{
    raw::{
        index::{Gap, Located},
        ops::{draft::Waiting, put::Put},
        reclaim::{guard::Guard, stripe::Turn},
        table::Table,
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
    sync::planted,
};

/// What is to happen with the entry of a key, or with its absence.
pub(crate) enum Decision {
    /// What waits is put in its place, with this deadline, or else the old one (none if there is no entry).
    Put(Option<State>),
    /// The entry is removed.
    Remove,
    /// Nothing.
    Leave,
}

/// The visible entry that a decision is about.
pub(crate) struct Met<'g, T> {
    pub(crate) entry: &'g T,
    pub(in crate::raw) slot: SlotIndex,
}

/// What happened.
pub(crate) enum Computed<'g, T> {
    Put(Put<'g, T>),
    Removed(&'g T),
    Left(Option<&'g T>),
}

impl<K, V> Table<(K, V)> {
    /// Does with the visible entry of a key, or with its absence, what `decide` says. `is_match` is given the key that
    /// waits, if there is one; there must be one when `decide` says to put.
    ///
    /// `decide` runs again only if the entry that it saw is not the key's any more; a renewal alone does not count,
    /// and is not lost. What it put waits again then. It runs in no turn: the user's code may take its time, call
    /// the map, or drop what waits.
    #[inline]
    pub(crate) fn compute<'g, E>(
        &'g self,
        key: SplitKey,
        waiting: &mut Waiting<K, V>,
        guard: &'g Guard,
        mut is_match: impl FnMut(Option<&K>, &K) -> Result<bool, E>,
        mut decide: impl FnMut(&mut Waiting<K, V>, Option<Met<'g, (K, V)>>) -> Decision,
    ) -> Result<Computed<'g, (K, V)>, E> {
        let turn = &mut self.turn(guard);
        let mut gap = None;
        loop {
            let is_key = |(met, _): &(K, V)| is_match(waiting.key.as_ref(), met);
            let Some(mut old) = self.index.find_entry(key, &mut gap, turn, is_key)? else {
                turn.leave();
                let Decision::Put(deadline) = decide(waiting, None) else {
                    return Ok(Computed::Left(None));
                };
                let state = deadline.unwrap_or(State::NEVER);
                match self.append_waiting(waiting, key, state, &mut gap, turn) {
                    Some(entry) => return Ok(Computed::Put(Put { entry, replaced: None })),
                    None => continue,
                }
            };
            let first = old.state;
            let seen = self.is_visible(old.state).then(|| old.entry());
            turn.leave();
            match decide(waiting, seen.map(|entry| Met { entry, slot: old.slot() })) {
                Decision::Put(deadline) => {
                    // What keeps the deadline that it was judged by needs no other reading: it stands before that,
                    // within the call (DESIGN.md, section 5).
                    let keeps = seen.is_some() && deadline.is_none();
                    let mut is_there = keeps || self.is_still(&mut old, seen.is_some());
                    while is_there {
                        // The new entry takes over the deadline it is judged by, so a renewal between
                        // fails the step and is not lost.
                        let kept = if planted!(renewal_lost_by_update) { first } else { old.state };
                        let state = match (deadline, seen) {
                            (Some(deadline), _) => deadline,
                            (None, Some(_)) => kept,
                            (None, None) => State::NEVER,
                        };
                        if let Some(entry) =
                            self.replace(waiting, key, state, &mut old, seen.is_some(), turn)
                        {
                            return Ok(Computed::Put(Put { entry, replaced: seen }));
                        }
                        (is_there, old) = self.is_still_otherwise(old, seen.is_some());
                    }
                }
                // By a copy, here and below: so what was found is in registers.
                Decision::Remove if seen.is_some() => {
                    let mut removed = old;
                    if self.remove_seen(&mut removed, turn) {
                        return Ok(Computed::Removed(removed.entry()));
                    }
                }
                Decision::Remove => {
                    let mut over = old;
                    if self.is_gone(&mut over, turn) {
                        return Ok(Computed::Left(None));
                    }
                }
                Decision::Leave => {
                    if seen.is_some() || old.confirm_expired() {
                        return Ok(Computed::Left(seen));
                    }
                }
            }
        }
    }

    /// [`Table::append`] of what waits, out of line: most calls find an entry.
    #[inline(never)]
    fn append_waiting<'g>(
        &'g self,
        waiting: &mut Waiting<K, V>,
        key: SplitKey,
        state: State,
        gap: &mut Option<Gap<'g>>,
        turn: &mut Turn<'g>,
    ) -> Option<&'g (K, V)> {
        match self.append_at_once(waiting, key, state, gap, turn) {
            Ok(entry) => Some(entry),
            // In a map with a bound, or in a line without a cell.
            Err(mut draft) => self.append(&mut draft, key, state, &gap.take()?, turn),
        }
    }
}

impl<T> Table<T> {
    /// Removes an entry that was seen visible, as long as it is that one; if it was renewed meanwhile, as long as it is
    /// visible then. (If not, no other reading is needed: as in [`Table::compute`].)
    pub(super) fn remove_seen<'g>(&'g self, old: &mut Located<'g, T>, turn: &mut Turn<'g>) -> bool {
        loop {
            if self.remove_judged(old, turn) {
                return true;
            }
            let is_there;
            (is_there, *old) = self.is_still_otherwise(*old, true);
            if !is_there {
                return false;
            }
        }
    }

    /// Whether an entry that was found visible, or expired, is so by a new reading, or the state that it was
    /// renewed to meanwhile is. False if it is over as well.
    #[inline]
    fn is_still<'g>(&'g self, old: &mut Located<'g, T>, visible: bool) -> bool {
        // The usual case, in line.
        visible && !old.state.is_terminal() && self.is_visible(old.state) || {
            let is_there;
            (is_there, *old) = self.is_still_otherwise(*old, visible);
            is_there
        }
    }

    /// The same, and what the entry is then.
    #[cold]
    #[inline(never)]
    fn is_still_otherwise<'g>(
        &'g self,
        mut old: Located<'g, T>,
        visible: bool,
    ) -> (bool, Located<'g, T>) {
        while !old.state.is_terminal() {
            if self.is_visible(old.state) {
                return (visible, old);
            }
            if !visible || old.confirm_expired() {
                return (!visible, old);
            }
        }
        (false, old)
    }
}
