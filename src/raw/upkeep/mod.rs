//! What keeps the map in order: growing, sweeping, reclaiming; and the figures about it.
//!
//! A write does a bounded share of it after its effect (`after_write`); sweeps do more. Nothing here
//! changes what a reader of the map is told, but by the sweep's claim of an expired entry.

use core::time::Duration;

use crate::{
    raw::{
        bound::Bound,
        index::Index,
        reclaim::{guard, stripe::Turn},
        slab::Full,
        table::Table,
        upkeep::nesting::{GoesOn, Upkeep},
        words::key::SlotIndex,
    },
    sync::{MODEL, Ordering, yield_now},
};

mod evicting;
mod nesting;
mod shrink;
mod sweeping;

/// Writes of a stripe between two looks at the number of entries, and at a stripe that may be idle. A sum
/// loads a line of each stripe: about one a write where 64 threads write. In a small map more often, and on
/// the first few writes of a stripe: many threads may put a few entries each.
const WRITES_PER_LOOK: u32 = if MODEL { 1 } else { 64 };
const WRITES_PER_LOOK_WHEN_SMALL: u32 = if MODEL { 1 } else { 16 };
const SMALL_CAPACITY: usize = 1 << 12;

/// Writes of a stripe between two looks at memory that might be given back.
const WRITES_PER_TRIM: u32 = 256;

/// Batches that a write reclaims at most. A write retires little more than one slot, a batch is 124:
/// one batch a write keeps ahead.
const BATCHES_PER_WRITE: usize = 1;

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
pub(in crate::raw) const PATIENT_ROUNDS: usize = if MODEL { 3 } else { 256 };

/// How often a write sweeps and reclaims when all slots are taken, before it gives up.
const FULL_ROUNDS: usize = 8;
const SLOTS_WHEN_FULL: u32 = 1024;

/// The figures behind the public statistics.
pub(crate) struct Figures {
    pub(crate) entries: usize,
    pub(crate) expired_unswept: usize,
    pub(crate) swept_total: u64,
    pub(crate) evicted_total: u64,
    pub(crate) weight: u64,
    pub(crate) max_lag: Duration,
    pub(crate) pending: usize,
    pub(crate) slots: usize,
    pub(crate) free_slots: usize,
    pub(crate) growths: u32,
    pub(crate) bytes: usize,
}

impl<T> Table<T> {
    /// Seals half-full batches, lets grace periods pass where no guard is in the way, and reclaims
    /// up to `batches` of what is due.
    ///
    /// All maps share one collector, whose queue is worked off a few batches a round: a grace period
    /// that began behind our batches tells when the queue has come to them. Where a thread stays
    /// pinned it does not end, and `rounds` is the end. One that another sweep left behind comes
    /// first.
    fn reclaim_retired(&self, mut batches: usize, rounds: usize) {
        let limbo = &self.index.limbo;
        let mut grace = None;
        let mut vain = 0;
        while vain < rounds {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            grace = grace.or_else(|| limbo.begin_grace(turn));
            guard.flush();
            let has_passed = grace.is_some_and(|ticket| limbo.is_past(ticket));
            let reclaimed = self.reclaim_due(batches, turn);
            // It may take more: what others owe.
            batches = batches.saturating_sub(reclaimed);
            if batches == 0 || has_passed {
                return;
            }
            vain += usize::from(reclaimed == 0);
        }
    }

    /// Reclaims some of what was retired before.
    pub(in crate::raw) fn reclaim_some(&self) {
        self.reclaim_retired(BATCHES_PER_PIN, GRACE_ROUNDS);
    }

    /// The same for all that was retired before and that no pinned thread may see.
    pub(in crate::raw) fn reclaim_all(&self) {
        // A batch holds a slot at least.
        self.reclaim_retired(self.pending(), PATIENT_ROUNDS);
    }

