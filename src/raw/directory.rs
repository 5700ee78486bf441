//! The directory: from a split-order key to the sentinel that its bucket starts at; growth and shrinking.
//!
//! A sentinel is one cell, the link to what follows it in the list. The cells of a level are one
//! chunk; levels double, and no cell ever moves. Growing by a level links its sentinels into the
//! middle of the buckets, and giving a level up unlinks them, a share at a time, by whoever writes or sweeps
//! (DESIGN.md, section 6).

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, MODEL, Ordering, order, planted};

use super::{
    chunked::{Chunked, Numbering, PageSize, Zeroed},
    guard::Guard,
    link::{AtomicLink, Bucket, LevelShift, Link, Order, SentinelId, SplitKey},
    retire::Limbo,
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

/// Cells that are cleared together after their level was given up: as much as is worth a call of the system.
const SHARE_CELLS: u32 = if MODEL { 4 } else { 16 << 10 };

/// Levels go no lower than this by themselves: 65,536 buckets, a quarter of a megabyte. A thread that parks
/// while one is unlinked keeps the index from growing until it leaves, so it is not worth it for less.
const LOWEST_BY_ITSELF: u32 = if MODEL { MIN_LEVEL } else { 16 };

/// A level is given up when the map has fewer entries than one in so many buckets: it then has at most half of
/// what it is meant for, and four times as many make it grow again.
const BUCKETS_AN_ENTRY: usize = 8;

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
    plan: Box<Plan>,
}

/// The level that is being built or given up, if any; away from what readers load.
struct Plan {
    /// A [`Step`].
    step: AtomicU64,
    /// Shares of the present phase that are done, where all must be before the next.
    done: AtomicU64,
    /// Levels go no lower than this by themselves: what was asked for at first.
    floor: AtomicU32,
    growths: AtomicU32,
    /// Levels whose cells were given back, as bits.
    given_back: AtomicU32,
}

/// Where the directory is: one word, changed by CAS, so that a stale helper changes nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Step {
    /// The published level, which `shift` follows. What is built or given up is the one above.
    level: u32,
    phase: Phase,
    /// Of what is worked off: the next share to claim. Of what is waited for: the ticket of the grace period. 56
    /// bits, which no program uses up.
    next: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The sentinels of the level above are linked, a share at a time.
    Linking,
    /// The published level is to be given up, unless the map grows. Who pinned before may be about to make
    /// `shift` follow to it.
    Resting,
    /// The level above is not published any more. Who pinned before may start from its cells.
    Leaving,
    /// Its sentinels are frozen and unlinked, a share at a time.
    Unlinking,
    /// None is in the list any more. Who pinned before may stand on one.
    Unlinked,
    /// Its cells are cleared, a share at a time, by giving their memory back where that can be.
    Clearing,
}

impl Step {
    const NEXT_BITS: u32 = 56;
    /// Above the three bits of the phase.
    const LEVEL_AT: u32 = Self::NEXT_BITS + 3;

    fn from_word(word: u64) -> Self {
        let phase = match word >> Self::NEXT_BITS & 7 {
            0 => Phase::Idle,
            1 => Phase::Linking,
            2 => Phase::Resting,
            3 => Phase::Leaving,
            4 => Phase::Unlinking,
            5 => Phase::Unlinked,
            _ => Phase::Clearing,
        };
        let next = word & ((1 << Self::NEXT_BITS) - 1);
        Self { level: (word >> Self::LEVEL_AT) as u32, phase, next }
    }

    fn to_word(self) -> u64 {
        u64::from(self.level) << Self::LEVEL_AT | (self.phase as u64) << Self::NEXT_BITS | self.next
    }

    /// The step to a phase of the same level.
    fn to(self, phase: Phase, next: u64) -> Self {
        Self { phase, next, ..self }
    }

    /// The numbers of the sentinels of the level above: as many as there are buckets.
    fn ids(self) -> u32 {
        1 << self.level
    }

    /// How many shares of `each` they make.
    fn shares(self, each: u32) -> u64 {
        u64::from(self.ids() / each.min(self.ids()))
    }

