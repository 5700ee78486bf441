//! The slab: all nodes of a map, found by a 32-bit number, recycled and never moved.
//!
//! Slots come in blocks of 64 with one bitmap of taken slots a block (I5): slots are taken by a CAS
//! that sets their bits and given back by clearing them, so there is no ABA. A stripe takes from its
//! magazine, where it puts the slots that it reclaims; when that is empty, from a block of its own, which
//! comes from the list of blocks that got a free slot, or from fresh memory. Entries put together by one
//! thread thus stand together and often expire together.

use core::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

#[cfg(debug_assertions)]
use crate::sync::DebugWord;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, MODEL, Ordering, UnsafeCell, planted};

use super::{
    chunked::{Chunked, Prefixed, Zeroed},
    link::{AtomicLink, SlotIndex},
    poison,
    state::{AtomicState, State},
    stripe::{MAGAZINE_SLOTS, Turn},
};

/// Slots a block: as many as a word has bits. Few in a model, which knows each slot by itself.
pub(super) const BLOCK_SLOTS: u32 = if MODEL { 4 } else { 64 };
/// The bits of all slots of a block.
const ALL_SLOTS: u64 = u64::MAX >> (64 - BLOCK_SLOTS);

/// What the slots of a magazine may take: many large ones would lie idle.
const MAGAZINE_BYTES: usize = 64 << 10;

/// A slot's number is that of its block, then its place there; a block's is that of its chunk, then
/// its place there. 25 bits below the chunk's 5: up to 2^25 slots a chunk, a gigabyte of small ones.
type SlotNumbers = Prefixed<25, { BLOCK_SLOTS as usize }>;
type BlockNumbers = Prefixed<{ 25 - BLOCK_SLOTS.ilog2() }, 1>;

/// The most slots that chunks can hold, slot 0 apart.
pub(crate) const MAX_SLOTS: u32 = BlockNumbers::CAPACITY * BLOCK_SLOTS - 1;

/// One node of the list, and its slot.
#[repr(C)]
pub(super) struct Node<T> {
    pub(super) next: AtomicLink,
    key: AtomicU32,
    pub(super) state: AtomicState,
    entry: UnsafeCell<MaybeUninit<T>>,
    /// How often the slot was emptied.
    #[cfg(debug_assertions)]
    lives: DebugWord,
}

/// Which life of a slot it was met in: a slot that is recycled under a guard is a use after free that
/// no tool would see. Known in debug builds only; elsewhere all lives are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life(#[cfg(debug_assertions)] u32);

// SAFETY: zeros are an unset link, key 0, the free state and an entry that is not there; atomics,
// integers and `MaybeUninit` need no drop.
unsafe impl<T> Zeroed for Node<T> {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        Self {
            next: AtomicLink::unset(),
            key: AtomicU32::new(0),
            state: AtomicState::free(),
            entry: UnsafeCell::new(MaybeUninit::uninit()),
            #[cfg(debug_assertions)]
            lives: DebugWord::new(0),
        }
    }
}

impl<T> Node<T> {
    #[inline]
    pub(super) fn key(&self) -> u32 {
        // Relaxed: written before the node is published, and not again before its grace period is
        // over (I4). A sweep may read the key of a slot in any state, and only as a hint.
        self.key.load(Ordering::Relaxed)
    }

    /// The life that the slot is in.
    #[inline]
    pub(super) fn life(&self) -> Life {
        Life(
            #[cfg(debug_assertions)]
            self.lives.load(Ordering::Relaxed),
        )
    }

    /// The entry.
    ///
    /// # Safety
    ///
    /// - The slot is filled.
    /// - It is not emptied while the reference lives: it was in the list under a guard that lives
    ///   as long (I4), or the caller owns the slot.
    #[inline]
    pub(super) unsafe fn entry(&self) -> &T {
        self.entry.with(|entry| {
            // SAFETY: nobody writes to a filled slot.
            let entry = unsafe { &*entry };
            // SAFETY: filled, as the caller says.
            unsafe { entry.assume_init_ref() }
        })
    }

    /// Puts an entry into a slot that was just taken, with the key that places it.
    ///
    /// # Safety
    ///
    /// - The slot was taken, is empty, and is the caller's alone (I5).
    pub(super) unsafe fn fill(&self, key: u32, entry: T) {
        self.entry.with_mut(|cell| {
            poison::off(cell, 1);
            // SAFETY: empty and ours alone, as the caller says.
            unsafe { cell.write(MaybeUninit::new(entry)) };
        });
        // Relaxed: published by the Release of the link (O1) or of the old state (O2).
        self.key.store(key, Ordering::Relaxed);
    }

