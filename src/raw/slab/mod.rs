//! The slab: all nodes of a map, found by a 32-bit number, recycled and never moved.
//!
//! Slots come in blocks (`blocks.rs`). A stripe takes from its magazine, where it puts the slots that it
//! reclaims; when that is empty, from a block of its own, which is the first one with a free slot, or fresh
//! memory. Entries put together by one thread thus stand together and often expire together; and then the
//! pages that whole blocks fill go back to the system.

use crate::{
    raw::{
        bound::{Bound, Limit, Room},
        memory::{
            blocks::{Blocks, Stretch},
            cache::bring,
            chunked::Chunked,
            pages::PageSize,
            poison,
        },
        reclaim::{
            guard::Guard,
            stripe::{MAGAZINE_SLOTS, Turn},
        },
        slab::{
            node::{Node, NodeKey},
            tokens::Tokens,
        },
        words::{
            key::SlotIndex,
            numbers::{BLOCK_SLOTS, SlotNumbers, block_of, slot_of},
            state::State,
        },
    },
    sync::{OnceBox, Ordering, planted},
};

pub(in crate::raw) mod judge;
pub(in crate::raw) mod node;
pub(in crate::raw) mod tokens;

/// What the slots of a magazine may take: many large ones would lie idle.
const MAGAZINE_BYTES: usize = 64 << 10;

/// All slots of the map are taken, those that wait for reclamation included.
#[derive(Debug)]
pub(in crate::raw) struct Full;

pub(in crate::raw) struct Slab<T> {
    nodes: Chunked<Node<T>, SlotNumbers>,
    /// Made with the first block, since an empty map is to be small.
    keys: OnceBox<Chunked<NodeKey, SlotNumbers>>,
    pub(in crate::raw) blocks: Blocks,
    pub(in crate::raw) tokens: Tokens,
    /// How much may be in the map, if that is bounded.
    pub(in crate::raw) bound: Option<Box<Bound>>,
    /// How many slots a magazine holds at most, and a stripe takes from a block at once.
    magazine_slots: u32,
    page_size: PageSize,
}

// SAFETY: a slab hands `&T` to any thread that shares it and moves `T` to whoever empties a slot.
unsafe impl<T: Send + Sync> Sync for Slab<T> {}
// SAFETY: it owns its entries.
unsafe impl<T: Send> Send for Slab<T> {}

impl<T> Slab<T> {
    /// A slab for up to `max_slots` entries, of which a stripe has up to `per_stripe` in its magazine, and as many
    /// from a block.
    pub(in crate::raw) fn new(max_slots: u32, per_stripe: u32, page_size: PageSize) -> Self {
        let per_stripe = per_stripe.min((MAGAZINE_BYTES / size_of::<Node<T>>()) as u32);
        Self {
            nodes: Chunked::new(),
            #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
            keys: OnceBox::new(),
            #[cfg(any(evanesce_loom, evanesce_shuttle))]
            keys: OnceBox::filled(Chunked::new()),
            page_size,
            blocks: Blocks::new(max_slots, size_of::<Node<T>>()),
            tokens: Tokens::new(),
            bound: None,
            magazine_slots: per_stripe.clamp(1, MAGAZINE_SLOTS),
        }
    }

    /// The same with a bound to what may be in the map.
    pub(in crate::raw) fn with_limit(mut self, limit: Option<Limit>) -> Self {
        self.bound = limit.map(|limit| Bound::new(limit).into());
        self
    }

    /// How large it is so far, if its bound asks for that.
    pub(in crate::raw) fn room(&self) -> Room {
        let is_asked = self.bound.as_ref().is_some_and(|bound| bound.is_by_weight());
        let slots = if is_asked { self.blocks.slots() } else { 0 };
        Room { slots, page_size: self.page_size }
    }

    /// The node in a slot that was handed out: every index in a cell or a state word, in a batch,
    /// or in a block is one (I5).
    #[inline]
    pub(in crate::raw) fn node(&self, slot: SlotIndex) -> &Node<T> {
        // SAFETY: I5: `fresh_block` ensured the chunk before it handed the block out.
        unsafe { self.nodes.get(slot.0) }
    }

    /// The entry in a slot that the caller has published under this guard.
    #[inline]
    pub(in crate::raw) fn published<'g>(&'g self, slot: SlotIndex, _guard: &'g Guard) -> &'g T {
        // SAFETY: I4: named by a line under the guard.
        unsafe { self.node(slot).entry() }
    }

    #[inline]
    fn keys(&self) -> &Chunked<NodeKey, SlotNumbers> {
        self.keys.get_or_init(Chunked::new)
    }

    /// The upper half of the key of the entry in a slot that was handed out.
    #[inline]
    pub(in crate::raw) fn key(&self, slot: SlotIndex) -> u32 {
        // SAFETY: I5: as in `node`.
        let NodeKey(key) = unsafe { self.keys().get(slot.0) };
        // Relaxed: written before the slot is published, and not again before its grace period is over (I4). A sweep
        // may read the key of a slot in any state, and only as a hint.
        key.load(Ordering::Relaxed)
    }

