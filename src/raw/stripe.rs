//! What a writer touches on every write, one cache line a stripe, so that writers on different
//! stripes do not meet: counts, the block that new slots come from, the batch of retired slots.

#[cfg(not(any(loom, shuttle)))]
use core::cell::Cell;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicIsize, AtomicPtr, AtomicU32, MODEL, OnceLock, Ordering, planted, thread};
#[cfg(not(any(loom, shuttle)))]
use crate::sync::{AtomicUsize, per_thread};

use super::retire::Batch;

/// One stripe. Threads share stripes when there are more of them than stripes.
pub(super) struct Stripe {
    /// Entries linked minus entries ended, by writers of this stripe. Only the sum means anything.
    pub(super) entries: AtomicIsize,
    /// Slots retired minus slots reclaimed, likewise.
    pub(super) pending: AtomicIsize,
    /// The block that new slots come from, plus one; 0 for none yet.
    pub(super) block: AtomicU32,
    /// Counts writes, to space out extra work. Not exact: concurrent writes may count as one.
    writes: AtomicU32,
    /// The batch being filled, owned by whoever swaps it out; null while someone has it.
    pub(super) batch: AtomicPtr<Batch>,
}

impl Stripe {
    /// Counts a write.
    #[inline]
    pub(super) fn turn(&self) -> u32 {
        // Relaxed, load and store: losing a count costs nothing but spacing.
        let writes = self.writes.load(Ordering::Relaxed).wrapping_add(1);
        self.writes.store(writes, Ordering::Relaxed);
        writes
    }
}

/// All stripes of a map.
pub(super) struct Stripes(Box<[CachePadded<Stripe>]>);

impl Stripes {
    pub(super) fn new() -> Self {
        let stripe = |_| {
            CachePadded::new(Stripe {
                entries: AtomicIsize::new(0),
                pending: AtomicIsize::new(0),
                block: AtomicU32::new(0),
                writes: AtomicU32::new(0),
                batch: AtomicPtr::new(core::ptr::null_mut()),
            })
        };
        Self((0..stripe_count()).map(stripe).collect())
    }

    /// The stripe of the current thread.
    #[inline]
    pub(super) fn mine(&self) -> &Stripe {
        // The count is a power of two.
        &self.0[thread_number() & (self.0.len() - 1)]
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stripe> {
        self.0.iter().map(|stripe| &**stripe)
    }

    /// The entries in the list. The sum may be off while writers run, and below zero for a moment:
    /// an entry is counted after it is linked, and another thread may have removed it by then.
    pub(super) fn entries(&self) -> usize {
        let sum: isize = self.iter().map(|s| s.entries.load(Ordering::Relaxed)).sum();
        if planted!(length_below_zero) {
            return sum.cast_unsigned();
        }
        usize::try_from(sum).unwrap_or(0)
    }

    /// The slots that were retired and not reclaimed yet; likewise.
    pub(super) fn pending(&self) -> usize {
        let sum: isize = self.iter().map(|s| s.pending.load(Ordering::Relaxed)).sum();
        usize::try_from(sum).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// As many stripes as processors, rounded up to a power of two. 16 are enough to keep writers
/// apart; more would make every sum of counts longer.
fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    if MODEL {
        return 1;
    }
    *COUNT.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(4, usize::from);
        processors.next_power_of_two().min(16)
    })
}

#[cfg(not(any(loom, shuttle)))]
per_thread! { static NUMBER: Cell<Option<usize>> = Cell::new(None) }

/// A small number of the current thread, dealt in turn.
#[cfg(not(any(loom, shuttle)))]
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

#[cfg(any(loom, shuttle))]
fn thread_number() -> usize {
    0
}