    /// Takes the entry out and frees the slot for the next (the bitmap apart).
    ///
    /// # Safety
    ///
    /// - The slot is filled, and no one else reads its entry, now or later.
    unsafe fn empty(&self) -> T {
        let entry = self.entry.with_mut(|cell| {
            // SAFETY: filled and ours alone, as the caller says; read out this once.
            let entry = unsafe { cell.cast::<T>().read() };
            // SAFETY: ours alone, and the entry is out.
            unsafe { poison::on(cell) };
            entry
        });
        #[cfg(debug_assertions)]
        self.lives.fetch_add(1, Ordering::Relaxed);
        // Relaxed: whoever takes the slot next is ordered behind the bitmap's Release (O4).
        self.state.store(State::FREE, Ordering::Relaxed);
        entry
    }
}

/// What is known of 64 slots.
struct Block {
    /// A bit is set while its slot is taken (I5). All are free in fresh memory.
    taken: AtomicU64,
    /// The next block in the list of blocks with free slots, plus one.
    next: AtomicU32,
    /// Whether the block is in that list, or on its way in or out.
    listed: AtomicBool,
}

// SAFETY: atomics of integers and a bool: zeros are valid, nothing to drop.
unsafe impl Zeroed for Block {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        Self { taken: AtomicU64::new(0), next: AtomicU32::new(0), listed: AtomicBool::new(false) }
    }
}

/// The first of the slots of a block that bits stand for.
#[inline]
pub(super) fn slot_of(block: u32, slots: u64) -> SlotIndex {
    SlotIndex(block * BLOCK_SLOTS + slots.trailing_zeros())
}

/// All slots of the map are taken, those that wait for reclamation included.
#[derive(Debug)]
pub(super) struct Full;

pub(super) struct Slab<T> {
    nodes: Chunked<Node<T>, SlotNumbers>,
    blocks: Chunked<Block, BlockNumbers>,
    max_slots: u32,
    /// The last block within the limit, and those of its slots that are.
    last_block: u32,
    last_slots: u64,
    /// How many slots a magazine holds at most, and a stripe takes from a block at once.
    magazine_slots: u32,
    /// How many blocks were ever handed out, in the order of their chunks.
    handed_out: CachePadded<AtomicU32>,
    /// Head of the list of blocks with free slots, plus one, below a count of the pops and pushes:
    /// 2^32 of them between a load and its CAS would be needed for ABA.
    listed: CachePadded<AtomicU64>,
}

// SAFETY: a slab hands `&T` to any thread that shares it and moves `T` to whoever empties a slot.
unsafe impl<T: Send + Sync> Sync for Slab<T> {}
// SAFETY: it owns its entries.
unsafe impl<T: Send> Send for Slab<T> {}

impl<T> Slab<T> {
    /// A slab for up to `max_slots` entries, 1 to [`MAX_SLOTS`], of which a stripe has up to `share` in its
    /// magazine, and as many from a block.
    pub(super) fn new(max_slots: u32, share: u32) -> Self {
        debug_assert!((1..=MAX_SLOTS).contains(&max_slots));
        let share = share.min((MAGAZINE_BYTES / size_of::<Node<T>>()) as u32);
        Self {
            nodes: Chunked::new(),
            blocks: Chunked::new(),
            max_slots,
            last_block: BlockNumbers::nth(max_slots / BLOCK_SLOTS),
            last_slots: ALL_SLOTS >> (BLOCK_SLOTS - 1 - max_slots % BLOCK_SLOTS),
            magazine_slots: share.clamp(1, MAGAZINE_SLOTS),
            handed_out: CachePadded::new(AtomicU32::new(0)),
            listed: CachePadded::new(AtomicU64::new(0)),
        }
    }

    pub(super) fn max_slots(&self) -> u32 {
        self.max_slots
    }

    /// The node in a slot that was handed out: every index in a link or a state word, in a batch,
    /// or below [`Slab::end`] is one (I5).
    #[inline]
    pub(super) fn node(&self, slot: SlotIndex) -> &Node<T> {
        // SAFETY: I5: `fresh_block` ensured the chunk before it handed the block out.
        unsafe { self.nodes.get(slot.0) }
    }

