//! Arrays that grow without moving and start as zeros: the memory under the slab and the directory.
//!
//! An array is up to 32 chunks; each is about as large as all before it. Which chunk an element is in,
//! its number tells, in one of two ways ([`Numbering`]). A chunk's pointer is stored with the number of
//! its first element already subtracted, so that a number needs no masking.
//!
//! A chunk of 64 KiB or more is mapped from the system. The allocator's zeroed memory would do, but
//! it clears memory that was used before, megabytes of it inside one insert; fresh pages are
//! cleared by the system one by one as they are touched. (Elements aligned beyond a page, or a system
//! that refuses, get the allocator's.) If it is asked for, larger ones are put on [huge pages](PageSize).

use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};

use crate::sync::{AtomicPtr, Ordering, order};

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

const CHUNKS: usize = 32;

/// Which pages a large chunk is asked to be put on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PageSize {
    /// What the system takes.
    Usual,
    /// Larger ones, where the system has them: a processor remembers where some thousand pages are, and a lookup
    /// in an array of many more waits for two loads where it could wait for one.
    Huge,
}

/// How the elements of an array are numbered.
pub(super) trait Numbering {
    /// The chunk of an element; below [`CHUNKS`] for every number that is in use.
    fn chunk_of(number: u32) -> usize;

    /// The number of a chunk's first element, and how many elements it has: none, if it is another name for
    /// a chunk ([`Chunked::alias`]).
    fn span(chunk: usize) -> (usize, usize);
}

/// Numbers that carry their chunk above `OFFSET_BITS` bits of offset, so that to find it is a shift.
///
/// Chunk 0 has `FIRST` elements, and chunk `c` has `FIRST * 2^(c-1)`, until the offset is used up; all
/// later ones are as large as that.
pub(super) struct Prefixed<const OFFSET_BITS: u32, const FIRST: usize>;

impl<const OFFSET_BITS: u32, const FIRST: usize> Numbering for Prefixed<OFFSET_BITS, FIRST> {
    #[inline]
    fn chunk_of(number: u32) -> usize {
        (number >> OFFSET_BITS) as usize
    }

    fn span(chunk: usize) -> (usize, usize) {
        let doublings = chunk.saturating_sub(1).min(OFFSET_BITS as usize - FIRST.ilog2() as usize);
        (chunk << OFFSET_BITS, FIRST << doublings)
    }
}

impl<const OFFSET_BITS: u32> Prefixed<OFFSET_BITS, 1> {
    /// How many elements all chunks have.
    pub(super) const CAPACITY: u32 = {
        let doubling = OFFSET_BITS + 1;
        (1 << doubling) + ((CHUNKS as u32 - 1 - doubling) << OFFSET_BITS)
    };

    /// The number of the `n`-th element, from 0, in the order of the chunks.
    #[inline]
    pub(super) fn nth(n: u32) -> u32 {
        let (chunk, offset) = match n {
            0 => (0, 0),
            // Chunk c begins with as many elements as there are before it: 2^(c-1).
            _ if n < 2 << OFFSET_BITS => (n.ilog2() + 1, n & !(1 << n.ilog2())),
            _ => (OFFSET_BITS + (n >> OFFSET_BITS), n & ((1 << OFFSET_BITS) - 1)),
        };
        chunk << OFFSET_BITS | offset
    }

    /// How many elements there are before this one in the order of the chunks: the inverse of `nth`.
    #[inline]
    pub(super) fn count(number: u32) -> u32 {
        let (chunk, offset) = (number >> OFFSET_BITS, number & ((1 << OFFSET_BITS) - 1));
        match chunk {
            0 => 0,
            _ if chunk <= OFFSET_BITS => (1 << (chunk - 1)) + offset,
            _ => (chunk - OFFSET_BITS) << OFFSET_BITS | offset,
        }
    }
}

/// A growing array of `T`, never moved; its memory can be given back, its numbers stay.
pub(super) struct Chunked<T, N: Numbering> {
    /// Pointer to a chunk minus its first number; null before it is allocated.
    chunks: [AtomicPtr<T>; CHUNKS],
    page_size: PageSize,
    owns: PhantomData<T>,
    numbering: PhantomData<fn() -> N>,
}

