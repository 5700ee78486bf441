//! What keeps the map in order: growing, sweeping, reclaiming; and the figures about it.
//!
//! A write does a bounded share of it after its effect (`after_write`); sweeps do more. Nothing here
//! changes what a reader of the map is told, but by the sweep's claim of an expired entry.

use core::{cell::Cell, mem::needs_drop, time::Duration};

use crate::sync::{AtomicU32, AtomicU64, MODEL, Ordering, per_thread, planted, thread};

use super::{
    guard,
    link::SlotIndex,
    list::List,
    slab::{BLOCK_SLOTS, Full, Slab},
    state::State,
    stripe::Turn,
    table::Table,
};

/// Writes of a stripe between two looks at the number of entries, and at a stripe that may be idle. A sum
/// loads a line of each stripe: about one a write where 64 threads write. In a small map more often, and on
/// the first few writes of a stripe: many threads may put a few entries each.
const WRITES_PER_LOOK: u32 = if MODEL { 1 } else { 64 };
const WRITES_PER_LOOK_WHEN_SMALL: u32 = if MODEL { 1 } else { 16 };
const SMALL_CAPACITY: usize = 1 << 12;

/// Writes of a stripe between two sweep steps, so that the shared cursor is touched rarely.
const WRITES_PER_SWEEP: u32 = if MODEL { 1 } else { 8 };

/// Batches that a write reclaims at most. A write retires little more than one slot, a batch is 124:
/// one batch a write keeps ahead.
const BATCHES_PER_WRITE: usize = 1;

/// Slots that a sweep looks at under one pin, so that the epoch moves on: some microseconds.
const SLOTS_PER_PIN: u32 = 1024;

/// Shares of growth that a sweep adds to each pin, so that a level begun and left is finished, and
/// batches that it reclaims: about as many slots as it looked at.
const SHARES_PER_PIN: usize = 16;
const BATCHES_PER_PIN: usize = 9;

/// How often a sweep ends its pin and begins another to let a grace period pass: an epoch must move
/// twice, and the first time may find a batch just handed over.
const GRACE_ROUNDS: usize = 3;

/// The same for a sweep that is to reclaim all: enough for the collector to work off 2,048 batches
/// of other maps first, and some tens of microseconds where a pinned thread makes it vain. And how often a
/// write that finds no slot lets others run who have some.
const PATIENT_ROUNDS: usize = if MODEL { 3 } else { 256 };

/// How often a write sweeps and reclaims when all slots are taken, before it gives up.
const FULL_ROUNDS: usize = 8;

/// What sweeps share.
pub(super) struct Sweeping {
    /// How many slots from the first the next step begins.
    cursor: AtomicU32,
    removed: AtomicU64,
    max_lag_nanos: AtomicU64,
}

impl Sweeping {
    pub(super) fn new() -> Self {
        Self {
            cursor: AtomicU32::new(0),
            removed: AtomicU64::new(0),
            max_lag_nanos: AtomicU64::new(0),
        }
    }
}

/// What a part of a sweep did.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Swept {
    pub(crate) examined: usize,
    pub(crate) removed: usize,
    pub(crate) max_lag: Duration,
    /// Whether the walk passed the last slot.
    pub(crate) wrapped: bool,
}

/// The figures behind the public statistics.
pub(crate) struct Figures {
    pub(crate) entries: usize,
    pub(crate) expired_unswept: usize,
    pub(crate) swept_total: u64,
    pub(crate) max_lag: Duration,
    pub(crate) pending: usize,
    pub(crate) slots: usize,
    pub(crate) free_slots: usize,
    pub(crate) growths: u32,
    pub(crate) bytes: usize,
}

