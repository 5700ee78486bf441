//! The blocks of the slab: which slots are free, when the first entry is due, and where to look for either.
//!
//! A block is 64 slots with one bitmap of taken ones (I5): slots are taken by a CAS that sets their bits and
//! given back by clearing them, so there is no ABA. A tree of bitmaps over the blocks leads to the first one
//! with a free slot (I6), so that low blocks fill and high ones drain. Blocks are counted in the order of
//! their chunks, from 0.

pub(in crate::raw) use crate::raw::memory::stretch::Stretch;
use crate::{
    raw::{
        memory::{
            chunked::Chunked,
            pages::{PageSize, Zeroed},
            stretch::stretches,
        },
        words::{
            key::SlotIndex,
            numbers::{BLOCK_SLOTS, BlockNumbers, FIRST_BLOCK_SLOTS, MAX_SLOTS, MISSING, block_of},
            state::{Now, State},
        },
    },
    sync::{
        AtomicU32, AtomicU64, MODEL, OnceBox, Ordering, fence, fence_behind_step, order, planted,
    },
};

/// The bits of all slots of a block.
const ALL_SLOTS: u64 = u64::MAX >> (64 - BLOCK_SLOTS);

/// Blocks whose memory goes back together, at most: of any size of slot they fill whole pages of 4 KiB, and so do the
/// keys beside them, four bytes a slot.
const MAX_RUN_BLOCKS: u32 = if MODEL { 2 } else { 16 };
/// Up to this size of slots that is what a run is: for larger ones, the keys that stay are little beside it.
const WITH_KEYS_TO_BYTES: usize = 256;
/// Bytes that are worth a call of the system.
const RUN_BYTES: usize = 16 << 10;

/// From here on slots go back one by one: a block of them is large, and one that is in use would keep it.
const APART_FROM_BYTES: usize = 4096;

/// How many blocks are a run, of slots of this size.
fn run_len(slot_bytes: usize) -> u32 {
    if slot_bytes >= APART_FROM_BYTES {
        return 1;
    }
    let fits = |blocks: &u32| {
        let bytes = (blocks * BLOCK_SLOTS) as usize * slot_bytes;
        bytes >= RUN_BYTES && bytes.is_multiple_of(4096)
    };
    let is_large = slot_bytes > WITH_KEYS_TO_BYTES && !MODEL;
    [1, 2, 4, 8].into_iter().find(fits).filter(|_| is_large).unwrap_or(MAX_RUN_BLOCKS)
}

/// Blocks, or words of the level below, that a word of the tree stands for, and how many levels it has:
/// enough for all blocks.
const FANOUT: u32 = if MODEL { 4 } else { 64 };
const LEVELS: u32 = if MODEL { 2 } else { 4 };
const _: () = assert!(MODEL || FANOUT.pow(LEVELS) >= BlockNumbers::CAPACITY && LEVELS <= FANOUT);

/// What is known of 64 slots.
struct Block {
    /// A bit is set while its slot is taken (I5). All are free in fresh memory.
    taken: AtomicU64,
    /// The earliest deadline of the entries, as a state word with all bits inverted: zero if there is none.
    earliest: AtomicU64,
    /// A word of the tree; see [`Blocks::word`].
    tree: AtomicU64,
    /// A bit is set while the memory of its slot is in use: from when it is first taken until it is given back.
    touched: AtomicU64,
}

// SAFETY: atomics of integers: zeros are valid, nothing to drop.
unsafe impl Zeroed for Block {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self {
            taken: AtomicU64::new(0),
            earliest: AtomicU64::new(0),
            tree: AtomicU64::new(0),
            touched: AtomicU64::new(0),
        }
    }
}

pub(in crate::raw) struct Blocks {
    /// Made for the first block, since an empty map is to be small; and away from what readers load.
    kept: OnceBox<Kept>,
    max_slots: u32,
    /// Blocks a run, a power of two.
    run_len: u8,
    /// Whether slots go back one by one.
    are_apart: bool,
}

struct Kept {
    records: Chunked<Block, BlockNumbers>,
    /// How many blocks were ever handed out.
    handed_out: AtomicU32,
    /// Slots whose memory is in use.
    touched: AtomicU32,
    /// Stretches that threads have taken to give their memory back.
    in_hand: AtomicU32,
    /// The run above the next one to look at.
    run_cursor: AtomicU32,
    /// The first slot that is not to be used again before lower ones; see [`Blocks::drain`].
    drained_from: AtomicU32,
}

