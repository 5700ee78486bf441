//! Arrays of lines, and the root, which leads to one.
//!
//! An array is one piece of lazily zeroed memory: a header, then its lines. Its overflow lines are
//! apart, made with the first one. All of it is freed together.

use core::ptr::{self, NonNull};

use super::line::Line;
#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
use crate::raw::memory::pages::Memory;
use crate::{
    raw::{
        memory::{chunked::Chunked, pages::PageSize},
        words::{key::SplitKey, numbers::Prefixed},
    },
    sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, MODEL, OnceBox, Ordering, order},
};

/// Two lines; more than 2^26 are never needed: eight entries a line are more than there can be slots.
pub(super) const MIN_LEVEL: u32 = 1;
pub(super) const MAX_LEVEL: u32 = if MODEL { 3 } else { 26 };

/// Overflow lines carry their chunk above 24 bits: 29 bits, as many as a presence has for them.
type OverflowNumbers = Prefixed<24, 1>;

#[repr(C, align(64))]
pub(super) struct Array {
    /// The array that is to take this one's place: as a [`Root`], null at first, set once.
    next: AtomicPtr<Array>,
    /// The array that stands behind this one in the list of old ones.
    pub(super) older: AtomicPtr<Array>,
    /// Made with the first overflow line.
    overflow: OnceBox<Overflow>,
    /// Shares of the migration to the next array: claimed, done, and looked over again.
    pub(super) claimed: AtomicU32,
    pub(super) done: AtomicU32,
    pub(super) verified: AtomicU32,
    /// The ticket of its grace period, once it is retired.
    pub(super) ticket: AtomicU64,
    /// Bytes of its lines given back already, in units of [`super::growth::PIECE_LINES`].
    pub(super) pieces: AtomicU32,
    /// Looks at the number of entries since it became the root, while it has too many overflow lines.
    pub(super) looks: AtomicU32,
    /// The bytes that it was told to take when it was retired.
    pub(super) bytes_told: AtomicUsize,
    /// The overflow lines that it had when it became the root.
    pub(super) born_with: AtomicU32,
    /// What it stands in.
    #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
    memory: Option<Memory<Line>>,
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    lines: Box<[Line]>,
    /// Under loom an array that is never freed fails the model.
    #[cfg(evanesce_loom)]
    _track: loom::alloc::Track<()>,
}

/// The header's size in lines.
pub(super) const HEADER_LINES: usize = 2;

const _: () = assert!(MODEL || size_of::<Array>() <= HEADER_LINES * size_of::<Line>());

struct Overflow {
    lines: Chunked<Line, OverflowNumbers>,
    handed_out: AtomicU32,
}

/// An array and its level in one word: the address, aligned to 64, plus `64 - level`. So a lookup has both by one
/// load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Root(*mut Array);

impl Root {
    /// A new array of unborn lines.
    pub(super) fn allocate(level: u32, page_size: PageSize) -> Self {
        debug_assert!((MIN_LEVEL..=MAX_LEVEL).contains(&level));
        Self(Array::allocate(level, page_size).as_ptr().wrapping_byte_add(64 - level as usize))
    }

    #[inline]
    fn shift(self) -> u32 {
        self.0.addr() as u32 & 63
    }

    #[inline]
    pub(super) fn level(self) -> u32 {
        64 - self.shift()
    }

    /// How many lines it has, overflow lines apart.
    pub(super) fn lines(self) -> u32 {
        1 << self.level()
    }

    #[inline]
    fn address(self) -> *mut Array {
        self.0.map_addr(|address| address & !63)
    }

    /// The array.
    ///
    /// # Safety
    ///
    /// - It lives as long as `'g`: it was the root, or the next of one, under a guard that lives as long, or
    ///   the caller owns it.
    #[inline]
    pub(super) unsafe fn array<'g>(self) -> &'g Array {
        // SAFETY: as the caller says.
        unsafe { &*self.address() }
    }

    /// The number of a key's line.
    #[inline]
    pub(super) fn index_of(self, key: SplitKey) -> u32 {
        (key.0 >> self.shift()) as u32
    }

