//! What a writer has for itself: counts, free slots, the batch of retired slots.
//!
//! A write takes the *turn* of a stripe, one exchange, and then works on plain memory: so a slot taken, a
//! slot retired and a count cost no locked instruction each. Nobody waits for a turn. Who finds the stripe
//! of its number in use takes another number, and if that is in use as well, the next stripe of its chain, or
//! makes one at the end.
//!
//! The free slots are a magazine (Bonwick and Adams 2001), what this stripe reclaimed, the newest on top;
//! and below it those that were taken from one block of the slab.

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
use core::cell::Cell;
use core::{iter, ptr};

use crossbeam_utils::CachePadded;

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
use crate::sync::{AtomicUsize, per_thread};
use crate::{
    raw::{
        bound::{Claim, Queue},
        reclaim::{batch::Batch, guard::Guard},
        words::{key::SlotIndex, numbers::slot_of},
    },
    sync::{
        AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, MODEL, Ordering, SettingWord,
        UnsafeCell, order, planted, thread,
    },
};

/// Slots of a magazine at most: those of two batches, which may be due at once.
pub(in crate::raw) const MAGAZINE_SLOTS: u32 = if MODEL { 4 } else { 248 };

/// One writer's things at a time.
pub(in crate::raw) struct Stripe {
    /// Whether a writer has the turn.
    taken: AtomicBool,
    /// Whether someone came for the batch while a writer had the turn.
    seal_wanted: AtomicBool,
    /// How many slots the magazine holds. This, the slots of the block and the counts are changed by who
    /// has the turn, and read by all.
    len: AtomicU32,
    /// The slots that were taken from `block` for this stripe, as bits.
    of_block: AtomicU64,
    /// Entries published minus entries ended, by writers of this stripe. Only the sum means anything.
    entries: AtomicIsize,
    /// Slots retired minus slots reclaimed, likewise.
    pending: AtomicIsize,
    /// Entries that had to go since the map was full.
    evicted: AtomicIsize,
    kit: UnsafeCell<Kit>,
    /// The next stripe for threads of the same number.
    next: AtomicPtr<CachePadded<Stripe>>,
}

/// What only the writer that has the turn looks at.
struct Kit {
    writes: u32,
    /// `writes` when another stripe's writer last looked in.
    writes_seen: u32,
    block: u32,
    /// Of each queue, the next ones that are to go.
    claims: [Claim; 2],
    batch: Option<Box<Batch>>,
    /// Empty until the first slot comes in: a map that nothing was removed from needs none.
    magazine: Box<[u32]>,
}

impl Kit {
    #[cold]
    #[inline(never)]
    fn begin_magazine(&mut self, slot: SlotIndex, most: u32) {
        debug_assert!(self.magazine.is_empty());
        self.magazine = vec![0; most as usize].into();
        self.magazine[0] = slot.0;
    }
}

impl Stripe {
    /// A stripe in the turn of its maker.
    fn new() -> Self {
        Self {
            taken: AtomicBool::new(true),
            seal_wanted: AtomicBool::new(false),
            len: AtomicU32::new(0),
            of_block: AtomicU64::new(0),
            entries: AtomicIsize::new(0),
            pending: AtomicIsize::new(0),
            evicted: AtomicIsize::new(0),
            kit: UnsafeCell::new(Kit {
                writes: 0,
                writes_seen: 0,
                block: 0,
                claims: Default::default(),
                batch: None,
                magazine: Box::default(),
            }),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Begins a turn, unless one is on.
    #[inline]
    fn try_enter(&self) -> bool {
        if planted!(turn_shared) {
            return true;
        }
        // Acquire (O5): what the turn before left.
        let (taken, lost) = (order!(turn_taken, Acquire), Ordering::Relaxed);
        self.taken.compare_exchange(false, true, taken, lost).is_ok()
    }
}

/// A write's turn of a stripe, begun when it is first needed, and the guard that the write is under.
pub(in crate::raw) struct Turn<'g> {
    stripes: &'g Stripes,
    pub(in crate::raw) guard: &'g Guard,
    mine: Option<&'g Stripe>,
}

impl<'g> Turn<'g> {
    #[inline]
    pub(in crate::raw) fn new(stripes: &'g Stripes, guard: &'g Guard) -> Self {
        Self { stripes, guard, mine: None }
    }

    /// Counts entries published, or below zero ended.
    #[inline]
    pub(in crate::raw) fn count_entries(&mut self, change: isize) {
        add(&self.stripe().entries, change);
    }

