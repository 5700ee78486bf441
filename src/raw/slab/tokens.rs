//! Refresh tokens: for each slot, who is refreshing its entry.
//!
//! A word a slot, beside the slab, in memory that is there once a token was given out: the number of the
//! token that is out for the slot's entry, or zero. Numbers are given out once, so a token that has outlived
//! its entry finds another number there, or none, and changes nothing (O10).

use std::sync::Arc;

use crate::{
    raw::{
        memory::{
            chunked::Chunked,
            pages::{PageSize, Zeroed},
        },
        reclaim::guard::Guard,
        words::{key::SlotIndex, numbers::SlotNumbers},
    },
    sync::{AtomicU64, OnceBox, Ordering, order, planted},
};

/// The right to refresh an entry, which one caller at a time has. From
/// [`Pinned::get_or_refresh`](crate::Pinned::get_or_refresh), for [`Pinned::refresh`](crate::Pinned::refresh).
///
/// Dropping it gives the right back: the next caller gets a token. It borrows nothing and may go to another
/// thread, or be held over an `.await`; it may outlive the entry, and the map. One that is forgotten
/// ([`core::mem::forget`]) keeps its entry from being refreshed by this way until the entry ends.
#[must_use = "dropping the token gives it back"]
pub struct RefreshToken {
    holders: Arc<Holders>,
    slot: SlotIndex,
    number: u64,
}

struct Holders {
    words: Chunked<Holder, SlotNumbers>,
    /// The number of the newest token: 64 bits, which no program uses up.
    newest: AtomicU64,
}

/// The number of the token that is out for the entry in a slot; zero if none is.
struct Holder(AtomicU64);

// SAFETY: an atomic integer: zero is valid, nothing to drop.
unsafe impl Zeroed for Holder {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// The tokens of a map; no memory before the first.
pub(in crate::raw) struct Tokens(OnceBox<Arc<Holders>>);

impl Tokens {
    pub(in crate::raw) fn new() -> Self {
        Self(OnceBox::new())
    }

    /// The token for the entry in a slot, which the caller met under the guard; `None` if it is out.
    pub(in crate::raw) fn take(&self, slot: SlotIndex, _guard: &Guard) -> Option<RefreshToken> {
        let holders = self
            .0
            .get_or_init(|| Arc::new(Holders { words: Chunked::new(), newest: AtomicU64::new(0) }));
        holders.words.ensure(slot.0, PageSize::Usual);
        let Holder(word) = holders.words.get_if_there(slot.0)?;
        // Relaxed: to spare the rest.
        if word.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // Relaxed: it only must be another number each time.
        let number = holders.newest.fetch_add(1, Ordering::Relaxed) + 1;
        if planted!(token_taken_blindly) {
            word.store(number, Ordering::Relaxed);
        } else {
            // Acquire (O10): what the last holder did comes before what this one does.
            let taken = order!(token_taken, Acquire);
            word.compare_exchange(0, number, taken, Ordering::Relaxed).ok()?;
        }
        Some(RefreshToken { holders: Arc::clone(holders), slot, number })
    }

    /// Whether the token is of the entry in this slot, which the caller met under the guard.
    pub(in crate::raw) fn is_of(
        &self,
        token: &RefreshToken,
        slot: SlotIndex,
        _guard: &Guard,
    ) -> bool {
        // Relaxed: only its holder and `forget` change the word while it has this number, and the entry is
        // kept from `forget` by the guard.
        if planted!(refresh_without_identity) {
            return true;
        }
        let has_number = |Holder(word): &Holder| word.load(Ordering::Relaxed) == token.number;
        self.0.get().is_some_and(|holders| Arc::ptr_eq(holders, &token.holders))
            && slot == token.slot
            && token.holders.words.get_if_there(slot.0).is_some_and(has_number)
    }

    /// Forgets the token of an entry that is being taken out of its slot: whoever holds it has it for nothing.
    #[inline]
    pub(in crate::raw) fn forget(&self, slot: SlotIndex) {
        if let Some(holders) = self.0.get() {
            holders.forget(slot);
        }
    }

    pub(in crate::raw) fn bytes(&self) -> usize {
        self.0.get().map_or(0, |holders| size_of::<Holders>() + holders.words.bytes())
    }
}

impl Holders {
    fn forget(&self, slot: SlotIndex) {
        if let Some(Holder(word)) = self.words.get_if_there(slot.0)
            // Relaxed, both: whoever takes the slot next is ordered behind this by the slot (I5). The load
            // spares pages on which no token ever was.
            && word.load(Ordering::Relaxed) != 0
            && !planted!(token_kept_by_the_slot)
        {
            word.swap(0, Ordering::Relaxed);
        }
    }
}

impl Drop for RefreshToken {
    /// Gives it back, if its entry is there.
    fn drop(&mut self) {
        if let Some(Holder(word)) = self.holders.words.get_if_there(self.slot.0) {
            if planted!(token_returned_by_slot) {
                word.store(0, Ordering::Relaxed);
            }
            // Release (O10): pairs with the Acquire of the next holder. It fails if the entry is over.
            let returned = order!(token_returned, Release);
            let _ = word.compare_exchange(self.number, 0, returned, Ordering::Relaxed);
        }
    }
}

impl core::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RefreshToken").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(all(test, evanesce_loom, not(crossbeam_loom)))]
mod models;
