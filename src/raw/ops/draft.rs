//! An entry on its way into the map, and back to its owner if it does not get there.

use core::ptr;

use crate::{
    raw::{
        index::{Index, Reserved},
        reclaim::{guard::Guard, stripe::Turn},
        words::{key::SlotIndex, state::State},
    },
    sync::{Ordering, planted},
};

/// A key and a value that wait to be put, in the frame of the caller of the write.
///
/// The write borrows it. So a large value is moved once, into its slot; and the user's `Drop` of what does not get in
/// runs in the caller, where the write's turn is over.
pub(crate) struct Waiting<K, V> {
    pub(crate) key: Option<K>,
    pub(crate) value: Option<V>,
}

impl<K, V> Waiting<K, V> {
    #[inline]
    pub(crate) fn new(key: K, value: V) -> Self {
        Self { key: Some(key), value: Some(value) }
    }

    /// Nothing: key and value are yet to be made.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self { key: None, value: None }
    }

    /// A value whose key is yet to be made.
    #[inline]
    pub(crate) fn with_value(value: V) -> Self {
        Self { key: None, value: Some(value) }
    }

    /// A key whose value is yet to be made.
    #[inline]
    pub(crate) fn with_key(key: K) -> Self {
        Self { key: Some(key), value: None }
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &K {
        self.key.as_ref().unwrap_or_else(|| unreachable!("{NOT_THERE}"))
    }

    /// Drops the key and takes the value: of an entry that did not get in. (In this form it is moved once.)
    #[inline]
    pub(crate) fn take_value(&mut self) -> V {
        // First: a panic in here drops the value as well.
        self.key = None;
        let Some(value) = &self.value else { unreachable!("{NOT_THERE}") };
        // SAFETY: read this once, as the next line forgets it.
        let value = unsafe { ptr::read(value) };
        // SAFETY: read out just now, and not to be dropped.
        unsafe { ptr::write(&raw mut self.value, None) };
        value
    }

    /// Drops key and value, before an error is handed on: a panic in here drops that as well. (A panic behind the answer
    /// would leak it: rust-lang/rust#47949.)
    pub(crate) fn discard(&mut self) {
        self.key = None;
        self.value = None;
    }

    /// Moves key and value into a slot that was just taken, and sets its state. Nobody else sees it before the slot is
    /// published.
    #[inline]
    pub(in crate::raw) fn fill(
        &mut self,
        index: &Index<(K, V)>,
        slot: SlotIndex,
        key: u32,
        state: State,
    ) {
        let write = |place| {
            // SAFETY: of the slot, which is no part of what waits.
            unsafe { self.move_to(place) };
        };
        // SAFETY: just taken, and `write` moves the entry.
        unsafe { index.slab.fill(slot, key, write) };
        // Relaxed: published by the Release of its cell (O1) or of the old state (O2).
        index.slab.node(slot).state.store(state, Ordering::Relaxed);
    }

    /// Takes the entry back out of a slot that was filled in vain, which is free then: no cell named it.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn take_back(
        &mut self,
        index: &Index<(K, V)>,
        slot: SlotIndex,
        turn: &mut Turn<'_>,
    ) {
        self.take_out(index, slot);
        index.slab.free(slot, turn);
    }

    fn take_out(&mut self, index: &Index<(K, V)>, slot: SlotIndex) {
        let read = |entry: *const (K, V)| {
            // SAFETY: filled, and not used in its slot any more.
            let (key, value) = unsafe { entry.read() };
            (self.key, self.value) = (Some(key), Some(value));
        };
        // SAFETY: filled, never published: no one else can read it. `read` moves the entry.
        unsafe { index.slab.take_out(slot, read) };
    }

    /// Moves key and value to `place`.
    ///
    /// # Safety
    ///
    /// - `place` is valid for a write, and nowhere in `self`.
    #[inline]
    unsafe fn move_to(&mut self, place: *mut (K, V)) {
        // SAFETY: valid, as the caller says.
        let key = unsafe { &raw mut (*place).0 };
        // SAFETY: valid, as the caller says.
        let value = unsafe { &raw mut (*place).1 };
        // SAFETY: part of `place`.
        unsafe { move_out(&mut self.key, key) };
        // SAFETY: part of `place`.
        unsafe { move_out(&mut self.value, value) };
    }
}

