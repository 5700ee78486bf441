//! The stories of the map, each from top to bottom: get, remove, renew. (Of an entry that is put: `put.rs`; of
//! read-modify-write: `compute.rs`; of many entries: `retain.rs`.)
//!
//! Nothing here is unsafe. An operation that changes an entry finds it, judges its state, and
//! changes the state word once, from what it judged; the rest is tidying. What a write does beyond
//! its own effect is in `upkeep.rs`.

use crate::{
    clock::{ClockSource, Ttl},
    listener::{Listener, RemovalCause},
    sync::{AtomicBool, Ordering, planted},
};

use super::{
    blocks::block_of,
    chunked::PageSize,
    guard::Guard,
    index::{Found, Index, Lines, Located},
    judge::{self, Hit},
    key::{SlotIndex, SplitKey},
    retire::Limbo,
    slab::Slab,
    state::{Now, State},
    stripe::{Stripes, Turn},
    sweeping::{SweepRate, Sweeping},
};

/// The map without hashing: entries `T` by split-order key and a closure that knows equality.
pub(crate) struct Table<T> {
    pub(super) index: Index<T>,
    pub(crate) clock: ClockSource,
    pub(super) sweep_rate: SweepRate,
    /// Whether any entry ever had a deadline: until then writes do not sweep.
    pub(super) has_deadlines: AtomicBool,
    pub(super) sweeping: Box<Sweeping>,
    pub(super) listener: Listener<T>,
}

impl<T> Table<T> {
    pub(crate) fn new(
        capacity: usize,
        max_slots: u32,
        page_size: PageSize,
        sweep_per_write: u32,
        clock: ClockSource,
        listener: Listener<T>,
    ) -> Self {
        let stripes = Stripes::new();
        // A stripe has up to a share in each of its magazine, its block and its batch: an eighth of the slots at
        // most while up to 16 threads write.
        let share = max_slots / (3 * 8 * stripes.chains().min(16));
        Self {
            index: Index {
                lines: Lines::with_capacity(capacity, page_size),
                slab: Slab::new(max_slots, share, page_size),
                limbo: Limbo::new(share),
                stripes,
            },
            clock,
            sweep_rate: SweepRate::new(sweep_per_write),
            has_deadlines: AtomicBool::new(false),
            sweeping: Box::new(Sweeping::new()),
            listener,
        }
    }

    /// An empty table with the same options, clock and listener, laid out for so many entries.
    pub(crate) fn like(&self, capacity: usize) -> Self {
        let (max_slots, sweep_per_write) = (self.max_slots(), self.sweep_rate.per_write());
        let (clock, listener) = (self.clock.clone(), self.listener.clone());
        let page_size = self.index.slab.page_size();
        Self::new(capacity, max_slots, page_size, sweep_per_write, clock, listener)
    }

    /// Sets how many slots a write sweeps, on average.
    pub(crate) fn set_sweep_per_write(&self, slots: u32) {
        self.sweep_rate.set(slots);
    }

    pub(crate) fn entries(&self) -> usize {
        self.index.stripes.entries()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.index.lines.capacity()
    }

    pub(crate) fn pending(&self) -> usize {
        self.index.stripes.pending()
    }

    pub(crate) fn max_slots(&self) -> u32 {
        self.index.slab.blocks.max_slots()
    }

    /// The earliest deadline, or one before it: that of an entry that was renewed or ended since a sweep last
    /// looked. `None` if no entry has one. Looks at every block.
    pub(crate) fn next_deadline(&self) -> Option<State> {
        let earliest = self.index.slab.blocks.earliest();
        (!earliest.is_never()).then_some(earliest)
    }

    /// How many more entries fit, if none has to wait for reclamation.
    pub(crate) fn room(&self) -> usize {
        (self.max_slots() as usize).saturating_sub(self.entries() + self.pending())
    }

