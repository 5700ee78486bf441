//! Growing, shrinking and refreshing: when the next array is begun, who moves what, and what becomes of the old one
//! (DESIGN.md, section 6).

use core::ptr;

use super::{
    Index,
    array::{Array, AtomicRoot, MAX_LEVEL, MIN_LEVEL, Root},
    line::Line,
};
use crate::{
    raw::{
        memory::pages::PageSize,
        reclaim::{guard::Guard, limbo::Limbo, stripe::Turn},
    },
    sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, MODEL, Ordering, order, planted},
};

/// Entries a line that an array is meant for at most: it has eleven cells.
const LOAD: usize = if MODEL { 1 } else { 8 };

/// An array is halved when it has fewer entries than this part of what it is meant for: its half is then half full, so
/// the number must halve or double before anything is begun again.
const SHRINK_BELOW: usize = 4;

/// Lines that one write moves while a migration goes on: with eight entries a line all have been moved after a
/// sixteenth of the writes that would fill the new ones.
pub(super) const SHARE_LINES: u32 = if MODEL { 1 } else { 2 };

/// One overflow line for so many lines makes an array worth making anew.
const LINES_AN_OVERFLOW: u32 = 8;

/// Arrays get no smaller than this by themselves: 64 KiB.
const LOWEST_BY_ITSELF: u32 = if MODEL { MIN_LEVEL } else { 10 };

/// Lines whose memory is given back together: as much as is worth a call of the system.
pub(super) const PIECE_LINES: u32 = 1 << 10;

/// The root, and what becomes of it.
pub(in crate::raw) struct Lines {
    root: AtomicRoot,
    plan: Box<Plan>,
}

/// Away from what readers load.
struct Plan {
    /// Arrays that were the root, as a list by [`Array::older`]; each is kept until its grace period is over.
    old: AtomicPtr<Array>,
    /// The smallest ticket of those on the list; a hint, for writes.
    oldest: AtomicU64,
    /// The bytes that they still take.
    old_bytes: AtomicUsize,
    /// Arrays get no smaller by themselves: what was asked for at first.
    floor: AtomicU32,
    growths: AtomicU32,
    page_size: PageSize,
}

/// The lowest level that is meant for so many entries.
fn level_for(entries: usize) -> u32 {
    let lines = entries.div_ceil(LOAD).max(1);
    (usize::BITS - (lines - 1).leading_zeros()).clamp(MIN_LEVEL, MAX_LEVEL)
}

fn capacity_at(level: u32) -> usize {
    if level == MAX_LEVEL { usize::MAX } else { LOAD << level }
}

impl Lines {
    pub(in crate::raw) fn with_capacity(capacity: usize, page_size: PageSize) -> Self {
        let level = level_for(capacity);
        // Its lines are nobody's targets, so they need no birth: an empty one is all zeros, in memory not touched yet.
        let root = Root::allocate(level, page_size);
        Self {
            root: AtomicRoot::new(root),
            plan: Box::new(Plan {
                old: AtomicPtr::new(ptr::null_mut()),
                oldest: AtomicU64::new(u64::MAX),
                old_bytes: AtomicUsize::new(0),
                floor: AtomicU32::new(level),
                growths: AtomicU32::new(0),
                page_size,
            }),
        }
    }

    #[inline]
    pub(super) fn root(&self) -> Root {
        self.root.load()
    }

    /// How many entries the present array is meant for.
    #[inline]
    pub(in crate::raw) fn capacity(&self) -> usize {
        capacity_at(self.root().level())
    }

    /// How often an array was begun that is larger than the one before.
    pub(in crate::raw) fn growths(&self) -> u32 {
        self.plan.growths.load(Ordering::Relaxed)
    }

    /// Bytes of all arrays. May be off while arrays come and go.
    pub(in crate::raw) fn bytes(&self, _guard: &Guard) -> usize {
        let root = self.root();
        // SAFETY: the root and its next, under the guard.
        let next = unsafe { root.next() }.map_or(0, |next| unsafe { next.bytes() });
        let old = self.plan.old_bytes.load(Ordering::Relaxed);
        // SAFETY: as above.
        size_of::<Plan>() + next + old + unsafe { root.bytes() }
    }

    /// Whether entries are being moved, or an old array waits for its end.
    #[inline]
    pub(in crate::raw) fn is_busy(&self, _guard: &Guard) -> bool {
        // SAFETY: the root, under the guard.
        let next = unsafe { self.root().next() };
        next.is_some() || self.has_old()
    }

    /// Whether entries are being moved: then there is a share for a write.
    #[inline]
    pub(in crate::raw) fn is_moving(&self, _guard: &Guard) -> bool {
        // SAFETY: the root, under the guard.
        unsafe { self.root().next() }.is_some()
    }

