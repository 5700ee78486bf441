//! From taken off its line to reusable: batches of retired slots, their grace period, the ready stack.
//!
//! A retired slot goes into its stripe's batch. A full batch is handed to the collector with a
//! function that owns the batch and a counted pointer to the ready stack, and only pushes the one
//! on the other: no user code, no allocation, no slab. Writers and sweeps pop batches and drop the
//! keys and values there. So neither a pin nor a read ever runs a user's `Drop`, and a map's slab
//! can be freed with any number of batches still waiting: they hold numbers, and each is freed when
//! its function finds the stack closed.

use core::ptr;

use crate::{
    raw::{
        reclaim::{
            batch::{BATCH_SLOTS, Batch, Contents},
            guard::Guard,
            stripe::Turn,
        },
        words::key::SlotIndex,
    },
    sync::{
        Arc, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, UnsafeCell, order, planted,
    },
};

/// The batches whose grace period is over: a Treiber stack (1986).
///
/// Only a deferred function pushes. A popper holds a guard, and a box that it saw on the stack is
/// freed, or pushed again, through the collector only: so while it looks at a head that head can
/// neither be freed nor come back, and its CAS cannot succeed on a recycled one.
struct Ready {
    head: AtomicPtr<Batch>,
    /// Set when the map is gone: what comes then is freed at once, by whoever brings it.
    closed: AtomicBool,
    /// The last ticket that was dealt.
    tickets: AtomicU64,
    /// The last ticket whose grace period is over; see [`Limbo::next_ticket`].
    past: AtomicU64,
    /// The last ticket of a sweep.
    of_sweep: AtomicU64,
    /// Batches that were to be reclaimed, where it was refused; see [`Limbo::owe`].
    owed: AtomicUsize,
}