    /// Counts a slot that is reclaimed.
    #[inline]
    pub(in crate::raw) fn count_reclaimed(&mut self) {
        add(&self.stripe().pending, -1);
    }

    /// Counts an entry that had to go since the map was full.
    #[inline]
    pub(in crate::raw) fn count_evicted(&mut self) {
        add(&self.stripe().evicted, 1);
    }

    /// Does something with what is claimed of a queue.
    #[inline]
    pub(in crate::raw) fn with_claim<R>(
        &mut self,
        queue: Queue,
        f: impl FnOnce(&mut Claim) -> R,
    ) -> R {
        self.with_kit(|kit| f(&mut kit.claims[queue as usize]))
    }

    /// Counts a write, to space out extra work.
    #[inline]
    pub(in crate::raw) fn count_write(&mut self) -> u32 {
        self.with_kit(|kit| {
            kit.writes = kit.writes.wrapping_add(1);
            kit.writes
        })
    }

    /// Takes the newest slot of the magazine, or else the next one of the block.
    #[inline]
    pub(in crate::raw) fn take_slot(&mut self) -> Option<SlotIndex> {
        self.with_stripe(|stripe, kit| {
            if let Some(len) = stripe.len.load(Ordering::Relaxed).checked_sub(1) {
                stripe.len.store(len, Ordering::Relaxed);
                return Some(SlotIndex(kit.magazine[len as usize]));
            }
            let slots = stripe.of_block.load(Ordering::Relaxed);
            if slots == 0 {
                return None;
            }
            stripe.of_block.store(slots & (slots - 1), Ordering::Relaxed);
            Some(slot_of(kit.block, slots))
        })
    }

    /// Gives the stripe the slots of a block, when it has none left.
    pub(in crate::raw) fn put_block(&mut self, block: u32, slots: u64) {
        let stripe = self.stripe();
        debug_assert_eq!(stripe.of_block.load(Ordering::Relaxed), 0, "I5: slots are lost");
        stripe.of_block.store(slots, Ordering::Relaxed);
        self.with_kit(|kit| kit.block = block);
    }

    /// Puts a free slot into the magazine; false if it holds `most` already.
    #[inline]
    pub(in crate::raw) fn put_slot(&mut self, slot: SlotIndex, most: u32) -> bool {
        self.with_stripe(|stripe, kit| {
            let len = stripe.len.load(Ordering::Relaxed);
            if len >= most {
                return false;
            }
            match kit.magazine.get_mut(len as usize) {
                Some(place) => *place = slot.0,
                None => kit.begin_magazine(slot, most),
            }
            stripe.len.store(len + 1, Ordering::Relaxed);
            true
        })
    }

    /// Whether someone came for the batch during this turn or one before.
    #[inline]
    pub(in crate::raw) fn is_seal_wanted(&mut self) -> bool {
        // Relaxed: whoever misses it comes to it in the next turn.
        self.stripe().seal_wanted.load(Ordering::Relaxed)
    }

    /// The batch is handed over, for whoever came for it.
    pub(in crate::raw) fn seal_done(&mut self) {
        self.stripe().seal_wanted.store(false, Ordering::Relaxed);
    }

    /// Ends the turn; the next that is needed begins another. Before the user's code runs: what this stripe
    /// has is then anyone's.
    #[inline]
    pub(in crate::raw) fn leave(&mut self) {
        if let Some(stripe) = self.mine.take() {
            // Release (O5): the next turn finds what this one left.
            stripe.taken.store(false, order!(turn_left, Release));
        }
    }

    /// Puts a retired slot into the batch, by means of `push`, and counts it.
    #[inline]
    pub(in crate::raw) fn retire<R>(
        &mut self,
        push: impl FnOnce(&mut Option<Box<Batch>>) -> R,
    ) -> R {
        self.with_stripe(|stripe, kit| {
            add(&stripe.pending, 1);
            push(&mut kit.batch)
        })
    }

    /// Takes the batch of retired slots.
    pub(in crate::raw) fn take_batch(&mut self) -> Option<Box<Batch>> {
        self.with_batch(Option::take)
    }

    /// Does something with the batch of retired slots.
    #[inline]
    pub(in crate::raw) fn with_batch<R>(
        &mut self,
        f: impl FnOnce(&mut Option<Box<Batch>>) -> R,
    ) -> R {
        self.with_kit(|kit| f(&mut kit.batch))
    }

    /// Takes a slot of another stripe that no write is in.
    pub(in crate::raw) fn take_slot_of_another(&self) -> Option<SlotIndex> {
        self.stripes.iter().find_map(|stripe| self.try_turn(stripe)?.take_slot())
    }