    fn block(&self, block: u32) -> &Block {
        // SAFETY: I5, as above.
        unsafe { self.blocks.get(block) }
    }

    /// How many slots were ever handed out, with slot 0: they are counted from there, block by block.
    pub(super) fn end(&self) -> u32 {
        // Acquire (O6): a walk up to here finds every chunk.
        let blocks = self.handed_out.load(Ordering::Acquire);
        (blocks * BLOCK_SLOTS).min(self.max_slots + 1)
    }

    /// The block that the `n`-th slot is in.
    #[inline]
    pub(super) fn nth_block(n: u32) -> u32 {
        BlockNumbers::nth(n / BLOCK_SLOTS)
    }

    /// The `n`-th slot.
    #[inline]
    pub(super) fn nth_slot(n: u32) -> SlotIndex {
        SlotIndex(Self::nth_block(n) * BLOCK_SLOTS + n % BLOCK_SLOTS)
    }

    /// Whether all slots of a block are free. Exact at rest.
    pub(super) fn is_empty(&self, block: u32) -> bool {
        self.block(block).taken.load(Ordering::Relaxed) == 0
    }

    /// The free slots of a block, as bits. Exact at rest.
    fn free(&self, block: u32) -> u64 {
        !self.block(block).taken.load(Ordering::Relaxed) & self.slots_of(block)
    }

    /// How many of the slots handed out are free. Exact at rest.
    pub(super) fn free_slots(&self) -> usize {
        self.all_blocks().map(|block| self.free(block).count_ones() as usize).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.nodes.bytes() + self.blocks.bytes()
    }

    /// The bits of the slots that a block within the limit has: all but slot 0 and those past it.
    #[inline]
    fn slots_of(&self, block: u32) -> u64 {
        let bits = if block == self.last_block { self.last_slots } else { ALL_SLOTS };
        if block == 0 { bits & !1 } else { bits }
    }

    /// Every block that was handed out.
    fn all_blocks(&self) -> impl Iterator<Item = u32> + use<T> {
        (0..self.handed_out.load(Ordering::Acquire)).map(BlockNumbers::nth)
    }

    /// Takes a free slot. Lock-free, the allocation of a chunk apart; no user code.
    #[inline]
    pub(super) fn take(&self, turn: &mut Turn<'_>) -> Result<SlotIndex, Full> {
        turn.take_slot().map_or_else(|| self.refill(turn), Ok)
    }

    /// Gives an empty stripe the free slots of a block, and takes one.
    #[cold]
    fn refill(&self, turn: &mut Turn<'_>) -> Result<SlotIndex, Full> {
        loop {
            let Some(block) = self.pop_listed().or_else(|| self.fresh_block()) else {
                return self.take_from_any(turn);
            };
            // Without fresh memory to come, free slots are for whoever needs one.
            let most = if self.is_handed_out() { 1 } else { self.magazine_slots };
            let slots = self.take_from(block, most);
            if self.free(block) != 0 && !planted!(block_left_behind) {
                self.list(block);
            }
            turn.put_block(block, slots);
            if let Some(slot) = turn.take_slot() {
                return Ok(slot);
            }
        }
    }

    /// The last resort before [`Full`]: the magazines of others, and any block, also one that another
    /// thread has in its hands. Looks at all of them, on a map that is at its limit.
    #[cold]
    fn take_from_any(&self, turn: &Turn<'_>) -> Result<SlotIndex, Full> {
        if planted!(no_last_look) {
            return Err(Full);
        }
        let from_block = |block| match self.take_from(block, 1) {
            0 => None,
            slots => Some(slot_of(block, slots)),
        };
        let from_blocks = || self.all_blocks().find_map(from_block);
        turn.take_slot_of_another().or_else(from_blocks).ok_or(Full)
    }

