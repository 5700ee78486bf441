//! The shape of a list at rest, checked. For tests and models only.

use crate::sync::Ordering;

use super::{
    link::{Order, SentinelId, Target},
    index::Index,
    table::Table,
};

impl<T> Table<T> {
    /// Walks the list, with no write running, and panics if it is not well-formed: in order, its
    /// sentinels each linked once and unmarked, its nodes alive, as many as are counted, and each
    /// slot accounted for.
    pub(crate) fn assert_well_formed(&self) {
        let Index { directory, slab, .. } = &self.index;
        let (mut nodes, mut sentinels) = (0, 1);
        let mut place = Order::of_node(0);
        let mut sentinel = SentinelId::HEAD;
        let mut link = directory.cell(SentinelId::HEAD).load(Ordering::Acquire);
        loop {
            assert!(link.is_ready(), "an unset or marked link behind {place:?}");
            match link.target() {
                Target::End => break,
                Target::Sentinel(id) => {
                    assert!(id.order() > sentinel.order(), "{id:?} behind {sentinel:?}");
                    assert!(id.order() > place || nodes == 0, "{id:?} behind a node of its bucket");
                    sentinels += 1;
                    sentinel = id;
                    link = directory.cell(id).load(Ordering::Acquire);
                }
                Target::Node(slot) => {
                    let node = slab.node(slot);
                    let at = Order::of_node(node.key());
                    assert!(at >= place && at > sentinel.order(), "{slot:?} out of order");
                    place = at;
                    nodes += 1;
                    let state = node.state.load(Ordering::Acquire);
                    assert!(!state.is_terminal(), "{slot:?} is {state:?}, yet linked");
                    link = node.next.load(Ordering::Acquire);
                }
            }
        }
        assert_eq!(nodes, self.entries(), "linked nodes, and the count of them");
        assert!(sentinels >= 1 << directory.level(), "a sentinel of the level is not linked");
        let figures = self.figures();
        let accounted = figures.entries + figures.free_slots + figures.pending;
        assert_eq!(accounted, figures.slots, "entries, free and pending slots are all slots");
    }
}
