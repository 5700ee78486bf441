//! Arrays that grow without moving and start as zeros: the memory under the slab and the lines.
//!
//! An array is up to 32 chunks; each is about as large as all before it. Which chunk an element is in,
//! its number tells ([`Numbering`]). A chunk's pointer is stored with the number of
//! its first element already subtracted, so that a number needs no masking.
//!
//! A chunk of 64 KiB or more is mapped from the system. The allocator's zeroed memory would do, but
//! it clears memory that was used before, megabytes of it inside one insert; fresh pages are
//! cleared by the system one by one as they are touched. (Elements aligned beyond a page, a system that
//! refuses, and a build for a leak checker get the allocator's.) If it is asked for, larger ones are put on
//! [huge pages](PageSize).

use core::{iter, marker::PhantomData, ptr};

use crate::{
    raw::{
        memory::pages::{Memory, PageSize, Zeroed},
        words::numbers::{CHUNKS, Numbering},
    },
    sync::{AtomicPtr, OnceBox, Ordering, order},
};

/// A growing array of `T`, never moved; its memory can be given back, its numbers stay.
pub(in crate::raw) struct Chunked<T, N: Numbering> {
    /// Pointer to a chunk minus its first number; null before it is allocated.
    chunks: [AtomicPtr<T>; CHUNKS],
    /// The memory of the chunks, in the order in which it was taken.
    owned: OnceBox<Owned<T>>,
    numbering: PhantomData<fn() -> N>,
}

/// A chunk's memory, in a chain that only grows. It is by this chain, not by the pointers of the array, that
/// memory is found by whoever frees it, and by a tool that looks for what nobody can free any more.
struct Owned<T> {
    chunk: usize,
    memory: Memory<T>,
    next: OnceBox<Owned<T>>,
}

impl<T: Zeroed, N: Numbering> Chunked<T, N> {
    pub(in crate::raw) fn new() -> Self {
        Self {
            chunks: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            owned: OnceBox::new(),
            numbering: PhantomData,
        }
    }

    /// The element `number`.
    ///
    /// # Safety
    ///
    /// - An `ensure` of this number, or of one in its chunk, happened before.
    #[inline]
    pub(in crate::raw) unsafe fn get(&self, number: u32) -> &T {
        // SAFETY: as the caller says.
        let chunk = unsafe { self.chunk(N::chunk_of(number)) };
        // SAFETY: the chunk is allocated and holds the element; it is freed with `self` only.
        unsafe { &*chunk.wrapping_add(number as usize) }
    }

    /// The element `number`, if an `ensure` has made it available.
    #[inline]
    pub(in crate::raw) fn get_if_there(&self, number: u32) -> Option<&T> {
        // Acquire (O6): pairs with the Release of `ensure`.
        let chunk = self.chunks[N::chunk_of(number)].load(order!(chunk_met, Acquire));
        // SAFETY: the chunk is allocated and holds the element; it is freed with `self` only.
        (!chunk.is_null()).then(|| unsafe { &*chunk.wrapping_add(number as usize) })
    }

    /// The elements from `number` on, up to `len` of them: as far as its chunk goes, at least one.
    ///
    /// # Safety
    ///
    /// - As for `get`.
    #[inline]
    pub(in crate::raw) unsafe fn stretch(&self, number: u32, len: usize) -> &[T] {
        let (start, chunk_len) = N::span(N::chunk_of(number));
        let left = start + chunk_len - number as usize;
        // SAFETY: as the caller says.
        let first = unsafe { self.get(number) };
        // SAFETY: so many are left in the chunk, which is one allocation.
        unsafe { core::slice::from_raw_parts(first, len.min(left)) }
    }

    /// A chunk's pointer.
    ///
    /// # Safety
    ///
    /// - An `ensure` of a number in the chunk happened before.
    #[inline]
    unsafe fn chunk(&self, chunk: usize) -> *const T {
        debug_assert!(chunk < CHUNKS);
        // SAFETY: `ensure` accepted a number of it, so it is one of the array's.
        let chunk = unsafe { self.chunks.get_unchecked(chunk) };
        // Relaxed (O6): whoever made the number known published it after the chunk.
        let chunk = chunk.load(Ordering::Relaxed);
        debug_assert!(!chunk.is_null());
        chunk
    }