    /// Takes up to `most` free slots of a block, the first ones; none if there are none.
    fn take_from(&self, block: u32, most: u32) -> u64 {
        let word = &self.block(block).taken;
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
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return slots,
                Err(now) => taken = now,
            }
        }
    }

    /// Gives a slot back whose entry is out. The slot may be taken again at once.
    fn give_back(&self, slot: SlotIndex) {
        let (block, bit) = (slot.0 / BLOCK_SLOTS, slot.0 % BLOCK_SLOTS);
        // Release (O4): our use of the slot comes before the next one's.
        let before = self.block(block).taken.fetch_and(!(1 << bit), Ordering::Release);
        debug_assert!(before & 1 << bit != 0, "I5: slot {} freed twice", slot.0);
        if !before & self.slots_of(block) == 0 {
            self.list(block);
        }
    }

    /// Puts a block on the list of blocks with free slots, unless it is there.
    ///
    /// I6: a block with a free slot is listed, or in the hands of a thread that is about to list it or
    /// to take all its slots. `listed` is changed by read-modify-writes only: if we find it set, then
    /// whoever clears it after us sees the bit that we cleared before (`AcqRel`, O4).
    fn list(&self, block: u32) {
        if self.block(block).listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut head = self.listed.load(Ordering::Relaxed);
        loop {
            self.block(block).next.store(head as u32, Ordering::Relaxed);
            let new = (head >> 32).wrapping_add(1) << 32 | u64::from(block + 1);
            // Release (O4): publishes `next`.
            match self.listed.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    fn pop_listed(&self) -> Option<u32> {
        // Acquire (O4): pairs with the push.
        let mut head = self.listed.load(Ordering::Acquire);
        loop {
            let block = (head as u32).checked_sub(1)?;
            let next = self.block(block).next.load(Ordering::Relaxed);
            let new = (head >> 32).wrapping_add(1) << 32 | u64::from(next);
            match self.listed.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => {
                    self.block(block).listed.swap(false, Ordering::AcqRel);
                    return Some(block);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is no fresh memory left.
    fn is_handed_out(&self) -> bool {
        self.handed_out.load(Ordering::Relaxed) > self.max_slots / BLOCK_SLOTS
    }

    /// Hands out the next block of memory never used before.
    fn fresh_block(&self) -> Option<u32> {
        loop {
            let handed_out = self.handed_out.load(Ordering::Acquire);
            if handed_out > self.max_slots / BLOCK_SLOTS {
                return None;
            }
            let block = BlockNumbers::nth(handed_out);
            self.nodes.ensure(block * BLOCK_SLOTS);
            self.blocks.ensure(block);
            // AcqRel (O6): the chunks come before the count that covers them.
            let swap = self.handed_out.compare_exchange(
                handed_out,
                handed_out + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if swap.is_ok() {
                return Some(block);
            }
        }
    }

    /// Takes the entry out of a slot that no list ever held and gives the slot back.
    ///
    /// # Safety
    ///
    /// - The slot is filled, was never published, and is reclaimed this once.
    pub(super) unsafe fn take_back(&self, slot: SlotIndex) -> T {
        // SAFETY: filled and never published, as the caller says.
        let entry = unsafe { self.node(slot).empty() };
        self.give_back(slot);
        entry
    }

    /// Takes the entry out of a slot and makes the slot free, for this stripe if it can. The caller
    /// drops the entry afterwards, so that a panic there finds the slot free.
    ///
    /// # Safety
    ///
    /// - The slot is filled, and nobody reads it now or later: it was retired and its grace period
    ///   is over.
    /// - It is reclaimed this once.
    pub(super) unsafe fn reclaim(&self, slot: SlotIndex, turn: &mut Turn<'_>) -> T {
        // SAFETY: filled and unread, as the caller says.
        let entry = unsafe { self.node(slot).empty() };
        debug_assert!(
            !self.free(slot.0 / BLOCK_SLOTS) & 1 << (slot.0 % BLOCK_SLOTS) != 0,
            "I5: slot {} freed twice",
            slot.0,
        );
        if !turn.put_slot(slot, self.magazine_slots) {
            self.give_back(slot);
        }
        entry
    }
}

impl<T> Drop for Slab<T> {
    /// Drops every entry that is left, linked or waiting: every slot that is not free. No recursion
    /// whatever the list looks like. If an entry's drop panics, the rest are dropped all the same.
    fn drop(&mut self) {
        struct Rest<'s, T>(&'s Slab<T>, core::ops::Range<u32>);

        impl<T> Rest<'_, T> {
            fn drop_entries(&mut self) {
                for n in self.1.by_ref() {
                    let node = self.0.node(Slab::<T>::nth_slot(n));
                    let state = node.state.load(Ordering::Acquire);
                    if planted!(pending_not_dropped) && state.is_terminal() {
                        continue;
                    }
                    if state != State::FREE {
                        // SAFETY: not free, so filled; `&mut` of the slab: no one else is left.
                        drop(unsafe { node.empty() });
                    }
                }
            }
        }

        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.drop_entries();
            }
        }

        let slots = 1..self.end().max(1);
        Rest(self, slots).drop_entries();
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