    /// Begins a larger array if `entries` are more than this one is meant for; or one of the same size, if many
    /// lines have chains and as many writes as it has lines have passed. To be asked every `writes` writes.
    pub(in crate::raw) fn grow(&self, entries: usize, writes: u32, _guard: &Guard) {
        let root = self.root();
        let level = root.level();
        // SAFETY: the root, under the guard.
        let array = unsafe { root.array() };
        if entries > capacity_at(level) {
            self.begin(root, level + 1);
            return;
        }
        // Against what it had at first: full lines have chains however often they are made anew.
        let born_with = array.born_with.load(Ordering::Relaxed);
        if array.overflow_lines() > born_with + root.lines() / LINES_AN_OVERFLOW {
            // Relaxed: only to space it out.
            let looks = array.looks.fetch_add(1, Ordering::Relaxed);
            if looks.saturating_mul(writes) >= root.lines() {
                // SAFETY: as above.
                self.begin(root, level);
            }
        }
    }

    /// Begins a smaller array if this one is far too large for `entries`; or, for `exactly` these, if one level less
    /// would do as well.
    pub(in crate::raw) fn shrink(&self, entries: usize, exactly: bool, _guard: &Guard) {
        let root = self.root();
        let (level, lowest) = (root.level(), level_for(entries));
        if exactly {
            self.plan.floor.fetch_min(lowest, Ordering::Relaxed);
        }
        let floor = if exactly {
            MIN_LEVEL
        } else {
            self.plan.floor.load(Ordering::Relaxed).max(LOWEST_BY_ITSELF)
        };
        let is_too_large = entries.saturating_mul(SHRINK_BELOW) < capacity_at(level);
        if level > floor && (if exactly { lowest < level } else { is_too_large }) {
            self.begin(root, level - 1);
        }
    }

    /// Begins an array of `level` to take the place of the root.
    #[cold]
    pub(super) fn begin(&self, root: Root, level: u32) {
        // SAFETY: the root, under the caller's guard.
        if unsafe { root.next() }.is_some() {
            return;
        }
        let next = Root::allocate(level, self.plan.page_size);
        // SAFETY: as above.
        if !unsafe { root.set_next(next) } {
            // SAFETY: ours, and not published.
            unsafe { next.free() };
        }
    }

