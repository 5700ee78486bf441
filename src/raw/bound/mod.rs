//! A map's maximum size: how much is in it, and which entries are to go (DESIGN.md, section 14).
//!
//! The policy is S3-FIFO's (Yang, Zhang, Qiu, Yue and Rashmi, 2023) on a CLOCK: what is new is on probation, an
//! eighth of the map; what was used meanwhile stays, and goes round; and a key that comes back soon after it had to go
//! from its probation (the *ghost* knows) is not put on probation again. Queues are bitmaps over the slots, each with a
//! *hand* that goes round: so no list is kept, and a lookup has no more to do than to count a use beside the slot.
//!
//! Nothing here decides about an entry: that does its state word. What is kept here are hints, but for the sums.

#[allow(unsafe_code)] // words that start as zeros
mod ghost;
mod hand;
mod owed;
#[allow(unsafe_code)] // words that start as zeros
mod residents;

use crossbeam_utils::CachePadded;

pub(in crate::raw) use hand::Claim;
pub(in crate::raw) use owed::Owed;
pub(in crate::raw) use residents::Queue;

use crate::{
    raw::{
        bound::{
            ghost::Ghost,
            hand::Hand,
            residents::{Residents, Taken},
        },
        memory::pages::PageSize,
        words::{key::SlotIndex, numbers::MAX_SLOTS},
    },
    sync::{AtomicU64, Ordering, SettingWord, glance, order, planted},
};

/// The share of a full map that is on probation: an eighth. (From a tenth to a sixth it makes little difference.)
const PROBATION_SHARE: u64 = 8;

/// Uses that bring an entry off its probation.
const USES_TO_STAY: u8 = 2;

/// What a map may hold. The largest: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    Entries(u64),
    Weight(u64),
}

impl Limit {
    fn value(self) -> u64 {
        let (Self::Entries(most) | Self::Weight(most)) = self;
        most
    }
}

/// The memory of the slab beside which this stands.
#[derive(Clone, Copy)]
pub(in crate::raw) struct Room {
    /// How many slots there are so far; zero where the bound is not by weight.
    pub(in crate::raw) slots: u32,
    pub(in crate::raw) page_size: PageSize,
}

/// An entry that may have to go.
pub(in crate::raw) struct Candidate {
    pub(in crate::raw) slot: SlotIndex,
    /// The next slot of the same claim, if there is one.
    pub(in crate::raw) then: Option<SlotIndex>,
    /// Whether it was claimed in this call.
    pub(in crate::raw) is_claimed_now: bool,
}

pub(in crate::raw) struct Bound {
    limit: SettingWord,
    is_by_weight: bool,
    residents: Residents,
    ghost: Ghost,
    /// The weight of all entries. A sum of changes, in whatever order they come: below zero for a moment. In a line of its
    /// own: writes of a full map look at it and do not change it.
    used: CachePadded<AtomicU64>,
    /// The weight of those on probation, likewise.
    on_probation: CachePadded<AtomicU64>,
    /// Over the entries on probation, and over the others.
    hands: [CachePadded<Hand>; 2],
}

/// A sum in which changes may have come in another order.
fn sum(word: &AtomicU64, order: Ordering) -> u64 {
    let sum = glance(word, order);
    if sum.cast_signed() < 0 { 0 } else { sum }
}

impl Bound {
    pub(in crate::raw) fn new(limit: Limit) -> Self {
        let is_by_weight = matches!(limit, Limit::Weight(_));
        Self {
            limit: SettingWord::new(limit.value()),
            is_by_weight,
            residents: Residents::new(is_by_weight),
            ghost: Ghost::new(),
            used: CachePadded::new(AtomicU64::new(0)),
            on_probation: CachePadded::new(AtomicU64::new(0)),
            hands: [(); 2].map(|()| CachePadded::new(Hand::new())),
        }
    }

    pub(in crate::raw) fn limit(&self) -> Limit {
        // Relaxed: a write that misses a change here sees it when it asks for the excess.
        let limit = self.limit.load(Ordering::Relaxed);
        if self.is_by_weight { Limit::Weight(limit) } else { Limit::Entries(limit) }
    }

