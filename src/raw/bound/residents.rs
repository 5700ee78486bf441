//! What is known of the entry in each slot: which queue it is in, how often it was used, what it weighs.

use crate::{
    raw::{
        memory::{
            chunked::Chunked,
            pages::{PageSize, Zeroed},
        },
        words::{
            key::SlotIndex,
            numbers::{BLOCK_SLOTS, BlockNumbers, SlotNumbers, block_of},
        },
    },
    sync::{AtomicU64, HintU8, HintU32, Ordering, glance, order, planted},
};

/// Uses that count: more tell nothing.
const MOST_USES: u8 = 3;

/// Where an entry waits for a hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::raw) enum Queue {
    /// What is new.
    Probation,
    /// What has stayed.
    Main,
}

impl Queue {
    pub(in crate::raw) fn other(self) -> Self {
        if self == Self::Main { Self::Probation } else { Self::Main }
    }
}

pub(super) struct Residents {
    queues: Chunked<Queues, BlockNumbers>,
    /// Away from the queues, which writers change: readers look at these.
    uses: Chunked<Uses, SlotNumbers>,
    /// Where all weigh one, none are kept.
    weights: Option<Chunked<Weight, SlotNumbers>>,
}

/// An entry that was taken out of its queue.
pub(super) struct Taken {
    pub(super) weight: u32,
    /// Whether it was on probation, and is no more by this step.
    was_on_probation: bool,
}

impl Taken {
    /// The weight that is on probation no more by this step.
    pub(super) fn off_probation(&self) -> u32 {
        if self.was_on_probation || planted!(promoted_blindly) { self.weight } else { 0 }
    }
}

/// Of a block: which slots have an entry in each queue (in both, or one that has ended, it is for a moment only).
struct Queues([AtomicU64; 2]);

impl Queues {
    fn has(&self, slot: SlotIndex, queue: Queue) -> bool {
        glance(&self.0[queue as usize], Ordering::Relaxed) & bit(slot) != 0
    }

    /// Sets the bit of a slot.
    fn put(&self, slot: SlotIndex, queue: Queue) {
        if !self.has(slot, queue) {
            self.0[queue as usize].fetch_or(bit(slot), Ordering::Relaxed);
        }
    }

    /// Takes off the bit of a slot; whether it was set before.
    fn take(&self, slot: SlotIndex, queue: Queue) -> bool {
        // Release (O12): who misses the slot here finds the entry that its end made way for.
        self.has(slot, queue)
            && self.0[queue as usize].fetch_and(!bit(slot), order!(queue_left, Release)) & bit(slot)
                != 0
    }
}

/// The bit of a slot in a word of its block.
fn bit(slot: SlotIndex) -> u64 {
    1 << (slot.0 % BLOCK_SLOTS)
}

struct Uses(HintU8);

struct Weight(HintU32);

// SAFETY: atomic integers: zeros are valid, nothing to drop.
unsafe impl Zeroed for Queues {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self([AtomicU64::new(0), AtomicU64::new(0)])
    }
}

// SAFETY: as above.
unsafe impl Zeroed for Uses {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self(HintU8::new(0))
    }
}

// SAFETY: as above.
unsafe impl Zeroed for Weight {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self(HintU32::new(0))
    }
}

// Relaxed throughout: all are hints, but for the weight of a slot. That is written before the slot is published and
// read by who ended the entry, or retires the slot; and who takes the slot next is ordered behind that (I4, I5).
impl Residents {
    pub(super) fn new(are_weighed: bool) -> Self {
        Self {
            queues: Chunked::new(),
            uses: Chunked::new(),
            weights: are_weighed.then(Chunked::new),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, Chunked::bytes);
        self.queues.bytes() + self.uses.bytes() + weights
    }

    /// The slots of the `n`-th block with an entry in a queue.
    #[inline]
    pub(super) fn of(&self, n: u32, queue: Queue) -> u64 {
        let queues = self.queues.get_if_there(BlockNumbers::nth(n));
        // Acquire (O12), with `Queues::take`.
        queues.map_or(0, |Queues(words)| glance(&words[queue as usize], order!(queue_met, Acquire)))
    }

    /// Puts an entry, which is in this slot and not published, into a queue, and takes it out of any in which a late
    /// promotion, or a try before, has left the slot.
    pub(super) fn put(
        &self,
        slot: SlotIndex,
        queue: Queue,
        uses: u8,
        weight: u32,
        page_size: PageSize,
    ) {
        self.queues.ensure(block_of(slot), PageSize::Usual);
        self.uses.ensure(slot.0, page_size);
        if let Some(weights) = &self.weights {
            weights.ensure(slot.0, page_size);
            if let Some(Weight(word)) = weights.get_if_there(slot.0) {
                word.store(weight, Ordering::Relaxed);
            }
        }
        self.set_uses(slot, uses.min(MOST_USES));
        let Some(queues) = self.queues_of(slot) else { return };
        queues.take(slot, Queue::Probation);
        queues.take(slot, Queue::Main);
        // What weighs nothing would free nothing, so no hand is to come to it.
        if weight > 0 {
            queues.put(slot, queue);
        }
    }

    fn queues_of(&self, slot: SlotIndex) -> Option<&Queues> {
        self.queues.get_if_there(block_of(slot))
    }

    /// Takes an entry out of whichever queue it is in.
    pub(super) fn take(&self, slot: SlotIndex) -> Taken {
        let was_on_probation = self.queues_of(slot).is_some_and(|queues| {
            queues.take(slot, Queue::Main);
            queues.take(slot, Queue::Probation)
        });
        Taken { weight: self.weight(slot), was_on_probation }
    }

    /// Brings an entry off its probation. If that ends meanwhile a bit may be left that names nothing, until the slot is put
    /// again; whoever comes to it finds no entry.
    pub(super) fn promote(&self, slot: SlotIndex) -> Taken {
        self.set_uses(slot, u8::from(self.uses(slot) == MOST_USES));
        let was_on_probation = self.queues_of(slot).is_some_and(|queues| {
            queues.put(slot, Queue::Main);
            queues.take(slot, Queue::Probation)
        });
        Taken { weight: self.weight(slot), was_on_probation }
    }

    /// The queue of an entry; [`Queue::Main`] for one that is in none.
    pub(super) fn queue(&self, slot: SlotIndex) -> Queue {
        let is_new = self.queues_of(slot).is_some_and(|queues| queues.has(slot, Queue::Probation));
        if is_new { Queue::Probation } else { Queue::Main }
    }

    pub(super) fn weight(&self, slot: SlotIndex) -> u32 {
        let Some(weights) = &self.weights else { return 1 };
        weights.get_if_there(slot.0).map_or(0, |Weight(word)| word.load(Ordering::Relaxed))
    }

    pub(super) fn uses(&self, slot: SlotIndex) -> u8 {
        self.uses.get_if_there(slot.0).map_or(0, |Uses(word)| word.load(Ordering::Relaxed))
    }

    pub(super) fn set_uses(&self, slot: SlotIndex, uses: u8) {
        if let Some(Uses(word)) = self.uses.get_if_there(slot.0) {
            word.store(uses, Ordering::Relaxed);
        }
    }

    /// Counts a use. Two at a time may count as one.
    #[inline]
    pub(super) fn count_use(&self, slot: SlotIndex) {
        if let Some(Uses(word)) = self.uses.get_if_there(slot.0) {
            let uses = word.load(Ordering::Relaxed);
            if uses < MOST_USES {
                word.store(uses + 1, Ordering::Relaxed);
            }
        }
    }
}