    /// All entries are moved: the next array takes the place of the old one, once. Who does it retires that.
    pub(super) fn switch(&self, old: Root, new: Root, limbo: &Limbo, guard: &Guard) {
        if !self.root.replace(old, new) {
            return;
        }
        if new.level() > old.level() {
            self.plan.growths.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: it was the next of the root under the guard.
        let next = unsafe { new.array() };
        next.born_with.store(next.overflow_lines(), Ordering::Relaxed);
        let ticket = limbo.next_ticket();
        // SAFETY: it was the root under the guard.
        unsafe { old.array() }.ticket.store(ticket, Ordering::Relaxed);
        // SAFETY: as above.
        let bytes = unsafe { old.bytes() };
        // SAFETY: as above.
        let array = unsafe { old.array() };
        // As they are now: a late helper may add an overflow line yet.
        array.bytes_told.store(bytes, Ordering::Relaxed);
        self.plan.old_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.put_old(old, ticket);
        limbo.defer_ticket(ticket, guard);
    }

    fn put_old(&self, old: Root, ticket: u64) {
        let list = &self.plan.old;
        let mut first = list.load(Ordering::Relaxed);
        loop {
            // SAFETY: retired, and nobody frees it before it is on the list.
            unsafe { old.array() }.older.store(first, Ordering::Relaxed);
            match old.put_first(list, first) {
                Ok(()) => break,
                Err(now) => first = now,
            }
        }
        self.plan.oldest.fetch_min(ticket, Ordering::Relaxed);
    }

    /// Whether an old array waits, for its grace period or for the rest of its memory to go back.
    pub(in crate::raw) fn has_old(&self) -> bool {
        !self.plan.old.load(Ordering::Relaxed).is_null()
    }

    /// Gives a piece of an old array back if the time of one has come, as far as is known.
    #[inline]
    pub(in crate::raw) fn give_back_due(&self, limbo: &Limbo) {
        // Relaxed: what a write misses, the next one finds, or a sweep.
        if limbo.is_past(self.plan.oldest.load(Ordering::Relaxed)) {
            self.give_back_some(limbo);
        }
    }

    /// Gives a piece of an old array back whose grace period is over; false if there is none.
    fn give_back_some(&self, limbo: &Limbo) -> bool {
        let old = &self.plan.old;
        if old.load(Ordering::Relaxed).is_null() {
            return false;
        }
        // First: a ticket that comes meanwhile is not to be lost.
        self.plan.oldest.store(u64::MAX, Ordering::Relaxed);
        // Takes all: so nobody else looks at one that is freed. Acquire: their links and tickets. Release: whoever puts
        // one there behind it lowers the hint behind the store above.
        let mut next = Root::from_list(old.swap(ptr::null_mut(), order!(old_taken, AcqRel)));
        let mut done = false;
        while let Some(root) = next {
            // SAFETY: taken off the list, so it is ours.
            let array = unsafe { root.array() };
            next = Root::from_list(array.older.load(Ordering::Relaxed));
            let ticket = array.ticket.load(Ordering::Relaxed);
            let is_due = limbo.is_past(ticket) || planted!(array_freed_without_grace);
            if done || !is_due {
                self.put_old(root, ticket);
                continue;
            }
            done = true;
            let pieces = array.pieces.load(Ordering::Relaxed);
            let (first, piece_bytes) =
                (pieces * PIECE_LINES, PIECE_LINES as usize * size_of::<Line>());
            if first < root.lines() && root.lines() > PIECE_LINES {
                array.pieces.store(pieces + 1, Ordering::Relaxed);
                self.plan.old_bytes.fetch_sub(piece_bytes, Ordering::Relaxed);
                // Counted with the header, whose page stays: whole pages.
                // SAFETY: nobody uses its lines, after the grace period.
                unsafe {
                    Array::give_back(
                        root,
                        first.max(64),
                        PIECE_LINES - if first == 0 { 64 } else { 0 },
                    );
                };
                self.put_old(root, ticket);
            // SAFETY: ours, and after its grace period.
            } else if unsafe { root.free_chunk() } {
                // One call of the system at a time: where other threads run, each tells all processors.
                self.put_old(root, ticket);
            } else {
                let left = array.bytes_told.load(Ordering::Relaxed) - pieces as usize * piece_bytes;
                self.plan.old_bytes.fetch_sub(left, Ordering::Relaxed);
                // SAFETY: ours, and after its grace period.
                unsafe { root.free() };
            }
        }
        done
    }
}

impl<T> Index<T> {
    /// Does a share of what is to be done: moves some lines, or gives a piece of an old array back. False if there
    /// was nothing, or it is to be waited for.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn help<'g>(&'g self, turn: &Turn<'g>) -> bool {
        let (lines, guard) = (&self.lines, turn.guard);
        let old = lines.root();
        // SAFETY: the root, under the guard.
        let Some(new) = (unsafe { old.next() }) else { return lines.give_back_some(&self.limbo) };
        // SAFETY: as above.
        let array = unsafe { old.array() };
        let each = SHARE_LINES.min(old.lines());
        let shares = old.lines() / each;
        let share = |n| n * each..(n + 1) * each;
        let claimed = array.claimed.load(Ordering::Relaxed);
        if claimed < shares {
            // If another was faster: each write helps with one share at most.
            let relaxed = Ordering::Relaxed;
            if array.claimed.compare_exchange(claimed, claimed + 1, relaxed, relaxed).is_ok() {
                if planted!(switched_before_done) && claimed + 1 == shares {
                    lines.switch(old, new, &self.limbo, guard);
                }
                self.migrate_share(old, new, share(claimed), guard);
                // AcqRel: the births, of all who were before.
                if array.done.fetch_add(1, order!(share_done, AcqRel)) + 1 == shares {
                    lines.switch(old, new, &self.limbo, guard);
                }
            }
            return true;
        }
        // Acquire: as above.
        if array.done.load(order!(shares_done, Acquire)) < shares {
            // Somebody is slow: all shares are looked over again, by whoever comes.
            let verified = array.verified.load(order!(shares_verified, Acquire));
            if verified < shares {
                if !planted!(verified_without_a_look) {
                    self.migrate_share(old, new, share(verified), guard);
                }
                // AcqRel: the births. Lost: another has seen them.
                let (seen, lost) = (order!(share_verified, AcqRel), Ordering::Relaxed);
                let _ = array.verified.compare_exchange(verified, verified + 1, seen, lost);
                if verified + 1 < shares {
                    return true;
                }
            }
        }
        lines.switch(old, new, &self.limbo, guard);
        true
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Relaxed, all: `&mut self`.
        let root = self.root.load();
        // SAFETY: `&mut self` is the last use.
        let next = unsafe { root.next() };
        let mut old = Root::from_list(self.plan.old.load(Ordering::Relaxed));
        while let Some(root) = old {
            // SAFETY: as above.
            old = Root::from_list(unsafe { root.array() }.older.load(Ordering::Relaxed));
            // SAFETY: as above.
            unsafe { root.free() };
        }
        for root in [Some(root), next].into_iter().flatten() {
            // SAFETY: as above.
            unsafe { root.free() };
        }
    }
}
