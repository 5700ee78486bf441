//! The shape of the index at rest, checked. For tests and models only.

use std::collections::HashSet;

use smallvec::SmallVec;

use crate::{
    raw::{reclaim::guard, table::Table},
    sync::Ordering,
};

impl<T> Table<T> {
    /// Walks over all lines, with no write running, and panics if they are not well-formed: each names living
    /// entries of its own keys, none twice, as many as are counted, and each slot accounted for.
    pub(crate) fn assert_well_formed(&self) {
        let guard = guard::pin();
        let mut slots = SmallVec::<[_; 64]>::new();
        for range in self.ranges() {
            self.index.list_range(range, &mut slots, |named| named.slot, &guard);
        }
        for slot in &slots {
            let state = self.index.slab.node(*slot).state.load(Ordering::Acquire);
            assert!(!state.is_terminal(), "{slot:?} is {state:?}, yet named");
        }
        let once: HashSet<u32> = slots.iter().map(|slot| slot.0).collect();
        assert_eq!(once.len(), slots.len(), "a slot is named twice");
        assert_eq!(slots.len(), self.entries(), "named slots, and the count of entries");
        self.index.assert_cells_are_free(&guard);
        drop(guard);
        let figures = self.figures();
        let accounted = figures.entries + figures.free_slots + figures.pending;
        assert_eq!(accounted, figures.slots, "entries, free and pending slots are all slots");
        if let Some(bound) = self.bound() {
            bound.assert_sums(self.index.slab.blocks.handed_out());
            assert_eq!(bound.excess(), 0, "a map is within its bound at rest");
        }
    }
}