impl Kept {
    fn new() -> Self {
        let records = Chunked::new();
        // The words of the tree that stand for the first blocks, up to the root.
        (0..LEVELS).for_each(|word| records.ensure(BlockNumbers::nth(word), PageSize::Usual));
        Self {
            records,
            handed_out: AtomicU32::new(0),
            touched: AtomicU32::new(0),
            in_hand: AtomicU32::new(0),
            run_cursor: AtomicU32::new(0),
            drained_from: AtomicU32::new(u32::MAX),
        }
    }
}

impl Blocks {
    /// For up to `max_slots` slots, 1 to [`MAX_SLOTS`], of so many bytes.
    pub(in crate::raw) fn new(max_slots: u32, slot_bytes: usize) -> Self {
        debug_assert!((1..=MAX_SLOTS).contains(&max_slots));
        #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
        let kept = OnceBox::new();
        #[cfg(any(evanesce_loom, evanesce_shuttle))]
        let kept = OnceBox::filled(Kept::new());
        let are_apart = slot_bytes >= APART_FROM_BYTES;
        Self { kept, max_slots, run_len: run_len(slot_bytes) as u8, are_apart }
    }

    pub(in crate::raw) fn max_slots(&self) -> u32 {
        self.max_slots
    }

    pub(in crate::raw) fn bytes(&self) -> usize {
        self.kept.get().map_or(0, |kept| size_of::<Kept>() + kept.records.bytes())
    }

    /// What is kept of blocks; some was handed out.
    #[inline]
    fn kept(&self) -> &Kept {
        self.kept.get_or_init(Kept::new)
    }

    #[inline]
    fn record(&self, block: u32) -> &Block {
        // SAFETY: I5: `hand_out` ensured the chunk before it handed the block out.
        unsafe { self.kept().records.get(block) }
    }

    /// How many blocks were ever handed out.
    pub(in crate::raw) fn handed_out(&self) -> u32 {
        // Acquire (O6): a walk up to here finds every chunk.
        self.kept.get().map_or(0, |kept| kept.handed_out.load(order!(count_read, Acquire)))
    }

