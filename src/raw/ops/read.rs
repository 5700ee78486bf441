//! Reading one entry, or several.

use core::time::Duration;

use crate::{
    clock::Ttl,
    raw::{
        reclaim::guard::Guard,
        slab::judge::{Hit, InGrace},
        table::Table,
        words::{
            key::{SlotIndex, SplitKey},
            state::{Now, State},
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

    /// The same, and notes the use of the entry.
    pub(crate) fn get_and_note_use<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let answer = |hit: Hit<'g, T, SlotIndex>| {
            self.note_use(&hit);
            hit.entry()
        };
        self.index.lookup(key, guard, &self.clock, is_match, answer)
    }

    /// Counts a use of an entry that was found, if the map is bounded, and puts its deadline off, if hits do that.
    fn note_use(&self, hit: &Hit<'_, T, SlotIndex>) {
        self.count_use(hit);
        if self.idle() > 0 {
            self.renew_by_hit(hit);
        }
    }

    /// Puts the deadline of an entry off that was found, if it slides and an eighth of the map's time to idle has gone. By
    /// one step, which is not tried again: if it fails, another thread has renewed the entry, or ended it.
    ///
    /// Only to a later one, so nothing is noted for sweeps: the earlier note leads them here (DESIGN.md, section 7).
    #[cold]
    #[inline(never)]
    fn renew_by_hit<P>(&self, hit: &Hit<'_, T, P>) {
        let (idle, judged) = (self.idle(), hit.state());
        if judged.is_terminal() || !judged.is_sliding() {
            return;
        }
        // By the reading that is cheap where the deadline is far.
        if self.is_visible(judged.earlier_by(idle - idle / 8)) {
            return;
        }
        // The exact time, read after the word was loaded: it judges that deadline, and the new one counts from it.
        let now = Now::from_tick(self.clock.tick());
        let renewed = now.plus(idle).sliding();
        if judged.is_visible_at(now) && renewed.later(judged) != judged {
            hit.renew(judged, renewed);
        }
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
        if !self.notes_uses {
            let tell = |hit: Option<Hit<'g, T>>| tell(hit.map(Hit::entry));
            return self.index.lookup_together(keys, guard, &self.clock, is_match, tell);
        }
        let tell = |hit: Option<Hit<'g, T, SlotIndex>>| {
            tell(hit.map(|hit| {
                self.note_use(&hit);
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

    /// The entry of `key` that is visible, or in its grace, and in that case for how long it has been expired.
    ///
    /// Lock-free: it looks again when the entry was replaced, or changed while the clock was read.
    pub(crate) fn get_in_grace<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<(&'g T, Option<Duration>)>, E> {
        let grace = self.grace();
        let reading = InGrace { clock: &self.clock, grace };
        loop {
            let hit = |hit: Hit<'g, T, SlotIndex>| hit;
            let Some(hit) = self.index.lookup(key, guard, reading, &mut is_match, hit)? else {
                return Ok(None);
            };
            let state = hit.state();
            if state.is_terminal() {
                continue;
            }
            // Behind the word, which says when the entry expires: what is visible by it was so at that load.
            let now = self.clock.now();
            if state.is_visible_at(now) {
                self.note_use(&hit);
                return Ok(Some((hit.entry(), None)));
            }
            // What has expired must be so at a load behind the reading, as in each lookup.
            if hit.is_still(state) {
                if state.is_due_at(now.earlier_by(grace)) {
                    return Ok(None);
                }
                self.count_use(&hit);
                return Ok(Some((hit.entry(), Some(state.lag(now)))));
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
