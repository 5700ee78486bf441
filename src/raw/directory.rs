//! The directory: from a split-order key to the sentinel that its bucket starts at, and growth.
//!
//! A sentinel is one cell, the link to what follows it in the list. The cells of a level are one
//! chunk; levels double, and no cell ever moves. Growing by a level links its sentinels into the
//! middle of the buckets, a share at a time, by whoever writes (DESIGN.md, section 6).

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, AtomicUsize, MODEL, Ordering, planted};

use super::{
    chunked::{Chunked, Numbering, Zeroed},
    link::{AtomicLink, Bucket, LevelShift, Link, Order, SentinelId, SplitKey},
};

/// Cells of the smallest directory: 16 buckets, one cache line. 2 in a model.
const FIRST_CELLS: usize = if MODEL { 2 } else { 16 };
const MIN_LEVEL: u32 = FIRST_CELLS.ilog2();
/// 2^29 buckets: at 2^30 slots a bucket holds two.
const MAX_LEVEL: u32 = if MODEL { 3 } else { 29 };
/// The level whose chunk is the first.
const DEEPEST: u32 = 29;

/// Sentinels that one write links while a level is built. With 16 a level of 2^l sentinels is
/// ready after 2^l / 16 writes, and the next doubling is 2^l / 2 inserts away; with 4, measured on
/// the prototype, readers met half-linked levels for long. Neighbours share a cache line of cells.
const SHARE_SENTINELS: u32 = if MODEL { 1 } else { 16 };

// SAFETY: an integer in an atomic: zeros are valid, nothing to drop.
unsafe impl Zeroed for AtomicLink {
    #[cfg(any(loom, shuttle))]
    fn zeroed() -> Self {
        Self::unset()
    }
}

/// The numbers of sentinels. The cells of a level are a chunk, the deepest level's the first: so the place of
/// a bucket's chunk is a sum ([`Levels::chunk_of_bucket`]). The cells of the lowest level are in one chunk with
/// those of the levels below it, which goes by all their names.
struct Levels;

impl Levels {
    /// The chunk of a sentinel of this level.
    #[inline]
    fn chunk(level: u32) -> usize {
        (DEEPEST - level) as usize
    }

    /// The chunk of the sentinel that a bucket of this level begins at: its own level is the bucket's less
    /// the trailing zeros.
    #[inline]
    fn chunk_of_bucket(bucket: Bucket, shift: LevelShift) -> usize {
        shift.0 + bucket.trailing_zeros() - LevelShift::of_level(DEEPEST).0
    }
}

impl Numbering for Levels {
    #[inline]
    fn chunk_of(id: u32) -> usize {
        // Level l has the numbers from 2^(l-1) below 2^l.
        Self::chunk((id << 1 | 1).ilog2().max(MIN_LEVEL))
    }

    fn span(chunk: usize) -> (usize, usize) {
        match DEEPEST - chunk as u32 {
            level @ ..MIN_LEVEL => (level as usize, 0),
            MIN_LEVEL => (0, FIRST_CELLS),
            level => (1 << (level - 1), 1 << (level - 1)),
        }
    }
}

pub(super) struct Directory {
    cells: Chunked<AtomicLink, Levels>,
    /// The published level, as [`LevelShift`].
    shift: AtomicUsize,
    first_level: u32,
    /// The level being built, if any; away from what readers load.
    growth: CachePadded<AtomicU64>,
}

/// The growth word: the published level, and how far the next one is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Growth {
    level: u32,
    /// The next share to claim; `IDLE` while nothing is built.
    next_share: u32,
}

impl Growth {
    const IDLE: u32 = u32::MAX;

    fn from_word(word: u64) -> Self {
        Self { level: (word >> 32) as u32, next_share: word as u32 }
    }

    fn to_word(self) -> u64 {
        u64::from(self.level) << 32 | u64::from(self.next_share)
    }

    /// How many shares the sentinels of the next level make: there are `2^level` of them.
    fn shares(self) -> u32 {
        (1 << self.level) / SHARE_SENTINELS.min(1 << self.level)
    }
}

