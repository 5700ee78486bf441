//! What a write has still to add to the sums of a bound.

use crate::{
    raw::{
        bound::{Bound, Queue, residents::Taken},
        words::key::SlotIndex,
    },
    sync::planted,
};

/// What a write has published and not counted, less what it has ended for it. So in a full map, where one entry goes for
/// each that comes, no write changes the sums, which all share. Added when it is dropped.
pub(in crate::raw) struct Owed<'b> {
    bound: &'b Bound,
    used: i64,
    on_probation: i64,
}

impl<'b> Owed<'b> {
    pub(in crate::raw) fn nothing(bound: &'b Bound) -> Self {
        Self { bound, used: 0, on_probation: 0 }
    }

    /// For the entry in this slot, which was entered in this queue, and is published.
    #[inline]
    pub(in crate::raw) fn for_entry(bound: &'b Bound, slot: SlotIndex, entered: Queue) -> Self {
        let weight = i64::from(bound.weight(slot));
        let on_probation = if entered == Queue::Probation { weight } else { 0 };
        Self { bound, used: weight, on_probation }
    }

    /// Whether an entry that ends is to be taken off what is owed, and not off the sum.
    #[inline]
    pub(in crate::raw) fn is_owing(&self) -> bool {
        self.used > 0
    }

    /// Whether the map is past its limit, with what is owed.
    #[inline]
    pub(in crate::raw) fn is_past(&self) -> bool {
        self.bound.excess_with(self.used) > 0
    }

    /// The queue of which the next one is to go: what is on probation, if it is more than its share.
    #[inline]
    pub(in crate::raw) fn queue_to_give(&self) -> Queue {
        self.bound.queue_to_give(self.used, self.on_probation)
    }

    /// The entry in this slot has ended by our step: its weight, as it was entered, goes off what is owed, or was
    /// taken off the sum.
    #[inline]
    pub(in crate::raw) fn end(&mut self, slot: SlotIndex, is_discounted: bool) {
        let taken = self.bound.take(slot);
        self.count_off_probation(taken.off_probation());
        if !is_discounted && !planted!(ended_and_owed) {
            self.used -= i64::from(taken.weight);
        }
        if self.used < 0 {
            // At once, and not after the listener was told: there is room, and other writers are to see it.
            self.pay();
        }
    }

    /// Brings an entry off its probation if it was used enough. A line names it, and the caller's guard keeps its slot.
    #[inline]
    pub(in crate::raw) fn promotes(&mut self, slot: SlotIndex) -> bool {
        let promoted = self.bound.promote(slot);
        self.count_off_probation(promoted.as_ref().map_or(0, Taken::off_probation));
        promoted.is_some()
    }

    fn count_off_probation(&mut self, weight: u32) {
        self.on_probation -= i64::from(weight);
    }

    /// Adds it to the sums.
    #[inline]
    pub(in crate::raw) fn pay(&mut self) {
        let (used, on_probation) =
            (core::mem::take(&mut self.used), core::mem::take(&mut self.on_probation));
        self.bound.add(used, on_probation);
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.pay();
    }
}
