//! Reading one entry, or several.

use crate::{
    clock::Ttl,
    raw::{
        reclaim::guard::Guard,
        slab::judge::Hit,
        table::Table,
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
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

    /// The same, and counts a use of the entry, if the map is bounded.
    pub(crate) fn get_and_count_use<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let answer = |hit: Hit<'g, T, SlotIndex>| {
            self.count_use(&hit);
            hit.entry()
        };
        self.index.lookup(key, guard, &self.clock, is_match, answer)
    }

    /// Counts a use of an entry that was found, if the map is bounded.
    #[inline]
    pub(in crate::raw) fn count_use(&self, hit: &Hit<'_, T, SlotIndex>) {
        if let Some(bound) = self.bound() {
            bound.count_use(hit.slot());
        }
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
        if self.bound().is_none() {
            let tell = |hit: Option<Hit<'g, T>>| tell(hit.map(Hit::entry));
            return self.index.lookup_together(keys, guard, &self.clock, is_match, tell);
        }
        let tell = |hit: Option<Hit<'g, T, SlotIndex>>| {
            tell(hit.map(|hit| {
                self.count_use(&hit);
                hit.entry()
            }));
        };
        self.index.lookup_together(keys, guard, &self.clock, is_match, tell)
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
            let hit = |hit: Hit<'g, T, SlotIndex>| hit;
            let Some(hit) = self.index.lookup(key, guard, &self.clock, &mut is_match, hit)? else {
                return Ok(None);
            };
            self.count_use(&hit);
            if let Some((state, ttl)) = self.time_left(&hit) {
                return Ok(Some((hit.entry(), state, ttl)));
            }
        }
    }

    /// The state of an entry that was visible, and how long it has to live; `None` if it is over, or was
    /// changed while the clock was read.
    pub(in crate::raw) fn time_left<P>(&self, hit: &Hit<'_, T, P>) -> Option<(State, Ttl)> {
        let state = hit.state();
        if state.is_never() {
            return Some((state, Ttl::Never));
        }
        let reading = self.clock.now();
        (state.is_visible_at(reading) && hit.is_still(state))
            .then(|| (state, Ttl::Remaining(self.clock.left_of(state, reading))))
    }
}
