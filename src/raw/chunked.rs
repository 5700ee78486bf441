//! Arrays that grow without moving and start as zeros: the memory under the slab and the directory.
//!
//! Chunk 0 holds the first `FIRST` elements and chunk `c` the next `FIRST * 2^(c-1)`, so each
//! chunk is as large as all before it and 26 pointers reach 2^30 elements. An element is found by
//! one bit scan and one load (the arithmetic of boxcar's buckets). A chunk's pointer is stored with
//! the chunk's first index already subtracted, so that the index needs no masking.
//!
//! A chunk of 64 KiB or more is mapped from the system. The allocator's zeroed memory would do, but
//! it clears memory that was used before, megabytes of it inside one insert; fresh pages are
//! cleared by the system one by one as they are touched. (Elements aligned beyond a page, or a system
//! that refuses, get the allocator's.)

use core::{
    alloc::Layout,
    marker::PhantomData,
    mem,
    ptr::{self, NonNull},
};

use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// What a fresh chunk is filled with.
///
/// # Safety
///
/// - All zeros are a valid value (outside of models).
/// - A value needs no drop (outside of models).
pub(super) unsafe trait Zeroed {
    /// The value of zeros, built by hand, since the types of loom and shuttle are no plain words.
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self;
}

const CHUNKS: usize = 26;

/// A growing array of `T`, never moved and never shrunk.
pub(super) struct Chunked<T, const FIRST: usize> {
    /// Pointer to chunk `c` minus its first index; null before it is allocated.
    chunks: [AtomicPtr<T>; CHUNKS],
    bytes: AtomicUsize,
    owns: PhantomData<T>,
}

impl<T: Zeroed, const FIRST: usize> Chunked<T, FIRST> {
    const FIRST_LOG2: usize = {
        assert!(FIRST.is_power_of_two() && FIRST > 1);
        FIRST.ilog2() as usize
    };

    pub(super) fn new() -> Self {
        Self {
            chunks: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            bytes: AtomicUsize::new(0),
            owns: PhantomData,
        }
    }

    /// The chunk of element `index`: 0 below `FIRST`, otherwise by the highest bit.
    #[inline]
    fn chunk_of(index: u32) -> usize {
        (index | (FIRST as u32 - 1)).ilog2() as usize - (Self::FIRST_LOG2 - 1)
    }

    /// The element `index`.
    ///
    /// # Safety
    ///
    /// - An `ensure` of this index, or of one in its chunk, happened before.
    #[inline]
    pub(super) unsafe fn get(&self, index: u32) -> &T {
        let c = Self::chunk_of(index);
        debug_assert!(c < CHUNKS);
        // SAFETY: `ensure` accepted the index, so its chunk is one of the array's.
        let chunk = unsafe { self.chunks.get_unchecked(c) };
        // Relaxed (O6): whoever made the index known published it after the chunk.
        let chunk = chunk.load(Ordering::Relaxed);
        debug_assert!(!chunk.is_null());
        // SAFETY: the chunk is allocated and holds `index`; it is freed with `self` only.
        unsafe { &*chunk.wrapping_add(index as usize) }
    }

    /// Makes the chunk of `index` available. What it holds at first is all zeros.
    ///
    /// Whoever comes first allocates; others who come meanwhile give theirs back.
    pub(super) fn ensure(&self, index: u32) {
        let c = Self::chunk_of(index);
        let slot = &self.chunks[c];
        // Acquire (O6): the chunk's owner record is read when it is freed.
        if !slot.load(Ordering::Acquire).is_null() {
            return;
        }
        let (start, len) = span(FIRST, c);
        let (base, bytes) = allocate::<T>(len);
        let biased = base.as_ptr().wrapping_sub(start);
        assert!(!biased.is_null(), "the system placed a chunk at the address of its own length");
        // Release (O6): the chunk comes before every index into it. Acquire on failure: it is the
        // chunk of whoever was first, and we may be the one who makes an index into it known.
        let won =
            slot.compare_exchange(ptr::null_mut(), biased, Ordering::Release, Ordering::Acquire);
        if won.is_ok() {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            // SAFETY: allocated above with this length, and not published.
            unsafe { release::<T>(base, len) };
        }
    }

    /// Bytes taken from the system, pages not touched yet included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// First index and length of chunk `c` where chunk 0 has `first` elements.
fn span(first: usize, c: usize) -> (usize, usize) {
    if c == 0 { (0, first) } else { (first << (c - 1), first << (c - 1)) }
}

impl<T, const FIRST: usize> Drop for Chunked<T, FIRST> {
    fn drop(&mut self) {
        for (c, chunk) in self.chunks.iter().enumerate() {
            let biased = chunk.load(Ordering::Acquire);
            let (start, len) = span(FIRST, c);
            if !biased.is_null()
                && let Some(base) = NonNull::new(biased.wrapping_add(start))
            {
                // SAFETY: `ensure` allocated it with this length, and `&mut self` is the last use.
                unsafe { release::<T>(base, len) };
            }
        }
    }
}

#[cfg(not(any(loom, shuttle)))]
use heap_or_pages::{allocate, release};
#[cfg(any(loom, shuttle))]
use one_by_one::{allocate, release};

#[cfg(not(any(loom, shuttle)))]
mod heap_or_pages {
    use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error};

