//! Makes the memory of an emptied slot unusable where something watches.
//!
//! The slab never gives a slot's memory back, so a use after free of an entry would be a read of
//! valid memory to every tool. In debug builds an emptied entry is overwritten; under `--cfg asan`,
//! which goes with the address sanitizer, each access to it is reported. Elsewhere both functions are
//! empty.

/// What an emptied entry is overwritten with: no valid pointer, length or `bool`.
#[cfg(debug_assertions)]
const GONE: u8 = 0xDE;

#[cfg(asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const core::ffi::c_void, bytes: usize);
    fn __asan_unpoison_memory_region(start: *const core::ffi::c_void, bytes: usize);
}

/// Poisons the cell of an entry that was taken out.
///
/// # Safety
///
/// - The cell is the caller's alone, and holds nothing that is still used.
#[inline]
pub(in crate::raw) unsafe fn on<T>(cell: *mut core::mem::MaybeUninit<T>) {
    #[cfg(debug_assertions)]
    // SAFETY: the caller's, who has no use for it; any bytes are a valid `MaybeUninit`.
    unsafe {
        cell.write_bytes(GONE, 1);
    }
    #[cfg(asan)]
    // SAFETY: the sanitizer only marks the bytes.
    unsafe {
        __asan_poison_memory_region(cell.cast(), size_of::<T>());
    }
    let _ = cell;
}

/// Lifts the poison of `len` elements that are filled or given back.
#[inline]
pub(in crate::raw) fn off<T>(start: *mut T, len: usize) {
    #[cfg(asan)]
    // SAFETY: the sanitizer only marks the bytes.
    unsafe {
        __asan_unpoison_memory_region(start.cast(), len * size_of::<T>());
    }
    let _ = (start, len);
}