/// Moves a value to `place`, by its pointer: safe code takes it through temporaries, each a copy on the stack.
///
/// # Safety
///
/// - `place` is valid for a write, and elsewhere.
#[inline]
unsafe fn move_out<X>(from: &mut Option<X>, place: *mut X) {
    let Some(value) = from else { unreachable!("{NOT_THERE}") };
    // SAFETY: valid and elsewhere, as the caller says.
    unsafe { place.copy_from_nonoverlapping(value, 1) };
    // SAFETY: moved out just now, and not to be dropped.
    unsafe { ptr::write(from, None) };
}

const NOT_THERE: &str = "an entry waits until it is put";

/// An entry on its way into the map. It waits with the caller, then it is in a slot that nobody else knows; if the
/// operation fails or panics, it goes back to the caller, and the slot is given back, or retired if a cell named it.
/// So a draft never drops an entry.
pub(in crate::raw) struct Draft<'g, 'w, K, V> {
    index: &'g Index<(K, V)>,
    guard: &'g Guard,
    waiting: &'w mut Waiting<K, V>,
    /// Where the entry is, if it does not wait.
    slot: Option<SlotIndex>,
    reserved: Reserved<'g>,
}

impl<'g, 'w, K, V> Draft<'g, 'w, K, V> {
    #[inline]
    pub(in crate::raw) fn new(
        index: &'g Index<(K, V)>,
        waiting: &'w mut Waiting<K, V>,
        guard: &'g Guard,
    ) -> Self {
        Self { index, guard, waiting, slot: None, reserved: Reserved::default() }
    }

    /// One whose entry is in a slot, and that has reserved so much.
    pub(in crate::raw) fn in_slot(
        index: &'g Index<(K, V)>,
        waiting: &'w mut Waiting<K, V>,
        guard: &'g Guard,
        slot: SlotIndex,
        reserved: Reserved<'g>,
    ) -> Self {
        Self { index, guard, waiting, slot: Some(slot), reserved }
    }

    /// What it has reserved in a line.
    #[inline]
    pub(in crate::raw) fn reserved(&mut self) -> &mut Reserved<'g> {
        &mut self.reserved
    }

    /// The key, wherever it is.
    #[inline]
    pub(in crate::raw) fn key(&self) -> &K {
        match self.slot {
            // SAFETY: `place` filled the slot, which is ours until `publish`.
            Some(slot) => unsafe { &self.index.slab.node(slot).entry().0 },
            None => self.waiting.key(),
        }
    }

    /// The entry, which is in a slot.
    #[inline]
    pub(in crate::raw) fn entry(&self) -> &(K, V) {
        let Some(slot) = self.slot else { unreachable!("a draft is placed before it is weighed") };
        // SAFETY: `place` filled the slot, which is ours until `publish`.
        unsafe { self.index.slab.node(slot).entry() }
    }

    /// Puts the entry into a slot, if it is not in one, by means of `take`; sets its state.
    /// Nobody else sees it before the slot is published.
    #[inline]
    pub(in crate::raw) fn place(
        &mut self,
        key: u32,
        state: State,
        take: impl FnOnce() -> SlotIndex,
    ) -> SlotIndex {
        if let Some(slot) = self.slot {
            // Relaxed: as in `fill`.
            self.index.slab.node(slot).state.store(state, Ordering::Relaxed);
            return slot;
        }
        let slot = take();
        self.waiting.fill(self.index, slot, key, state);
        self.slot = Some(slot);
        slot
    }

    /// The slot was published under this guard: it belongs to the map now. A cell that the draft has in vain is left:
    /// it was put in the place of another.
    #[inline]
    pub(in crate::raw) fn publish(&mut self, guard: &'g Guard) -> &'g (K, V) {
        self.reserved.vacate();
        match self.slot.take() {
            Some(slot) => self.index.slab.published(slot, guard),
            None => unreachable!("a draft is placed before it is published"),
        }
    }

    #[cold]
    fn take_back(&mut self, slot: SlotIndex) {
        self.reserved.vacate();
        self.waiting.take_out(self.index, slot);
        if self.reserved.was_never_named() || planted!(named_draft_given_back_at_once) {
            self.index.slab.blocks.free_slot(slot);
        } else {
            self.index.limbo.retire(slot, &mut Turn::new(&self.index.stripes, self.guard));
        }
    }
}

impl<K, V> Drop for Draft<'_, '_, K, V> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.take_back(slot);
        }
    }
}