    use memmap2::MmapMut;

    use super::{super::poison, Layout, NonNull, Zeroed, mem};

    /// From here on memory is mapped: below it, clearing costs a few microseconds at most.
    const MAPPED_FROM_BYTES: usize = 64 << 10;
    /// So that a node of 32 bytes never straddles two lines.
    const CACHE_LINE_BYTES: usize = 64;
    const PAGE_BYTES: usize = 4096;

    /// What gives a chunk's memory back. It stands in the memory itself, behind the elements.
    enum Owner {
        Heap(Layout),
        Pages(MmapMut),
    }

    /// The layout of `len` elements with the owner behind them, and the owner's offset.
    fn layout<T>(len: usize) -> (Layout, usize) {
        let elements = Layout::array::<T>(len).and_then(|l| l.align_to(CACHE_LINE_BYTES));
        let whole = elements.and_then(|l| l.extend(Layout::new::<Owner>()));
        whole.expect("a chunk of 2^29 slots fits the address space")
    }

    /// Memory for `len` elements, all zeros, and how many bytes it took.
    pub(super) fn allocate<T: Zeroed>(len: usize) -> (NonNull<T>, usize) {
        const { assert!(!mem::needs_drop::<T>()) }
        let (layout, owner_at) = layout::<T>(len);
        let pages = (layout.size() >= MAPPED_FROM_BYTES && layout.align() <= PAGE_BYTES)
            .then(|| MmapMut::map_anon(layout.size()).ok())
            .flatten();
        let (base, owner) = if let Some(mut pages) = pages {
            (NonNull::new(pages.as_mut_ptr()), Owner::Pages(pages))
        } else {
            // SAFETY: the layout holds an `Owner` at least, so its size is not zero.
            (NonNull::new(unsafe { alloc_zeroed(layout) }), Owner::Heap(layout))
        };
        let Some(base) = base else { handle_alloc_error(layout) };
        // SAFETY: `owner_at` was laid out inside this memory.
        let record = unsafe { base.byte_add(owner_at) }.cast::<Owner>();
        // SAFETY: laid out for it, and fresh: nobody else knows it.
        unsafe { record.write(owner) };
        (base.cast(), layout.size())
    }

    /// Gives the memory back.
    ///
    /// # Safety
    ///
    /// - `base` came from `allocate::<T>(len)`; no one uses it any more.
    pub(super) unsafe fn release<T>(base: NonNull<T>, len: usize) {
        let (_, owner_at) = layout::<T>(len);
        poison::off(base.as_ptr(), len);
        // SAFETY: `owner_at` was laid out inside this memory.
        let record = unsafe { base.byte_add(owner_at) }.cast::<Owner>();
        // SAFETY: `allocate` wrote it there, and it is read out this once.
        match unsafe { record.read() } {
            // SAFETY: allocated with this layout by the global allocator.
            Owner::Heap(layout) => unsafe { dealloc(base.cast().as_ptr(), layout) },
            Owner::Pages(pages) => drop(pages),
        }
    }
}

/// In a model every element is built and dropped, so that the model checker knows it.
#[cfg(any(loom, shuttle))]
mod one_by_one {
    use super::{Layout, NonNull, Zeroed, mem};

    pub(super) fn allocate<T: Zeroed>(len: usize) -> (NonNull<T>, usize) {
        let elements: Box<[T]> = (0..len).map(|_| T::zeroed()).collect();
        let bytes = Layout::for_value(&*elements).size().max(mem::size_of::<T>());
        (NonNull::from(Box::leak(elements)).cast(), bytes)
    }

    /// # Safety
    ///
    /// - `base` came from `allocate::<T>(len)`; no one uses it any more.
    pub(super) unsafe fn release<T>(base: NonNull<T>, len: usize) {
        // SAFETY: `allocate` leaked this box.
        drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(base.as_ptr(), len)) });
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    // SAFETY: an integer in an atomic: zeros are valid, nothing to drop.
    unsafe impl Zeroed for AtomicU64 {}

    #[test]
    fn elements_start_as_zeros_and_keep_their_place() {
        let array = Chunked::<AtomicU64, 4>::new();
        let mut places = Vec::new();
        for i in 0..100_000 {
            array.ensure(i);
            // SAFETY: ensured above.
            let element = unsafe { array.get(i) };
            assert_eq!(element.swap(u64::from(i) + 1, Ordering::Relaxed), 0);
            places.push(element);
        }
        for (i, place) in places.iter().enumerate() {
            assert_eq!(place.load(Ordering::Relaxed), i as u64 + 1);
        }
        assert!(array.bytes() >= 100_000 * 8);
    }
}
