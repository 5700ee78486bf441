//! Early refresh: of the callers that find an entry near its deadline, one gets the token.

use crate::raw::{
    ops::compute::Met,
    reclaim::guard::Guard,
    slab::{judge::Hit, tokens::RefreshToken},
    table::Table,
    words::key::{SlotIndex, SplitKey},
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
        let hit = |hit: Hit<'g, T, SlotIndex>| hit;
        let Some(hit) = self.index.lookup(key, guard, &self.clock, &mut is_match, hit)? else {
            return Ok(None);
        };
        self.count_use(&hit);
        let state = hit.state();
        if !state.is_terminal() && self.is_visible(state.earlier_by(early)) {
            return Ok(Some((hit.entry(), Freshness::Fresh)));
        }
        let turn = &mut self.turn(guard);
        loop {
            let Some(mut met) = self.index.find_entry(key, &mut None, turn, &mut is_match)? else {
                return Ok(None);
            };
            let due_from = met.state.earlier_by(early);
            // One reading judges both, and the state is still the same behind it: so the entry was visible and
            // due, or expired, at one instant.
            let reading = self.clock.reading_for(due_from);
            if due_from.is_visible_at(reading) {
                return Ok(Some((met.entry(), Freshness::Fresh)));
            }
            if !met.is_unchanged() {
                continue;
            }
            if !met.state.is_visible_at(reading) {
                return Ok(None);
            }
            let token = self.index.slab.tokens.take(met.slot(), guard);
            return Ok(Some((met.entry(), token.map_or(Freshness::Taken, Freshness::Due))));
        }
    }

    /// Whether a token is of the entry that a [`compute`](Table::compute) met.
    pub(crate) fn is_of(&self, token: &RefreshToken, met: &Met<'_, T>, guard: &Guard) -> bool {
        self.index.slab.tokens.is_of(token, met.slot, guard)
    }
}
