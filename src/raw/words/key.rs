//! Split-order keys and the numbers of slots.

use crate::sync::MODEL;

/// The number of a slot in the slab: 1 to [`SlotIndex::MAX`], its chunk in the upper bits (the slab
/// knows how). Slot 0 is never handed out, so that a cell of all zeros names none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::raw) struct SlotIndex(pub(in crate::raw) u32);

impl SlotIndex {
    /// The largest that fits 32 bits beside the two flags of a cell.
    pub(in crate::raw) const MAX: u32 = (1 << 30) - 1;
}

/// A mixed hash: its upper bits choose a key's line, those below tell its keys from one another.
///
/// One multiplication by an odd constant is a bijection, so distinct hashes stay distinct, and it
/// carries low bits up, so identity hashes spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SplitKey(pub(in crate::raw) u64);

impl SplitKey {
    /// 2^64 divided by the golden ratio, made odd (Knuth, The Art of Computer Programming, vol. 3,
    /// section 6.4). In a model the hash is taken as it is, so that a model places its keys.
    const MULTIPLIER: u64 = if MODEL { 1 } else { 0x9E37_79B9_7F4A_7C15 };

    /// Mixes a user's hash.
    #[inline]
    pub(crate) fn from_hash(hash: u64) -> Self {
        Self(hash.wrapping_mul(Self::MULTIPLIER))
    }

    /// The key of a node, as far as the node knows it: all that places it.
    #[inline]
    pub(in crate::raw) const fn of_node(key: u32) -> Self {
        Self((key as u64) << 32)
    }

    /// The key that nodes carry.
    #[inline]
    pub(in crate::raw) fn node_key(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