impl<T> Table<T> {
    /// Sweeps up to `count` slots from where the last sweep of this kind stopped, or until `enough`,
    /// asked now and then, says so; once round the slab at most.
    pub(crate) fn sweep_some(&self, count: u32, enough: impl Fn() -> bool) -> Swept {
        let slots = self.list.slab.end().saturating_sub(1);
        let mut swept = Swept { wrapped: slots == 0, ..Swept::default() };
        let count = count.min(slots) as usize;
        while swept.examined < count && !enough() {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            let step = (count - swept.examined).min(SLOTS_PER_PIN as usize);
            swept.add(self.sweep_step(step as u32, turn));
            self.after_sweep(turn);
        }
        self.settle(BATCHES_PER_PIN, GRACE_ROUNDS);
        swept
    }

    /// Sweeps every slot there is at the moment, and reclaims all that can be.
    pub(crate) fn sweep_all(&self) -> Swept {
        let mut swept = Swept { wrapped: true, ..Swept::default() };
        let end = self.list.slab.end();
        let mut from = 1;
        while from < end {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            let step = SLOTS_PER_PIN.min(end - from);
            swept.add(self.sweep_slots(from, step, turn));
            self.after_sweep(turn);
            from += step;
        }
        let mut guard = guard::pin();
        while self.list.directory.is_growing() && self.help_grow(&mut self.turn(&guard)) {
            guard.repin();
        }
        drop(guard);
        self.settle_all();
        swept
    }

    /// Seals half-full batches, lets grace periods pass where no guard is in the way, and reclaims
    /// up to `batches` of what is due.
    ///
    /// All maps share one collector, whose queue is worked off a few batches a round: a note of our
    /// own, deferred behind our batches, tells when the queue has come to them. Where a thread stays
    /// pinned it does not run, and `rounds` is the end. A note that another sweep left behind comes
    /// first.
    pub(super) fn settle(&self, mut batches: usize, rounds: usize) {
        let limbo = &self.list.limbo;
        let mut grace = None;
        for _ in 0..rounds {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            grace = grace.or_else(|| limbo.begin_grace(turn));
            guard.flush();
            let has_passed = grace.as_ref().is_some_and(|grace| limbo.has_passed(grace));
            batches -= self.reclaim(batches, turn);
            if batches == 0 || has_passed {
                return;
            }
        }
    }

    /// Reclaims all that was retired before and that no pinned thread may see.
    pub(super) fn settle_all(&self) {
        // A batch holds a slot at least.
        self.settle(self.pending(), PATIENT_ROUNDS);
    }

    /// The figures. Walks all slots; exact when no write runs.
    pub(crate) fn figures(&self) -> Figures {
        let List { slab, directory, stripes, .. } = &self.list;
        let end = slab.end();
        let now = self.clock.now();
        let state = |n: u32| slab.node(Slab::<T>::nth_slot(n)).state.load(Ordering::Relaxed);
        Figures {
            entries: stripes.entries(),
            expired_unswept: (1..end).filter(|n| state(*n).is_due_at(now)).count(),
            swept_total: self.sweeping.removed.load(Ordering::Relaxed),
            max_lag: Duration::from_nanos(self.sweeping.max_lag_nanos.load(Ordering::Relaxed)),
            pending: stripes.pending(),
            slots: end.saturating_sub(1) as usize,
            free_slots: slab.free_slots() + stripes.free_slots(),
            growths: directory.growths(),
            bytes: size_of::<Self>() + slab.bytes() + directory.bytes() + stripes.bytes(),
        }
    }

