//! The words of a line: who is present, by which fingerprints, and the cells that name their slots
//! (DESIGN.md, section 1).

use crate::{
    raw::{
        memory::pages::Zeroed,
        words::key::{SlotIndex, SplitKey},
    },
    sync::{AtomicU32, AtomicU64, MODEL, Ordering, order, planted},
};

/// The cells of a line, by the number of their byte in its first two words. Two in a model, one of each kind.
pub(super) const FIRST_CELL: u32 = if MODEL { 7 } else { 5 };
const LAST_CELL: u32 = if MODEL { 8 } else { 15 };
/// Cells below this one have their fingerprint in the first word.
const SECOND_WORD: u32 = 8;
pub(super) const CELLS: u32 = LAST_CELL - FIRST_CELL + 1;

/// A line: 64 bytes.
#[repr(C, align(64))]
pub(super) struct Line {
    presence: AtomicU64,
    fingerprints: AtomicU64,
    /// Means nothing; see [`Line::write_first`].
    spare: [AtomicU32; FIRST_CELL as usize - 4],
    cells: [AtomicU32; CELLS as usize],
}

const _: () = assert!(MODEL || size_of::<Line>() == 64);

// SAFETY: integers in atomics, and a plain one: zeros are valid, nothing to drop.
unsafe impl Zeroed for Line {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self {
            presence: AtomicU64::new(0),
            fingerprints: AtomicU64::new(0),
            spare: core::array::from_fn(|_| AtomicU32::new(0)),
            cells: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

/// The word `A` of a line, as it was loaded: which cells are present, and what the line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Presence(u64);

impl Presence {
    /// A line that nobody has filled.
    pub(super) const UNBORN: Self = Self(0);
    /// An empty line.
    pub(super) const BORN: Self = Self(1 << 8);
    // In the lower half, so that a miss tests both by one instruction.
    const CHAINED: u64 = 1 << 9;
    const FROZEN: u64 = 1 << 10;

    /// The publications of the line, counted; or, of a chained line, the number of the next one.
    const COUNT_SHIFT: u32 = 11;
    const COUNT: u64 = ((1 << 29) - 1) << Self::COUNT_SHIFT;

    #[inline]
    pub(super) fn is_born(self) -> bool {
        self.0 & Self::BORN.0 != 0
    }

    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & Self::FROZEN != 0
    }

    /// Whether absence is more than the absence of a candidate: the line is frozen, or a chain.
    #[inline]
    pub(super) fn is_more(self) -> bool {
        self.0 & (Self::FROZEN | Self::CHAINED) != 0
    }

    /// The number of the overflow line that comes next.
    #[inline]
    pub(super) fn chained(self) -> Option<u32> {
        let number = ((self.0 & Self::COUNT) >> Self::COUNT_SHIFT) as u32;
        (self.0 & Self::CHAINED != 0).then_some(number)
    }

    /// Whether the line, loaded again as `now`, names nothing that it did not name before. Of one with a chain all
    /// must be the same: what was cleared in it may have come back behind it.
    pub(super) fn has_nothing_new(self, now: Self) -> bool {
        let what = Self::COUNT | Self::CHAINED | Self::FROZEN | Self::BORN.0;
        self == now || self.chained().is_none() && (self.0 ^ now.0) & what == 0
    }

    /// Whether it is empty for good: a line with a chain gains nothing.
    pub(super) fn is_passed(self) -> bool {
        self.0 & Self::CHAINED != 0 && self.cells() == Cells(0)
    }

    /// The cells that are present, as bits by number.
    #[inline]
    pub(super) fn cells(self) -> Cells {
        let first = (FIRST_CELL..SECOND_WORD).filter(|cell| self.has(*cell));
        Cells(
            (self.0 as u32 & 0xFF) << SECOND_WORD | first.fold(0, |cells, cell| cells | 1 << cell),
        )
    }

    #[inline]
    pub(super) fn has(self, cell: u32) -> bool {
        self.0 & Self::field(cell) != 0
    }

