//! Memory that starts as zeros: the allocator's, or mapped from the system.
//!
//! Of 64 KiB or more it is mapped. The allocator's zeroed memory would do, but
//! it clears memory that was used before, megabytes of it inside one insert; fresh pages are
//! cleared by the system one by one as they are touched. (Elements aligned beyond a page, a system that
//! refuses, and a build for a leak checker get the allocator's.) If it is asked for, larger ones are put on
//! [huge pages](PageSize).

/// What a fresh chunk is filled with.
///
/// # Safety
///
/// - All zeros are a valid value (outside of models).
/// - A value needs no drop (outside of models).
pub(in crate::raw) unsafe trait Zeroed {
    /// The value of zeros, built by hand, since the types of loom and shuttle are no plain words.
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self;
}

/// Which pages a large chunk is asked to be put on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PageSize {
    /// What the system takes.
    Usual,
    /// Larger ones, where the system has them: a processor remembers where some thousand pages are, and a lookup
    /// in an array of many more waits for two loads where it could wait for one.
    Huge,
}

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
pub(in crate::raw) use heap_or_pages::Memory;
#[cfg(any(evanesce_loom, evanesce_shuttle))]
pub(in crate::raw) use one_by_one::Memory;

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
mod heap_or_pages {
    use core::{mem, ops::Range, ptr::NonNull};
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

    use memmap2::MmapMut;

    use super::{PageSize, Zeroed};
    use crate::{raw::memory::poison, sync::planted};

    /// From here on memory is mapped: below it, clearing costs a few microseconds at most.
    const MAPPED_FROM_BYTES: usize = 64 << 10;
    /// From here on memory is put on huge pages if that is asked for. They are of 2 MiB mostly, and as a chunk is as
    /// large as all before it, the untouched rest of one is no more than half of what is in use.
    #[cfg(target_os = "linux")]
    const HUGE_FROM_BYTES: usize = 4 << 20;
    /// So that a node of 32 bytes never straddles two lines.
    const CACHE_LINE_BYTES: usize = 64;
    const PAGE_BYTES: usize = 4096;

    /// The size of the system's pages.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn page_bytes() -> usize {
        // SAFETY: it looks a number up.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        bytes.try_into().expect("the system has pages")
    }

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

        pub(in crate::raw) fn bytes(&self) -> usize {
            match self {
                Self::Heap(_, len) => layout::<T>(*len).size(),
                Self::Pages(pages) => size_of::<MmapMut>() + pages.len(),
            }
        }

        /// The whole pages that `count` elements from the `from`-th on fill, as bytes of the mapping; none if there
        /// is none, or the system is not one whose pages are known to be usable on (Linux and Android: fresh zeros
        /// at the next touch).
        pub(in crate::raw) fn pages_in(&self, from: usize, count: usize) -> Range<usize> {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Self::Pages(_) = self {
                let page = page_bytes();
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
#[cfg(any(evanesce_loom, evanesce_shuttle))]
mod one_by_one {
    use core::ops::Range;

    use super::{PageSize, Zeroed};

    pub(in crate::raw) struct Memory<T>(Box<[T]>);

    impl<T: Zeroed> Memory<T> {
        pub(in crate::raw) fn zeroed(len: u32, _: PageSize) -> Self {
            Self((0..len).map(|_| T::zeroed()).collect())
        }
    }

    impl<T> Memory<T> {
        pub(in crate::raw) fn base(&self) -> *mut T {
            self.0.as_ptr().cast_mut()
        }

        pub(in crate::raw) fn bytes(&self) -> usize {
            size_of_val(&*self.0)
        }

        /// All can be given back, in a model.
        #[allow(clippy::unused_self)] // as where there are pages
        pub(in crate::raw) fn pages_in(&self, from: usize, count: usize) -> Range<usize> {
            from * size_of::<T>()..(from + count) * size_of::<T>()
        }

        /// Gives nothing back, and says that it did, so that models go on from there.
        ///
        /// # Safety
        ///
        /// - None needed.
        pub(in crate::raw) unsafe fn give_back(&self, from: usize, count: usize) -> usize {
            self.pages_in(from, count).len()
        }
    }
}