    /// Makes the chunk of `number` available, on such pages. What it holds at first is all zeros.
    #[inline]
    pub(in crate::raw) fn ensure(&self, number: u32, page_size: PageSize) {
        let c = N::chunk_of(number);
        // Acquire (O6): we may be the one who makes a number in it known.
        if self.chunks[c].load(order!(chunk_there, Acquire)).is_null() {
            self.add(c, page_size);
        }
    }

    /// Takes memory for a chunk. Whoever comes first allocates; others who come meanwhile free theirs.
    #[cold]
    fn add(&self, c: usize, page_size: PageSize) {
        let (start, len) = N::span(c);
        // The end of the chain is the same for all, so a chunk comes to it once.
        let mut place = &self.owned;
        let owned = loop {
            let owned = place.get_or_init(|| Owned {
                chunk: c,
                memory: Memory::zeroed(len as u32, page_size),
                next: OnceBox::new(),
            });
            if owned.chunk == c {
                break owned;
            }
            place = &owned.next;
        };
        let biased = owned.memory.base().wrapping_sub(start);
        assert!(!biased.is_null(), "the system placed a chunk where its pointer would be null");
        // Release (O6): the chunk comes before every number in it. All who come here store the same.
        self.chunks[c].store(biased, order!(chunk_put, Release));
    }

    /// The chunks' memory, in the order in which it was taken.
    fn owned(&self) -> impl Iterator<Item = &Owned<T>> {
        iter::successors(self.owned.get(), |owned| owned.next.get())
    }

    /// Frees one of its chunks, for somebody who frees it chunk by chunk; false if there is none. Its elements are gone.
    pub(in crate::raw) fn free_chunk(&mut self) -> bool {
        let Some(mut owned) = self.owned.take() else { return false };
        self.chunks[owned.chunk] = AtomicPtr::new(ptr::null_mut());
        if let Some(next) = owned.next.take() {
            self.owned = OnceBox::holding(next);
        }
        true
    }

    /// Gives the memory of `len` elements from `number` back to the system, as far as it fills whole pages of a
    /// mapped chunk; returns how many bytes that was. They stay usable, and read as zeros or as what they were.
    ///
    /// # Safety
    ///
    /// - `number..number + len` are of one chunk.
    /// - Nobody uses them meanwhile, but for atomic loads that expect either.
    pub(in crate::raw) unsafe fn give_back(&self, number: u32, len: u32) -> usize {
        let Some((memory, from)) = self.memory_of(number, len) else { return 0 };
        // SAFETY: as the caller says.
        unsafe { memory.give_back(from, len as usize) }
    }

    /// How many bytes [`Chunked::give_back`] of these elements, which are of one chunk, would give back.
    pub(in crate::raw) fn pages_in(&self, number: u32, len: u32) -> usize {
        let memory = self.memory_of(number, len);
        memory.map_or(0, |(memory, from)| memory.pages_in(from, len as usize).len())
    }

    /// The memory of some elements of a chunk, and how many are before them in it.
    fn memory_of(&self, number: u32, len: u32) -> Option<(&Memory<T>, usize)> {
        let c = N::chunk_of(number);
        let (start, chunk_len) = N::span(c);
        let from = number as usize - start;
        debug_assert!(from + len as usize <= chunk_len);
        let owned = self.owned().find(|owned| owned.chunk == c)?;
        Some((&owned.memory, from))
    }

    /// Bytes taken from the system, pages not touched yet included.
    pub(in crate::raw) fn bytes(&self) -> usize {
        self.owned().map(|owned| size_of::<Owned<T>>() + owned.memory.bytes()).sum()
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;
    use crate::{raw::words::numbers::Prefixed, sync::AtomicU64};

    // SAFETY: an integer in an atomic: zeros are valid, nothing to drop.
    unsafe impl Zeroed for AtomicU64 {}

    #[test]
    fn elements_start_as_zeros_and_keep_their_place() {
        let array = Chunked::<AtomicU64, Prefixed<12, 1>>::new();
        let mut places = Vec::new();
        for i in 0..50_000 {
            let number = Prefixed::<12, 1>::nth(i);
            array.ensure(number, PageSize::Usual);
            // SAFETY: ensured above.
            let element = unsafe { array.get(number) };
            assert_eq!(element.swap(u64::from(i) + 1, Ordering::Relaxed), 0);
            places.push(element);
        }
        for (i, place) in places.iter().enumerate() {
            assert_eq!(place.load(Ordering::Relaxed), i as u64 + 1);
        }
        assert!(array.bytes() >= 50_000 * 8);
    }
}
