//! Early refresh: of the callers that find an entry near its deadline, one gets the token.

use super::{
    compute::Met, guard::Guard, link::SplitKey, list::Found, state::State, table::Table,
    tokens::RefreshToken,
};

/// What [`Table::get_or_refresh`] found: an entry and how it stands with it.
pub(crate) enum Freshness {
    /// Its deadline is further off than asked for.
    Fresh,
    /// It is not, and the caller has the token.
    Due(RefreshToken),
    /// It is not, and the token is out.
    Taken,
}

impl<T> Table<T> {
    /// Finds the visible entry of `key`, and takes its token if it expires within `early` nanoseconds.
    ///
    /// Wait-free as a lookup for an entry that is fresh, as long as it is not replaced meanwhile; lock-free
    /// otherwise: it looks again only where another thread has renewed or ended the entry. So what the find says is
    /// the answer, also where it is not what the lookup said.
    pub(crate) fn get_or_refresh<'g, E>(
        &'g self,
        key: SplitKey,
        early: u64,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<(&'g T, Freshness)>, E> {
        // Fresh: visible still if its deadline were so much earlier.
        let is_fresh = |state: State| self.is_visible(state.earlier_by(early));
        let reading = |state| self.clock.reading_for(state);
        let Some(hit) = self.list.lookup(key, guard, reading, &mut is_match, |hit| hit)? else {
            return Ok(None);
        };
        let state = hit.state();
        if !state.is_terminal() && is_fresh(state) {
            return Ok(Some((hit.entry(), Freshness::Fresh)));
        }
        let turn = &mut self.turn(guard);
        loop {
            let Found::At(mut met) = self.list.find_entry(key, turn, &mut is_match)? else {
                return Ok(None);
            };
            if !self.is_visible(met.state) {
                if met.confirm_expired() {
                    return Ok(None);
                }
                continue;
            }
            let freshness = if is_fresh(met.state) {
                Freshness::Fresh
            } else {
                let token = self.list.slab.tokens.take(met.slot(), guard);
                token.map_or(Freshness::Taken, Freshness::Due)
            };
            return Ok(Some((met.entry(), freshness)));
        }
    }

    /// Whether a token is of the entry that a [`compute`](Table::compute) met.
    pub(crate) fn is_of(&self, token: &RefreshToken, met: &Met<'_, T>, guard: &Guard) -> bool {
        self.list.slab.tokens.is_of(token, met.slot, guard)
    }
}
