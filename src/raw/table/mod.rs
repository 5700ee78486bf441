//! The map without hashing, and the steps that its operations share (they are in `ops`, and what a write does beyond its
//! own effect in `upkeep`).
//!
//! Nothing here is unsafe. An operation that changes an entry finds it, judges its state, and
//! changes the state word once, from what it judged; the rest is tidying.

use crate::{
    clock::ClockSource,
    listener::{Listener, RemovalCause},
    raw::{
        bound::{Bound, Limit},
        index::{Index, Lines, Located},
        memory::pages::PageSize,
        reclaim::{
            guard::Guard,
            limbo::Limbo,
            stripe::{Stripes, Turn},
        },
        slab::{Slab, judge},
        table::sweep_state::{SweepRate, Sweeping},
        words::{
            key::SlotIndex,
            numbers::{MAX_SLOTS, block_of},
            state::State,
        },
    },
    sync::{AtomicBool, MODEL, Ordering, SettingWord},
    weigher::{TooHeavyError, Weigher},
};

#[cfg(any(test, evanesce_loom, evanesce_shuttle))]
mod check;
pub(in crate::raw) mod sweep_state;

/// The map without hashing: entries `T` by split-order key and a closure that knows equality.
pub(crate) struct Table<T> {
    pub(in crate::raw) index: Index<T>,
    pub(crate) clock: ClockSource,
    pub(in crate::raw) sweep_rate: SweepRate,
    /// How long what has expired is kept, in nanoseconds.
    grace: SettingWord,
    /// For how long a hit renews an entry whose deadline slides, in nanoseconds; zero: not at all.
    idle: SettingWord,
    /// Whether hits may ever renew.
    has_idle: bool,
    /// Whether any entry ever had a deadline: until then writes do not sweep.
    pub(in crate::raw) has_deadlines: AtomicBool,
    pub(in crate::raw) sweeping: Box<Sweeping>,
    pub(in crate::raw) listener: Listener<T>,
    pub(in crate::raw) weigher: Weigher<T>,
    /// Whether a hit has more to do than to answer: a use to count, or a deadline to put off.
    pub(in crate::raw) notes_uses: bool,
    /// Whether anybody is to know of the end of an entry: the bound, or the listener.
    pub(in crate::raw) tells_of_ends: bool,
}

/// How a table is to be.
pub(crate) struct Setup<T> {
    /// For how many entries the index is laid out.
    pub(crate) capacity: usize,
    pub(crate) max_slots: u32,
    pub(crate) page_size: PageSize,
    pub(crate) sweep_per_write: u32,
    pub(crate) clock: ClockSource,
    pub(crate) listener: Listener<T>,
    pub(crate) limit: Option<Limit>,
    pub(crate) weigher: Weigher<T>,
    pub(crate) grace: u64,
    /// `None`: hits never renew. Zero: not at first.
    pub(crate) idle: Option<u64>,
}

impl<T> Setup<T> {
    /// As wide as can be, and nobody told.
    pub(crate) fn new(clock: ClockSource) -> Self {
        Self {
            capacity: 0,
            max_slots: MAX_SLOTS,
            page_size: PageSize::Usual,
            sweep_per_write: 0,
            clock,
            listener: Listener::NONE,
            limit: None,
            weigher: Weigher::NONE,
            grace: 0,
            idle: None,
        }
    }
}

impl<T> Table<T> {
    pub(crate) fn new(setup: Setup<T>) -> Self {
        let Setup { capacity, max_slots, page_size, .. } = setup;
        let stripes = Stripes::new();
        // A stripe has up to so many in each of its magazine, its block and its batch: an eighth of the slots at
        // most while up to 16 threads write.
        let per_stripe = max_slots / (3 * 8 * stripes.chains().min(16));
        Self {
            index: Index {
                lines: Lines::with_capacity(capacity, page_size),
                slab: Slab::new(max_slots, per_stripe, page_size).with_limit(setup.limit),
                limbo: Limbo::new(per_stripe),
                stripes,
            },
            clock: setup.clock,
            sweep_rate: SweepRate::new(setup.sweep_per_write),
            grace: SettingWord::new(setup.grace),
            idle: SettingWord::new(setup.idle.unwrap_or(0)),
            has_idle: setup.idle.is_some(),
            notes_uses: setup.limit.is_some() || setup.idle.is_some(),
            has_deadlines: AtomicBool::new(false),
            sweeping: Box::new(Sweeping::new()),
            tells_of_ends: setup.limit.is_some() || setup.listener.is_some(),
            listener: setup.listener,
            weigher: setup.weigher,
        }
    }

    /// An empty table set up in the same way, but laid out for so many entries.
    pub(crate) fn like(&self, capacity: usize) -> Self {
        Self::new(Setup {
            capacity,
            max_slots: self.max_slots(),
            page_size: self.index.slab.room().page_size,
            sweep_per_write: self.sweep_rate.per_write(),
            clock: self.clock.clone(),
            listener: self.listener.clone(),
            limit: self.limit(),
            weigher: self.weigher.clone(),
            grace: self.grace(),
            idle: self.has_idle.then(|| self.idle()),
        })
    }

    /// What may be in it, if that is limited.
    pub(crate) fn limit(&self) -> Option<Limit> {
        self.bound().map(Bound::limit)
    }

    /// Changes the limit of a table that has one, by one of its kind.
    pub(crate) fn set_limit(&self, limit: Limit) {
        if let Some(bound) = self.bound() {
            bound.set_limit(limit);
        }
    }