    /// The bits that say that a cell is present: its fingerprint, or one bit.
    #[inline]
    fn field(cell: u32) -> u64 {
        if cell < SECOND_WORD { 0xFF << (8 * cell) } else { 1 << (cell - SECOND_WORD) }
    }

    /// With a cell present that was not.
    #[inline]
    pub(super) fn with(self, cell: u32, fingerprint: Fingerprint) -> Self {
        debug_assert!(!self.has(cell));
        let bits = if cell < SECOND_WORD {
            u64::from(fingerprint.0) << (8 * cell)
        } else {
            Self::field(cell)
        };
        Self(self.0 | bits)
    }

    #[inline]
    pub(super) fn without(self, cell: u32) -> Self {
        Self(self.0 & !Self::field(cell))
    }

    /// With one publication more.
    #[inline]
    pub(super) fn counted(self) -> Self {
        debug_assert!(!self.is_more());
        if planted!(publications_not_counted) {
            return self;
        }
        Self(self.0 & !Self::COUNT | self.0.wrapping_add(1 << Self::COUNT_SHIFT) & Self::COUNT)
    }

    /// With an overflow line behind it, or another than before.
    pub(super) fn chained_to(self, number: u32) -> Self {
        debug_assert!(!self.is_frozen() && number < 1 << 29);
        Self(self.0 & !Self::COUNT | u64::from(number) << Self::COUNT_SHIFT | Self::CHAINED)
    }
}

/// Some cells of a line, as bits by their number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cells(u32);

impl Cells {
    pub(super) const NONE: Self = Self(0);
    /// All of a line.
    const ALL: Self = Self((1 << (LAST_CELL + 1)) - (1 << FIRST_CELL));

    /// Those that are not among these.
    #[inline]
    pub(super) fn others(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }
}

impl Cells {
    /// The first one.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        (self.0 != 0).then(|| self.0.trailing_zeros())
    }

    /// Those behind the first. Apart from it, for a lookup that found its entry does not need them.
    #[inline]
    pub(super) fn rest(self) -> Self {
        Self(self.0 & self.0.wrapping_sub(1))
    }
}

impl Iterator for Cells {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let cells = self.0;
        self.0 &= cells.wrapping_sub(1);
        (cells != 0).then(|| cells.trailing_zeros())
    }
}

/// 8 bits of a hash that do not choose its line, and not zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(u8);

impl Fingerprint {
    #[inline]
    pub(super) fn of(key: SplitKey) -> Self {
        // In 32 bits: of 8, the compiler widens them once more.
        Self(((key.0 >> 24) as u32 & 0xFF).max(1) as u8)
    }
}

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell(u32);

impl Cell {
    /// Its slot is not known to be published.
    const DRAFT: u32 = 1 << 30;
    /// Its line is frozen, and this is final.
    const MARK: u32 = 1 << 31;
    const SLOT: u32 = Self::DRAFT - 1;

    /// Never used.
    pub(super) const UNSET: Self = Self(0);
    /// Used before, and free.
    pub(super) const VACANT: Self = Self(Self::DRAFT);

    #[inline]
    pub(super) fn of(slot: SlotIndex) -> Self {
        debug_assert!(slot.0 != 0 && slot.0 <= SlotIndex::MAX);
        Self(slot.0)
    }

    #[inline]
    pub(super) fn draft(slot: SlotIndex) -> Self {
        Self(Self::of(slot).0 | Self::DRAFT)
    }

    /// A slot without a flag, of a cell that was present: what nearly every one says. It is not [`Cell::UNSET`], for
    /// no cell that was used becomes that again.
    #[inline]
    pub(super) fn plain(self) -> Option<SlotIndex> {
        (self.0 < Self::DRAFT).then_some(SlotIndex(self.0))
    }

    /// The slot, whatever the flags say.
    #[inline]
    pub(super) fn slot(self) -> Option<SlotIndex> {
        let slot = self.0 & Self::SLOT;
        (slot != 0).then_some(SlotIndex(slot))
    }

