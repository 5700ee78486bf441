//! How much there is of everything: enough for the configurations, and no more.

pub(crate) const ARRAYS: usize = 4;
/// Lines of all arrays, one array behind the other, and from `OVERFLOW` on overflow lines.
pub(crate) const LINES: usize = 14;
pub(crate) const OVERFLOW: usize = 9;
pub(crate) const CELLS: usize = 3;
/// Slot 0 is never handed out.
pub(crate) const SLOTS: usize = 10;
pub(crate) const KEYS: usize = 3;
pub(crate) const THREADS: usize = 3;
