//! An entry on its way into the map, and out again if it does not get there.

use core::mem;

use crate::sync::Ordering;

use super::{
    guard::Guard,
    link::{Link, SlotIndex},
    slab::Slab,
    state::State,
};

/// An entry on its way into the map. It is held here, then in a slot that nobody else knows; if the
/// operation fails or panics, it comes out again and the slot is given back.
pub(super) struct Draft<'s, T> {
    slab: &'s Slab<T>,
    held: Held<T>,
}

enum Held<T> {
    Entry(T),
    Slot(SlotIndex),
    Nothing,
}

impl<'s, T> Draft<'s, T> {
    pub(super) fn new(slab: &'s Slab<T>, entry: T) -> Self {
        Self { slab, held: Held::Entry(entry) }
    }

    /// The entry, wherever it is.
    pub(super) fn entry(&self) -> &T {
        match &self.held {
            Held::Entry(entry) => entry,
            // SAFETY: `place` filled the slot, which is ours until `publish`.
            Held::Slot(slot) => unsafe { self.slab.node(*slot).entry() },
            Held::Nothing => unreachable!("a draft holds its entry until it is consumed"),
        }
    }

    /// Puts the entry into a slot, if it is not in one, by means of `take`; sets its state and its
    /// link. Nobody else sees them before the slot is published.
    pub(super) fn place(
        &mut self,
        key: u32,
        state: State,
        next: Link,
        take: impl FnOnce() -> SlotIndex,
    ) -> SlotIndex {
        let slot = if let Held::Slot(slot) = self.held {
            slot
        } else {
            let slot = take();
            if let Held::Entry(entry) = mem::replace(&mut self.held, Held::Slot(slot)) {
                // SAFETY: just taken.
                unsafe { self.slab.node(slot).fill(key, entry) };
            }
            slot
        };
        let node = self.slab.node(slot);
        // Relaxed: published by the Release of the link (O1) or of the old state (O2).
        node.next.store(next, Ordering::Relaxed);
        node.state.store(state, Ordering::Relaxed);
        slot
    }

    /// The slot was published under this guard: it belongs to the list now.
    pub(super) fn publish<'g>(mut self, _guard: &'g Guard) -> &'g T
    where
        's: 'g,
    {
        match mem::replace(&mut self.held, Held::Nothing) {
            // SAFETY: I4: in the list under the guard.
            Held::Slot(slot) => unsafe { self.slab.node(slot).entry() },
            _ => unreachable!("a draft is placed before it is published"),
        }
    }

    /// Takes the entry back; the slot, if any, is given back.
    pub(super) fn into_entry(mut self) -> T {
        self.take_back().unwrap_or_else(|| unreachable!("a draft holds its entry"))
    }

    fn take_back(&mut self) -> Option<T> {
        match mem::replace(&mut self.held, Held::Nothing) {
            Held::Entry(entry) => Some(entry),
            // SAFETY: filled by `place`, never published: no one else can read it.
            Held::Slot(slot) => Some(unsafe { self.slab.take_back(slot) }),
            Held::Nothing => None,
        }
    }
}

impl<T> Drop for Draft<'_, T> {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}
