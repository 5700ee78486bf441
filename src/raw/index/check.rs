//! The shape of lines at rest, checked. For tests and models only.

use super::{Index, line::Line};
use crate::{raw::reclaim::guard::Guard, raw::words::key::SplitKey, sync::Ordering};

impl<T> Index<T> {
    /// Panics if a cell names a slot and is not present: nobody would get it back; or one of a key of another line.
    pub(in crate::raw) fn assert_cells_are_free(&self, _guard: &Guard) {
        let root = self.lines.root();
        for index in 0..root.lines() {
            // SAFETY: the root, under the guard; it has so many.
            let mut line: &Line = unsafe { root.line(index) };
            loop {
                let presence = line.presence();
                for number in presence.cells() {
                    let cell = line.cell(number).load(Ordering::Relaxed);
                    let slot =
                        cell.slot().unwrap_or_else(|| unreachable!("a present cell names one"));
                    let key = SplitKey::of_node(self.slab.key(slot));
                    assert_eq!(root.index_of(key), index, "{slot:?} is in the line of another key");
                }
                for number in presence.cells().others() {
                    let cell = line.cell(number).load(Ordering::Relaxed);
                    assert!(cell.is_free(), "{cell:?} in line {index}, and not present");
                }
                let Some(next) = presence.chained() else { break };
                // SAFETY: as above.
                line = unsafe { root.array() }.overflow_line(next);
            }
        }
    }
}