impl Ready {
    fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
            closed: AtomicBool::new(false),
            tickets: AtomicU64::new(0),
            past: AtomicU64::new(0),
            of_sweep: AtomicU64::new(0),
            owed: AtomicUsize::new(0),
        }
    }

    fn push(&self, batch: Box<Batch>) {
        // Relaxed: a batch that slips past is freed with the stack.
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let batch = Box::into_raw(batch);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: ours until the CAS publishes it. (The head that we saw cannot be freed and come
            // back meanwhile, I8.)
            unsafe { &*batch }.next.store(head, Ordering::Relaxed);
            // Release (O5): publishes the batch's contents to `pop`.
            let (pushed, lost) = (order!(batch_pushed, Release), Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, batch, pushed, lost) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes one batch off. The guard is what makes reading `next` and the CAS sound.
    fn pop(&self, _guard: &Guard) -> Option<*mut Batch> {
        // Acquire (O5): pairs with the push.
        let mut head = self.head.load(order!(batch_met, Acquire));
        while !head.is_null() {
            // SAFETY: I8 (a box seen on the stack lives until the guard ends).
            let next = unsafe { &(*head).next }.load(Ordering::Relaxed);
            // Relaxed: the box was acquired when it was seen, and cannot have come back (I8). Acquire on failure
            // (O5): the next round reads what the new head holds.
            let (popped, lost) = (Ordering::Relaxed, order!(batch_met_again, Acquire));
            match self.head.compare_exchange(head, next, popped, lost) {
                Ok(_) => return Some(head),
                Err(now) => head = now,
            }
        }
        None
    }
}

impl Ready {
    /// Frees the batches that are on the stack.
    ///
    /// # Safety
    ///
    /// - Nobody pops, now or later: the map is gone.
    unsafe fn free_all(&self) {
        // Acquire (O5): pairs with the pushes.
        let mut head = self.head.swap(ptr::null_mut(), order!(batches_freed, Acquire));
        while !head.is_null() && !planted!(batches_leaked) {
            // SAFETY: the swap made the chain ours, and no popper looks at it.
            let batch = unsafe { Box::from_raw(head) };
            head = batch.next.load(Ordering::Relaxed);
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // SAFETY: the last owner: the map has let go.
        unsafe { self.free_all() };
    }
}

/// Where the retired slots of one map wait.
pub(in crate::raw) struct Limbo {
    ready: Arc<Ready>,
    /// How many slots make a batch.
    batch_slots: usize,
}

impl Limbo {
    /// For a map where up to `per_stripe` slots of a stripe may wait in a half-full batch.
    pub(in crate::raw) fn new(per_stripe: u32) -> Self {
        let batch_slots = (per_stripe as usize).clamp(1, BATCH_SLOTS);
        Self { ready: Arc::new(Ready::new()), batch_slots }
    }

    /// One that has dealt so many tickets, whose grace periods are all over.
    #[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
    pub(in crate::raw) fn with_tickets(dealt: u64) -> Self {
        let limbo = Self::new(1);
        limbo.ready.tickets.store(dealt, Ordering::Relaxed);
        limbo.ready.past.store(dealt, Ordering::Relaxed);
        limbo
    }

    /// Retires a slot: it is reclaimed after every pin that exists now has ended.
    ///
    /// Called once a slot, by whoever took it off its line (I4).
    #[inline]
    pub(in crate::raw) fn retire(&self, slot: SlotIndex, turn: &mut Turn<'_>) {
        let len = turn.retire(|batch| match batch {
            Some(batch) => batch.push(slot),
            None => Self::begin_batch(batch, slot),
        });
        if len >= self.batch_slots {
            self.seal(turn);
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_batch(batch: &mut Option<Box<Batch>>, slot: SlotIndex) -> usize {
        batch.insert(Batch::new()).push(slot)
    }

    /// Hands the batches of all stripes to the collector, however full, so that nothing waits for ever.
    /// That of a stripe in use, its writer hands over at the end of the write.
    pub(in crate::raw) fn seal_all(&self, turn: &mut Turn<'_>) {
        let guard = turn.guard;
        for batch in turn.take_batches() {
            self.defer(batch, guard);
        }
    }

    /// Hands over the stripe's own batch.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn seal(&self, turn: &mut Turn<'_>) {
        if let Some(batch) = turn.take_batch() {
            self.defer(batch, turn.guard);
        }
    }

    /// Hands over the batch of the `n`-th stripe, or the one that comes to it when all are counted through,
    /// if it has no writer any more.
    pub(in crate::raw) fn seal_idle(&self, n: usize, turn: &mut Turn<'_>) {
        if let Some(batch) = turn.take_idle_batch(n) {
            self.defer(batch, turn.guard);
        }
    }

    /// Hands over all batches, however full, and begins a grace period behind them: when it is over, they are on the ready
    /// stack. `None` while such a one goes on already: each costs the collector 2 kB until it is over, so where a thread
    /// stays pinned there must not be many. (One more for each array that is switched while a sweep stalls in here.)
    pub(in crate::raw) fn begin_grace(&self, turn: &mut Turn<'_>) -> Option<u64> {
        let before = self.ready.of_sweep.load(Ordering::Relaxed);
        if !self.is_past(before) && !planted!(notes_pile_up) {
            return None;
        }
        self.seal_all(turn);
        let ticket = self.next_ticket();
        // Relaxed: it only keeps others out.
        let relaxed = Ordering::Relaxed;
        self.ready.of_sweep.compare_exchange(before, ticket, relaxed, relaxed).ok()?;
        self.defer_ticket(ticket, turn.guard);
        Some(ticket)
    }

    /// A number for a grace period that others wait for as well: 64 bits, which no program uses up. To be drawn after
    /// what is to be waited for was left; later ones have larger numbers.
    pub(in crate::raw) fn next_ticket(&self) -> u64 {
        // AcqRel: what was left before a smaller number was drawn comes before the note of a larger one.
        self.ready.tickets.fetch_add(1, order!(ticket_drawn, AcqRel)) + 1
    }

    /// Notes, when every pin that exists now has ended, that the grace period of this ticket is over.
    pub(in crate::raw) fn defer_ticket(&self, ticket: u64, guard: &Guard) {
        let ready = Arc::clone(&self.ready);
        // Release (O5): whoever finds it past comes behind all pins that it waited for, and behind the pushes of the
        // batches that were handed over before.
        guard.defer(move || _ = ready.past.fetch_max(ticket, order!(ticket_noted, Release)));
        guard.flush();
    }

    /// Whether the grace period of this ticket is over, or that of a later one.
    pub(in crate::raw) fn is_past(&self, ticket: u64) -> bool {
        self.ready.past.load(order!(ticket_seen, Acquire)) >= ticket
    }

    fn defer(&self, batch: Box<Batch>, guard: &Guard) {
        if planted!(no_grace_period) {
            return self.ready.push(batch);
        }
        let ready = if planted!(deferred_work_outlives_the_map) {
            // SAFETY: none: the count is one too low, so the function may find the stack freed.
            unsafe { Arc::from_raw(Arc::as_ptr(&self.ready)) }
        } else {
            Arc::clone(&self.ready)
        };
        guard.defer(move || ready.push(batch));
        // A thread's deferred functions wait for 64 of their kind, and a held guard never
        // collects: without this a batch could wait for ever.
        guard.flush();
    }

    /// Whether there seems to be a batch whose grace period is over.
    #[inline]
    pub(in crate::raw) fn has_due(&self) -> bool {
        // Relaxed: only a look; the pop orders.
        !self.ready.head.load(Ordering::Relaxed).is_null()
    }

    /// Notes that a write was due to reclaim so many batches and could not, where it was: whoever reclaims next, or
    /// does it now, does that as well.
    #[cold]
    pub(in crate::raw) fn owe(&self, batches: usize) {
        if !planted!(debts_forgotten) {
            // Relaxed: only a number.
            self.ready.owed.fetch_add(batches, Ordering::Relaxed);
        }
    }

    /// Takes over what others owe.
    pub(in crate::raw) fn take_owed(&self) -> usize {
        let owed = &self.ready.owed;
        if owed.load(Ordering::Relaxed) == 0 { 0 } else { owed.swap(0, Ordering::Relaxed) }
    }

    /// Takes a batch whose grace period is over, if there is one.
    pub(in crate::raw) fn pop<'g>(&'g self, guard: &'g Guard) -> Option<DueBatch<'g>> {
        self.ready.pop(guard).map(|batch| DueBatch { batch, ready: &self.ready, guard })
    }

    /// Frees the batches of a map that goes: those on the ready stack now, and those that the collector
    /// still has one by one as their time comes. Without the flag they would
    /// pile up on the stack, and the pin of some reader would free them all.
    pub(in crate::raw) fn close(&mut self) {
        self.ready.closed.store(true, Ordering::Relaxed);
        // SAFETY: only the map's operations pop, and `&mut self` is its end.
        unsafe { self.ready.free_all() };
    }
}

/// A popped batch. When it goes, early or by a panic, what is left in it goes round once more.
pub(in crate::raw) struct DueBatch<'g> {
    batch: *mut Batch,
    ready: &'g Arc<Ready>,
    guard: &'g Guard,
}

impl DueBatch<'_> {
    pub(in crate::raw) fn take(&mut self) -> Option<SlotIndex> {
        self.contents().with_mut(|contents| {
            // SAFETY: popped, so its contents are ours.
            let contents = unsafe { &mut *contents };
            contents.len = contents.len.checked_sub(1)?;
            Some(SlotIndex(contents.slots[contents.len]))
        })
    }

    fn contents(&self) -> &UnsafeCell<Contents> {
        // SAFETY: popped, so the box lives until we hand it on; other poppers may read only `next`,
        // which is no part of what is borrowed here.
        unsafe { &(*self.batch).contents }
    }
}

/// The box of a batch on its way through the collector.
struct Parcel(*mut Batch);

// SAFETY: a batch is plain numbers; it is owned by whoever popped it, and that ownership moves.
unsafe impl Send for Parcel {}

impl Parcel {
    fn unpack(self) -> Box<Batch> {
        // SAFETY: I8: this runs after a grace period, so no popper looks at the box any more.
        unsafe { Box::from_raw(self.0) }
    }
}

impl Drop for DueBatch<'_> {
    fn drop(&mut self) {
        let parcel = Parcel(self.batch);
        // SAFETY: as in `take`.
        let is_empty = self.contents().with(|contents| unsafe { (*contents).len == 0 });
        if is_empty {
            self.guard.defer(move || drop(parcel.unpack()));
        } else {
            let ready = Arc::clone(self.ready);
            self.guard.defer(move || ready.push(parcel.unpack()));
            self.guard.flush();
        }
    }
}

#[cfg(all(test, evanesce_loom, not(crossbeam_loom)))]
mod models;