    /// A share.
    fn share(self, each: u32) -> Ids {
        let each = each.min(self.ids());
        let first = self.ids() + self.next as u32 * each;
        Ids(first..first + each)
    }
}

/// Some sentinels, neighbours.
#[derive(Clone)]
pub(super) struct Ids(core::ops::Range<u32>);

impl Iterator for Ids {
    type Item = SentinelId;

    fn next(&mut self) -> Option<SentinelId> {
        self.0.next().map(SentinelId)
    }
}

/// A share of the work on a level, which is the caller's to do, and nobody else's.
pub(super) enum Share {
    /// These sentinels are to be linked.
    Link(Ids),
    /// These are to be frozen and unlinked; then [`Directory::finish`].
    Unlink(Ids),
    /// Done already.
    Done,
}

impl Directory {
    /// The lowest level that keeps `capacity` entries at half an entry a bucket.
    fn level_for(capacity: usize) -> u32 {
        let buckets = capacity.saturating_mul(2).max(1);
        (usize::BITS - (buckets - 1).leading_zeros()).clamp(MIN_LEVEL, MAX_LEVEL)
    }

    /// A directory with the fewest levels that keep `capacity` entries at half an entry a bucket.
    pub(super) fn with_capacity(capacity: usize, page_size: PageSize) -> Self {
        let level = Self::level_for(capacity);
        let directory = Self {
            cells: Chunked::new(page_size),
            shift: AtomicUsize::new(LevelShift::of_level(level).0),
            plan: Box::new(Plan {
                step: AtomicU64::new(Step { level, phase: Phase::Idle, next: 0 }.to_word()),
                done: AtomicU64::new(0),
                floor: AtomicU32::new(level),
                growths: AtomicU32::new(0),
                given_back: AtomicU32::new(0),
            }),
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

    /// The published level, for walks that start from its cells.
    #[inline]
    fn shift(&self) -> LevelShift {
        // Acquire (O3): the level's cells come before it.
        LevelShift(self.shift.load(order!(level_read, Acquire)))
    }

    /// Where a walk to `key` starts: the nearest linked sentinel at or before its bucket, and the
    /// link in it, unmarked. At most one step for each level: read-only.
    #[inline]
    pub(super) fn start(&self, key: SplitKey) -> (&AtomicLink, Link) {
        let shift = self.shift();
        let bucket = key.bucket(shift);
        let cell = self.cell_of(bucket, shift);
        // Acquire (O1): pairs with the Release that linked what follows.
        let link = cell.load(order!(start_link, Acquire));
        if link.is_ready() { (cell, link) } else { self.start_before(bucket, shift) }
    }

    /// The cell of the sentinel of a key's bucket, which may not be linked.
    #[inline]
    pub(super) fn first_cell(&self, key: SplitKey) -> &AtomicLink {
        let shift = self.shift();
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
            let link = cell.load(order!(start_before_link, Acquire));
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
        Self::capacity_at(self.level())
    }

    #[inline]
    fn capacity_at(level: u32) -> usize {
        if level == MAX_LEVEL { usize::MAX } else { 1 << (level - 1) }
    }

    /// The published level.
    pub(super) fn level(&self) -> u32 {
        self.shift().level()
    }

    /// How often the directory has grown.
    pub(super) fn growths(&self) -> u32 {
        self.plan.growths.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        let given_back = self.plan.given_back.load(Ordering::Relaxed);
        let levels = (0..=DEEPEST).filter(|level| given_back & 1 << level != 0);
        let bytes =
            levels.map(|level| Levels::span(Levels::chunk(level)).1 * size_of::<AtomicLink>());
        self.cells.bytes().saturating_sub(bytes.sum())
    }

    // Growth and shrinking. Each function here takes the guard of its caller: a thread that stalls between two
    // steps of a plan thereby keeps the grace periods from ending that a later plan needs.

    /// Whether a level is being built or given up.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        Step::from_word(self.plan.step.load(Ordering::Relaxed)).phase != Phase::Idle
    }

    /// Begins the next level, if `entries` are more than this one is meant for; takes a level back that is
    /// being left, if nobody has begun to unlink it.
    pub(super) fn grow(&self, entries: usize, _guard: &Guard) {
        if entries <= self.capacity() {
            return;
        }
        let step = self.step();
        match step.phase {
            Phase::Idle | Phase::Resting
                if step.level < MAX_LEVEL && entries > Self::capacity_at(step.level) =>
            {
                self.cells.ensure(step.ids());
                // `step` may be old: the CAS refuses if the level was begun meanwhile.
                if self.take(step, step.to(Phase::Linking, 0)) {
                    self.plan.given_back.fetch_and(!(2 << step.level), Ordering::Relaxed);
                }
            }
            // Its sentinels are all linked, or about to be, as when it was published at first.
            Phase::Leaving => {
                let level = step.level + 1;
                self.take(step, Step { level, ..step.to(Phase::Idle, 0) });
            }
            _ => {}
        }
    }

    /// Begins to give the published level up, if it is far too large for `entries`, or, for `exactly` these,
    /// one level less would do as well.
    pub(super) fn shrink(&self, entries: usize, exactly: bool, limbo: &Limbo, guard: &Guard) {
        let step = self.step();
        let floor = &self.plan.floor;
        let lowest = Self::level_for(entries);
        if exactly {
            floor.fetch_min(lowest, Ordering::Relaxed);
        }
        let is_too_large = entries.saturating_mul(BUCKETS_AN_ENTRY) < 1 << step.level;
        if step.phase != Phase::Idle
            || step.level <= if exactly { MIN_LEVEL } else { self.floor() }
            || !(if exactly { lowest < step.level } else { is_too_large })
        {
            return;
        }
        self.take_and_wait(step, step.level, Phase::Resting, limbo, guard);
    }

    /// Claims a share of what is to be done, or takes the next step when all shares are done. `None` if there
    /// is nothing to do, or it is to be waited for.
    pub(super) fn claim(&self, limbo: &Limbo, guard: &Guard) -> Option<Share> {
        let step = self.step();
        let claimed = step.to(step.phase, step.next.wrapping_add(1));
        let done = || self.plan.done.load(order!(shares_counted, Acquire));
        match step.phase {
            Phase::Idle => None,
            Phase::Linking if step.next == step.shares(SHARE_SENTINELS) => {
                self.publish(guard).then_some(Share::Done)
            }
            // If another write was faster: each write helps with one share at most.
            Phase::Linking => (self.take(step, claimed) || planted!(sentinel_linked_twice))
                .then(|| Share::Link(step.share(SHARE_SENTINELS))),
            Phase::Resting => limbo.is_past(step.next).then(|| {
                self.take_and_wait(step, step.level - 1, Phase::Leaving, limbo, guard);
                Share::Done
            }),
            Phase::Leaving => {
                (limbo.is_past(step.next) || planted!(unlinked_without_grace)).then(|| {
                    self.take(step, step.to(Phase::Unlinking, 0));
                    Share::Done
                })
            }
            Phase::Unlinking if step.next < step.shares(SHARE_SENTINELS) => {
                self.take(step, claimed).then(|| Share::Unlink(step.share(SHARE_SENTINELS)))
            }
            Phase::Unlinking => {
                if done() < step.next && !planted!(unlinking_ends_early) {
                    return None;
                }
                self.take_and_wait(step, step.level, Phase::Unlinked, limbo, guard);
                Some(Share::Done)
            }
            Phase::Unlinked => {
                (limbo.is_past(step.next) || planted!(cleared_without_grace)).then(|| {
                    self.take(step, step.to(Phase::Clearing, 0));
                    Share::Done
                })
            }
            Phase::Clearing if step.next < step.shares(SHARE_CELLS) => {
                if self.take(step, claimed) {
                    self.clear(step.share(SHARE_CELLS), step);
                    self.finish();
                }
                Some(Share::Done)
            }
            Phase::Clearing => (done() == step.next).then(|| {
                if self.take(step, step.to(Phase::Idle, 0)) {
                    self.plan.done.fetch_sub(step.next, Ordering::Relaxed);
                }
                Share::Done
            }),
        }
    }

    /// Publishes the level being built once all its shares are claimed. A share that its claimer
    /// has not linked yet costs readers the step to the parent, and holds nothing up. False if
    /// there was nothing to publish.
    pub(super) fn publish(&self, _guard: &Guard) -> bool {
        let step = self.step();
        let is_claimed = step.phase == Phase::Linking && step.next == step.shares(SHARE_SENTINELS);
        let published = is_claimed
            && self.take(step, Step { level: step.level + 1, ..step.to(Phase::Idle, 0) });
        if published {
            self.plan.growths.fetch_add(1, Ordering::Relaxed);
        }
        published
    }

    /// A share that must be done before the next phase is.
    pub(super) fn finish(&self) {
        // Release: what was done comes before the phase that waits for it.
        self.plan.done.fetch_add(1, order!(share_done, AcqRel));
    }

    /// Whether the mark in the cell of a sentinel, which was met by a link, means that its level is given up:
    /// frozen for good, not "not yet linked". The guard is that under which it was met: no mark of the one
    /// kind can be left from before it.
    #[cold]
    pub(super) fn is_given_up(&self, id: SentinelId, _guard: &Guard) -> bool {
        // Acquire: the freezing came behind the step to its phase, and the mark was loaded with Acquire.
        let step = Step::from_word(self.plan.step.load(order!(phase_asked, Acquire)));
        matches!(step.phase, Phase::Unlinking | Phase::Unlinked | Phase::Clearing)
            && id.0 >= step.ids()
    }

    /// Unsets some cells of the level above.
    fn clear(&self, ids: Ids, step: Step) {
        let (first, len) = (ids.0.start, ids.0.len() as u32);
        // SAFETY: I7: no link names one of them, no walk starts from one, and the level is not begun before
        // this is over. They are all of a chunk. (A load of a stale shift may look, and finds them unready.)
        if unsafe { self.cells.give_back(first, len) } && !MODEL {
            self.plan.given_back.fetch_or(2 << step.level, Ordering::Relaxed);
        } else {
            // Relaxed: published by the count of what is done.
            ids.for_each(|id| self.cell(id).store(Link::UNSET, Ordering::Relaxed));
        }
    }

    /// The level below which none is given up without being asked for.
    fn floor(&self) -> u32 {
        self.plan.floor.load(Ordering::Relaxed).max(LOWEST_BY_ITSELF)
    }

    /// The present step; what readers load has followed.
    fn step(&self) -> Step {
        // Acquire (O3): the chunk of cells comes before the level that it is for.
        loop {
            let word = self.plan.step.load(order!(step_read, Acquire));
            let step = Step::from_word(word);
            let shift = self.shift.load(order!(shift_read, Acquire));
            let new = LevelShift::of_level(step.level).0;
            if shift == new {
                return step;
            }
            if self.plan.step.load(order!(step_read_again, Acquire)) == word {
                // Release (O3): the level's cells come before it. If this comes late, it makes the level
                // lower than it is, until the next step (DESIGN.md, section 6).
                let (followed, lost) = (order!(shift_followed, AcqRel), Ordering::Relaxed);
                let _ = self.shift.compare_exchange(shift, new, followed, lost);
            }
        }
    }

    /// Takes a step, unless another thread was faster.
    fn take(&self, from: Step, to: Step) -> bool {
        if planted!(share_claimed_blindly) {
            self.plan.step.store(to.to_word(), Ordering::Release); // planted
            return true;
        }
        // AcqRel (O3): the chunk of cells comes before every claim on it.
        let (order, lost) = (order!(step_taken, AcqRel), Ordering::Relaxed);
        let taken =
            self.plan.step.compare_exchange(from.to_word(), to.to_word(), order, lost).is_ok();
        if taken && from.level != to.level {
            self.step();
        }
        taken
    }

    /// Takes a step to a phase that lasts for a grace period, which begins when `shift` has followed.
    fn take_and_wait(&self, from: Step, level: u32, phase: Phase, limbo: &Limbo, guard: &Guard) {
        let ticket = limbo.next_ticket();
        if self.take(from, Step { level, phase, next: ticket }) {
            if phase == Phase::Unlinked {
                // All were done. The next phase that counts comes after the grace period.
                self.plan.done.fetch_sub(from.next, Ordering::Relaxed);
            }
            limbo.defer_note(ticket, guard);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::raw::guard;

    #[test]
    fn a_capacity_takes_the_fewest_levels_that_hold_it() {
        for capacity in (0..70).chain([511, 512, 513, 100_000]) {
            let directory = Directory::with_capacity(capacity, PageSize::Usual);
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
        let directory = Directory::with_capacity(64, PageSize::Usual);
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
        let directory = Directory::with_capacity(1 << 10, PageSize::Usual);
        for level in MIN_LEVEL..=directory.level() {
            for i in 0..1 << level {
                let bucket = Bucket::new(level, i);
                let cell = directory.cell_of(bucket, LevelShift::of_level(level));
                assert!(core::ptr::eq(cell, directory.cell(bucket.sentinel())));
            }
        }
    }

    /// Hours of growing and shrinking deal more tickets than 32 bits have.
    #[test]
    fn grace_periods_are_awaited_after_four_billion_of_them() {
        for dealt in [u64::from(u32::MAX) - 1, u64::from(u32::MAX)] {
            let limbo = Limbo::with_tickets(dealt);
            let directory = Directory::with_capacity(64, PageSize::Usual);
            let help = || {
                let guard = guard::pin();
                directory.claim(&limbo, &guard);
                guard.flush();
            };
            for phase in [Phase::Resting, Phase::Leaving] {
                let from_before = guard::pin();
                match phase {
                    Phase::Resting => directory.shrink(1, true, &limbo, &guard::pin()),
                    _ => help(),
                }
                (0..1000).for_each(|_| help());
                assert!(directory.step().phase == phase, "a pin from before is held");
                drop(from_before);
                while !limbo.is_past(directory.step().next) {
                    guard::pin().flush();
                }
            }
        }
    }

    /// While it rests or is left, growth takes it back.
    #[test]
    fn a_level_that_is_being_left_is_taken_back() {
        let (directory, limbo) = (Directory::with_capacity(64, PageSize::Usual), Limbo::new(1));
        let guard = guard::pin();
        directory.shrink(1, true, &limbo, &guard);
        directory.grow(65, &guard);
        assert!(directory.step().phase == Phase::Linking);
        assert_eq!(directory.level(), 7);
        drop(guard);
        let directory = Directory::with_capacity(64, PageSize::Usual);
        directory.shrink(1, true, &limbo, &guard::pin());
        while directory.step().phase != Phase::Leaving {
            let guard = guard::pin();
            directory.claim(&limbo, &guard);
            guard.flush();
        }
        assert_eq!(directory.level(), 6);
        directory.grow(33, &guard::pin());
        assert!(directory.step().phase == Phase::Idle);
        assert_eq!(directory.level(), 7);
    }
}

#[cfg(all(test, loom, not(crossbeam_loom)))]
mod models {
    use super::*;
    use crate::raw::guard;

    /// A find that pinned while the level rested may have met the mark of a slow claimer, and be about to take
    /// it off: nothing is frozen before it is gone. (One thread: the pins are held by hand.)
    #[test]
    fn directory_a_level_rests_and_is_left_for_a_grace_period_each() {
        loom::model(|| {
            let (directory, limbo) = (Directory::with_capacity(2, PageSize::Usual), Limbo::new(1));
            let phase = || directory.step().phase;
            let help = || drop(directory.claim(&limbo, &guard::pin()));
            let claimer = guard::pin();
            directory.shrink(1, true, &limbo, &guard::pin());
            let find = guard::pin();
            help();
            assert!(phase() == Phase::Resting, "a pin from before is held");
            drop(claimer);
            help();
            help();
            assert!(phase() == Phase::Leaving, "frozen under a find that met a claimer's mark");
            assert_eq!(directory.level(), 1);
            drop(find);
            help();
            assert!(phase() == Phase::Unlinking);
        });
    }
}