impl<T: Zeroed, N: Numbering> Chunked<T, N> {
    pub(super) fn new(page_size: PageSize) -> Self {
        Self {
            chunks: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            page_size,
            owns: PhantomData,
            numbering: PhantomData,
        }
    }

    /// The element `number`.
    ///
    /// # Safety
    ///
    /// - An `ensure` of this number, or of one in its chunk, happened before.
    #[inline]
    pub(super) unsafe fn get(&self, number: u32) -> &T {
        // SAFETY: as the caller says.
        let chunk = unsafe { self.chunk(N::chunk_of(number)) };
        // SAFETY: the chunk is allocated and holds the element; it is freed with `self` only.
        unsafe { &*chunk.wrapping_add(number as usize) }
    }

    /// The element `number`, if an `ensure` has made it available.
    pub(super) fn get_if_there(&self, number: u32) -> Option<&T> {
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
    pub(super) unsafe fn stretch(&self, number: u32, len: usize) -> &[T] {
        let (start, chunk_len) = N::span(N::chunk_of(number));
        let left = start + chunk_len - number as usize;
        // SAFETY: as the caller says.
        let first = unsafe { self.get(number) };
        // SAFETY: so many are left in the chunk, which is one allocation.
        unsafe { core::slice::from_raw_parts(first, len.min(left)) }
    }

    /// The element whose number is half of `odd`, which is odd, for a caller who knows its chunk: without
    /// taking the odd bit off first.
    ///
    /// # Safety
    ///
    /// - As for `get`; and `chunk` is the number's.
    #[inline]
    pub(super) unsafe fn get_half(&self, chunk: usize, odd: usize) -> &T {
        debug_assert!(chunk == N::chunk_of((odd / 2) as u32) || N::span(chunk).1 == 0);
        debug_assert!(odd % 2 == 1 && size_of::<T>().is_multiple_of(2));
        // SAFETY: as the caller says.
        let chunk = unsafe { self.chunk(chunk) };
        let half = size_of::<T>() / 2;
        // SAFETY: as in `get`.
        unsafe { &*chunk.wrapping_byte_add(odd * half).wrapping_byte_sub(half) }
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

    /// Makes the chunk of `number` available. What it holds at first is all zeros.
    ///
    /// Whoever comes first allocates; others who come meanwhile give theirs back.
    pub(super) fn ensure(&self, number: u32) {
        let c = N::chunk_of(number);
        let slot = &self.chunks[c];
        // Acquire (O6): the chunk's owner record is read when it is freed.
        if !slot.load(order!(chunk_there, Acquire)).is_null() {
            return;
        }
        let (start, len) = N::span(c);
        let base = allocate::<T>(len, self.page_size);
        let biased = base.as_ptr().wrapping_sub(start);
        assert!(!biased.is_null(), "the system placed a chunk where its pointer would be null");
        // Release (O6): the chunk comes before every number in it. Acquire on failure: it is the
        // chunk of whoever was first, and we may be the one who makes a number in it known.
        let (put, lost) = (order!(chunk_put, Release), order!(chunk_lost, Acquire));
        if slot.compare_exchange(ptr::null_mut(), biased, put, lost).is_err() {
            // SAFETY: allocated above with this length, and not published.
            unsafe { release::<T>(base, len) };
        }
    }

    /// Makes `alias` another name for a chunk that is there, before the array is shared.
    pub(super) fn alias(&self, alias: usize, chunk: usize) {
        debug_assert_eq!(N::span(alias).1, 0);
        // Relaxed, both: nobody shares the array yet.
        let chunk = self.chunks[chunk].load(Ordering::Relaxed);
        self.chunks[alias].store(chunk, Ordering::Relaxed);
    }

    /// Gives the memory of `len` elements from `number` back to the system, whole pages of a mapped chunk;
    /// false if it is not of that kind. They stay usable, and read as zeros or as what they were.
    ///
    /// # Safety
    ///
    /// - As for `get`, and `number..number + len` are of one chunk.
    /// - Nobody uses them meanwhile, but for atomic loads that expect either.
    pub(super) unsafe fn give_back(&self, number: u32, len: u32) -> bool {
        let c = N::chunk_of(number);
        // SAFETY: as the caller says.
        let chunk = unsafe { self.chunk(c) };
        let (start, chunk_len) = N::span(c);
        debug_assert!(
            number as usize >= start && number as usize + len as usize <= start + chunk_len
        );
        let Some(base) = NonNull::new(chunk.wrapping_add(start).cast_mut()) else { return false };
        // SAFETY: `ensure` allocated the chunk with this length; the rest as the caller says.
        unsafe { give_back::<T>(base, chunk_len, number as usize - start, len as usize) }
    }

    /// Whether [`Chunked::give_back`] of these elements would do anything.
    ///
    /// # Safety
    ///
    /// - As for `get`, and they are of one chunk.
    pub(super) unsafe fn can_give_back(&self, number: u32, len: u32) -> bool {
        let c = N::chunk_of(number);
        let (start, chunk_len) = N::span(c);
        // SAFETY: as the caller says.
        let chunk = unsafe { self.chunk(c) };
        let Some(base) = NonNull::new(chunk.wrapping_add(start).cast_mut()) else { return false };
        // SAFETY: `ensure` allocated the chunk with this length.
        unsafe { pages::<T>(base, chunk_len, number as usize - start, len as usize) }.is_some()
    }

    pub(super) fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Bytes taken from the system, pages not touched yet included.
    pub(super) fn bytes(&self) -> usize {
        // Relaxed: whether they are there is all that is asked.
        let is_there = |&c: &usize| !self.chunks[c].load(Ordering::Relaxed).is_null();
        let lens = (0..CHUNKS).filter(is_there).map(|c| N::span(c).1);
        lens.filter(|&len| len > 0).map(bytes_of::<T>).sum()
    }
}

impl<T, N: Numbering> Drop for Chunked<T, N> {
    fn drop(&mut self) {
        for (c, chunk) in self.chunks.iter().enumerate() {
            // Relaxed: `&mut self`.
            let biased = chunk.load(Ordering::Relaxed);
            if !biased.is_null()
                && let (start, len @ 1..) = N::span(c)
                && let Some(base) = NonNull::new(biased.wrapping_add(start))
            {
                // SAFETY: `ensure` allocated it with this length, and `&mut self` is the last use.
                unsafe { release::<T>(base, len) };
            }
        }
    }
}

#[cfg(not(any(loom, shuttle)))]
use heap_or_pages::{allocate, bytes_of, give_back, pages, release};
#[cfg(any(loom, shuttle))]
use one_by_one::{allocate, bytes_of, give_back, pages, release};

#[cfg(not(any(loom, shuttle)))]
mod heap_or_pages {
    use core::mem;
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

    use memmap2::MmapMut;

    use super::{super::poison, NonNull, PageSize, Zeroed};

    /// From here on memory is mapped: below it, clearing costs a few microseconds at most.
    const MAPPED_FROM_BYTES: usize = 64 << 10;
    /// From here on memory is put on huge pages if that is asked for. They are of 2 MiB mostly, and as a chunk is as
    /// large as all before it, the untouched rest of one is no more than half of what is in use.
    #[cfg(target_os = "linux")]
    const HUGE_FROM_BYTES: usize = 4 << 20;
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

    /// How many bytes memory for `len` elements takes.
    pub(super) fn bytes_of<T>(len: usize) -> usize {
        layout::<T>(len).0.size()
    }

    /// Memory for `len` elements, all zeros.
    pub(super) fn allocate<T: Zeroed>(len: usize, page_size: PageSize) -> NonNull<T> {
        const { assert!(!mem::needs_drop::<T>()) }
        let (layout, owner_at) = layout::<T>(len);
        let pages = (layout.size() >= MAPPED_FROM_BYTES && layout.align() <= PAGE_BYTES)
            .then(|| MmapMut::map_anon(layout.size()).ok())
            .flatten();
        #[cfg(target_os = "linux")]
        if let Some(pages) = &pages
            && page_size == PageSize::Huge
            && layout.size() >= HUGE_FROM_BYTES
        {
            // A kernel without them refuses: then they are the usual ones.
            _ = pages.advise(memmap2::Advice::HugePage);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = page_size;
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
        base.cast()
    }

    /// The mapping that some elements are in, and where: if they are whole pages, and the system is one whose
    /// pages are known to be usable on (Linux and Android: fresh zeros at the next touch).
    ///
    /// # Safety
    ///
    /// - `base` came from `allocate::<T>(len)` and is not released while the answer is used.
    pub(super) unsafe fn pages<'p, T>(
        base: NonNull<T>,
        len: usize,
        from: usize,
        count: usize,
    ) -> Option<(&'p MmapMut, usize, usize)> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let page = rustix::param::page_size();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let page = usize::MAX;
        let (_, owner_at) = layout::<T>(len);
        let (offset, bytes) = (from * size_of::<T>(), count * size_of::<T>());
        // SAFETY: `owner_at` was laid out inside this memory.
        let record = unsafe { base.byte_add(owner_at) }.cast::<Owner>();
        // SAFETY: `allocate` wrote it there, and only `release` changes it.
        match unsafe { record.as_ref() } {
            Owner::Pages(pages)
                if offset % page == 0 && bytes % page == 0 && offset + bytes <= owner_at =>
            {
                Some((pages, offset, bytes))
            }
            _ => None,
        }
    }

    /// Gives the pages of some elements back, if they can be.
    ///
    /// # Safety
    ///
    /// - `base` came from `allocate::<T>(len)`, and `from + count` is not past `len`.
    /// - Nobody uses those elements meanwhile, but for atomic loads that expect zeros as well.
    pub(super) unsafe fn give_back<T>(
        base: NonNull<T>,
        len: usize,
        from: usize,
        count: usize,
    ) -> bool {
        // SAFETY: as the caller says.
        let pages = unsafe { pages::<T>(base, len, from, count) };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some((pages, offset, bytes)) = pages {
            use memmap2::UncheckedAdvice::DontNeed;

            // SAFETY: nobody uses them, as the caller says.
            return unsafe { pages.unchecked_advise_range(DontNeed, offset, bytes) }.is_ok();
        }
        let _ = pages;
        false
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
    use super::{NonNull, PageSize, Zeroed};

    pub(super) fn bytes_of<T>(len: usize) -> usize {
        len * size_of::<T>()
    }

    pub(super) fn allocate<T: Zeroed>(len: usize, _: PageSize) -> NonNull<T> {
        let elements: Box<[T]> = (0..len).map(|_| T::zeroed()).collect();
        NonNull::from(Box::leak(elements)).cast()
    }

    /// All can be given back, in a model.
    ///
    /// # Safety
    ///
    /// - None needed.
    pub(super) unsafe fn pages<T>(_: NonNull<T>, _: usize, _: usize, _: usize) -> Option<()> {
        Some(())
    }

    /// Gives nothing back, and says that it did, so that models go on from there.
    ///
    /// # Safety
    ///
    /// - None needed.
    pub(super) unsafe fn give_back<T>(_: NonNull<T>, _: usize, _: usize, _: usize) -> bool {
        true
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
        let array = Chunked::<AtomicU64, Prefixed<12, 1>>::new(PageSize::Usual);
        let mut places = Vec::new();
        for i in 0..50_000 {
            let number = Prefixed::<12, 1>::nth(i);
            array.ensure(number);
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

    /// Chunk by chunk, offset by offset: each number once, and in its chunk's span.
    #[test]
    fn prefixed_numbers_are_counted_in_the_order_of_the_chunks() {
        type Few = Prefixed<3, 1>;
        let numbers: Vec<u32> = (0..Few::CAPACITY).map(Few::nth).collect();
        let spans = (0..CHUNKS).flat_map(|chunk| {
            let (first, len) = Few::span(chunk);
            first as u32..(first + len) as u32
        });
        assert!(spans.eq(numbers.iter().copied()));
        assert!(numbers.iter().map(|number| Few::count(*number)).eq(0..Few::CAPACITY));
        assert_eq!(Few::span(1), (8, 1));
        assert_eq!(Few::span(4), (32, 8));
        assert_eq!(Few::span(31), (248, 8));
        // Numbers of more elements a chunk, as those of slots are to those of blocks.
        for chunk in 0..CHUNKS {
            let (first, len) = Few::span(chunk);
            assert_eq!(Prefixed::<5, 4>::span(chunk), (4 * first, 4 * len));
        }
    }
}
