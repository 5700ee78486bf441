//! The packed words of the list: slot indices, split-order keys and the links between nodes.

use crate::sync::{AtomicU32, MODEL, Ordering, order};

/// The number of a slot in the slab: 1 to [`SlotIndex::MAX`], its chunk in the upper bits (the slab
/// knows how). Slot 0 is never handed out, so that a link of all zeros means "not set".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SlotIndex(pub(super) u32);

impl SlotIndex {
    /// The largest index whose link fits 32 bits beside the two tag bits.
    pub(super) const MAX: u32 = (1 << 30) - 1;
}

/// The number of a sentinel: 0 for the head of the list, otherwise `2^(l-1) + j` for the bucket
/// `2j + 1` of level `l`. Every bucket of every level is one of these (an even bucket begins where
/// its parent's does), and the sentinels of one level are one contiguous range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SentinelId(pub(super) u32);

impl SentinelId {
    /// The head of the list, which no link points at.
    pub(super) const HEAD: Self = Self(0);

    /// Where it stands in the list. Number `2^(l-1) + j` has the bits `1 j`; bucket `2j + 1` of
    /// level `l` begins at the 32-bit fraction `j 1 000…`.
    #[inline]
    pub(super) fn order(self) -> Order {
        if self == Self::HEAD {
            return Order(0);
        }
        let key = ((self.0 << 1) | 1) << (31 - self.0.ilog2());
        Order(u64::from(key) << 1)
    }
}

/// A bucket and its level in one word: bucket `i` of level `l` is `2^l + i`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bucket(u64);

impl Bucket {
    pub(super) fn new(level: u32, i: u32) -> Self {
        debug_assert!(u64::from(i) < 1 << level);
        Self(1 << level | u64::from(i))
    }

    /// Twice the number of the sentinel at its start, and one: the word before its lowest bit is shifted out.
    #[inline]
    pub(super) fn twice_sentinel(self) -> usize {
        (self.0 >> self.0.trailing_zeros()) as usize
    }

    /// How many levels less than the bucket's its sentinel belongs to.
    #[inline]
    pub(super) fn trailing_zeros(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// The sentinel at its start.
    ///
    /// With `i = (2j + 1) << t` this is bucket `2j + 1` of level `l - t`, so number
    /// `2^(l-t-1) + j`: the word shifted past its lowest bit. With `i = 0` the lowest bit is
    /// `2^l` itself and the result is 0, the head.
    #[inline]
    pub(super) fn sentinel(self) -> SentinelId {
        SentinelId((self.twice_sentinel() >> 1) as u32)
    }

    /// The bucket of the same level that holds this one's keys while its own sentinel is not
    /// linked: the start of the coarser bucket around it. Bucket 0 has none, and needs none.
    #[inline]
    pub(super) fn parent(self) -> Self {
        debug_assert!(self.sentinel() != SentinelId::HEAD);
        Self(self.0 & (self.0 - 1))
    }
}

/// A place in split order: keys first, and a sentinel before the nodes of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Order(u64);

impl Order {
    /// The place of the nodes of `key`: all of them share it.
    #[inline]
    pub(super) fn of_node(key: u32) -> Self {
        Self(u64::from(key) << 1 | 1)
    }
}

/// The part of a hash that orders the list: its upper 32 bits after mixing.
///
/// One multiplication by an odd constant is a bijection, so distinct hashes stay distinct, and it
/// carries low bits up, so identity hashes spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SplitKey(pub(super) u64);

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
    pub(super) fn of_node(key: u32) -> Self {
        Self(u64::from(key) << 32)
    }

    /// The key at which a sentinel's bucket begins.
    pub(super) fn of_sentinel(id: SentinelId) -> Self {
        Self(id.order().0 >> 1 << 32)
    }

    /// The bucket of this key at the level whose shift is `shift` (see [`LevelShift`]).
    #[inline]
    pub(super) fn bucket(self, shift: LevelShift) -> Bucket {
        Bucket((self.0 >> 1 | 1 << 63) >> shift.0)
    }

    /// The key that nodes carry.
    #[inline]
    pub(super) fn node_key(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A level as the shift `63 - level`. Ready to use and a full word: a lookup that computed it from
/// the level would wait, through a partial register, for the last lookup's cache miss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LevelShift(pub(super) usize);

impl LevelShift {
    pub(super) fn of_level(level: u32) -> Self {
        Self(63 - level as usize)
    }

    pub(super) fn level(self) -> u32 {
        63 - self.0 as u32
    }
}

/// A link of the list: the slot of the next node, or the number of the next sentinel, or the end;
/// and the mark by which the holder of this link is deleted (Harris 2001).
///
/// Layout: `MARK | index << 1 | SENTINEL`. With the mark on top, "set and not marked" is one
/// comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link(u32);

impl Link {
    const SENTINEL: u32 = 1;
    const MARK: u32 = 1 << 31;

    /// No link yet: a sentinel's cell before linking, or a replacement before it takes its
    /// predecessor's place. The zero of fresh memory.
    pub(super) const UNSET: Self = Self(0);

    /// The end of the list. No sentinel has this number: levels stop at 29.
    pub(super) const END: Self = Self(!Self::MARK);

    #[inline]
    pub(super) fn to_node(index: SlotIndex) -> Self {
        debug_assert!(index.0 != 0 && index.0 <= SlotIndex::MAX);
        Self(index.0 << 1)
    }

    #[inline]
    pub(super) fn to_sentinel(id: SentinelId) -> Self {
        debug_assert!(id != SentinelId::HEAD);
        Self(id.0 << 1 | Self::SENTINEL)
    }

    #[inline]
    pub(super) fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }

    #[inline]
    pub(super) fn marked(self) -> Self {
        Self(self.0 | Self::MARK)
    }

    #[inline]
    pub(super) fn unmarked(self) -> Self {
        Self(self.0 & !Self::MARK)
    }

    /// Whether a walk may start from the cell that holds this link: it is linked, and its
    /// claimer's mark was taken off (I7).
    #[inline]
    pub(super) fn is_ready(self) -> bool {
        self.0.wrapping_sub(1) < Self::MARK - 1
    }

    #[inline]
    pub(super) fn target(self) -> Target {
        debug_assert!(self != Self::UNSET);
        // Both tags shifted out.
        let index = self.0 << 1 >> 2;
        if self.0 & Self::SENTINEL == 0 {
            Target::Node(SlotIndex(index))
        } else if self.unmarked() == Self::END {
            Target::End
        } else {
            Target::Sentinel(SentinelId(index))
        }
    }
}

/// What a link leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Node(SlotIndex),
    Sentinel(SentinelId),
    End,
}

