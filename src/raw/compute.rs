//! Read-modify-write of one key: look, decide, and change the state word once from what was looked at.

use crate::{listener::RemovalCause, sync::planted};

use super::{
    draft::Draft,
    guard::Guard,
    link::{Link, SlotIndex, SplitKey},
    list::{Found, Located},
    state::State,
    table::Table,
};

/// What is to happen with the entry of a key, or with its absence. `C` is what the entry would be made of.
pub(crate) enum Decision<C, T> {
    /// This entry is put in its place, with the old deadline (none if there is no entry) or another.
    Put(T, Option<State>),
    /// The entry is removed.
    Remove(C),
    /// Nothing.
    Leave(C),
}

/// The visible entry that a decision is about.
pub(crate) struct Met<'g, T> {
    pub(crate) entry: &'g T,
    pub(super) slot: SlotIndex,
}

/// What happened.
pub(crate) enum Computed<'g, C, T> {
    Put { entry: &'g T, replaced: Option<&'g T> },
    Removed(&'g T),
    Left(Option<&'g T>, C),
}

impl<T> Table<T> {
    /// Does with the visible entry of a key, or with its absence, what `decide` says.
    ///
    /// `decide` runs again, with what `unmake` brings back, only if the entry that it saw is not the key's any
    /// more; a renewal alone does not count, and is not lost.
    pub(crate) fn compute<'g, C, E>(
        &'g self,
        key: SplitKey,
        mut carry: C,
        guard: &'g Guard,
        mut is_match: impl FnMut(&C, &T) -> Result<bool, E>,
        mut decide: impl FnMut(C, Option<Met<'g, T>>) -> Decision<C, T>,
        unmake: impl Fn(T) -> C,
    ) -> Result<Computed<'g, C, T>, E> {
        let turn = &mut self.turn(guard);
        loop {
            let mut old = match self.list.find_entry(key, turn, |met| is_match(&carry, met))? {
                Found::At(located) => located,
                Found::Gap(gap) => {
                    // The user's code runs in no turn: it may take its time, or call the map.
                    turn.leave();
                    let (entry, deadline) = match decide(carry, None) {
                        Decision::Put(entry, deadline) => (entry, deadline),
                        Decision::Remove(carry) | Decision::Leave(carry) => {
                            return Ok(Computed::Left(None, carry));
                        }
                    };
                    let state = deadline.unwrap_or(State::NEVER);
                    let mut draft = Draft::new(&self.list.slab, entry);
                    let slot =
                        draft.place(key.node_key(), state, gap.next, || self.take_slot(turn));
                    if !gap.append(slot) {
                        carry = unmake(draft.into_entry());
                        continue;
                    }
                    let entry = draft.publish(guard);
                    self.note_deadline(slot, state);
                    turn.count_entries(1);
                    self.after_write(turn);
                    return Ok(Computed::Put { entry, replaced: None });
                }
            };
            let first = old.state;
            let seen = self.is_visible(old.state).then(|| old.entry());
            turn.leave();
            let met = seen.map(|entry| Met { entry, slot: old.slot() });
            let (entry, deadline) = match decide(carry, met) {
                Decision::Put(entry, deadline) => (entry, deadline),
                Decision::Remove(back) if seen.is_some() => {
                    // As long as it is the entry that was seen, renewed or not.
                    while self.is_still(&mut old, true) {
                        if old.advance(State::DEAD) {
                            self.end(&old, RemovalCause::Explicit, turn);
                            self.after_write(turn);
                            return Ok(Computed::Removed(old.entry()));
                        }
                    }
                    carry = back;
                    continue;
                }
                Decision::Remove(back) | Decision::Leave(back) => {
                    if seen.is_some() || old.confirm_expired() {
                        return Ok(Computed::Left(seen, back));
                    }
                    carry = back;
                    continue;
                }
            };
            let mut draft = Draft::new(&self.list.slab, entry);
            while self.is_still(&mut old, seen.is_some()) {
                // The new entry takes over the deadline it is judged by, so a renewal between
                // fails the step and is not lost.
                let kept = if planted!(renewal_lost_by_update) { first } else { old.state };
                let state = match (deadline, seen) {
                    (Some(deadline), _) => deadline,
                    (None, Some(_)) => kept,
                    (None, None) => State::NEVER,
                };
                let slot = draft.place(key.node_key(), state, Link::UNSET, || self.take_slot(turn));
                if old.advance(State::moved(slot, seen.is_some())) {
                    let entry = draft.publish(guard);
                    self.note_deadline(slot, state);
                    old.finish(&self.list, turn);
                    self.tell(
                        &old,
                        seen.map_or(RemovalCause::Expired, |_| RemovalCause::Replaced),
                        turn,
                    );
                    self.after_write(turn);
                    return Ok(Computed::Put { entry, replaced: seen });
                }
            }
            carry = unmake(draft.into_entry());
        }
    }

    /// Whether an entry that was found visible, or expired, is so by a new reading, or the state that it was
    /// renewed to meanwhile is. False if it is over as well.
    fn is_still<'g>(&'g self, old: &mut Located<'g, T>, visible: bool) -> bool {
        while !old.state.is_terminal() {
            if self.is_visible(old.state) {
                return visible;
            }
            if !visible || old.confirm_expired() {
                return !visible;
            }
        }
        false
    }
}
