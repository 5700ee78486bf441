//! Slots that were retired together.

use core::ptr;

use crate::{
    raw::words::key::SlotIndex,
    sync::{AtomicPtr, MODEL, UnsafeCell},
};

/// Slots a batch at most: with the header 512 bytes. The collector spends 2 kB on each batch that
/// waits, so a small one is dear; a write reclaims a whole one, so a large one is slow. In a model a
/// batch has two, or one where the map is small.
pub(in crate::raw) const BATCH_SLOTS: usize = if MODEL { 2 } else { 124 };

/// Slots retired together.
pub(in crate::raw) struct Batch {
    pub(in crate::raw) next: AtomicPtr<Batch>,
    /// Its owner's: whoever has the turn of its stripe, or popped it.
    pub(in crate::raw) contents: UnsafeCell<Contents>,
    /// Under loom a batch that is never freed fails the model.
    #[cfg(evanesce_loom)]
    _track: loom::alloc::Track<()>,
}

pub(in crate::raw) struct Contents {
    pub(in crate::raw) len: usize,
    pub(in crate::raw) slots: [u32; BATCH_SLOTS],
}

impl Batch {
    pub(in crate::raw) fn new() -> Box<Self> {
        let next = AtomicPtr::new(ptr::null_mut());
        Box::new(Self {
            next,
            contents: UnsafeCell::new(Contents { len: 0, slots: [0; BATCH_SLOTS] }),
            #[cfg(evanesce_loom)]
            _track: loom::alloc::Track::new(()),
        })
    }

    /// Puts a slot in, behind those that are there; returns how many there are then.
    #[inline]
    pub(in crate::raw) fn push(&mut self, slot: SlotIndex) -> usize {
        self.contents.with_mut(|contents| {
            // SAFETY: `&mut self`: not on the ready stack, so nobody else knows the batch.
            let contents = unsafe { &mut *contents };
            let len = contents.len;
            contents.slots[len] = slot.0;
            contents.len = len + 1;
            len + 1
        })
    }
}
