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

use crate::sync::{AtomicPtr, Ordering, order};

use super::once_box::OnceBox;

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

    /// The number of a chunk's first element, and how many elements it has.
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
    pub(super) fn new() -> Self {
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
    pub(super) fn ensure(&self, number: u32, page_size: PageSize) {
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

    /// Gives the memory of `len` elements from `number` back to the system, as far as it fills whole pages of a
    /// mapped chunk; returns how many bytes that was. They stay usable, and read as zeros or as what they were.
    ///
    /// # Safety
    ///
    /// - `number..number + len` are of one chunk.
    /// - Nobody uses them meanwhile, but for atomic loads that expect either.
    pub(super) unsafe fn give_back(&self, number: u32, len: u32) -> usize {
        let Some((memory, from)) = self.memory_of(number, len) else { return 0 };
        // SAFETY: as the caller says.
        unsafe { memory.give_back(from, len as usize) }
    }

    /// How many bytes [`Chunked::give_back`] of these elements, which are of one chunk, would give back.
    pub(super) fn pages_in(&self, number: u32, len: u32) -> usize {
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
    pub(super) fn bytes(&self) -> usize {
        self.owned().map(|owned| size_of::<Owned<T>>() + owned.memory.bytes()).sum()
    }
}

#[cfg(not(any(loom, shuttle)))]
pub(super) use heap_or_pages::Memory;
#[cfg(any(loom, shuttle))]
pub(super) use one_by_one::Memory;

#[cfg(not(any(loom, shuttle)))]
mod heap_or_pages {
    use core::{mem, ops::Range, ptr::NonNull};
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

    use memmap2::MmapMut;

    use super::{super::poison, PageSize, Zeroed};
    use crate::sync::planted;

    /// From here on memory is mapped: below it, clearing costs a few microseconds at most.
    const MAPPED_FROM_BYTES: usize = 64 << 10;
    /// From here on memory is put on huge pages if that is asked for. They are of 2 MiB mostly, and as a chunk is as
    /// large as all before it, the untouched rest of one is no more than half of what is in use.
    #[cfg(target_os = "linux")]
    const HUGE_FROM_BYTES: usize = 4 << 20;
    /// So that a node of 32 bytes never straddles two lines.
    const CACHE_LINE_BYTES: usize = 64;
    const PAGE_BYTES: usize = 4096;

    /// Whether any is mapped: a leak checker looks for pointers in what came from the allocator, so a key or a
    /// value that only an entry in mapped memory leads to would be a leak to it (build.rs).
    fn maps() -> bool {
        !cfg!(leak_checked) || planted!(mapped_where_leaks_are_looked_for)
    }

    /// Memory for some elements.
    pub(in crate::raw) enum Memory<T> {
        /// The allocator's, for so many.
        Heap(NonNull<T>, u32),
        /// Mapped. (In a box, since most are small ones.)
        Pages(Box<MmapMut>),
    }

    // SAFETY: it owns memory that holds elements, and gives out pointers.
    unsafe impl<T: Send> Send for Memory<T> {}
    // SAFETY: as above.
    unsafe impl<T: Sync> Sync for Memory<T> {}

    fn layout<T>(len: u32) -> Layout {
        let layout = Layout::array::<T>(len as usize);
        let layout = layout.and_then(|layout| layout.align_to(CACHE_LINE_BYTES));
        layout.expect("a chunk of 2^29 slots fits the address space")
    }

    impl<T: Zeroed> Memory<T> {
        /// Memory for `len` elements, all zeros.
        pub(in crate::raw) fn zeroed(len: u32, page_size: PageSize) -> Self {
            const { assert!(!mem::needs_drop::<T>() && size_of::<T>() > 0) }
            let layout = layout::<T>(len);
            if maps()
                && layout.size() >= MAPPED_FROM_BYTES
                && layout.align() <= PAGE_BYTES
                && let Ok(pages) = MmapMut::map_anon(layout.size())
            {
                #[cfg(target_os = "linux")]
                if page_size == PageSize::Huge && layout.size() >= HUGE_FROM_BYTES {
                    // A kernel without them refuses: then they are the usual ones.
                    _ = pages.advise(memmap2::Advice::HugePage);
                }
                #[cfg(not(target_os = "linux"))]
                let _ = page_size;
                return Self::Pages(Box::new(pages));
            }
            // SAFETY: some elements, none of which is empty: the size is not zero.
            let base = unsafe { alloc_zeroed(layout) };
            let Some(base) = NonNull::new(base.cast()) else { handle_alloc_error(layout) };
            Self::Heap(base, len)
        }
    }

    impl<T> Memory<T> {
        /// Where it begins.
        pub(in crate::raw) fn base(&self) -> *mut T {
            match self {
                Self::Heap(base, _) => base.as_ptr(),
                Self::Pages(pages) => pages.as_ptr().cast_mut().cast(),
            }
        }

        pub(super) fn bytes(&self) -> usize {
            match self {
                Self::Heap(_, len) => layout::<T>(*len).size(),
                Self::Pages(pages) => size_of::<MmapMut>() + pages.len(),
            }
        }

        /// The whole pages that `count` elements from the `from`-th on fill, as bytes of the mapping; none if there
        /// is none, or the system is not one whose pages are known to be usable on (Linux and Android: fresh zeros
        /// at the next touch).
        pub(super) fn pages_in(&self, from: usize, count: usize) -> Range<usize> {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Self::Pages(_) = self {
                let page = rustix::param::page_size();
                let start = (from * size_of::<T>()).next_multiple_of(page);
                let end = (from + count) * size_of::<T>() / page * page;
                return start..end.max(start);
            }
            let _ = (from, count);
            0..0
        }

        /// Gives the pages of some elements back; returns how many bytes those are.
        ///
        /// # Safety
        ///
        /// - `from + count` is not past the end.
        /// - Nobody uses those elements meanwhile, but for atomic loads that expect zeros as well.
        pub(in crate::raw) unsafe fn give_back(&self, from: usize, count: usize) -> usize {
            let range = self.pages_in(from, count);
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Self::Pages(pages) = self
                && !range.is_empty()
                && !planted!(memory_not_given_back)
            {
                use memmap2::UncheckedAdvice::DontNeed;

                // SAFETY: nobody uses what is in these pages, as the caller says.
                let done =
                    unsafe { pages.unchecked_advise_range(DontNeed, range.start, range.len()) };
                return if done.is_ok() { range.len() } else { 0 };
            }
            range.len()
        }
    }

    impl<T> Drop for Memory<T> {
        fn drop(&mut self) {
            match self {
                Self::Pages(pages) => poison::off(pages.as_mut_ptr(), pages.len()),
                Self::Heap(base, len) => {
                    poison::off(base.as_ptr(), *len as usize);
                    // SAFETY: allocated with this layout by the global allocator, and `&mut self` is the last use.
                    unsafe { dealloc(base.as_ptr().cast(), layout::<T>(*len)) };
                }
            }
        }
    }
}

/// In a model every element is built and dropped, so that the model checker knows it.
#[cfg(any(loom, shuttle))]
mod one_by_one {
    use core::ops::Range;

    use super::{PageSize, Zeroed};

    pub(in crate::raw) struct Memory<T>(Box<[T]>);

    impl<T: Zeroed> Memory<T> {
        pub(super) fn zeroed(len: u32, _: PageSize) -> Self {
            Self((0..len).map(|_| T::zeroed()).collect())
        }
    }

    impl<T> Memory<T> {
        pub(super) fn base(&self) -> *mut T {
            self.0.as_ptr().cast_mut()
        }

        pub(super) fn bytes(&self) -> usize {
            size_of_val(&*self.0)
        }

        /// All can be given back, in a model.
        #[allow(clippy::unused_self)] // as where there are pages
        pub(super) fn pages_in(&self, from: usize, count: usize) -> Range<usize> {
            from * size_of::<T>()..(from + count) * size_of::<T>()
        }

        /// Gives nothing back, and says that it did, so that models go on from there.
        ///
        /// # Safety
        ///
        /// - None needed.
        pub(super) unsafe fn give_back(&self, from: usize, count: usize) -> usize {
            self.pages_in(from, count).len()
        }
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
