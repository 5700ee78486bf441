//! How slots, blocks and overflow lines are numbered: the chunk of an element can be told from its number.

use crate::{raw::words::key::SlotIndex, sync::MODEL};

/// Chunks of an array at most.
pub(in crate::raw) const CHUNKS: usize = 32;

/// How the elements of an array are numbered.
pub(in crate::raw) trait Numbering {
    /// The chunk of an element; below [`CHUNKS`] for every number that is in use.
    fn chunk_of(number: u32) -> usize;

    /// The number of a chunk's first element, and how many elements it has.
    fn span(chunk: usize) -> (usize, usize);
}

/// Numbers that carry their chunk above `OFFSET_BITS` bits of offset, so that to find it is a shift.
///
/// Chunk 0 has `FIRST` elements, and chunk `c` has `FIRST * 2^(c-1)`, until the offset is used up; all
/// later ones are as large as that.
pub(in crate::raw) struct Prefixed<const OFFSET_BITS: u32, const FIRST: usize>;

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
    pub(in crate::raw) const CAPACITY: u32 = {
        let doubling = OFFSET_BITS + 1;
        (1 << doubling) + ((CHUNKS as u32 - 1 - doubling) << OFFSET_BITS)
    };

    /// The number of the `n`-th element, from 0, in the order of the chunks.
    #[inline]
    pub(in crate::raw) fn nth(n: u32) -> u32 {
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
    pub(in crate::raw) fn count(number: u32) -> u32 {
        let (chunk, offset) = (number >> OFFSET_BITS, number & ((1 << OFFSET_BITS) - 1));
        match chunk {
            0 => 0,
            _ if chunk <= OFFSET_BITS => (1 << (chunk - 1)) + offset,
            _ => (chunk - OFFSET_BITS) << OFFSET_BITS | offset,
        }
    }
}

/// A slot's number is that of its block, then its place there; a block's is that of its chunk, then
/// its place there. 25 bits below the chunk's 5: up to 2^25 slots a chunk, a gigabyte of small ones.
pub(in crate::raw) const OFFSET_BITS: u32 = 25;

/// The numbers of slots: as those of blocks, but that the first block has fewer.
pub(in crate::raw) struct SlotNumbers;

impl Numbering for SlotNumbers {
    #[inline]
    fn chunk_of(number: u32) -> usize {
        Prefixed::<OFFSET_BITS, { BLOCK_SLOTS as usize }>::chunk_of(number)
    }

    fn span(chunk: usize) -> (usize, usize) {
        match chunk {
            0 => (0, FIRST_BLOCK_SLOTS as usize),
            _ => Prefixed::<OFFSET_BITS, { BLOCK_SLOTS as usize }>::span(chunk),
        }
    }
}

/// Slots a block: as many as a word has bits. Few in a model, which knows each slot by itself.
pub(in crate::raw) const BLOCK_SLOTS: u32 = if MODEL { 4 } else { 64 };

/// The first block has fewer: a map of ten entries is to be small.
pub(in crate::raw) const FIRST_BLOCK_SLOTS: u32 = if MODEL { BLOCK_SLOTS } else { 16 };
/// The slots that the first block lacks.
pub(in crate::raw) const MISSING: u32 = BLOCK_SLOTS - FIRST_BLOCK_SLOTS;

/// A block's number is that of its chunk, then its place there.
pub(in crate::raw) type BlockNumbers = Prefixed<{ OFFSET_BITS - BLOCK_SLOTS.ilog2() }, 1>;

/// The most slots there can be, slot 0 apart.
pub(crate) const MAX_SLOTS: u32 = BlockNumbers::CAPACITY * BLOCK_SLOTS - 1 - MISSING;

/// The first of the slots of a block that bits stand for.
#[inline]
pub(in crate::raw) fn slot_of(block: u32, slots: u64) -> SlotIndex {
    SlotIndex(block * BLOCK_SLOTS + slots.trailing_zeros())
}

/// The block of a slot.
#[inline]
pub(in crate::raw) fn block_of(slot: SlotIndex) -> u32 {
    slot.0 / BLOCK_SLOTS
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;

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