/// A link in memory.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct AtomicLink(AtomicU32);

impl AtomicLink {
    #[cfg(any(loom, shuttle))]
    pub(super) fn unset() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(super) fn load(&self, order: Ordering) -> Link {
        Link(self.0.load(order))
    }

    #[inline]
    pub(super) fn store(&self, link: Link, order: Ordering) {
        self.0.store(link.0, order);
    }

    /// Replaces `current` by `new`; false when something else stood there.
    #[inline]
    pub(super) fn replace(&self, current: Link, new: Link, success: Ordering) -> bool {
        self.0.compare_exchange(current.0, new.0, success, Ordering::Relaxed).is_ok()
    }

    /// Sets the mark and returns the link it froze, unmarked.
    #[inline]
    pub(super) fn freeze(&self) -> Link {
        // AcqRel (O1): the frozen successor is handed on to whoever reads the replacement's link
        // or the predecessor's.
        Link(self.0.fetch_or(Link::MARK, order!(link_frozen, AcqRel))).unmarked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_stand_where_their_bucket_begins() {
        for level in 1..=12_u32 {
            for bucket in 1..1_u32 << level {
                let key = bucket << (32 - level);
                let order = Bucket::new(level, bucket).sentinel().order();
                assert_eq!(order, Order(u64::from(key) << 1), "bucket {bucket} of level {level}");
                assert!(order < Order::of_node(key) && order > Order::of_node(key - 1));
            }
        }
    }

    #[test]
    fn a_level_is_one_range_of_sentinel_numbers() {
        for level in 1..=12_u32 {
            for j in 0..1_u32 << (level - 1) {
                let id = Bucket::new(level, 2 * j + 1).sentinel();
                assert_eq!(id.0, (1 << (level - 1)) + j);
            }
        }
    }

    #[test]
    fn a_key_lies_in_its_bucket_and_in_every_parent() {
        let mut x = 0x1234_5678_9ABC_DEF1_u64;
        for _ in 0..1000 {
            x = x.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let key = SplitKey(x);
            for level in 1..=29 {
                let mut bucket = key.bucket(LevelShift::of_level(level));
                assert_eq!(bucket, Bucket::new(level, (x >> (64 - level)) as u32));
                let node = Order::of_node(key.node_key());
                while bucket.sentinel() != SentinelId::HEAD {
                    assert!(bucket.sentinel().order() < node);
                    bucket = bucket.parent();
                }
                assert!(bucket.sentinel().order() < node);
            }
        }
    }

    #[test]
    fn a_key_made_from_a_node_or_a_sentinel_leads_back_to_it() {
        for key in [0, 1, 0x8000_0000, 0xDEAD_BEEF, u32::MAX] {
            assert_eq!(SplitKey::of_node(key).node_key(), key);
        }
        for level in 1..=12 {
            for i in 0..1_u32 << level {
                let bucket = Bucket::new(level, i);
                let key = SplitKey::of_sentinel(bucket.sentinel());
                assert_eq!(key.bucket(LevelShift::of_level(level)), bucket);
            }
        }
    }

    #[test]
    fn a_link_is_ready_when_it_is_set_and_unmarked() {
        let (node, sentinel) = (Link::to_node(SlotIndex(1)), Link::to_sentinel(SentinelId(1)));
        let last = Link::to_node(SlotIndex(SlotIndex::MAX));
        for link in [node, sentinel, last, Link::END] {
            assert!(link.is_ready() && !link.is_marked());
            assert!(!link.marked().is_ready() && link.marked().is_marked());
            assert_eq!((link.marked().unmarked(), link.marked().target()), (link, link.target()));
        }
        assert!(!Link::UNSET.is_ready() && !Link::UNSET.is_marked());
        assert!(!Link::UNSET.marked().is_ready());
    }

    #[test]
    fn the_end_is_no_sentinel_of_the_last_level() {
        let last = Bucket::new(29, (1 << 29) - 1).sentinel();
        assert_ne!(Link::to_sentinel(last), Link::END);
        assert_eq!(Link::END.target(), Target::End);
        assert_eq!(Link::END.marked().target(), Target::End);
    }
}