    /// Changes the limit, by one of its kind.
    pub(in crate::raw) fn set_limit(&self, limit: Limit) {
        debug_assert_eq!(matches!(limit, Limit::Weight(_)), self.is_by_weight);
        // SeqCst, with `count` and `excess`: of a writer that counts an entry, and one that lowers the limit, one at least
        // sees what the other has done.
        self.limit.swap(limit.value(), order!(limit_set, SeqCst));
    }

    pub(in crate::raw) fn is_by_weight(&self) -> bool {
        self.is_by_weight
    }

    /// The most that an entry may weigh.
    pub(in crate::raw) fn most(&self) -> u64 {
        self.limit().value()
    }

    /// The weight of all entries. May be off while writers run.
    pub(in crate::raw) fn used(&self) -> u64 {
        sum(&self.used, Ordering::Relaxed)
    }

    pub(in crate::raw) fn bytes(&self) -> usize {
        size_of::<Self>() + self.residents.bytes() + self.ghost.bytes()
    }

    /// By how much the map is past its limit.
    #[inline]
    pub(in crate::raw) fn excess(&self) -> u64 {
        self.excess_with(0)
    }

    /// The same with what was published and is not counted.
    #[inline]
    fn excess_with(&self, owed: i64) -> u64 {
        // Acquire (O12): the entries that were counted, and their places in the queues. (SeqCst: `set_limit`.)
        let used = glance(&self.used, order!(excess_met, SeqCst)).wrapping_add_signed(owed);
        let limit = self.limit.load(order!(limit_met, SeqCst));
        // Signed, since a sum may be below zero for a moment. (A limit is at most 2^62.)
        used.wrapping_sub(limit).cast_signed().max(0).cast_unsigned()
    }

    // What writers tell. An entry is entered before it is published, so whoever ends it finds it entered.

    /// Enters the entry in this slot, which is not published: a new one, or one that is to take the place of that in
    /// `old`, and then is where that is, used once more. Entering it again, for another try, changes it. Returns the queue.
    pub(in crate::raw) fn enter(
        &self,
        slot: SlotIndex,
        key: u32,
        old: Option<SlotIndex>,
        weight: u32,
        room: Room,
    ) -> Queue {
        let (queue, uses) = match old {
            Some(old) => (self.residents.queue(old), self.residents.uses(old) + 1),
            None if self.ghost.take(key, self.ghost_len(room)) => (Queue::Main, 0),
            None => (Queue::Probation, 0),
        };
        self.residents.put(slot, queue, uses, weight, room.page_size);
        queue
    }

    /// Takes an entry out of its queue.
    fn take(&self, slot: SlotIndex) -> Taken {
        self.residents.take(slot)
    }

    /// Begins to bring into the cache what the ghost knows of a key.
    pub(in crate::raw) fn bring_ghost(&self, key: u32, room: Room) {
        self.ghost.bring(key, self.ghost_len(room));
    }