    /// Begins to bring that key into the cache.
    #[inline]
    pub(in crate::raw) fn bring_key(&self, slot: SlotIndex) {
        // SAFETY: I5: as in `node`.
        bring(unsafe { self.keys().get(slot.0) });
    }

    /// Puts an entry into a slot that was just taken, with the key that places it.
    ///
    /// # Safety
    ///
    /// - The slot was taken, is empty, and is the caller's alone (I5).
    /// - `write` moves an entry to where it is told.
    #[inline]
    pub(in crate::raw) unsafe fn fill(
        &self,
        slot: SlotIndex,
        key: u32,
        write: impl FnOnce(*mut T),
    ) {
        self.node(slot).entry.with_mut(|cell| {
            poison::off(cell, 1);
            write(cell.cast());
        });
        // SAFETY: I5: as in `node`.
        let NodeKey(word) = unsafe { self.keys().get(slot.0) };
        // Relaxed: published by the Release of its cell (O1) or of the old state (O2).
        word.store(key, Ordering::Relaxed);
    }

    /// The slots of a block that are not free: memory that was given back is not touched through them.
    pub(in crate::raw) fn taken_slots(
        &self,
        block: u32,
    ) -> impl Iterator<Item = SlotIndex> + use<T> {
        let mut left = self.blocks.taken(block);
        core::iter::from_fn(move || {
            let slots = left;
            left &= left.wrapping_sub(1);
            (slots != 0).then(|| slot_of(block, slots))
        })
    }

    /// How many of the slots handed out are free. Exact at rest.
    pub(in crate::raw) fn free_slots(&self) -> usize {
        self.blocks.all().map(|block| self.blocks.free_in(block).count_ones() as usize).sum()
    }

    /// Slots whose memory is not in use: given back, or never used.
    pub(in crate::raw) fn unused_slots(&self) -> usize {
        self.blocks.unused_slots() as usize
    }

    /// The memory in use, as far as blocks were handed out.
    pub(in crate::raw) fn bytes(&self) -> usize {
        let not_in_use = if self.blocks.are_apart() {
            let pages = |stretch: Stretch| self.nodes.pages_in(stretch.first(), stretch.len());
            self.blocks.untouched_stretches().map(pages).sum()
        } else {
            self.unused_slots() * size_of::<Node<T>>()
        };
        let handed_out = self.blocks.slots() as usize * size_of::<Node<T>>();
        let with_keys = if self.blocks.are_apart() { 0 } else { self.unused_slots() };
        let keys = (self.blocks.slots() as usize - with_keys) * size_of::<NodeKey>();
        handed_out.saturating_sub(not_in_use)
            + keys
            + self.blocks.bytes()
            + self.tokens.bytes()
            + self.bound.as_ref().map_or(0, |bound| bound.bytes())
    }

    /// Takes a free slot. Lock-free, the allocation of a chunk apart; no user code.
    #[inline]
    pub(in crate::raw) fn take(&self, turn: &mut Turn<'_>) -> Result<SlotIndex, Full> {
        turn.take_slot().map_or_else(|| self.refill(turn), Ok)
    }

    /// Gives an empty stripe the free slots of a block, and takes one.
    #[cold]
    fn refill(&self, turn: &mut Turn<'_>) -> Result<SlotIndex, Full> {
        loop {
            // Without fresh memory to come, free slots are for whoever needs one.
            let most = if self.blocks.is_handed_out() { 1 } else { self.magazine_slots };
            let found = self.blocks.take_from_first(most).or_else(|| self.fresh_block(most));
            let Some((block, slots)) = found else { return self.take_from_any(turn) };
            turn.put_block(block, slots);
            if let Some(slot) = turn.take_slot() {
                return Ok(slot);
            }
        }
    }

    /// Takes up to `most` slots of the next block of memory never used before.
    fn fresh_block(&self, most: u32) -> Option<(u32, u64)> {
        let block = self.blocks.hand_out(|block| {
            self.nodes.ensure(block * BLOCK_SLOTS, self.page_size);
            self.keys().ensure(block * BLOCK_SLOTS, self.page_size);
        })?;
        let slots = self.blocks.take_from(block, most);
        if self.blocks.free_in(block) != 0 {
            self.blocks.list(block);
        }
        Some((block, slots))
    }

    /// The last resort before [`Full`]: the magazines of others, and any block, also one that another
    /// thread is about to list. Looks at all of them, on a map that is at its limit.
    #[cold]
    fn take_from_any(&self, turn: &Turn<'_>) -> Result<SlotIndex, Full> {
        if planted!(no_last_look) {
            return Err(Full);
        }
        let from_block = |block| match self.blocks.take_from(block, 1) {
            0 => None,
            slots => Some(slot_of(block, slots)),
        };
        let from_blocks = || self.blocks.all().find_map(from_block);
        turn.take_slot_of_another().or_else(from_blocks).ok_or(Full)
    }

