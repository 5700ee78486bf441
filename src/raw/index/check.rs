//! The shape of lines at rest, checked. For tests and models only.

use super::{Index, line::Line};
use crate::{raw::reclaim::guard::Guard, sync::Ordering};

impl<T> Index<T> {
    /// Panics if a cell that is not present names a slot: nobody would get it back.
    pub(in crate::raw) fn assert_cells_are_free(&self, _guard: &Guard) {
        let root = self.lines.root();
        for index in 0..root.lines() {
            // SAFETY: the root, under the guard; it has so many.
            let mut line: &Line = unsafe { root.line(index) };
            loop {
                let presence = line.presence();
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