    /// Adds to the weight of all entries, and of those on probation.
    fn add(&self, used: i64, on_probation: i64) {
        if used != 0 {
            // Release (O12): who finds the map past its limit by it finds the entry. (The steps that take off are
            // read-modify-writes, so they go on with the release sequence. SeqCst: `set_limit`.)
            self.used.fetch_add(used.cast_unsigned(), order!(entry_counted, SeqCst));
        }
        if on_probation != 0 {
            self.on_probation.fetch_add(on_probation.cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// The entry in this slot, which was counted, has ended by our step.
    pub(in crate::raw) fn leave(&self, slot: SlotIndex) {
        Owed::nothing(self).end(slot, false);
    }

    /// The same of one that was never counted: its draft was given up, or a load has not shown it.
    pub(in crate::raw) fn leave_uncounted(&self, slot: SlotIndex) {
        self.take(slot);
    }

    /// Takes so much off the sum, for an entry that the caller is about to end, if the map is past its limit. So of two
    /// writers that find it past by one entry, one ends one.
    pub(in crate::raw) fn discount(&self, weight: u32) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let less = |used: u64| {
            let is_past =
                used.cast_signed() > limit.cast_signed() || planted!(evicted_beyond_the_bound);
            is_past.then(|| used.wrapping_sub(weight.into()))
        };
        let order = Ordering::Relaxed;
        self.used.fetch_update(order, order, less).is_ok()
    }

    /// Takes a discount back: another has ended the entry.
    pub(in crate::raw) fn recount(&self, weight: u32) {
        self.add(weight.into(), 0);
    }

    /// Counts a use of the entry in this slot. One relaxed store, while it has not been used as often as counts.
    #[inline]
    pub(in crate::raw) fn count_use(&self, slot: SlotIndex) {
        self.residents.count_use(slot);
    }

    // What who looks for one to go asks.

    /// The queue of which the next one is to go: what is on probation, if it is more than its share; with what is owed.
    fn queue_to_give(&self, used: i64, on_probation: i64) -> Queue {
        let used = self.used().saturating_add_signed(used);
        let on_probation =
            sum(&self.on_probation, Ordering::Relaxed).saturating_add_signed(on_probation);
        if on_probation > used / PROBATION_SHARE { Queue::Probation } else { Queue::Main }
    }

    /// The next slot of a queue: of those that were claimed before, or else of what is claimed now. `None` if the hand went
    /// over so many blocks and there was none.
    pub(in crate::raw) fn next_in(
        &self,
        queue: Queue,
        blocks: u32,
        claim: &mut Claim,
    ) -> Option<Candidate> {
        let slots = |n| self.residents.of(n, queue);
        claim.keep(slots);
        let is_claimed_now = claim.is_empty();
        if is_claimed_now {
            *claim = self.hands[queue as usize].claim(slots, blocks)?;
        }
        claim.next().map(|(slot, then)| Candidate { slot, then, is_claimed_now })
    }

    /// Takes a use off an entry of the main queue; false if it has none.
    pub(in crate::raw) fn takes_off_use(&self, slot: SlotIndex) -> bool {
        let uses = self.residents.uses(slot);
        if uses > 0 {
            self.residents.set_uses(slot, uses - 1);
        }
        uses > 0
    }

    /// Brings an entry off its probation if it was used enough.
    fn promote(&self, slot: SlotIndex) -> Option<Taken> {
        (self.residents.uses(slot) >= USES_TO_STAY).then(|| self.residents.promote(slot))
    }

    /// The weight of the entry in this slot, as it was entered.
    pub(in crate::raw) fn weight(&self, slot: SlotIndex) -> u32 {
        self.residents.weight(slot)
    }

    /// An entry of this key had to go. Of those that had stayed the ghost knows nothing: where keys come round in a loop
    /// that is a little longer than the map, they would put each other out.
    pub(in crate::raw) fn note_evicted(&self, key: u32, queue: Queue, room: Room) {
        if queue == Queue::Probation {
            self.ghost.put(key, self.ghost_len(room));
        }
    }

    /// Panics if the sums, with no write running, are not those of what is in the queues of so many blocks.
    #[cfg(any(test, evanesce_loom, evanesce_shuttle))]
    pub(in crate::raw) fn assert_sums(&self, blocks: u32) {
        let slots = |queue| (0..blocks).map(|n| self.residents.of(n, queue).count_ones()).sum();
        let (new, stayed): (u32, u32) = (slots(Queue::Probation), slots(Queue::Main));
        if !self.is_by_weight {
            assert_eq!(u64::from(new), sum(&self.on_probation, Ordering::Relaxed), "on probation");
            // A bit that a late promotion has left names nothing.
            assert!(u64::from(new + stayed) >= self.used(), "in the queues, and counted");
        }
    }

    /// How many keys the ghost is to know: as many as there may be entries. How many a weight allows is not known, and how
    /// many there are is a sum: a power of two of memory that they have had is near enough.
    fn ghost_len(&self, room: Room) -> u32 {
        match self.limit() {
            Limit::Entries(most) => most.min(MAX_SLOTS.into()) as u32,
            Limit::Weight(_) => 1 << room.slots.max(1).ilog2(),
        }
    }
}