    #[inline]
    pub(super) fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }

    /// Whether it is not known that the slot is published; so are empty cells.
    #[inline]
    pub(super) fn is_unsure(self) -> bool {
        self.0 & Self::DRAFT != 0
    }

    /// Whether a draft may reserve it.
    #[inline]
    pub(super) fn is_free(self) -> bool {
        self == Self::UNSET || self == Self::VACANT
    }
}

impl Line {
    /// Writes to the line, and changes nothing. To be called where it is going to be written to but read first: a page that
    /// was only read so far is the system's page of zeros, and the first write to that has all processors told.
    #[inline]
    pub(super) fn write_first(&self) {
        if !MODEL {
            // Relaxed: nobody reads it.
            self.spare[0].store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn presence(&self) -> Presence {
        // Acquire: the cells, the fingerprints and the entries behind them.
        Presence(self.presence.load(order!(presence_met, Acquire)))
    }

    /// The same, to see whether a draft that was met in a cell has been published.
    #[inline]
    pub(super) fn presence_again(&self) -> Presence {
        // Acquire: of the cell's publication then, so that the second load of the cell is not older.
        Presence(self.presence.load(order!(second_look, Acquire)))
    }

    /// The one step by which a line changes what it says: from exactly what was seen, or not at all.
    #[inline]
    pub(super) fn advance(&self, seen: Presence, next: Presence) -> bool {
        // Release (O1): publishes the cells and the entries. (What was seen before was acquired with it.)
        let (changed, lost) = (order!(presence_changed, Release), Ordering::Relaxed);
        self.presence.compare_exchange(seen.0, next.0, changed, lost).is_ok()
    }

    /// Freezes the line: its presence is final. Returns it, as it is then.
    pub(super) fn freeze(&self) -> Presence {
        // Acquire: the fingerprints. Release goes on with what publications released.
        let before = self.presence.fetch_or(Presence::FROZEN, order!(line_frozen, AcqRel));
        Presence(before | Presence::FROZEN)
    }

    /// Fills the words of a line that nobody else knows.
    pub(super) fn fill(&self, presence: Presence, fingerprints: u64) {
        // Relaxed: published with its number.
        self.fingerprints.store(fingerprints, Ordering::Relaxed);
        self.presence.store(presence.0, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn cell(&self, cell: u32) -> &AtomicCell {
        debug_assert!((FIRST_CELL..=LAST_CELL).contains(&cell));
        // SAFETY: numbers of cells come from `Cells` and from constants, all in this range.
        let cell = unsafe { self.cells.get_unchecked((cell - FIRST_CELL) as usize) };
        AtomicCell::of(cell)
    }

    /// The cells that are present and have this fingerprint. To be asked behind the load of the presence.
    #[inline]
    pub(super) fn candidates(&self, presence: Presence, fingerprint: Fingerprint) -> Cells {
        // Relaxed: ordered by the Acquire of the presence.
        let second = self.fingerprints.load(Ordering::Relaxed);
        let equal = equal_bytes(presence.0, second, fingerprint.0);
        // A byte of the second word counts only while its cell is present.
        let counted = (presence.0 as u32) << SECOND_WORD & 0xFF00 | 0xFF & !0 << FIRST_CELL;
        Cells(equal & counted)
    }

    /// The fingerprint of a cell that is present.
    pub(super) fn fingerprint(&self, presence: Presence, cell: u32) -> Fingerprint {
        let second = || self.fingerprints.load(Ordering::Relaxed);
        let (word, at) =
            if cell < SECOND_WORD { (presence.0, cell) } else { (second(), cell - SECOND_WORD) };
        Fingerprint((word >> (8 * at)) as u8)
    }

    /// Makes `fingerprint` that of a cell that the caller reserved, if it is one whose fingerprint stands in
    /// the second word.
    #[inline]
    pub(super) fn set_fingerprint(&self, cell: u32, fingerprint: Fingerprint) {
        if let Some(at) = cell.checked_sub(SECOND_WORD) {
            // Relaxed, both: nobody else writes this byte meanwhile, and the publication releases it.
            let old = self.fingerprints.load(Ordering::Relaxed) >> (8 * at) & 0xFF;
            let change = (old ^ u64::from(fingerprint.0)) << (8 * at);
            if change != 0 {
                self.fingerprints.fetch_xor(change, Ordering::Relaxed);
            }
        }
    }

    /// Gives a line of the next array its second word, unless another has.
    pub(super) fn fill_fingerprints(&self, fingerprints: u64) {
        if fingerprints != 0 {
            // Relaxed: all write the same, and the birth releases it, also of who lost: it has seen it here.
            let relaxed = Ordering::Relaxed;
            let _ = self.fingerprints.compare_exchange(0, fingerprints, relaxed, relaxed);
        }
    }

    /// Reserves a cell for a draft: one that is not present, and free. First those whose fingerprint needs no
    /// step of its own.
    #[inline]
    pub(super) fn reserve(&self, presence: Presence, slot: SlotIndex) -> Option<u32> {
        presence.cells().others().find(|&number| {
            let cell = self.cell(number);
            // Relaxed: the exchange acquires what it finds.
            let seen = cell.load(Ordering::Relaxed);
            // AcqRel: releases the entry; acquires who was here before.
            seen.is_free()
                && (cell.replace(seen, Cell::draft(slot), order!(cell_reserved, AcqRel))
                    || planted!(reservation_not_compared))
        })
    }
}

/// The byte of a cell's fingerprint, as a part of the second word; zero if it stands in the first.
pub(super) fn in_second_word(cell: u32, fingerprint: Fingerprint) -> u64 {
    cell.checked_sub(SECOND_WORD).map_or(0, |at| u64::from(fingerprint.0) << (8 * at))
}

/// A cell in memory.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct AtomicCell(AtomicU32);

impl AtomicCell {
    #[inline]
    fn of(word: &AtomicU32) -> &Self {
        // SAFETY: `repr(transparent)`.
        unsafe { &*core::ptr::from_ref(word).cast() }
    }

    #[inline]
    pub(super) fn load(&self, order: Ordering) -> Cell {
        Cell(self.0.load(order))
    }

    /// For a cell that nobody else writes.
    pub(super) fn store(&self, cell: Cell, order: Ordering) {
        self.0.store(cell.0, order);
    }

    /// Leaves a cell that the caller has used: it is free, or, by a planted bug, as if it never was used.
    #[inline]
    pub(super) fn vacate(&self, free: Cell) {
        // Release: whoever reads a draft from this cell next does not read an older presence.
        let vacated = order!(cell_vacated, Release);
        if MODEL {
            // A model checker forgets that a flag taken off stands right behind the draft that it was read from, and
            // puts it behind a store that saw the draft. Of read-modify-writes it knows the order.
            self.0.swap(free.0, vacated);
        } else {
            self.0.store(free.0, vacated);
        }
    }

    /// The slot that is to be brought into the cache, if there is one.
    pub(super) fn slot_to_bring(&self) -> Option<SlotIndex> {
        // Acquire: the chunk of the slot, which may be a new one.
        self.load(order!(cell_brought, Acquire)).slot()
    }

    #[inline]
    pub(super) fn replace(&self, old: Cell, new: Cell, order: Ordering) -> bool {
        self.0.compare_exchange(old.0, new.0, order, Ordering::Relaxed).is_ok()
    }

    /// Marks a cell that is present in a frozen line: what it says is final. Returns the slot.
    pub(super) fn mark(&self) -> SlotIndex {
        // AcqRel: what a swing released.
        let marked = Cell(self.0.fetch_or(Cell::MARK, order!(cell_marked, AcqRel)));
        marked.slot().unwrap_or_else(|| unreachable!("a cell that is present names a slot"))
    }
}

/// Which bytes of two words are equal to one, as bits.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline]
fn equal_bytes(first: u64, second: u64, byte: u8) -> u32 {
    use core::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_unpacklo_epi64,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    fn by_vectors(first: u64, second: u64, bytes: u64) -> u32 {
        let [first, second, bytes] =
            [first, second, bytes].map(|word| _mm_cvtsi64_si128(word.cast_signed()));
        let words = _mm_unpacklo_epi64(first, second);
        _mm_movemask_epi8(_mm_cmpeq_epi8(words, _mm_unpacklo_epi64(bytes, bytes))).cast_unsigned()
    }

    // SAFETY: what is built here is for processors that have it.
    unsafe { by_vectors(first, second, u64::from(byte) * ONES) }
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
use by_words as equal_bytes;

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The same on any processor.
#[cfg(any(
    all(test, not(any(evanesce_loom, evanesce_shuttle))),
    not(all(target_arch = "x86_64", target_feature = "sse2"))
))]
#[inline]
fn by_words(first: u64, second: u64, byte: u8) -> u32 {
    let equal = |word: u64| {
        let differs = word ^ (u64::from(byte) * ONES);
        // The top bit of each byte is set unless the byte is zero: no carry leaves its byte.
        let low = !(ONES << 7);
        let zero = !(((differs & low) + low) | differs | low);
        // Gathers the eight top bits in the top byte, the first byte's lowest.
        (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    (equal(first) | equal(second) << 8) as u32
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_found_byte_by_byte() {
        let mut word = 1_u64;
        for round in 0..20_000 {
            word = word.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(round);
            let second = word.rotate_left(23) & 0xFF00_FFFF_00FF_FF01;
            let byte = (word >> (8 * (round % 8))) as u8;
            let both: [u8; 16] =
                core::array::from_fn(|i| [word, second][i / 8].to_le_bytes()[i % 8]);
            let slow = (0..16).fold(0, |bits, i| bits | u32::from(both[i] == byte) << i);
            assert_eq!(equal_bytes(word, second, byte), slow);
            assert_eq!(by_words(word, second, byte), slow);
        }
    }

    #[test]
    fn a_cell_comes_and_goes_and_leaves_the_others() {
        let mut presence = Presence::BORN;
        for cell in FIRST_CELL..=LAST_CELL {
            presence = presence.with(cell, Fingerprint(7)).counted();
            assert!(presence.has(cell) && presence.is_born() && !presence.is_more());
        }
        assert!(presence.cells().eq(FIRST_CELL..=LAST_CELL));
        let chained = presence.chained_to((1 << 29) - 1);
        assert_eq!((presence.chained(), chained.chained()), (None, Some((1 << 29) - 1)));
        let mut left = chained;
        for cell in FIRST_CELL..=LAST_CELL {
            left = left.without(cell);
            assert!(left.cells().eq(cell + 1..=LAST_CELL));
            assert!(
                !chained.has_nothing_new(left) && presence.has_nothing_new(presence.without(cell))
            );
        }
        assert!(left.is_passed() && !presence.has_nothing_new(chained));
    }

    #[test]
    fn the_count_comes_round_within_its_bits() {
        let last = Presence(Presence::BORN.0 | Presence::COUNT);
        assert_eq!(last.counted(), Presence::BORN);
        let full = (5..8).fold(last, |presence, cell| presence.with(cell, Fingerprint(0xFF)));
        assert_eq!(full.counted().0, full.0 & !Presence::COUNT);
    }

    #[test]
    fn only_slots_without_flags_are_plain() {
        let slot = SlotIndex(SlotIndex::MAX);
        assert_eq!(Cell::of(slot).plain(), Some(slot));
        for cell in [Cell::VACANT, Cell::draft(slot), Cell(slot.0 | Cell::MARK)] {
            assert_eq!(cell.plain(), None);
        }
        assert_eq!((Cell::VACANT.slot(), Cell::draft(slot).slot()), (None, Some(slot)));
        assert!(Cell::VACANT.is_free() && Cell::UNSET.is_free() && !Cell::draft(slot).is_free());
    }
}
