//! Bringing memory into the cache ahead of its use, so that the misses of several places overlap.

/// The size of a cache line, on most processors.
pub(in crate::raw) const LINE_BYTES: usize = 64;

/// Begins to bring the line at `place` into the cache. Changes nothing and cannot fail, wherever it points; does nothing
/// where the compiler has no stable way to say it.
#[inline]
pub(in crate::raw) fn bring<T>(place: *const T) {
    #[cfg(all(
        target_arch = "x86_64",
        target_feature = "sse",
        not(any(evanesce_loom, evanesce_shuttle, miri))
    ))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        // SAFETY: a hint: it reads nothing that the program could see, and does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    let _ = place;
}