    /// Takes a free slot.
    ///
    /// # Panics
    ///
    /// If all slots up to the limit are taken, and stay so.
    #[inline]
    pub(super) fn take_slot<'g>(&'g self, turn: &mut Turn<'g>) -> SlotIndex {
        self.list.slab.take(turn).unwrap_or_else(|Full| self.make_room(turn))
    }

    /// Sweeps and reclaims a bounded number of times until there is a free slot. What it removes
    /// may be there for a later write only, since our own guard may see it.
    #[cold]
    fn make_room<'g>(&'g self, turn: &mut Turn<'g>) -> SlotIndex {
        for _ in 0..FULL_ROUNDS {
            self.sweep_step(SLOTS_PER_PIN, turn);
            self.list.limbo.seal_all(turn);
            turn.guard.flush();
            self.reclaim(BATCHES_PER_PIN, turn);
            if let Ok(slot) = self.list.slab.take(turn) {
                return slot;
            }
        }
        for _ in 0..PATIENT_ROUNDS {
            // A writer that was interrupted in its turn may have free slots.
            if self.list.stripes.free_slots() == 0 {
                break;
            }
            thread::yield_now();
            if let Ok(slot) = self.list.slab.take(turn) {
                return slot;
            }
        }
        panic!(
            "evanesce: the map is at its limit of {} slots ({} entries, {} removed ones that a \
             pinned thread may still see)",
            self.max_slots(),
            self.entries(),
            self.pending(),
        );
    }

    /// The extra work of a write, after its effect: at most a share of growth, a step of sweeping
    /// and a batch of reclaiming. The user's `Drop` runs here, and may panic or call the map.
    #[inline]
    pub(super) fn after_write<'g>(&'g self, turn: &mut Turn<'g>) {
        let List { directory, limbo, stripes, .. } = &self.list;
        let writes = turn.count_write();
        if (writes.is_multiple_of(WRITES_PER_LOOK_WHEN_SMALL) || writes.is_power_of_two())
            && (writes.is_multiple_of(WRITES_PER_LOOK) || directory.capacity() <= SMALL_CAPACITY)
        {
            directory.begin(stripes.entries());
            if writes.is_multiple_of(WRITES_PER_LOOK) && !MODEL {
                limbo.seal_idle((writes / WRITES_PER_LOOK) as usize, turn);
            }
        }
        if directory.is_growing() {
            self.help_grow(turn);
        }
        if writes.is_multiple_of(WRITES_PER_SWEEP)
            && self.sweep_per_write > 0
            && self.has_deadlines.load(Ordering::Relaxed)
        {
            self.sweep_step(self.sweep_per_write * WRITES_PER_SWEEP, turn);
        }
        if turn.is_seal_wanted() {
            limbo.seal(turn);
        }
        if limbo.has_due() {
            self.reclaim(BATCHES_PER_WRITE, turn);
        }
    }

    /// The extra work of a sweep's pin: what it retired can be reclaimed by the next.
    fn after_sweep<'g>(&'g self, turn: &mut Turn<'g>) {
        for _ in 0..SHARES_PER_PIN {
            if !self.list.directory.is_growing() || !self.help_grow(turn) {
                break;
            }
        }
        self.reclaim(BATCHES_PER_PIN, turn);
    }

    /// Links one share of the level being built, or publishes it; false if there was nothing to do.
    fn help_grow<'g>(&'g self, turn: &mut Turn<'g>) -> bool {
        let share = self.list.directory.claim();
        let claimed = share.is_some();
        if let Some(ids) = share {
            self.list.link_sentinels(ids, turn);
        }
        self.list.directory.publish() || claimed
    }

    /// Sweeps up to `count` slots at the shared cursor; fewer at the end of the slab.
    fn sweep_step<'g>(&'g self, count: u32, turn: &mut Turn<'g>) -> Swept {
        let slots = self.list.slab.end().saturating_sub(1);
        let stretch = |cursor: u32| {
            let from = if cursor < slots { cursor } else { 0 };
            (from, slots.min(from + count))
        };
        // Relaxed: each step gets a stretch of its own; nothing else hangs on it.
        let cursor = &self.sweeping.cursor;
        let (from, to) = cursor
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(stretch(at).1))
            .map_or((0, 0), stretch);
        let mut swept = self.sweep_slots(1 + from, to - from, turn);
        swept.wrapped = to == slots;
        swept
    }

    /// Looks at a stretch of slots, and claims and unlinks each entry that is past its deadline. The
    /// slots are counted, as by [`Slab::end`].
    fn sweep_slots<'g>(&'g self, from: u32, count: u32, turn: &mut Turn<'g>) -> Swept {
        let slab = &self.list.slab;
        let mut swept = Swept { examined: count as usize, ..Swept::default() };
        // One reading, from before the words: what it calls due stays due.
        let now = self.clock.now();
        let mut at = from;
        while at < from + count {
            let block_end = (at - at % BLOCK_SLOTS + BLOCK_SLOTS).min(from + count);
            if !slab.is_empty(Slab::<T>::nth_block(at)) {
                let first = Slab::<T>::nth_slot(at).0;
                for slot in (first..first + (block_end - at)).map(SlotIndex) {
                    // Relaxed: a hint. The slot may be free, in someone's hands, or retired.
                    let state = slab.node(slot).state.load(Ordering::Relaxed);
                    if state.is_due_at(now) && self.claim_expired(slot, state, turn) {
                        swept.removed += 1;
                        swept.max_lag = swept.max_lag.max(state.lag(now));
                    }
                }
            }
            at = block_end;
        }
        if swept.removed > 0 {
            let lag = u64::try_from(swept.max_lag.as_nanos()).unwrap_or(u64::MAX);
            self.sweeping.removed.fetch_add(swept.removed as u64, Ordering::Relaxed);
            self.sweeping.max_lag_nanos.fetch_max(lag, Ordering::Relaxed);
        }
        swept
    }

    /// Ends the entry in `slot` if it is linked and still in the state that was due. A renewed or
    /// recycled slot is in another, and is left alone.
    fn claim_expired<'g>(&'g self, slot: SlotIndex, due: State, turn: &mut Turn<'g>) -> bool {
        let Some(mut old) = self.list.locate(slot, turn) else { return false };
        if planted!(sweep_without_claim) {
            self.end(&old, turn);
            return true;
        }
        let claimed =
            (old.state == due || planted!(claim_without_compare)) && old.advance(State::DEAD);
        if claimed {
            self.end(&old, turn);
        }
        claimed
    }

    /// Drops the entries of up to `batches` batches whose grace period is over, and frees their
    /// slots. Returns how many batches it took. A `Drop` that calls the map does not come back here.
    fn reclaim<'g>(&'g self, batches: usize, turn: &mut Turn<'g>) -> usize {
        let mut taken = 0;
        while taken < batches && self.list.limbo.has_due() {
            let Some(_reclaiming) = Reclaiming::begin() else { break };
            let Some(mut batch) = self.list.limbo.pop(turn.guard) else { break };
            taken += 1;
            while let Some(entry) = self.list.drain(&mut batch, turn) {
                if planted!(value_not_dropped) {
                    core::mem::forget(entry);
                    continue;
                }
                if needs_drop::<T>() && !planted!(drop_in_a_turn) {
                    // A `Drop` may call the map, or take its time: the slots of the stripe are not to be
                    // out of reach meanwhile.
                    turn.leave();
                }
                drop(entry);
            }
        }
        taken
    }
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.removed += other.removed;
        self.max_lag = self.max_lag.max(other.max_lag);
        self.wrapped |= other.wrapped;
    }
}

per_thread! { static ON: Cell<bool> = Cell::new(false) }

/// While a thread reclaims: on one map at a time.
struct Reclaiming;

impl Reclaiming {
    fn begin() -> Option<Self> {
        // A thread that is ending, its thread-locals gone, leaves reclaiming to others.
        let was = ON.try_with(|on| on.replace(true)).unwrap_or(true);
        // Lazily: one made and dropped here would end the one that is on.
        (!was).then(|| Self)
    }
}

impl Drop for Reclaiming {
    fn drop(&mut self) {
        let _ = ON.try_with(|on| on.set(false));
    }
}