    /// Gives memory of a run of blocks back to the system: all of it, if all its slots are free; where they go
    /// back one by one, that of the first stretch of free ones that fills a page. False if there is nothing to be
    /// given back.
    pub(in crate::raw) fn give_back_run(&self, run: u32) -> bool {
        self.blocks.free_stretches(run).any(|stretch| self.give_back(stretch))
    }

    fn give_back(&self, stretch: Stretch) -> bool {
        let (first, len) = (stretch.first(), stretch.len());
        let pages = self.nodes.pages_in(first, len);
        let all = len as usize * size_of::<Node<T>>();
        let is_worth_it = if self.blocks.are_apart() { pages > 0 } else { pages == all };
        is_worth_it
            && self.blocks.give_back(stretch, || {
                #[cfg(evanesce_loom)] // so that the model sees a use of these slots meanwhile
                for slot in first..first + len {
                    self.node(SlotIndex(slot)).entry.with_mut(|_| ());
                }
                // SAFETY: all slots of the stretch are ours: free, so nobody reads their entries (I5), and
                // taken, so nobody fills them. A sweep may load their states, and expects
                // [`State::FREE`], which is zero. They are of one block, or of a run, which is in one chunk.
                let done = unsafe { self.nodes.give_back(first, len) } == pages;
                // SAFETY: as above; a sweep may load a key as a hint.
                unsafe { self.keys().give_back(first, len) };
                done
            })
    }

    /// Takes the entry out of a slot that was never published, by means of `read`; the slot stays taken.
    ///
    /// # Safety
    ///
    /// - The slot is filled, was never published, and is emptied this once.
    /// - `read` moves the entry out of where it is told.
    pub(in crate::raw) unsafe fn take_out(&self, slot: SlotIndex, read: impl FnOnce(*const T)) {
        if let Some(bound) = &self.bound {
            bound.leave_uncounted(slot);
        }
        // SAFETY: filled and never published, as the caller says.
        unsafe { self.node(slot).move_out(read) };
    }

    /// Takes the entry out of a slot, by means of `read`, and makes the slot free, for this stripe if it can. The
    /// caller drops the entry afterwards, so that a panic there finds the slot free.
    ///
    /// # Safety
    ///
    /// - The slot is filled, and nobody reads it now or later: it was retired and its grace period
    ///   is over.
    /// - It is reclaimed this once.
    /// - `read` moves the entry out of where it is told.
    #[inline]
    pub(in crate::raw) unsafe fn reclaim(
        &self,
        slot: SlotIndex,
        turn: &mut Turn<'_>,
        read: impl FnOnce(*const T),
    ) {
        self.tokens.forget(slot);
        // SAFETY: filled and unread, as the caller says.
        unsafe { self.node(slot).move_out(read) };
        self.free(slot, turn);
    }

    /// Makes an empty slot free, for this stripe if it can.
    #[inline]
    pub(in crate::raw) fn free(&self, slot: SlotIndex, turn: &mut Turn<'_>) {
        debug_assert!(
            self.blocks.taken(block_of(slot)) & 1 << (slot.0 % BLOCK_SLOTS) != 0,
            "I5: slot {} freed twice",
            slot.0,
        );
        if self.blocks.is_drained(slot) || !turn.put_slot(slot, self.magazine_slots) {
            self.blocks.free_slot(slot);
        }
    }
}

impl<T> Slab<T> {
    /// Takes out the entries whose state is one that `wanted` picks, in slab order; the others stay.
    pub(in crate::raw) fn take_entries(
        &mut self,
        wanted: impl Fn(State) -> bool,
    ) -> impl Iterator<Item = T> {
        let slab = &*self;
        let slots = slab.blocks.all().flat_map(|block| slab.taken_slots(block));
        slots.filter_map(move |slot| {
            let node = slab.node(slot);
            // Relaxed: `&mut`.
            let state = node.state.load(Ordering::Relaxed);
            // SAFETY: not free, so filled; `&mut` of the slab: no one else is left; and it is free then.
            (state != State::FREE && wanted(state)).then(|| unsafe { node.empty() })
        })
    }
}

impl<T> Drop for Slab<T> {
    /// Drops every entry that is left, named or waiting: every slot that is not free. No recursion.
    /// If an entry's drop panics, the rest are dropped all the same.
    fn drop(&mut self) {
        struct Rest<'s, T, I: Iterator<Item = SlotIndex>>(&'s Slab<T>, I);

        impl<T, I: Iterator<Item = SlotIndex>> Rest<'_, T, I> {
            fn drop_entries(&mut self) {
                for slot in self.1.by_ref() {
                    let node = self.0.node(slot);
                    // Relaxed: `&mut`.
                    let state = node.state.load(Ordering::Relaxed);
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

        impl<T, I: Iterator<Item = SlotIndex>> Drop for Rest<'_, T, I> {
            fn drop(&mut self) {
                self.drop_entries();
            }
        }

        Rest(self, self.blocks.all().flat_map(|block| self.taken_slots(block))).drop_entries();
    }
}

#[cfg(all(test, evanesce_loom))]
mod models;

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests;
