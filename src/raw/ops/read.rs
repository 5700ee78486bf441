//! Reading one entry, or several.

use crate::{
    clock::Ttl,
    raw::{
        reclaim::guard::Guard,
        slab::judge::Hit,
        table::Table,
        words::{key::SplitKey, state::State},
    },
    sync::planted,
};

impl<T> Table<T> {
    /// Finds the visible entry of `key` that `is_match` accepts. Wait-free; writes nothing; reads
    /// the clock only for an entry with a deadline.
    #[inline(always)] // as `lookup`
    pub(crate) fn get<'g, R, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
        answer: impl Fn(&'g T) -> R,
    ) -> Result<Option<R>, E> {
        let answer = |hit: Hit<'g, T>| answer(hit.entry());
        if planted!(clock_read_before_the_word) {
            let early = self.clock.now();
            return self.index.lookup(key, guard, early, is_match, answer);
        }
        self.index.lookup(key, guard, &self.clock, is_match, answer)
    }

    /// The same for several keys, [`TOGETHER`](crate::raw::TOGETHER) at most, side by side; `tell` is given the answers in
    /// their order.
    #[inline]
    pub(crate) fn get_together<'g, E>(
        &'g self,
        keys: &[SplitKey],
        guard: &'g Guard,
        is_match: impl FnMut(usize, &T) -> Result<bool, E>,
        mut tell: impl FnMut(Option<&'g T>),
    ) -> Result<(), E> {
        self.index
            .lookup_together(keys, guard, &self.clock, is_match, |hit| tell(hit.map(Hit::entry)))
    }

    /// The visible entry of `key`, its state, and how long it has to live.
    ///
    /// Lock-free: it looks again when the entry was replaced or renewed, or has expired, before the
    /// clock was read and the state found unchanged. So the answer is exact for that reading.
    pub(crate) fn get_timed<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<(&'g T, State, Ttl)>, E> {
        loop {
            let Some(hit) = self.index.lookup(key, guard, &self.clock, &mut is_match, |hit| hit)?
            else {
                return Ok(None);
            };
            if let Some((state, ttl)) = self.time_left(&hit) {
                return Ok(Some((hit.entry(), state, ttl)));
            }
        }
    }

    /// The state of an entry that was visible, and how long it has to live; `None` if it is over, or was
    /// changed while the clock was read.
    pub(in crate::raw) fn time_left(&self, hit: &Hit<'_, T>) -> Option<(State, Ttl)> {
        let state = hit.state();
        if state.is_never() {
            return Some((state, Ttl::Never));
        }
        let reading = self.clock.now();
        (state.is_visible_at(reading) && hit.is_still(state))
            .then(|| (state, Ttl::Remaining(self.clock.left_of(state, reading))))
    }
}
