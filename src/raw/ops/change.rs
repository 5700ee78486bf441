//! Ending or renewing the entry of a key.

use crate::{
    listener::RemovalCause,
    raw::{
        index::Located,
        reclaim::{guard::Guard, stripe::Turn},
        table::Table,
        words::{
            key::SplitKey,
            state::{Now, State},
        },
    },
    sync::planted,
};

/// The visible entry that was removed, if there was one; or else the one that was asked about and refused.
pub(crate) type Removal<'g, T> = Result<Option<&'g T>, &'g T>;

impl<T> Table<T> {
    /// Removes the visible entry of a key and returns it.
    pub(crate) fn remove<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let removed = self.remove_asking(key, guard, is_match, None::<fn(&T) -> bool>)?;
        Ok(removed.unwrap_or_else(|_| unreachable!("nobody refuses it")))
    }

    /// The same, if `is_expected` accepts it; or else, as an error inside, the entry that it refused.
    ///
    /// `is_expected` runs again, and in no turn, as `decide` does in [`compute`](Table::compute).
    pub(crate) fn remove_if<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
        is_expected: impl FnMut(&T) -> bool,
    ) -> Result<Removal<'g, T>, E> {
        self.remove_asking(key, guard, is_match, Some(is_expected))
    }

    #[inline]
    fn remove_asking<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
        mut is_expected: Option<impl FnMut(&T) -> bool>,
    ) -> Result<Removal<'g, T>, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Some(mut old) = self.index.find_entry(key, &mut None, turn, &mut is_match)? else {
                return Ok(Ok(None));
            };
            if !self.is_visible(old.state) {
                if self.is_gone(&mut old, turn) {
                    return Ok(Ok(None));
                }
                continue;
            }
            let is_removed = if let Some(is_expected) = &mut is_expected {
                turn.leave();
                if !is_expected(old.entry()) {
                    return Ok(Err(old.entry()));
                }
                self.remove_seen(&mut old, turn)
            } else {
                self.remove_judged(&mut old, turn)
            };
            if is_removed {
                return Ok(Ok(Some(old.entry())));
            }
        }
    }

    /// Whether an entry that is not visible is over for good: it has expired, or a load has not shown it yet, and then
    /// this ends it.
    #[cold]
    pub(super) fn is_gone<'g>(&'g self, old: &mut Located<'g, T>, turn: &mut Turn<'g>) -> bool {
        if old.state.is_hidden() && !planted!(hidden_left_by_remove) {
            return self.end_hidden(old, turn);
        }
        old.confirm_expired()
    }

    /// Removes an entry that was judged visible; false if its state has changed since.
    pub(super) fn remove_judged<'g>(
        &'g self,
        old: &mut Located<'g, T>,
        turn: &mut Turn<'g>,
    ) -> bool {
        let is_removed = old.advance(State::DEAD);
        if is_removed {
            self.end(old, RemovalCause::Explicit, turn);
            self.after_write(turn);
        }
        is_removed
    }

    /// Gives the visible entry of a key the deadline that `change` makes of the one it has; false if there is
    /// none. A deadline that is not after the reading by which it is judged ends the entry.
    pub(crate) fn renew<'g, E>(
        &'g self,
        key: SplitKey,
        change: impl Fn(State) -> State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Some(mut entry) = self.index.find_entry(key, &mut None, turn, &mut is_match)?
            else {
                return Ok(false);
            };
            let (judged, wanted) = (entry.state, change(entry.state));
            // One reading, taken after the word was loaded, judges both deadlines.
            let first = judged.earlier(wanted);
            let reading =
                if first.is_never() { Now::BEFORE_ALL } else { self.clock.reading_for(first) };
            if !judged.is_visible_at(reading) && !planted!(renew_expired) {
                if entry.confirm_expired() {
                    return Ok(false);
                }
                continue;
            }
            // A passed deadline may be one that the entry had before, and by which a stalled writer has judged it
            // visible. So it is not stored, but a word that no judgement can have been made by.
            let is_kept = wanted.is_visible_at(reading) || planted!(passed_deadline_is_stored);
            let state = if is_kept { wanted } else { State::OVER };
            if judged == state || entry.advance(state) {
                if state != judged && state.earlier(judged) == state {
                    // A later one is covered by the note of the one before, until a sweep has looked.
                    self.note_deadline(entry.slot(), state);
                }
                self.after_write(turn);
                return Ok(true);
            }
        }
    }
}
