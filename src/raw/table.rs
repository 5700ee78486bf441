//! The stories of the map, each from top to bottom: get, put, update, remove, renew, sweep, clear.
//!
//! Nothing here is unsafe. An operation that changes an entry finds it, judges its state, and
//! changes the state word once, from what it judged; the rest is tidying. What a write does beyond
//! its own effect (`after_write`) is bounded by the constants below.

use core::{convert::Infallible, time::Duration};

use crossbeam_utils::CachePadded;

use crate::{
    clock::ClockSource,
    sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, planted, thread_local},
};

use super::{
    directory::Directory,
    guard::{self, Guard},
    link::{Link, SlotIndex, SplitKey},
    list::{Found, Hit, List, Located},
    retire::Limbo,
    slab::{BLOCK_SLOTS, Draft, Full, Slab},
    state::State,
    stripe::Stripes,
};

/// Writes of a stripe between two looks at the number of entries. A sum over up to 16 stripes then
/// costs a line a write; the smallest table is at most 2 entries a bucket when the look comes.
const WRITES_PER_COUNT: u32 = if cfg!(loom) { 1 } else { 16 };

/// Writes of a stripe between two sweep steps, so that the shared cursor is touched rarely.
const WRITES_PER_SWEEP: u32 = if cfg!(loom) { 1 } else { 8 };

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

/// How often a take of a slot tries to reclaim some when all are taken.
const FULL_ROUNDS: usize = 8;

/// The map without hashing: entries `T` by split-order key and a closure that knows equality.
pub(crate) struct Table<T> {
    pub(super) list: List<T>,
    pub(crate) clock: ClockSource,
    /// Slots that a write sweeps, on average.
    sweep_per_write: u32,
    /// Whether any entry ever had a deadline: until then writes do not sweep.
    has_deadlines: AtomicBool,
    sweeping: CachePadded<Sweeping>,
}

/// What sweeps share.
struct Sweeping {
    /// How many slots from the first the next step begins.
    cursor: AtomicU32,
    removed: AtomicU64,
    max_lag_nanos: AtomicU64,
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

/// A key that was there already: its visible entry, and the one that did not get in.
pub(crate) struct Occupied<'g, T> {
    pub(crate) current: &'g T,
    pub(crate) rejected: T,
}

impl<T> Table<T> {
    pub(crate) fn new(
        capacity: usize,
        max_slots: u32,
        sweep_per_write: u32,
        clock: ClockSource,
    ) -> Self {
        Self {
            list: List {
                directory: Directory::with_capacity(capacity),
                slab: Slab::new(max_slots),
                limbo: Limbo::new(),
                stripes: Stripes::new(),
            },
            clock,
            sweep_per_write,
            has_deadlines: AtomicBool::new(false),
            sweeping: CachePadded::new(Sweeping {
                cursor: AtomicU32::new(0),
                removed: AtomicU64::new(0),
                max_lag_nanos: AtomicU64::new(0),
            }),
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.list.stripes.entries()
    }

    pub(crate) fn pending(&self) -> usize {
        self.list.stripes.pending()
    }

    pub(crate) fn max_slots(&self) -> u32 {
        self.list.slab.max_slots()
    }

    /// Finds the visible entry of `key` that `is_match` accepts. Wait-free; writes nothing; reads
    /// the clock only for an entry with a deadline.
    #[inline]
    pub(crate) fn get<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let hit = self.list.lookup(key, guard, || self.clock.now(), is_match)?;
        Ok(hit.map(|hit| hit.entry))
    }

    /// As [`Table::get`], with the state the entry was found in. Looks again when that state was
    /// overwritten before it could be read, so each turn but the last means another thread's write.
    pub(crate) fn get_with_state<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<(&'g T, State)>, E> {
        loop {
            match self.list.lookup(key, guard, || self.clock.now(), &mut is_match)? {
                Some(Hit { entry, state: Some(state) }) => return Ok(Some((entry, state))),
                Some(Hit { state: None, .. }) => {}
                None => return Ok(None),
            }
        }
    }

    /// Walks to the next visible entry behind `link`, from the head at first.
    pub(crate) fn next<'g>(&'g self, link: &mut Position, guard: &'g Guard) -> Option<&'g T> {
        self.list.next_visible(&mut link.0, guard, || self.clock.now())
    }