    /// The figures. Walks all slots; exact when no write runs.
    pub(crate) fn figures(&self) -> Figures {
        let Index { lines, slab, stripes, .. } = &self.index;
        let index_bytes = lines.bytes(&guard::pin());
        let now = self.clock.now();
        let is_due = |slot: &_| {
            let state = slab.node(*slot).state.load(Ordering::Relaxed);
            state.has_deadline() && state.is_due_at(now)
        };
        let taken = slab.blocks.all().flat_map(|block| slab.taken_slots(block));
        Figures {
            entries: stripes.entries(),
            expired_unswept: taken.filter(is_due).count(),
            swept_total: self.sweeping.removed.load(Ordering::Relaxed),
            evicted_total: stripes.evicted(),
            weight: self.weight(),
            max_lag: Duration::from_nanos(self.sweeping.max_lag_nanos.load(Ordering::Relaxed)),
            pending: stripes.pending(),
            slots: slab.blocks.slots() as usize,
            free_slots: slab.free_slots() + stripes.free_slots(),
            growths: lines.growths(),
            bytes: size_of::<Self>() + slab.bytes() + index_bytes + stripes.bytes(),
        }
    }

    /// The weight of all entries; zero if the map has no bound.
    pub(crate) fn weight(&self) -> u64 {
        self.bound().map_or(0, Bound::used)
    }