    /// Ends the turn and takes the batches of all stripes, one by one. Of a stripe that another write is in,
    /// that write hands it over.
    pub(in crate::raw) fn take_batches(&mut self) -> impl Iterator<Item = Box<Batch>> {
        self.leave();
        self.stripes.iter().filter_map(|stripe| {
            let Some(mut turn) = self.try_turn(stripe) else {
                // Relaxed: only to speed it up.
                stripe.seal_wanted.store(true, Ordering::Relaxed);
                return None;
            };
            turn.take_batch()
        })
    }

    /// Takes the batch of the `n`-th stripe if nobody wrote there since it was last looked at.
    pub(in crate::raw) fn take_idle_batch(&mut self, n: usize) -> Option<Box<Batch>> {
        let stripe = self.stripes.iter().nth(n % self.stripes.iter().count().max(1))?;
        let mut turn = self.try_turn(stripe)?;
        let is_idle = turn.with_kit(|kit| {
            let before = core::mem::replace(&mut kit.writes_seen, kit.writes);
            before == kit.writes
        });
        is_idle.then(|| turn.take_batch()).flatten()
    }

    /// A turn of a stripe, unless one is on.
    fn try_turn(&self, stripe: &'g Stripe) -> Option<Turn<'g>> {
        stripe.try_enter().then(|| Turn { mine: Some(stripe), ..*self })
    }

    #[inline]
    fn with_kit<R>(&mut self, f: impl FnOnce(&mut Kit) -> R) -> R {
        self.with_stripe(|_, kit| f(kit))
    }

    #[inline]
    fn with_stripe<R>(&mut self, f: impl FnOnce(&'g Stripe, &mut Kit) -> R) -> R {
        let stripe = self.stripe();
        // SAFETY: ours alone while we have the turn, and `&mut self` is not lent to `f`.
        stripe.kit.with_mut(|kit| f(stripe, unsafe { &mut *kit }))
    }

    #[inline]
    fn stripe(&mut self) -> &'g Stripe {
        match self.mine {
            Some(stripe) => stripe,
            None => self.begin(),
        }
    }

    /// Begins the turn. Out of line: of all steps of a write that need one, the first alone comes here.
    #[cold]
    #[inline(never)]
    fn begin(&mut self) -> &'g Stripe {
        self.mine.insert(self.stripes.enter())
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

/// Adds to a count that is ours to change.
#[inline]
fn add(count: &AtomicIsize, change: isize) {
    // Relaxed: only the sum at rest means anything.
    count.store(count.load(Ordering::Relaxed) + change, Ordering::Relaxed);
}

/// All stripes of a map, in chains by the number of the thread.
pub(in crate::raw) struct Stripes(Box<[AtomicPtr<CachePadded<Stripe>>]>);

impl Stripes {
    pub(in crate::raw) fn new() -> Self {
        Self((0..chain_count()).map(|_| AtomicPtr::new(ptr::null_mut())).collect())
    }

    /// How many chains there are: as many writers have a stripe before any shares a chain.
    pub(in crate::raw) fn chains(&self) -> u32 {
        self.0.len() as u32
    }

    /// Takes a turn: of the first stripe of the thread's chain that is free, or of a new one.
    #[inline]
    fn enter(&self) -> &Stripe {
        let place = self.chain(thread_number());
        match Self::at(place) {
            Some(stripe) if stripe.try_enter() => stripe,
            in_use => self.enter_another(place, in_use),
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_another<'s>(
        &'s self,
        mut place: &'s AtomicPtr<CachePadded<Stripe>>,
        mut in_use: Option<&'s Stripe>,
    ) -> &'s Stripe {
        let mut has_moved = self.0.len() == 1;
        loop {
            match in_use {
                Some(stripe) if has_moved => place = &stripe.next,
                Some(_) => {
                    // Someone of the same number is in it: one of us goes elsewhere, from now on (as in
                    // the striped counters of Doug Lea's `Striped64`).
                    has_moved = true;
                    place = self.chain(new_thread_number());
                }
                None => {
                    if let Some(new) = Self::add(place) {
                        return new;
                    }
                }
            }
            match Self::at(place) {
                Some(stripe) if stripe.try_enter() => return stripe,
                there => in_use = there,
            }
        }
    }

    #[inline]
    fn chain(&self, number: usize) -> &AtomicPtr<CachePadded<Stripe>> {
        // The count is a power of two.
        &self.0[number & (self.0.len() - 1)]
    }

    /// Puts a new stripe, in its maker's turn, at the end of a chain, unless another has come there.
    #[cold]
    fn add(place: &AtomicPtr<CachePadded<Stripe>>) -> Option<&Stripe> {
        let new = Box::into_raw(Box::new(CachePadded::new(Stripe::new())));
        // Release (O5): publishes the stripe.
        let (end, added) = (ptr::null_mut(), order!(stripe_added, Release));
        if place.compare_exchange(end, new, added, Ordering::Relaxed).is_err() {
            // SAFETY: from `into_raw` above, and not published.
            drop(unsafe { Box::from_raw(new) });
            return None;
        }
        Self::at(place)
    }

    #[inline]
    fn at(place: &AtomicPtr<CachePadded<Stripe>>) -> Option<&Stripe> {
        // Acquire (O5): pairs with the Release that put it there.
        let stripe = place.load(order!(stripe_met, Acquire));
        // SAFETY: from `into_raw`; a stripe is freed with the map only, which the borrow keeps.
        unsafe { stripe.as_ref() }.map(|stripe| &**stripe)
    }

    fn iter(&self) -> impl Iterator<Item = &Stripe> {
        let chain = |first| iter::successors(Self::at(first), |stripe| Self::at(&stripe.next));
        self.0.iter().flat_map(chain)
    }

    /// The entries in the map. The sum may be off while writers run, and below zero for a moment:
    /// an entry is counted after it is published, and another thread may have removed it by then.
    pub(in crate::raw) fn entries(&self) -> usize {
        let sum: isize = self.iter().map(|s| s.entries.load(Ordering::Relaxed)).sum();
        if planted!(length_below_zero) {
            return sum.cast_unsigned();
        }
        usize::try_from(sum).unwrap_or(0)
    }

    /// The slots that were retired and not reclaimed yet; likewise.
    pub(in crate::raw) fn pending(&self) -> usize {
        let sum: isize = self.iter().map(|s| s.pending.load(Ordering::Relaxed)).sum();
        usize::try_from(sum).unwrap_or(0)
    }

    /// How many entries had to go since the map was full.
    pub(in crate::raw) fn evicted(&self) -> u64 {
        let evicted = |s: &Stripe| s.evicted.load(Ordering::Relaxed).cast_unsigned() as u64;
        self.iter().map(evicted).sum()
    }

    /// The free slots that stripes have. Exact at rest.
    pub(in crate::raw) fn free_slots(&self) -> usize {
        let of_block = |s: &Stripe| s.of_block.load(Ordering::Relaxed).count_ones();
        self.iter().map(|s| (s.len.load(Ordering::Relaxed) + of_block(s)) as usize).sum()
    }

    /// Batches and magazines apart, which only the writers know.
    pub(in crate::raw) fn bytes(&self) -> usize {
        size_of_val(&*self.0) + self.iter().count() * size_of::<CachePadded<Stripe>>()
    }
}

impl Drop for Stripes {
    fn drop(&mut self) {
        for first in &self.0 {
            // Relaxed: `&mut self`.
            let mut place = first.load(Ordering::Relaxed);
            while !place.is_null() {
                // SAFETY: from `into_raw`, and `&mut self` is the last use.
                let stripe = unsafe { Box::from_raw(place) };
                place = stripe.next.load(Ordering::Relaxed);
            }
        }
    }
}

/// Chains of stripes: four a processor, so that threads that take turns on it seldom share one, and 64
/// at most, rounded up to a power of two.
pub(crate) fn chain_count() -> usize {
    /// Zero before it is known. Each that comes reckons it, and finds the same.
    static COUNT: SettingWord = SettingWord::new(0);
    if MODEL {
        return 1;
    }
    // Relaxed, both: it is all there is to know.
    let known = COUNT.load(Ordering::Relaxed) as usize;
    if known != 0 {
        return known;
    }
    let processors = thread::available_parallelism().map_or(4, usize::from);
    let count = (4 * processors).next_power_of_two().min(64);
    COUNT.store(count as u64, Ordering::Relaxed);
    count
}

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
per_thread! { static NUMBER: Cell<Option<usize>> = Cell::new(None) }

/// A small number of the current thread, dealt in turn.
#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
#[inline]
pub(crate) fn thread_number() -> usize {
    NUMBER.get().unwrap_or_else(new_thread_number)
}

/// Gives the current thread another.
#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
#[cold]
fn new_thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    NUMBER.set(Some(next));
    next
}

#[cfg(any(evanesce_loom, evanesce_shuttle))]
pub(crate) fn thread_number() -> usize {
    0
}

#[cfg(any(evanesce_loom, evanesce_shuttle))]
fn new_thread_number() -> usize {
    0
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests;
