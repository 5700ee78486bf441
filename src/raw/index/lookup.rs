//! Lookup, the reader's way: it writes nothing, helps nobody and tries nothing twice (DESIGN.md, section 4).

use super::{
    Index,
    line::{Cell, Fingerprint, Line, Presence},
};
use core::cell;

use smallvec::SmallVec;

use crate::{
    raw::{
        memory::cache::bring,
        reclaim::guard::Guard,
        slab::{
            judge::{Hit, Later, Place, Reading},
            node::Node,
        },
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
    sync::{order, planted},
};

/// How many lookups go side by side in [`Index::lookup_together`]: as many cache misses as a processor
/// keeps under way at once (10 to 20).
pub(crate) const TOGETHER: usize = 16;

impl<T> Index<T> {
    /// Finds the visible entry of `key` that `is_match` accepts, and gives `answer` of it. The answer is made here,
    /// where the entry is known to be found: a `map` by the caller would test for `None` a second time.
    ///
    /// Wait-free: this is the usual case, in which all candidates are plain cells of a line by itself; for any
    /// other the whole lookup is done out of line, once.
    #[inline(always)] // a call costs a hit a seventh of its instructions
    pub(in crate::raw) fn lookup<'g, R, E, P: Place>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        reading: impl Reading,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
        answer: impl Fn(Hit<'g, T, P>) -> R,
    ) -> Result<Option<R>, E> {
        // SAFETY: the root, under the guard.
        let line: &Line = unsafe { self.lines.root().line_of(key) };
        let presence = line.presence();
        let mut candidates = line.candidates(presence, Fingerprint::of(key));
        while let Some(number) = candidates.first() {
            // Acquire: the entry. A cell without a mark is one whose targets are not born, also in a frozen line.
            let Some(slot) = line.cell(number).load(order!(lookup_cell, Acquire)).plain() else {
                return self.lookup_whole(key, guard, reading, is_match).map(|hit| hit.map(answer));
            };
            let node = self.slab.node(slot);
            // SAFETY: I4: a cell that was present named it, under the guard.
            if is_match(unsafe { node.entry() })? {
                return Ok(self.slab.judge(P::of(slot), node, guard, reading, answer));
            }
            candidates = candidates.rest();
        }
        if presence.is_more() {
            return self.lookup_whole(key, guard, reading, is_match).map(|hit| hit.map(answer));
        }
        Ok(None)
    }

    /// The whole lookup: over a frozen line to its target, along a chain, with cells that are drafts.
    #[cold]
    #[inline(never)]
    pub(super) fn lookup_whole<'g, E, P: Place>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        reading: impl Reading,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<Hit<'g, T, P>>, E> {
        let View { array, mut line, mut presence } = self.view(key, guard);
        loop {
            for number in line.candidates(presence, Fingerprint::of(key)) {
                let Some(slot) = settle(line, presence, number) else { continue };
                let node = self.slab.node(slot);
                // SAFETY: I4: a cell that was present named it, under the guard.
                if is_match(unsafe { node.entry() })? {
                    return Ok(self.slab.judge(P::of(slot), node, guard, reading, |hit| hit));
                }
            }
            let Some(next) = presence.chained() else { return Ok(None) };
            // SAFETY: the root or its next, under the guard.
            line = unsafe { array.array() }.overflow_line(next);
            presence = line.presence();
        }
    }

    /// Looks up to [`TOGETHER`] keys up, and tells what it found in their order.
    ///
    /// First all lines, then the nodes are brought into the cache, so the misses of all keys overlap, which those of one
    /// lookup cannot; each lookup is done up to its first candidate then, and goes on from there. One reading of the clock,
    /// behind all their states, judges those with a deadline; where it does not find one visible, that is looked up anew,
    /// with a reading of its own.
    pub(in crate::raw) fn lookup_together<'g, E, P: Place>(
        &'g self,
        keys: &[SplitKey],
        guard: &'g Guard,
        reading: impl Reading,
        mut is_match: impl FnMut(usize, &T) -> Result<bool, E>,
        mut tell: impl FnMut(Option<Hit<'g, T, P>>),
    ) -> Result<(), E> {
        let met = &cell::Cell::new(State::NEVER);
        let mut hits = SmallVec::<[_; TOGETHER]>::new();
        let mut earliest = State::NEVER;
        for (i, first) in self.first_candidates(keys, guard).into_iter().enumerate() {
            met.set(State::NEVER);
            let later = Later { reading, met };
            let hit = match first {
                First::None => None,
                // SAFETY: I4: a cell that was present named it, under the guard.
                First::Node(slot, node) if is_match(i, unsafe { node.entry() })? => {
                    self.slab.judge(P::of(slot), node, guard, later, |hit| hit)
                }
                First::Node(..) | First::Unknown => {
                    self.lookup(keys[i], guard, later, |entry| is_match(i, entry), |hit| hit)?
                }
            };
            earliest = earliest.earlier(met.get());
            hits.push((hit, met.get()));
        }
        let now = (!earliest.is_never()).then(|| reading.reading_for(earliest));
        for (i, (hit, state)) in hits.into_iter().enumerate() {
            let is_judged = hit.is_none() || now.is_none_or(|now| state.is_visible_at(now));
            tell(if is_judged {
                hit
            } else {
                self.lookup(keys[i], guard, reading, |entry| is_match(i, entry), |hit| hit)?
            });
        }
        Ok(())
    }

    /// What lookups of some keys meet first, on its way into the cache, side by side.
    fn first_candidates<'g>(
        &'g self,
        keys: &[SplitKey],
        _guard: &'g Guard,
    ) -> SmallVec<[First<'g, T>; TOGETHER]> {
        let root = self.lines.root();
        // SAFETY: the root, under the guard.
        let line = |key: &SplitKey| -> &'g Line { unsafe { root.line_of(*key) } };
        for key in keys {
            bring(line(key));
        }
        let first = |key| {
            let line = line(key);
            let presence = line.presence();
            let Some(number) = line.candidates(presence, Fingerprint::of(*key)).first() else {
                return if presence.is_more() { First::Unknown } else { First::None };
            };
            // Acquire: the entry, and the chunk of its slot, which may be a new one.
            let cell = line.cell(number).load(order!(first_cell, Acquire));
            cell.plain().map_or(First::Unknown, |slot| {
                let node = self.slab.node(slot);
                node.bring();
                First::Node(slot, node)
            })
        };
        keys.iter().map(first).collect()
    }

    /// Brings the lines of the nodes in some slots into the cache, side by side.
    pub(in crate::raw) fn bring_lines(
        &self,
        slots: impl Iterator<Item = SlotIndex>,
        _guard: &Guard,
    ) {
        let root = self.lines.root();
        for slot in slots {
            let key = SplitKey::of_node(self.slab.key(slot));
            // SAFETY: the root, under the guard.
            bring::<Line>(unsafe { root.line_of(key) });
        }
    }

    /// The line of a key that tells the truth about it: that of the root, or, if it is frozen and its targets are
    /// born, that of the next array, whatever it says of itself.
    pub(super) fn view<'g>(&'g self, key: SplitKey, _guard: &'g Guard) -> View<'g> {
        let array = self.lines.root();
        // SAFETY: the root, under the guard.
        let line: &'g Line = unsafe { array.line_of(key) };
        let presence = line.presence();
        if presence.is_frozen() && !planted!(frozen_is_ignored) {
            // SAFETY: as above.
            let next = unsafe { array.next() };
            if let Some(next) = next {
                // SAFETY: the root's next, under the guard.
                let line: &'g Line = unsafe { next.line_of(key) };
                let presence = line.presence();
                if presence.is_born() {
                    return View { array: next, line, presence };
                }
            }
        }
        View { array, line, presence }
    }
}

/// What a lookup meets first, if that is a usual case.
enum First<'g, T> {
    /// Nothing: the key is absent.
    None,
    Node(SlotIndex, &'g Node<T>),
    Unknown,
}

/// A line, its array, and what it said.
pub(super) struct View<'g> {
    pub(super) array: super::array::Root,
    pub(super) line: &'g Line,
    pub(super) presence: Presence,
}

/// The slot that a cell which was present names: published, and not free before the guard ends. None: the entry that
/// was there is gone since.
pub(super) fn settle(line: &Line, presence: Presence, number: u32) -> Option<SlotIndex> {
    let at = line.cell(number);
    // Acquire: the entry.
    let cell = at.load(order!(settle_cell, Acquire));
    if !cell.is_unsure() || cell.is_marked() || presence.is_frozen() || planted!(no_second_look) {
        return cell.slot();
    }
    let again = line.presence_again();
    if again == presence {
        return cell.slot();
    }
    if !again.has(number) {
        return None;
    }
    // Acquire: as above.
    let second: Cell = at.load(order!(settle_cell_again, Acquire));
    (!second.is_unsure() || second.slot() == cell.slot() || planted!(drafts_of_others_taken))
        .then(|| second.slot())
        .flatten()
}