    /// Takes the visible entries out; the map is not to be used any more.
    pub(crate) fn take_entries(&mut self) -> impl Iterator<Item = T> {
        let now = self.clock.now();
        self.index.slab.take_entries(move |state| state.is_visible_at(now))
    }

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
            return self.index.lookup(key, guard, |_| early, is_match, answer);
        }
        self.index.lookup(key, guard, |state| self.clock.reading_for(state), is_match, answer)
    }

    /// The same for several keys, [`TOGETHER`](super::index::TOGETHER) at most, side by side; `tell` is given the answers in
    /// their order.
    #[inline]
    pub(crate) fn get_together<'g, E>(
        &'g self,
        keys: &[SplitKey],
        guard: &'g Guard,
        is_match: impl FnMut(usize, &T) -> Result<bool, E>,
        mut tell: impl FnMut(Option<&'g T>),
    ) -> Result<(), E> {
        let reading = |state| self.clock.reading_for(state);
        self.index.lookup_together(keys, guard, reading, is_match, |hit| tell(hit.map(Hit::entry)))
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
            let reading = |state| self.clock.reading_for(state);
            let Some(hit) = self.index.lookup(key, guard, reading, &mut is_match, |hit| hit)?
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
    pub(super) fn time_left(&self, hit: &Hit<'_, T>) -> Option<(State, Ttl)> {
        let state = hit.state();
        if state.is_never() {
            return Some((state, Ttl::Never));
        }
        let reading = self.clock.now();
        (state.is_visible_at(reading) && hit.is_still(state))
            .then(|| (state, Ttl::Remaining(state.remaining(reading))))
    }

    /// Removes the visible entry of a key and returns it.
    pub(crate) fn remove<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Found::At(mut old) = self.index.find_entry(key, turn, &mut is_match)? else {
                return Ok(None);
            };
            if !self.is_visible(old.state) {
                if old.confirm_expired() {
                    return Ok(None);
                }
            } else if old.advance(State::DEAD) {
                self.end(&old, RemovalCause::Explicit, turn);
                self.after_write(turn);
                return Ok(Some(old.entry()));
            }
        }
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
            let Found::At(mut entry) = self.index.find_entry(key, turn, &mut is_match)? else {
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

    // The steps that the stories share.

    /// A write's turn of a stripe, not begun.
    pub(super) fn turn<'g>(&'g self, guard: &'g Guard) -> Turn<'g> {
        Turn::new(&self.index.stripes, guard)
    }

    /// Whether an entry in this state, which is not terminal, is visible now. The word was loaded before.
    pub(super) fn is_visible(&self, state: State) -> bool {
        state.is_never() || state.is_visible_at(self.clock.reading_for(state))
    }

    /// After our step to a state that ends an entry for good: counts it, takes it off its line, and tells.
    pub(super) fn end<'g>(
        &'g self,
        old: &Located<'g, T>,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        turn.count_entries(-1);
        old.finish(&self.index, turn);
        self.tell(old, cause, turn);
    }

    /// Tells the listener that our step has ended an entry.
    #[inline]
    pub(super) fn tell<'g>(
        &'g self,
        old: &Located<'g, T>,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        if self.listener.is_some() {
            self.tell_of(old.slot(), cause, turn);
        }
    }

    /// The same of the entry in a slot. In no turn: it is the user's code.
    pub(super) fn tell_of<'g>(&'g self, slot: SlotIndex, cause: RemovalCause, turn: &mut Turn<'g>) {
        turn.leave();
        let guard = turn.guard;
        // Met under this guard; or by the listener, under a later one of this thread.
        let entry = |slot| judge::entry(self.index.slab.node(SlotIndex(slot)), guard);
        self.listener.tell(self.address(), slot.0, cause, entry);
    }

    /// Notes the deadline of an entry that was published in a slot, so that sweeps come to it.
    pub(super) fn note_deadline(&self, slot: SlotIndex, state: State) {
        if state.is_never() {
            return;
        }
        self.index.slab.blocks.note(block_of(slot), state);
        // Relaxed: a write that misses it does not sweep this time.
        if !self.has_deadlines.load(Ordering::Relaxed) {
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
    }
}