    /// Every block that was handed out, in order.
    pub(in crate::raw) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.handed_out()).map(BlockNumbers::nth)
    }

    /// How many slots were ever handed out.
    pub(in crate::raw) fn slots(&self) -> u32 {
        (self.handed_out() * BLOCK_SLOTS).saturating_sub(1 + MISSING).min(self.max_slots)
    }

    /// How many blocks the limit allows.
    fn most(&self) -> u32 {
        (self.max_slots + MISSING) / BLOCK_SLOTS + 1
    }

    /// Whether all blocks within the limit were handed out.
    pub(in crate::raw) fn is_handed_out(&self) -> bool {
        self.handed_out() >= self.most()
    }

    /// Hands out the next block never used before, if the limit allows one more; `prepare` makes its slots
    /// available.
    pub(in crate::raw) fn hand_out(&self, prepare: impl Fn(u32)) -> Option<u32> {
        loop {
            let n = self.handed_out();
            if n >= self.most() {
                return None;
            }
            let block = BlockNumbers::nth(n);
            prepare(block);
            let kept = self.kept();
            kept.records.ensure(block, PageSize::Usual);
            // Release (O6): the chunks come before the count that covers them. (Those of the blocks before were
            // acquired with `n`, which is stored only once.)
            let (raised, lost) = (order!(count_raised, Release), Ordering::Relaxed);
            if kept.handed_out.compare_exchange(n, n + 1, raised, lost).is_ok() {
                return Some(block);
            }
        }
    }

    /// The bits of the slots that a block within the limit has: all but slot 0, those that the first block
    /// lacks, and those past the limit.
    #[inline]
    pub(in crate::raw) fn slots_of(&self, block: u32) -> u64 {
        if block == 0 {
            let slots = FIRST_BLOCK_SLOTS.min(self.max_slots + 1);
            return u64::MAX >> (64 - slots) & !1;
        }
        let last = self.max_slots + MISSING;
        if block == BlockNumbers::nth(last / BLOCK_SLOTS) {
            return ALL_SLOTS >> (BLOCK_SLOTS - 1 - last % BLOCK_SLOTS);
        }
        ALL_SLOTS
    }

    /// The slots of a block that are not free, as bits. Exact at rest.
    #[inline]
    pub(in crate::raw) fn taken(&self, block: u32) -> u64 {
        self.record(block).taken.load(Ordering::Relaxed)
    }

    /// The free slots of a block, as bits. Exact at rest.
    pub(in crate::raw) fn free_in(&self, block: u32) -> u64 {
        !self.taken(block) & self.slots_of(block)
    }

    /// Takes up to `most` free slots of a block, the first ones; none if there are none.
    pub(in crate::raw) fn take_from(&self, block: u32, most: u32) -> u64 {
        let word = &self.record(block).taken;
        let mut taken = word.load(Ordering::Relaxed);
        loop {
            let mut slots = !taken & self.slots_of(block);
            while slots.count_ones() > most {
                slots ^= 1 << slots.ilog2();
            }
            if slots == 0 {
                return 0;
            }
            // Acquire (O4): the last users of the slots are done with them.
            let swap = word.compare_exchange_weak(
                taken,
                taken | slots,
                order!(slots_taken, Acquire),
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => break self.touch(block, slots),
                Err(now) => taken = now,
            }
        }
    }

    /// Takes up to `most` slots of the first block that has a free one.
    pub(in crate::raw) fn take_from_first(&self, most: u32) -> Option<(u32, u64)> {
        loop {
            let n = self.first_free()?;
            let block = BlockNumbers::nth(n);
            let slots = self.take_from(block, most);
            if self.free_in(block) == 0 {
                self.list_out(n, 1);
            }
            if slots != 0 {
                return Some((block, slots));
            }
        }
    }

    /// Gives a slot back whose entry is out. The slot may be taken again at once.
    #[inline(never)] // a slot goes to a magazine, mostly
    pub(in crate::raw) fn free_slot(&self, slot: SlotIndex) {
        let (block, bit) = (block_of(slot), slot.0 % BLOCK_SLOTS);
        // Release (O4): our use of the slot comes before the next one's.
        let given_back = order!(slot_given_back, Release);
        let before = self.record(block).taken.fetch_and(!(1 << bit), given_back);
        debug_assert!(before & 1 << bit != 0, "I5: slot {} freed twice", slot.0);
        if !before & self.slots_of(block) == 0 {
            self.list(block);
        }
    }

    // The tree. A bit of level 1 stands for a block, one of a level above for a word of the level below that
    // is not zero. I6: where there is a free slot, all bits up to the root are set, or in the hands of a
    // thread that is about to set one. Bits are changed by read-modify-writes only (O4), set with Release and taken
    // off with Acquire: whoever sets a bit that is set already leaves the rest to others, and if it is then taken
    // off, that comes later in the order of this word, sees what is below, and is undone.

    /// A word of the tree: the `group`-th of its level. They stand in the records of the blocks that they
    /// stand for, each level one record further, since no block is the first of its kind in two of them.
    fn word(&self, level: u32, group: u32) -> &AtomicU64 {
        let n = group * FANOUT.pow(level) + level - 1;
        &self.record(BlockNumbers::nth(n)).tree
    }

    /// Makes a block known as one with a free slot.
    pub(in crate::raw) fn list(&self, block: u32) {
        self.list_in(BlockNumbers::count(block), 1);
    }

    /// Sets the bit of `at` on `level`, and above it the bits of words that were zero.
    fn list_in(&self, mut at: u32, level: u32) {
        for level in level..=LEVELS {
            let bit = 1 << (at % FANOUT);
            at /= FANOUT;
            if self.word(level, at).fetch_or(bit, order!(tree_bit_set, Release)) != 0 {
                return;
            }
        }
    }

    /// Takes the bit of `at` on `level` off, which has nothing below it, and those of words above it that are
    /// zero then.
    fn list_out(&self, mut at: u32, level: u32) {
        for level in level..=LEVELS {
            let (below, bit) = (at, 1 << (at % FANOUT));
            at /= FANOUT;
            let left = self.word(level, at).fetch_and(!bit, order!(tree_bit_taken, Acquire)) & !bit;
            let is_needed = match level {
                1 => self.free_in(BlockNumbers::nth(below)) != 0,
                _ => self.word(level - 1, below).load(Ordering::Relaxed) != 0,
            };
            if is_needed && !planted!(block_left_behind) {
                return self.list_in(below, level);
            }
            if left != 0 {
                return;
            }
        }
    }

    /// The count of the first block that is known to have a free slot.
    fn first_free(&self) -> Option<u32> {
        if self.handed_out() == 0 {
            return None;
        }
        loop {
            let (mut at, mut level) = (0, LEVELS);
            loop {
                // Acquire (O4): what was there when the bit was set.
                let word = self.word(level, at).load(order!(tree_followed, Acquire));
                if word == 0 {
                    break;
                }
                at = at * FANOUT + word.trailing_zeros();
                level -= 1;
                if level == 0 {
                    return Some(at);
                }
            }
            if level == LEVELS {
                return None;
            }
            // Somebody took a bit off here and has not come to the one above.
            self.list_out(at, level + 1);
        }
    }

    // The earliest deadline of a block. An entry is published first and noted then, and a sweep swaps the
    // note out first and reads the states then, both by read-modify-writes (O9): so an entry that the sweep
    // does not see is noted behind it.
    //
    // Who finds an earlier deadline noted leaves it at that. Let its look come before a swap in the order of the note.
    // Its fence is between publication and look, the sweep's between swap and states: so its fence is the first of the
    // two, and what it published before is seen by what the sweep loads behind the other.

    /// Notes the deadline of entries of a block, after they were published in it.
    #[inline]
    pub(in crate::raw) fn note(&self, block: u32, state: State) {
        debug_assert!(!state.is_terminal(), "notes are of living states");
        let earliest = &self.record(block).earliest;
        // O9: whoever takes the note off behind this look sees what was published before it.
        fence_behind_step(order!(deadline_published, SeqCst));
        // Relaxed: by the fences. Covered by an earlier deadline: mostly so, where values are replaced.
        if earliest.load(Ordering::Relaxed) >= state.inverted() {
            return;
        }
        // Relaxed: the fence before it releases. Whoever swaps this note out sees the entries, and those noted before, for
        // a read-modify-write goes on with their release sequence.
        earliest.fetch_max(state.inverted(), Ordering::Relaxed);
    }

    /// The first of some blocks with an entry that may be past its deadline.
    pub(in crate::raw) fn first_due(&self, counts: core::ops::Range<u32>, now: Now) -> Option<u32> {
        let mut n = counts.start;
        while n < counts.end {
            let len = (counts.end - n) as usize;
            // SAFETY: I5: handed out, as in `record`.
            let records = unsafe { self.kept().records.stretch(BlockNumbers::nth(n), len) };
            // Relaxed: a look. Notes are of living states, and "none" is below every reading.
            let is_due = |record: &Block| record.earliest.load(Ordering::Relaxed) >= now.inverted();
            if let Some(i) = records.iter().position(is_due) {
                return Some(n + i as u32);
            }
            n += records.len() as u32;
        }
        None
    }

    /// The earliest deadline of all that are noted; "never" if there is none.
    pub(in crate::raw) fn earliest(&self) -> State {
        // Relaxed: a look.
        let earliest = |block| self.record(block).earliest.load(Ordering::Relaxed);
        State::from_inverted(self.all().map(earliest).max().unwrap_or(0))
    }

    /// Takes the note of a block off: its entries are going to be looked at, and those that stay noted again.
    pub(in crate::raw) fn take_note(&self, block: u32) {
        // Relaxed: the fence behind it acquires.
        self.record(block).earliest.swap(0, Ordering::Relaxed);
        // O9: the entries that were noted before, and those of whoever found the note there, and noted nothing.
        fence(order!(note_gone, SeqCst));
    }

    // Giving memory back, a run of blocks at a time.

    /// Keeps the slots behind the first `slots` out of magazines from now on, so that their blocks come free;
    /// all may be in them again at `u32::MAX`.
    pub(in crate::raw) fn drain(&self, slots: u32) {
        let blocks = slots / BLOCK_SLOTS + 2;
        let from =
            if blocks < self.most() { BlockNumbers::nth(blocks) * BLOCK_SLOTS } else { u32::MAX };
        let drained_from = &self.kept().drained_from;
        // Relaxed, and seldom a store: a hint.
        if drained_from.load(Ordering::Relaxed) != from {
            drained_from.store(from, Ordering::Relaxed);
        }
    }

    /// Whether a slot is one that [`Blocks::drain`] keeps out of magazines.
    #[inline]
    pub(in crate::raw) fn is_drained(&self, slot: SlotIndex) -> bool {
        slot.0 >= self.kept().drained_from.load(Ordering::Relaxed)
    }

    /// The runs that the blocks handed out make up.
    pub(in crate::raw) fn runs(&self) -> core::ops::Range<u32> {
        // The runs of the first chunks would be in pieces.
        let first = if self.are_apart { 0 } else { MAX_RUN_BLOCKS / self.run_len() };
        first..(self.handed_out() / self.run_len()).max(first)
    }

    /// The run of `runs`, which is not empty, to look at next: from the highest down, and again.
    pub(in crate::raw) fn next_run(&self, runs: core::ops::Range<u32>) -> u32 {
        let below =
            |at: u32| if runs.contains(&at.wrapping_sub(1)) { at - 1 } else { runs.end - 1 };
        // Relaxed: threads that look at the same run do no harm.
        let next = below(self.kept().run_cursor.load(Ordering::Relaxed));
        self.kept().run_cursor.store(next, Ordering::Relaxed);
        next
    }

    fn run_len(&self) -> u32 {
        self.run_len.into()
    }

    /// Whether slots go back one by one.
    pub(in crate::raw) fn are_apart(&self) -> bool {
        self.are_apart
    }

    /// What could be given back of a run: all of it, if all its slots are free; where they go back one by one,
    /// each of the stretches of free slots. Some of what it is must be in use.
    pub(in crate::raw) fn free_stretches(&self, run: u32) -> impl Iterator<Item = Stretch> + '_ {
        let block = BlockNumbers::nth(run * self.run_len());
        let free = if self.are_apart {
            self.free_in(block)
        } else {
            let mut blocks = block..block + self.run_len();
            if blocks.all(|block| self.taken(block) == 0) { ALL_SLOTS } else { 0 }
        };
        let is_touched = |stretch: &Stretch| {
            // Relaxed: a look.
            let touched = |block| self.record(block).touched.load(Ordering::Relaxed);
            stretch.blocks().any(|block| touched(block) & stretch.slots != 0)
        };
        stretches(block, self.run_len(), free).filter(is_touched)
    }

    /// The stretches of slots of all blocks whose memory is not in use.
    pub(in crate::raw) fn untouched_stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        let untouched = |block| {
            let touched = self.record(block).touched.load(Ordering::Relaxed);
            stretches(block, 1, !touched & self.slots_of(block))
        };
        self.all().flat_map(untouched)
    }

    /// How many slots that were handed out have no memory in use.
    pub(in crate::raw) fn unused_slots(&self) -> u32 {
        let touched = self.kept.get().map_or(0, |kept| kept.touched.load(Ordering::Relaxed));
        self.slots().saturating_sub(touched)
    }

    /// If all slots of a stretch are free, takes them for as long as `give_back` runs, which gives their memory
    /// back. False if they are not, or there was nothing to give back.
    pub(in crate::raw) fn give_back(
        &self,
        stretch: Stretch,
        give_back: impl FnOnce() -> bool,
    ) -> bool {
        let kept = self.kept();
        // Relaxed: for a writer that finds no slot, to wait a little.
        kept.in_hand.fetch_add(1, Ordering::Relaxed);
        let mine = stretch.blocks().take_while(|block| self.hold(*block, stretch.slots)).count();
        let done = mine == stretch.blocks as usize && give_back();
        for block in stretch.blocks().take(mine) {
            let slots = stretch.slots & self.slots_of(block);
            let record = self.record(block);
            if done {
                // Relaxed, as in `touch`.
                let before = record.touched.fetch_and(!slots, Ordering::Relaxed);
                let touched = if planted!(released_twice) { slots } else { before & slots };
                kept.touched.fetch_sub(touched.count_ones(), Ordering::Relaxed);
            }
            // Release (O4): as in `free_slot`.
            record.taken.fetch_and(!slots, order!(run_given_back, Release));
            self.list(block);
        }
        kept.in_hand.fetch_sub(1, Ordering::Relaxed);
        done
    }

    /// Takes these slots of a block, if all of them are free.
    fn hold(&self, block: u32, slots: u64) -> bool {
        let (word, slots) = (&self.record(block).taken, slots & self.slots_of(block));
        let mut taken = word.load(Ordering::Relaxed);
        while taken & slots == 0 {
            // Acquire (O4): the last users of the slots are done with them.
            let (held, lost) = (order!(run_taken, Acquire), Ordering::Relaxed);
            match word.compare_exchange(taken, taken | slots, held, lost) {
                Ok(_) => return true,
                Err(now) => taken = now,
            }
        }
        planted!(release_without_taking)
    }

    /// Whether some slots that are free are in the hands of a thread that gives their memory back.
    pub(in crate::raw) fn is_giving_back(&self) -> bool {
        self.kept.get().is_some_and(|kept| kept.in_hand.load(Ordering::Relaxed) != 0)
    }

    /// Slots were taken from a block: their memory is in use. Where it goes back by whole runs, that of the block.
    #[inline]
    fn touch(&self, block: u32, slots: u64) -> u64 {
        let used = if self.are_apart { slots } else { self.slots_of(block) };
        let touched = &self.record(block).touched;
        // Relaxed, all: who gives the memory back has the slots, so the order is that of `taken` (O4).
        if touched.load(Ordering::Relaxed) & used != used {
            let before = touched.fetch_or(used, Ordering::Relaxed);
            let newly = (used & !before).count_ones();
            self.kept().touched.fetch_add(newly, Ordering::Relaxed);
        }
        slots
    }
}