    /// What an entry would weigh.
    pub(crate) fn weigh(&self, entry: &T) -> Result<u32, TooHeavyError> {
        self.weigher.weigh(entry, || self.bound().map_or(u64::MAX, Bound::most))
    }

    /// How many entries may be in it; with a limit by weight it is not known, and is a few, or as many as there are.
    pub(crate) fn most_entries(&self) -> usize {
        const FEW: usize = 1024;
        match self.limit() {
            None => self.max_slots() as usize,
            Some(Limit::Entries(most)) => most.min(self.max_slots().into()) as usize,
            Some(Limit::Weight(_)) => self.entries().max(FEW),
        }
    }

    /// What may be in it, and how full it is, if that is limited.
    #[inline]
    pub(in crate::raw) fn bound(&self) -> Option<&Bound> {
        self.index.slab.bound.as_deref()
    }

    /// An empty table for other entries, on the same clock, with as many slots as there can be.
    pub(crate) fn beside<U>(&self, listener: Listener<U>) -> Table<U> {
        /// As the default is, whatever this one does: it has few entries.
        const SWEEP_PER_WRITE: u32 = 4;
        Table::new(Setup {
            // Few in a model, which knows each by itself.
            max_slots: if MODEL { self.max_slots() } else { MAX_SLOTS },
            sweep_per_write: SWEEP_PER_WRITE,
            listener,
            ..Setup::new(self.clock.clone())
        })
    }

    /// Sets how many slots a write sweeps, on average.
    pub(crate) fn set_sweep_per_write(&self, slots: u32) {
        self.sweep_rate.set(slots);
    }

    // Relaxed: which call is the first to see a change does not matter.

    /// How long what has expired is kept, in nanoseconds.
    pub(in crate::raw) fn grace(&self) -> u64 {
        self.grace.load(Ordering::Relaxed)
    }

    pub(crate) fn set_grace(&self, nanos: u64) {
        self.grace.store(nanos, Ordering::Relaxed);
    }

    /// For how long a hit renews, in nanoseconds; zero: not at all.
    pub(in crate::raw) fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle(&self, nanos: u64) {
        self.idle.store(nanos, Ordering::Relaxed);
    }

    /// Whether hits may ever renew.
    pub(crate) fn has_idle(&self) -> bool {
        self.has_idle
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

    /// The earliest deadline, the grace added, or one before it: that of an entry that was renewed or ended since a sweep
    /// last looked. `None` if no entry has one. Looks at every block.
    pub(crate) fn next_deadline(&self) -> Option<State> {
        let earliest = self.index.slab.blocks.earliest();
        (!earliest.is_never()).then(|| earliest.later_by(self.grace()))
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

    // The steps that operations share.

    /// A write's turn of a stripe, not begun.
    pub(in crate::raw) fn turn<'g>(&'g self, guard: &'g Guard) -> Turn<'g> {
        Turn::new(&self.index.stripes, guard)
    }

    /// Whether an entry in this state, which is not terminal, is visible now. The word was loaded before.
    pub(in crate::raw) fn is_visible(&self, state: State) -> bool {
        state.is_never()
            || self.clock.is_before_deadline(state)
            || state.is_visible_at(self.clock.reading_to_write(state))
    }

    /// After our step to a state that ends an entry for good: counts it, takes it off its line, and tells.
    pub(in crate::raw) fn end<'g>(
        &'g self,
        old: &Located<'g, T>,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        turn.count_entries(-1);
        old.take_off(&self.index, turn);
        self.tell(old, cause, turn);
    }

    /// Tells the bound and the listener that our step has ended an entry.
    #[inline]
    pub(in crate::raw) fn tell<'g>(
        &'g self,
        old: &Located<'g, T>,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        if self.tells_of_ends {
            self.tell_of(old.slot(), cause, turn);
        }
    }

    /// The same of the entry in a slot.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn tell_of<'g>(
        &'g self,
        slot: SlotIndex,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        if let Some(bound) = self.bound() {
            bound.leave(slot);
        }
        self.tell_listener(slot, cause, turn);
    }

    /// Tells the bound of the end of an entry in a slot that was not counted.
    pub(in crate::raw) fn leave_uncounted(&self, slot: SlotIndex) {
        if let Some(bound) = self.bound() {
            bound.leave_uncounted(slot);
        }
    }

    /// Tells the listener, if there is one, that our step has ended the entry in a slot. In no turn: it is the user's code.
    pub(in crate::raw) fn tell_listener<'g>(
        &'g self,
        slot: SlotIndex,
        cause: RemovalCause,
        turn: &mut Turn<'g>,
    ) {
        if self.listener.is_some() {
            turn.leave();
            let guard = turn.guard;
            // Met under this guard; or by the listener, under a later one of this thread.
            let entry = |slot| judge::entry(self.index.slab.node(SlotIndex(slot)), guard);
            self.listener.tell(self.address(), slot.0, cause, entry);
        }
    }

    /// Whether any entry ever had a deadline.
    #[inline]
    pub(in crate::raw) fn has_deadlines(&self) -> bool {
        // Relaxed: a write that misses it does not sweep this time.
        self.has_deadlines.load(Ordering::Relaxed)
    }

    /// Notes the deadline of an entry that was published in a slot, so that sweeps come to it.
    pub(in crate::raw) fn note_deadline(&self, slot: SlotIndex, state: State) {
        if state.is_never() {
            return;
        }
        self.index.slab.blocks.note(block_of(slot), state);
        if !self.has_deadlines() {
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
    }
}
