//! How lookups ended, counted.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Where threads run beside each other, they count apart.
const STRIPES: usize = if cfg!(Py_GIL_DISABLED) { 8 } else { 1 };
/// So that the counts of two stripes are on two lines of the processor's cache. (Not by an alignment: a Python object
/// has none.)
const PADDING: usize = if cfg!(Py_GIL_DISABLED) { 6 } else { 0 };

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    _padding: [u64; PADDING],
}

static NEXT: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[derive(Default)]
pub(crate) struct Lookups([Counts; STRIPES]);

impl Lookups {
    #[inline]
    pub(crate) fn count(&self, is_hit: bool) {
        // A power of two of them.
        let counts = &self.0[thread_number() & (STRIPES - 1)];
        let count = if is_hit { &counts.hits } else { &counts.misses };
        if cfg!(Py_GIL_DISABLED) {
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            // No read-modify-write: who is attached is the only one to count.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Those that found a value, and those that did not.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let of = |count: fn(&Counts) -> &AtomicU64| {
            self.0.iter().map(|counts| count(counts).load(Ordering::Relaxed)).sum()
        };
        (of(|counts| &counts.hits), of(|counts| &counts.misses))
    }
}

/// A number of the thread's own, as far as there are stripes.
#[inline]
fn thread_number() -> usize {
    if STRIPES == 1 {
        return 0;
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}