impl Directory {
    /// A directory with the fewest levels that keep `capacity` entries at half an entry a bucket.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let buckets = capacity.saturating_mul(2).max(1);
        let level = (usize::BITS - (buckets - 1).leading_zeros()).clamp(MIN_LEVEL, MAX_LEVEL);
        let directory = Self {
            cells: Chunked::new(),
            shift: AtomicUsize::new(LevelShift::of_level(level).0),
            first_level: level,
            growth: CachePadded::new(AtomicU64::new(
                Growth { level, next_share: Growth::IDLE }.to_word(),
            )),
        };
        directory.cells.ensure(0);
        for level in 0..MIN_LEVEL {
            directory.cells.alias(Levels::chunk(level), Levels::chunk(MIN_LEVEL));
        }
        for level in MIN_LEVEL..level {
            directory.cells.ensure(1 << level);
        }
        let mut next = Link::END;
        for i in (0..1 << level).rev() {
            let id = Bucket::new(level, i).sentinel();
            directory.cell(id).store(next, Ordering::Relaxed);
            if id != SentinelId::HEAD {
                next = Link::to_sentinel(id);
            }
        }
        directory
    }

    /// The cell of a sentinel that a link names, or of a bucket of a level that was begun: its
    /// chunk is there (I7).
    #[inline]
    pub(super) fn cell(&self, id: SentinelId) -> &AtomicLink {
        // SAFETY: I7: `begin` ensures a level's cells before the level or a link names one.
        unsafe { self.cells.get(id.0) }
    }

    /// The cell of the sentinel that a bucket starts at, as above.
    #[inline]
    fn cell_of(&self, bucket: Bucket, shift: LevelShift) -> &AtomicLink {
        let chunk = Levels::chunk_of_bucket(bucket, shift);
        // SAFETY: I7: as above; the chunk is that of the sentinel's level.
        unsafe { self.cells.get_half(chunk, bucket.twice_sentinel()) }
    }

    /// Where a walk to `key` starts: the nearest linked sentinel at or before its bucket, and the
    /// link in it, unmarked. At most one step for each level: read-only.
    #[inline]
    pub(super) fn start(&self, key: SplitKey) -> (&AtomicLink, Link) {
        // Acquire (O3): the level's cells come before it.
        let shift = LevelShift(self.shift.load(Ordering::Acquire));
        let bucket = key.bucket(shift);
        let cell = self.cell_of(bucket, shift);
        // Acquire (O1): pairs with the Release that linked what follows.
        let link = cell.load(Ordering::Acquire);
        if link.is_ready() { (cell, link) } else { self.start_before(bucket, shift) }
    }

    /// The cell of the sentinel of a key's bucket, which may not be linked.
    #[inline]
    pub(super) fn first_cell(&self, key: SplitKey) -> &AtomicLink {
        // Acquire (O3): the level's cells come before it.
        let shift = LevelShift(self.shift.load(Ordering::Acquire));
        self.cell_of(key.bucket(shift), shift)
    }

    /// The start where the bucket's own sentinel is not linked yet, or was linked a moment ago by
    /// someone who has not said so: the head at the latest is ready.
    #[cold]
    fn start_before(&self, mut bucket: Bucket, shift: LevelShift) -> (&AtomicLink, Link) {
        loop {
            bucket = bucket.parent();
            let cell = self.cell_of(bucket, shift);
            // Acquire (O1): as above.
            let link = cell.load(Ordering::Acquire);
            if link.is_ready() {
                return (cell, link);
            }
        }
    }

    /// The buckets of the published level in list order: where each begins, and its last place.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (SplitKey, Order)> + use<> {
        let level = self.level();
        (0..1_u64 << level).map(move |i| {
            let last = ((i + 1) << (32 - level)) - 1;
            (SplitKey(i << (64 - level)), Order::of_node(last as u32))
        })
    }

    /// How many entries the published level is meant for: half an entry a bucket. A hit then finds
    /// its key in the first node 8 times in 10.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        let level = self.level();
        if level == MAX_LEVEL { usize::MAX } else { 1 << (level - 1) }
    }

    /// Whether a level is being built.
    #[inline]
    pub(super) fn is_growing(&self) -> bool {
        self.growth.load(Ordering::Relaxed) as u32 != Growth::IDLE
    }

    /// The published level.
    pub(super) fn level(&self) -> u32 {
        // Acquire (O3), for those who go on to its cells.
        LevelShift(self.shift.load(Ordering::Acquire)).level()
    }

    /// How often the directory has grown.
    pub(super) fn growths(&self) -> u32 {
        self.level() - self.first_level
    }

    pub(super) fn bytes(&self) -> usize {
        self.cells.bytes()
    }

    /// Begins the next level, if `entries` are more than this one is meant for.
    pub(super) fn begin(&self, entries: usize) {
        if entries <= self.capacity() {
            return;
        }
        let growth = Growth::from_word(self.growth.load(Ordering::Acquire));
        if growth.next_share != Growth::IDLE {
            return;
        }
        self.cells.ensure(1 << growth.level);
        // The load above may be old: the CAS refuses if the level was begun meanwhile.
        self.step(growth, Growth { next_share: 0, ..growth });
    }

    /// Claims a share of the sentinels of the level being built; they are the caller's to link and
    /// nobody else's. `None` when all are claimed, or nothing is built.
    pub(super) fn claim(&self) -> Option<impl Iterator<Item = SentinelId> + Clone + use<>> {
        let growth = Growth::from_word(self.growth.load(Ordering::Acquire));
        let share = growth.next_share;
        if share >= growth.shares() {
            return None;
        }
        if !self.step(growth, Growth { next_share: share + 1, ..growth })
            && !planted!(sentinel_linked_twice)
        {
            // Another write was faster; each write helps with one share at most.
            return None;
        }
        let first = 1 << growth.level;
        let each = SHARE_SENTINELS.min(first);
        let ids = first + share * each..first + (share + 1) * each;
        Some(ids.map(SentinelId))
    }

    /// Publishes the level being built once all its shares are claimed. A share that its claimer
    /// has not linked yet costs readers the step to the parent, and holds nothing up. False if
    /// there was nothing to publish.
    pub(super) fn publish(&self) -> bool {
        let growth = Growth::from_word(self.growth.load(Ordering::Acquire));
        if growth.next_share != growth.shares() {
            return false;
        }
        let [old, new] = [growth.level, growth.level + 1].map(|l| LevelShift::of_level(l).0);
        // Release (O3): the level's cells come before it. It fails if someone was faster.
        let _ = self.shift.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed);
        self.step(growth, Growth { level: growth.level + 1, next_share: Growth::IDLE })
    }

    fn step(&self, from: Growth, to: Growth) -> bool {
        if planted!(share_claimed_blindly) {
            self.growth.store(to.to_word(), Ordering::Release);
            return true;
        }
        // AcqRel (O3): the chunk of cells comes before every claim on it.
        let (from, to) = (from.to_word(), to.to_word());
        self.growth.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_takes_the_fewest_levels_that_hold_it() {
        for capacity in (0..70).chain([511, 512, 513, 100_000]) {
            let directory = Directory::with_capacity(capacity);
            assert!(directory.capacity() >= capacity, "{capacity}");
            let fits = directory.capacity() < 2 * capacity.max(1);
            assert!(fits || directory.level() == MIN_LEVEL, "{capacity}: {}", directory.level());
            assert_eq!(directory.growths(), 0);
            // The cells, and a little for each chunk.
            let cells = 4 << directory.level();
            assert!((cells..cells + cells / 2 + 4096).contains(&directory.bytes()));
        }
    }

    #[test]
    fn buckets_cover_every_key_once_in_order() {
        let directory = Directory::with_capacity(64);
        let mut next = 0;
        for (start, last) in directory.buckets() {
            assert_eq!(u64::from(start.node_key()), next);
            next += 1 << (32 - directory.level());
            assert_eq!(last, Order::of_node((next - 1) as u32));
        }
        assert_eq!(next, 1 << 32);
    }

    #[test]
    fn the_cell_of_a_bucket_is_that_of_its_sentinel() {
        let directory = Directory::with_capacity(1 << 10);
        for level in MIN_LEVEL..=directory.level() {
            for i in 0..1 << level {
                let bucket = Bucket::new(level, i);
                let cell = directory.cell_of(bucket, LevelShift::of_level(level));
                assert!(core::ptr::eq(cell, directory.cell(bucket.sentinel())));
            }
        }
    }
}