    /// Takes a free slot.
    ///
    /// # Panics
    ///
    /// If all slots up to the limit are taken, and stay so.
    #[inline]
    pub(in crate::raw) fn take_slot<'g>(&'g self, turn: &mut Turn<'g>) -> SlotIndex {
        self.index.slab.take(turn).unwrap_or_else(|Full| self.make_room(turn))
    }

    /// Sweeps and reclaims a bounded number of times until there is a free slot. What it removes
    /// may be there for a later write only, since our own guard may see it.
    #[cold]
    fn make_room<'g>(&'g self, turn: &mut Turn<'g>) -> SlotIndex {
        for _ in 0..FULL_ROUNDS {
            // An insert does not fail for the sake of what has expired.
            self.sweep_aside(SLOTS_WHEN_FULL, 0, turn);
            self.index.limbo.seal_all(turn);
            turn.guard.flush();
            self.reclaim_due(BATCHES_PER_PIN, turn);
            if let Ok(slot) = self.index.slab.take(turn) {
                return slot;
            }
        }
        for _ in 0..PATIENT_ROUNDS {
            // A writer that was interrupted in its turn may have free slots.
            // So may one that gives the memory of some back.
            if self.index.stripes.free_slots() == 0 && !self.index.slab.blocks.is_giving_back() {
                break;
            }
            yield_now();
            if let Ok(slot) = self.index.slab.take(turn) {
                return slot;
            }
        }
        panic!(
            "evanesce: the map is at its limit of {} slots ({} entries, {} removed ones that a \
             pinned thread may still see, or that wait for the end of a `Drop` that calls the map)",
            self.max_slots(),
            self.entries(),
            self.pending(),
        );
    }

    /// The extra work of a write, after its effect: at most a share of growth, a step of sweeping
    /// and a batch of reclaiming. The user's `Drop` runs here, and may panic or call the map.
    #[inline]
    pub(in crate::raw) fn after_write<'g>(&'g self, turn: &mut Turn<'g>) {
        let Index { lines, limbo, .. } = &self.index;
        let writes = turn.count_write();
        if Self::is_to_look(writes)
            || self.sweep_rate.is_at(writes)
            || lines.is_moving(turn.guard)
            || turn.is_seal_wanted()
            || limbo.has_due()
        {
            self.keep_up(writes, turn);
        }
    }

    /// Whether a write of a stripe, by its number, is one that has a look at things.
    #[inline]
    fn is_to_look(writes: u32) -> bool {
        writes.is_multiple_of(WRITES_PER_LOOK_WHEN_SMALL) || writes < WRITES_PER_LOOK_WHEN_SMALL
    }

    /// The extra work that there is, out of line: most writes have none.
    #[cold]
    #[inline(never)]
    fn keep_up<'g>(&'g self, writes: u32, turn: &mut Turn<'g>) {
        let Index { lines, limbo, .. } = &self.index;
        if Self::is_to_look(writes) {
            self.look(writes, turn);
        }
        if lines.is_moving(turn.guard) {
            self.index.help(turn);
        }
        if let Some(slots) = self.sweep_rate.at(writes)
            && self.has_deadlines()
        {
            self.sweep_aside(slots, self.grace(), turn);
        }
        if turn.is_seal_wanted() {
            turn.seal_done();
            limbo.seal(turn);
        }
        if limbo.has_due() {
            self.reclaim_due(BATCHES_PER_WRITE, turn);
        }
    }

    /// The part of a write's extra work that only some writes do: a look at the number of entries, at a stripe that may be
    /// idle, at memory that might be given back; and a piece of an old array, if its time has come.
    #[cold]
    fn look<'g>(&'g self, writes: u32, turn: &mut Turn<'g>) {
        let Index { lines, limbo, stripes, .. } = &self.index;
        let is_small = lines.capacity() <= SMALL_CAPACITY;
        let is_first =
            (1..WRITES_PER_LOOK_WHEN_SMALL).contains(&writes) && !writes.is_power_of_two();
        if is_first || !is_small && !writes.is_multiple_of(WRITES_PER_LOOK) {
            return;
        }
        let entries = stripes.entries();
        lines.grow(entries, WRITES_PER_LOOK_WHEN_SMALL, turn.guard);
        if !writes.is_multiple_of(WRITES_PER_LOOK) {
            return;
        }
        if lines.has_old() {
            if !MODEL {
                // Where nothing else is retired, nobody else lets the collector go on.
                turn.guard.flush();
            }
            lines.give_back_due(limbo);
        }
        if !MODEL {
            limbo.seal_idle((writes / WRITES_PER_LOOK) as usize, turn);
            if writes.is_multiple_of(WRITES_PER_TRIM) {
                self.trim_some(entries, turn);
            }
        }
    }

    /// A write's step of sweeping. None within the map's listener, nor within such a step: what the listener puts
    /// would be swept, told of, and put again, for as long as it has expired by then.
    #[cold]
    #[inline(never)]
    fn sweep_aside<'g>(&'g self, slots: u32, grace: u64, turn: &mut Turn<'g>) {
        if !self.listener.is_running(self.address())
            && let Some(_goes_on) = GoesOn::begin(self.address(), Upkeep::Sweeping)
        {
            self.sweep_step(slots, grace, turn);
        }
    }

    /// The extra work of a sweep's pin: what it retired can be reclaimed by the next.
    pub(in crate::raw) fn after_sweep<'g>(&'g self, turn: &mut Turn<'g>) {
        for _ in 0..SHARES_PER_PIN {
            if !self.index.lines.is_busy(turn.guard) || !self.index.help(turn) {
                break;
            }
        }
        self.reclaim_due(BATCHES_PER_PIN, turn);
    }

    /// Drops the entries of up to `batches` batches whose grace period is over, and of those that are owed, and frees
    /// their slots. Returns how many batches it took.
    ///
    /// A `Drop` may write to the map: that write finds this thread reclaiming, and what it owes is done here, when
    /// the `Drop` is over. It ends all the same: what is retired behind our guard is not due before that ends.
    #[cold]
    #[inline(never)]
    fn reclaim_due<'g>(&'g self, batches: usize, turn: &mut Turn<'g>) -> usize {
        let limbo = &self.index.limbo;
        if !limbo.has_due() {
            return 0;
        }
        let Some(_goes_on) = GoesOn::begin(self.address(), Upkeep::Reclaiming) else {
            limbo.owe(batches);
            return 0;
        };
        let (mut left, mut taken) = (batches, 0);
        loop {
            left = left.saturating_add(limbo.take_owed());
            if left == 0 {
                break;
            }
            let Some(mut batch) = limbo.pop(turn.guard) else { break };
            left -= 1;
            taken += 1;
            // Slot by slot: so a panic in the drop of one leaves the others in the batch.
            while let Some(slot) = batch.take() {
                self.index.reclaim(slot, turn);
            }
        }
        taken
    }

    /// Where the table is, for as long as it is borrowed.
    pub(in crate::raw) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests;
