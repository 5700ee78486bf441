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
    sync::{AtomicU64, HintU8, HintU32, HintU64, Ordering, glance},
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
    pub(super) was_on_probation: bool,
}

/// Of a block: which slots have an entry in each queue (in both, or one that has ended, it is for a moment only); and how
/// many entries had to go from here, counted apart since a word for all would be one that all writers change.
struct Queues([AtomicU64; 2], HintU64);

struct Uses(HintU8);

struct Weight(HintU32);

// SAFETY: atomic integers: zeros are valid, nothing to drop.
unsafe impl Zeroed for Queues {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self([AtomicU64::new(0), AtomicU64::new(0)], HintU64::new(0))
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
    pub(super) fn of(&self, n: u32, queue: Queue) -> u64 {
        let queues = self.queues.get_if_there(BlockNumbers::nth(n));
        queues.map_or(0, |Queues(words, _)| glance(&words[queue as usize], Ordering::Relaxed))
    }

    pub(super) fn count_evicted(&self, slot: SlotIndex) {
        if let Some(Queues(_, evicted)) = self.queues.get_if_there(block_of(slot)) {
            evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn evicted(&self, blocks: u32) -> u64 {
        let records = (0..blocks).filter_map(|n| self.queues.get_if_there(BlockNumbers::nth(n)));
        records.map(|Queues(_, evicted)| evicted.load(Ordering::Relaxed)).sum()
    }

    fn word(&self, slot: SlotIndex, queue: Queue) -> Option<&AtomicU64> {
        let queues = self.queues.get_if_there(block_of(slot))?;
        Some(&queues.0[queue as usize])
    }

    /// Sets or takes off the bit of a slot; whether it was set before.
    fn change(&self, slot: SlotIndex, queue: Queue, set: bool) -> bool {
        let Some(word) = self.word(slot, queue) else { return false };
        let bit = 1 << (slot.0 % BLOCK_SLOTS);
        if (glance(word, Ordering::Relaxed) & bit != 0) == set {
            return set;
        }
        let before = if set {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
        before & bit != 0
    }

    /// Puts an entry, which is in this slot, in no queue, and not published, into one.
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
        // What weighs nothing would free nothing, so no hand is to come to it.
        if weight > 0 {
            self.change(slot, queue, true);
        }
    }

    /// Takes an entry out of whichever queue it is in.
    pub(super) fn take(&self, slot: SlotIndex) -> Taken {
        let was_on_probation = self.change(slot, Queue::Probation, false);
        self.change(slot, Queue::Main, false);
        Taken { weight: self.weight(slot), was_on_probation }
    }

    /// Brings an entry off its probation. If that ends meanwhile a bit may be left that names nothing, until the slot is put
    /// again; whoever comes to it finds no entry.
    pub(super) fn promote(&self, slot: SlotIndex) -> Taken {
        self.set_uses(slot, u8::from(self.uses(slot) == MOST_USES));
        self.change(slot, Queue::Main, true);
        let was_on_probation = self.change(slot, Queue::Probation, false);
        Taken { weight: self.weight(slot), was_on_probation }
    }

    fn has(&self, slot: SlotIndex, queue: Queue) -> bool {
        let bit = 1 << (slot.0 % BLOCK_SLOTS);
        self.word(slot, queue).is_some_and(|word| glance(word, Ordering::Relaxed) & bit != 0)
    }

    /// The queue of an entry; [`Queue::Main`] for one that is in none.
    pub(super) fn queue(&self, slot: SlotIndex) -> Queue {
        if self.has(slot, Queue::Probation) { Queue::Probation } else { Queue::Main }
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