    /// The line of a key.
    ///
    /// # Safety
    ///
    /// - As for `array`.
    #[inline]
    pub(super) unsafe fn line_of<'g>(self, key: SplitKey) -> &'g Line {
        // The shift takes the low six bits of its count by itself.
        let index = (key.0 >> (self.0.addr() & 63)) as usize;
        // SAFETY: as the caller says; a key has no more upper bits than the array has lines.
        unsafe { Array::line(self.address(), index) }
    }

    /// The `index`-th line.
    ///
    /// # Safety
    ///
    /// - As for `array`, and it has so many.
    #[inline]
    pub(super) unsafe fn line<'g>(self, index: u32) -> &'g Line {
        debug_assert!(index < self.lines());
        // SAFETY: as the caller says.
        unsafe { Array::line(self.address(), index as usize) }
    }

    /// The array that is to take this one's place, if there is one.
    ///
    /// # Safety
    ///
    /// - As for `array`.
    #[inline]
    pub(super) unsafe fn next(self) -> Option<Self> {
        // SAFETY: as the caller says.
        let array = unsafe { self.array() };
        // Acquire: the array.
        let next = array.next.load(order!(next_met, Acquire));
        (!next.is_null()).then_some(Self(next))
    }

    /// Makes `next` the array that is to take this one's place, unless it has one.
    ///
    /// # Safety
    ///
    /// - As for `array`.
    pub(super) unsafe fn set_next(self, next: Self) -> bool {
        // SAFETY: as the caller says.
        let array = unsafe { self.array() };
        // Release: the array.
        let (set, lost) = (order!(next_set, Release), Ordering::Relaxed);
        array.next.compare_exchange(ptr::null_mut(), next.0, set, lost).is_ok()
    }

    /// The one that a link of a list of arrays leads to.
    pub(super) fn from_list(link: *mut Array) -> Option<Self> {
        (!link.is_null()).then_some(Self(link))
    }

    /// Makes it the first of a list of arrays, in the place of `first`, or tells what stands there.
    pub(super) fn put_first(
        self,
        list: &AtomicPtr<Array>,
        first: *mut Array,
    ) -> Result<(), *mut Array> {
        // Release: the link and the ticket. Acquire: the store of the hint by who took the list before.
        let put = order!(old_put, AcqRel);
        list.compare_exchange(first, self.0, put, Ordering::Relaxed).map(drop)
    }

    /// Frees a chunk of its overflow lines; false if there is none.
    ///
    /// # Safety
    ///
    /// - It is the caller's, and nobody uses it any more, but to free it.
    pub(super) unsafe fn free_chunk(self) -> bool {
        // SAFETY: as the caller says.
        let array = unsafe { &mut *self.address() };
        array.overflow.get_mut().is_some_and(|overflow| overflow.lines.free_chunk())
    }

    /// Frees it.
    ///
    /// # Safety
    ///
    /// - It is the caller's, and nobody uses it any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: as the caller says.
        unsafe { Array::free(self.address(), self.level()) };
    }

    /// Bytes taken for it, pages not touched yet included.
    ///
    /// # Safety
    ///
    /// - As for `array`.
    pub(super) unsafe fn bytes(self) -> usize {
        // SAFETY: as the caller says.
        let overflow = unsafe { self.array() }.overflow.get();
        let overflow = overflow.map_or(0, |o| size_of::<Overflow>() + o.lines.bytes());
        (HEADER_LINES + self.lines() as usize) * size_of::<Line>() + overflow
    }
}

/// A [`Root`] in memory.
pub(super) struct AtomicRoot(AtomicPtr<Array>);

impl AtomicRoot {
    pub(super) fn new(root: Root) -> Self {
        Self(AtomicPtr::new(root.0))
    }

    #[inline]
    pub(super) fn load(&self) -> Root {
        // Acquire: the array.
        Root(self.0.load(order!(root_met, Acquire)))
    }

    /// The step from an array to the one that takes its place.
    pub(super) fn replace(&self, old: Root, new: Root) -> bool {
        // Release: the births of all lines, which the count of shares has acquired.
        let (switched, lost) = (order!(root_switched, Release), Ordering::Relaxed);
        self.0.compare_exchange(old.0, new.0, switched, lost).is_ok()
    }
}

impl Array {
    /// How many overflow lines were handed out.
    pub(super) fn overflow_lines(&self) -> u32 {
        self.overflow.get().map_or(0, |overflow| overflow.handed_out.load(Ordering::Relaxed))
    }