    /// Puts `entry`, in the place of the entry of its key if there is one; returns the replaced
    /// entry if it was visible.
    pub(crate) fn insert<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let put = self.put(key, entry, state, guard, is_match, true)?;
        Ok(put.unwrap_or_else(|_| unreachable!("an insert replaces what it finds")).replaced)
    }

    /// Puts `entry` unless its key has a visible entry, and returns it in its place.
    pub(crate) fn try_insert<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<Result<&'g T, Occupied<'g, T>>, E> {
        let put = self.put(key, entry, state, guard, is_match, false)?;
        Ok(put.map(|put| put.entry))
    }

    fn put<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T, &T) -> Result<bool, E>,
        replace_visible: bool,
    ) -> Result<Result<Put<'g, T>, Occupied<'g, T>>, E> {
        self.note_deadline(state);
        let node_key = key.node_key();
        let mut draft = Draft::new(&self.list.slab, entry);
        loop {
            let found = self.list.find_entry(key, guard, |met| is_match(draft.entry(), met))?;
            let mut old = match found {
                Found::At(located) => located,
                Found::Gap(gap) => {
                    let slot = draft.place(node_key, state, gap.next, || self.take_slot(guard));
                    if !self.list.append(&gap, slot) {
                        continue;
                    }
                    let entry = draft.publish(guard);
                    self.count(1);
                    self.after_write(guard);
                    return Ok(Ok(Put { entry, replaced: None }));
                }
            };
            // The key has an entry, visible or expired: one step of its state word replaces it.
            while !old.state.is_terminal() {
                let visible = self.is_visible(old.state);
                if visible && !replace_visible {
                    let rejected = draft.into_entry();
                    return Ok(Err(Occupied { current: old.entry(), rejected }));
                }
                let slot = draft.place(node_key, state, Link::UNSET, || self.take_slot(guard));
                let moved = State::moved(slot, visible);
                if old.advance(if planted!(replace_by_remove) { State::DEAD } else { moved }) {
                    let entry = draft.publish(guard);
                    old.finish(&self.list, guard);
                    self.after_write(guard);
                    return Ok(Ok(Put { entry, replaced: visible.then(|| old.entry()) }));
                }
            }
        }
    }

    /// Replaces the visible entry of a key by what `make` makes of it and of `carry`, keeping the
    /// deadline; `None` if there is none. `make` runs again, with what `unmake` brings back, only
    /// if another entry took the place of the one it saw; a renewal alone does not count.
    pub(crate) fn update<'g, C, E>(
        &'g self,
        key: SplitKey,
        mut carry: C,
        guard: &'g Guard,
        mut is_match: impl FnMut(&C, &T) -> Result<bool, E>,
        mut make: impl FnMut(C, &T) -> T,
        unmake: impl Fn(T) -> C,
    ) -> Result<Option<&'g T>, E> {
        loop {
            let Found::At(mut old) =
                self.list.find_entry(key, guard, |met| is_match(&carry, met))?
            else {
                return Ok(None);
            };
            if !self.is_visible(old.state) {
                if old.confirm_expired() {
                    return Ok(None);
                }
                continue;
            }
            let mut draft = Draft::new(&self.list.slab, make(carry, old.entry()));
            let first = old.state;
            while self.is_visible(old.state) {
                // The new entry takes over the deadline it is judged by, so a renewal between
                // fails the step and is not lost.
                let state = if planted!(renewal_lost_by_update) { first } else { old.state };
                let slot =
                    draft.place(key.node_key(), state, Link::UNSET, || self.take_slot(guard));
                if old.advance(State::moved(slot, true)) {
                    let entry = draft.publish(guard);
                    old.finish(&self.list, guard);
                    self.after_write(guard);
                    return Ok(Some(entry));
                }
            }
            carry = unmake(draft.into_entry());
        }
    }

    /// Removes the visible entry of a key and returns it.
    pub(crate) fn remove<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        loop {
            let Found::At(mut old) = self.list.find_entry(key, guard, &mut is_match)? else {
                return Ok(None);
            };
            if !self.is_visible(old.state) {
                if old.confirm_expired() {
                    return Ok(None);
                }
            } else if old.advance(State::DEAD) {
                self.end(&old, guard);
                self.after_write(guard);
                return Ok(Some(old.entry()));
            }
        }
    }

    /// Gives the visible entry of a key a new deadline; false if there is none.
    pub(crate) fn renew<'g, E>(
        &'g self,
        key: SplitKey,
        state: State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<bool, E> {
        self.note_deadline(state);
        loop {
            let Found::At(mut entry) = self.list.find_entry(key, guard, &mut is_match)? else {
                return Ok(false);
            };
            if !self.is_visible(entry.state) && !planted!(renew_expired) {
                if entry.confirm_expired() {
                    return Ok(false);
                }
            } else if entry.state == state || entry.advance(state) {
                self.after_write(guard);
                return Ok(true);
            }
        }
    }

    /// Removes every entry that is in the list for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        let mut guard = guard::pin();
        for (i, (start, last)) in self.list.directory.buckets().enumerate() {
            // Each find begins at the bucket's sentinel and stops at the first node that is not
            // over, having unlinked those before it: linear, also for one bucket with all entries.
            let any = |_, _: &_| Ok::<_, Infallible>(true);
            while let Ok(Found::At(mut old)) = self.list.find(start, last, &guard, any) {
                while !old.state.is_terminal() {
                    if old.advance(State::DEAD) {
                        self.end(&old, &guard);
                    }
                }
            }
            if i % SLOTS_PER_PIN as usize == 0 {
                guard.repin();
            }
        }
        drop(guard);
        self.settle(self.pending());
    }

    /// Sweeps up to `count` slots from where the last sweep of this kind stopped, or until `enough`,
    /// asked now and then, says so; once round the slab at most.
    pub(crate) fn sweep_some(&self, count: u32, enough: impl Fn() -> bool) -> Swept {
        let mut swept = Swept::default();
        let count = count.min(self.list.slab.end().saturating_sub(1)) as usize;
        while swept.examined < count && !enough() {
            let guard = guard::pin();
            let step = (count - swept.examined).min(SLOTS_PER_PIN as usize);
            swept.add(self.sweep_step(step as u32, &guard));
            self.after_sweep(&guard);
        }
        self.settle(swept.examined / BLOCK_SLOTS as usize + 1);
        swept
    }

    /// Sweeps every slot there is at the moment, and reclaims all that can be.
    pub(crate) fn sweep_all(&self) -> Swept {
        let mut swept = Swept { wrapped: true, ..Swept::default() };
        let end = self.list.slab.end();
        let mut from = 1;
        while from < end {
            let guard = guard::pin();
            let step = SLOTS_PER_PIN.min(end - from);
            swept.add(self.sweep_slots(from, step, &guard));
            self.after_sweep(&guard);
            from += step;
        }
        let guard = guard::pin();
        while self.list.directory.is_growing() && self.help_grow(&guard) {}
        drop(guard);
        self.settle(self.pending());
        swept
    }

    /// Seals half-full batches, lets grace periods pass where no guard is in the way, and reclaims
    /// up to `batches` of what is due.
    fn settle(&self, mut batches: usize) {
        let mut idle_rounds = 0;
        while batches > 0 && idle_rounds < GRACE_ROUNDS {
            let guard = guard::pin();
            for stripe in self.list.stripes.iter() {
                self.list.limbo.seal(stripe, &guard);
            }
            guard.flush();
            let reclaimed = self.reclaim(batches, &guard);
            batches -= reclaimed;
            idle_rounds = if reclaimed == 0 { idle_rounds + 1 } else { 0 };
        }
    }

    /// The figures. Walks all slots; exact when no write runs.
    pub(crate) fn figures(&self) -> Figures {
        let List { slab, directory, stripes, .. } = &self.list;
        let end = slab.end();
        let now = self.clock.now();
        let due = |slot: &u32| slab.node(SlotIndex(*slot)).state.load(Ordering::Relaxed);
        Figures {
            entries: stripes.entries(),
            expired_unswept: (1..end).filter(|slot| due(slot).is_due_at(now)).count(),
            swept_total: self.sweeping.removed.load(Ordering::Relaxed),
            max_lag: Duration::from_nanos(self.sweeping.max_lag_nanos.load(Ordering::Relaxed)),
            pending: stripes.pending(),
            slots: end.saturating_sub(1) as usize,
            free_slots: slab.free_slots(),
            growths: directory.growths(),
            bytes: size_of::<Self>() + slab.bytes() + directory.bytes() + stripes.bytes(),
        }
    }

    // The steps that the stories share.

    /// Whether an entry in this state is visible now. The word was loaded before.
    fn is_visible(&self, state: State) -> bool {
        state.is_never() || (!state.is_terminal() && state.is_visible_at(self.clock.now()))
    }

    /// After our step to a state that ends an entry for good: counts it and takes it off the list.
    fn end(&self, old: &Located<'_, T>, guard: &Guard) {
        self.count(-1);
        old.finish(&self.list, guard);
    }

    fn count(&self, change: isize) {
        // Relaxed: only the sum at rest means anything.
        self.list.stripes.mine().entries.fetch_add(change, Ordering::Relaxed);
    }

    fn note_deadline(&self, state: State) {
        // Relaxed: a write that misses it does not sweep this time.
        if !state.is_never() && !self.has_deadlines.load(Ordering::Relaxed) {
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
    }

    /// Takes a free slot. If there is none, reclaims what can be, and tries again.
    ///
    /// # Panics
    ///
    /// If all slots up to the limit stay taken.
    fn take_slot(&self, guard: &Guard) -> SlotIndex {
        for _ in 0..FULL_ROUNDS {
            match self.list.slab.take(&self.list.stripes) {
                Ok(slot) => return slot,
                Err(Full) => {
                    for stripe in self.list.stripes.iter() {
                        self.list.limbo.seal(stripe, guard);
                    }
                    guard.flush();
                    self.reclaim(usize::MAX, guard);
                }
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
    fn after_write(&self, guard: &Guard) {
        let List { directory, stripes, .. } = &self.list;
        let stripe = stripes.mine();
        let turn = stripe.turn();
        if turn % WRITES_PER_COUNT == 0 {
            directory.begin(stripes.entries());
        }
        if directory.is_growing() {
            self.help_grow(guard);
        }
        if turn % WRITES_PER_SWEEP == 0
            && self.sweep_per_write > 0
            && self.has_deadlines.load(Ordering::Relaxed)
        {
            self.sweep_step(self.sweep_per_write * WRITES_PER_SWEEP, guard);
        }
        self.reclaim(BATCHES_PER_WRITE, guard);
    }

    /// The extra work of a sweep's pin: what it retired can be reclaimed by the next.
    fn after_sweep(&self, guard: &Guard) {
        for _ in 0..SHARES_PER_PIN {
            if !self.list.directory.is_growing() || !self.help_grow(guard) {
                break;
            }
        }
        self.reclaim(BATCHES_PER_PIN, guard);
    }

    /// Links one share of the level being built, or publishes it; false if there was nothing to do.
    fn help_grow(&self, guard: &Guard) -> bool {
        let share = self.list.directory.claim();
        let claimed = share.is_some();
        for id in share.into_iter().flatten() {
            self.list.link_sentinel(id, guard);
        }
        self.list.directory.publish() || claimed
    }

    /// Sweeps up to `count` slots at the shared cursor; fewer at the end of the slab.
    fn sweep_step(&self, count: u32, guard: &Guard) -> Swept {
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
        let mut swept = self.sweep_slots(1 + from, to - from, guard);
        swept.wrapped = to == slots;
        swept
    }

    /// Looks at a stretch of slots, and claims and unlinks each entry that is past its deadline.
    fn sweep_slots(&self, from: u32, count: u32, guard: &Guard) -> Swept {
        let slab = &self.list.slab;
        let mut swept = Swept { examined: count as usize, ..Swept::default() };
        // One reading, from before the words: what it calls due stays due.
        let now = self.clock.now();
        let mut at = from;
        while at < from + count {
            let block_end = (at - at % BLOCK_SLOTS + BLOCK_SLOTS).min(from + count);
            if slab.taken(at / BLOCK_SLOTS) != 0 {
                for slot in (at..block_end).map(SlotIndex) {
                    // Relaxed: a hint. The slot may be free, in someone's hands, or retired.
                    let state = slab.node(slot).state.load(Ordering::Relaxed);
                    if state.is_due_at(now) && self.claim_expired(slot, state, guard) {
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
    fn claim_expired(&self, slot: SlotIndex, due: State, guard: &Guard) -> bool {
        let Some(mut old) = self.list.locate(slot, guard) else { return false };
        let claimed =
            (old.state == due || planted!(claim_without_compare)) && old.advance(State::DEAD);
        if claimed {
            self.end(&old, guard);
        }
        claimed
    }

    /// Drops the entries of up to `batches` batches whose grace period is over, and frees their
    /// slots. Returns how many batches it took. A `Drop` that calls the map does not come back here.
    fn reclaim(&self, batches: usize, guard: &Guard) -> usize {
        let mut taken = 0;
        while taken < batches {
            if !self.list.limbo.has_due() {
                break;
            }
            let Some(_turn) = Turn::begin() else { break };
            let Some(batch) = self.list.limbo.pop(guard) else { break };
            taken += 1;
            for entry in self.list.drain(batch) {
                if planted!(value_not_dropped) {
                    core::mem::forget(entry);
                    continue;
                }
                drop(entry);
            }
        }
        taken
    }
}

/// What [`Table::put`] did.
struct Put<'g, T> {
    entry: &'g T,
    replaced: Option<&'g T>,
}

/// Where an iteration stands; at the head by default.
#[derive(Clone, Default)]
pub(crate) struct Position(Option<Link>);

impl Swept {
    fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.removed += other.removed;
        self.max_lag = self.max_lag.max(other.max_lag);
        self.wrapped |= other.wrapped;
    }
}

thread_local! {
    static RECLAIMING: core::cell::Cell<bool> = core::cell::Cell::new(false);
}

/// The turn of reclaiming that a thread has: one, on any map.
struct Turn;

impl Turn {
    fn begin() -> Option<Self> {
        // A thread that is ending, its thread-locals gone, leaves reclaiming to others.
        let was = RECLAIMING.try_with(|on| on.replace(true)).unwrap_or(true);
        (!was).then_some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = RECLAIMING.try_with(|on| on.set(false));
    }
}