    /// An overflow line, whose number was read from a line of this array.
    pub(super) fn overflow_line(&self, number: u32) -> &Line {
        let line = self.overflow.get().and_then(|overflow| overflow.lines.get_if_there(number));
        line.unwrap_or_else(|| unreachable!("overflow line {number} was handed out"))
    }

    /// A new overflow line, the caller's alone. No two get the same.
    pub(super) fn new_overflow_line(&self) -> (u32, &Line) {
        let overflow = self
            .overflow
            .get_or_init(|| Overflow { lines: Chunked::new(), handed_out: AtomicU32::new(0) });
        // Relaxed: it only must be another each time.
        let n = overflow.handed_out.fetch_add(1, Ordering::Relaxed);
        assert!(n < OverflowNumbers::CAPACITY, "evanesce: an index with {n} overflow lines");
        let number = OverflowNumbers::nth(n);
        overflow.lines.ensure(number, PageSize::Usual);
        (number, self.overflow_line(number))
    }
}

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
impl Array {
    fn allocate(level: u32, page_size: PageSize) -> NonNull<Self> {
        let memory = Memory::<Line>::zeroed(HEADER_LINES as u32 + (1 << level), page_size);
        let array = memory.base().cast::<Self>();
        // The rest of the header is all zeros: null, unset, none. It owns the memory that it stands in.
        // SAFETY: in that memory.
        let place = unsafe { &raw mut (*array).memory };
        // SAFETY: nobody else knows it.
        unsafe { place.write(Some(memory)) };
        NonNull::new(array).unwrap_or_else(|| unreachable!("memory is not at null"))
    }

    /// # Safety
    ///
    /// - From `allocate`; nobody uses it any more.
    unsafe fn free(array: *mut Self, _: u32) {
        // SAFETY: as the caller says. The header is read out, and what it owns, its memory last, is dropped here.
        let array = unsafe { array.read() };
        drop(array);
    }

    /// # Safety
    ///
    /// - The array lives, and has so many lines.
    #[inline]
    unsafe fn line<'g>(array: *mut Self, index: usize) -> &'g Line {
        // SAFETY: as the caller says: they stand behind the header.
        unsafe { &*array.cast::<Line>().wrapping_add(HEADER_LINES + index) }
    }

    /// Gives the memory of some lines back that nobody uses any more.
    ///
    /// # Safety
    ///
    /// - The array is the caller's, and nobody uses its lines.
    pub(super) unsafe fn give_back(root: Root, first: u32, count: u32) {
        // SAFETY: as the caller says.
        let memory = &unsafe { root.array() }.memory;
        let Some(memory) = memory else { return };
        // SAFETY: as the caller says.
        unsafe { memory.give_back(first as usize, count as usize) };
    }
}

#[cfg(any(evanesce_loom, evanesce_shuttle))]
impl Array {
    fn allocate(level: u32, _: PageSize) -> NonNull<Self> {
        use crate::raw::memory::pages::Zeroed;

        NonNull::from(Box::leak(Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            older: AtomicPtr::new(ptr::null_mut()),
            overflow: OnceBox::new(),
            claimed: AtomicU32::new(0),
            done: AtomicU32::new(0),
            verified: AtomicU32::new(0),
            ticket: AtomicU64::new(0),
            pieces: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            bytes_told: AtomicUsize::new(0),
            born_with: AtomicU32::new(0),
            lines: (0..1 << level).map(|_| Line::zeroed()).collect(),
            #[cfg(evanesce_loom)]
            _track: loom::alloc::Track::new(()),
        })))
    }

    /// # Safety
    ///
    /// - From `allocate`; nobody uses it any more.
    unsafe fn free(array: *mut Self, _: u32) {
        // SAFETY: `allocate` leaked this box.
        drop(unsafe { Box::from_raw(array) });
    }

    /// # Safety
    ///
    /// - The array lives, and has so many lines.
    #[inline]
    unsafe fn line<'g>(array: *mut Self, index: usize) -> &'g Line {
        // SAFETY: as the caller says.
        let array: &'g Self = unsafe { &*array };
        &array.lines[index]
    }

    /// # Safety
    ///
    /// - None needed.
    pub(super) unsafe fn give_back(_: Root, _: u32, _: u32) {}
}
