//! Walks over all lines, in split order (DESIGN.md, section 4).

use smallvec::SmallVec;

use super::{
    Index,
    line::{Line, Presence},
    lookup::{View, settle},
};
use crate::{
    raw::{
        reclaim::guard::Guard,
        slab::judge::{Hit, Reading},
        words::key::{SlotIndex, SplitKey},
    },
    sync::planted,
};

/// Slots that a walk brings into the cache side by side: those of some lines, until there are about so many.
const SLOTS_AT_ONCE: usize = 80;

/// The slots of some lines; in place, but for those of long chains.
type Slots = SmallVec<[SlotIndex; 96]>;

/// Some neighbouring keys, by their upper halves: those of a line of an array that was the root once.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    start: u64,
    end: u64,
}

/// A slot, and the cell that named it.
#[derive(Clone, Copy)]
pub(in crate::raw) struct Named<'g> {
    pub(super) line: &'g Line,
    pub(super) number: u32,
    pub(in crate::raw) slot: SlotIndex,
}

/// Where an iteration stands; at the beginning by default.
#[derive(Clone, Default)]
pub(crate) struct Position {
    /// The upper 32 bits of the keys at which the next line begins; 2^32 behind the last one.
    at: u64,
    /// The slots of the lines before, the next one last.
    slots: Slots,
}

impl<T> Index<T> {
    /// Walks on to the next visible entry; `None` at the end. Writes nothing; lock-free: a line is looked at again
    /// where entries were published meanwhile.
    pub(in crate::raw) fn next_visible<'g>(
        &'g self,
        walk: &mut Position,
        guard: &'g Guard,
        reading: impl Reading,
    ) -> Option<Hit<'g, T>> {
        loop {
            while let Some(slot) = walk.slots.pop() {
                let hit = self.slab.judge((), self.slab.node(slot), guard, reading, |hit| hit);
                if hit.is_some() {
                    return hit;
                }
            }
            if !self.fill(walk, guard) {
                return None;
            }
        }
    }

    /// Takes the slots of the next lines; false at the end.
    fn fill<'g>(&'g self, walk: &mut Position, guard: &'g Guard) -> bool {
        while walk.slots.len() < SLOTS_AT_ONCE && walk.at >> 32 == 0 {
            walk.at = self.snapshot(walk.at, 1 << 32, &mut walk.slots, |named| named.slot, guard);
        }
        walk.slots.iter().for_each(|slot| self.slab.node(*slot).bring());
        walk.slots.reverse();
        !walk.slots.is_empty()
    }

    /// Adds what the lines of a range name, each key once; those of one line as they were at one instant.
    pub(in crate::raw) fn list_range<'g, N: smallvec::Array>(
        &'g self,
        range: Range,
        slots: &mut SmallVec<N>,
        take: impl Fn(Named<'g>) -> N::Item,
        guard: &'g Guard,
    ) {
        let mut from = range.start;
        while from < range.end {
            from = self.snapshot(from, range.end, slots, &take, guard);
        }
    }

    /// Adds what the line of `from` names, of keys from there up to `end`, as it was at one instant: each key once.
    /// Returns where the next line begins. All three are upper halves of keys.
    pub(in crate::raw) fn snapshot<'g, N: smallvec::Array>(
        &'g self,
        from: u64,
        end: u64,
        slots: &mut SmallVec<N>,
        take: impl Fn(Named<'g>) -> N::Item,
        guard: &'g Guard,
    ) -> u64 {
        let first = slots.len();
        loop {
            let View { array, line, presence } = self.view(SplitKey::of_node(from as u32), guard);
            let size = 1_u64 << (32 - array.level());
            let end = end.min((from / size + 1) * size);
            // All that a line names is of its own range: then no key need be looked at, each a miss of its own.
            let is_whole = (end - from) == size;
            let is_in_range = |named: &Named<'g>| {
                let is_within = || (from..end).contains(&self.slab.key(named.slot).into());
                is_whole || is_within() || planted!(walk_out_of_range)
            };
            // SAFETY: the root or its next, under the guard.
            let array = unsafe { array.array() };
            // The lines of the chain, and what they said.
            let mut chain = SmallVec::<[_; 4]>::new();
            let (mut at, mut seen) = (line, presence);
            loop {
                let named =
                    |number| Some(Named { line: at, number, slot: settle(at, seen, number)? });
                slots.extend(seen.cells().filter_map(named).filter(is_in_range).map(&take));
                let Some(next) = seen.chained() else { break };
                at = array.overflow_line(next);
                seen = at.presence();
                chain.push((at, seen));
            }
            // Nothing came meanwhile: then they named at one instant what they named, or it is over.
            let is_still = |(line, seen): &(&Line, Presence)| seen.has_nothing_new(line.presence());
            if is_still(&(line, presence)) && chain.iter().all(is_still)
                || planted!(snapshot_not_validated)
            {
                return end;
            }
            slots.truncate(first);
        }
    }

    /// The ranges that make up all keys, in order.
    pub(in crate::raw) fn ranges(&self) -> impl Iterator<Item = Range> + use<T> {
        let level = self.lines.root().level();
        (0..1_u64 << level).map(move |line| {
            let [start, end] = [line, line + 1].map(|line| line << (32 - level));
            Range { start, end }
        })
    }

    /// Puts what the lines of a range name into `walk`, whatever was there.
    pub(in crate::raw) fn enter<'g>(&'g self, range: Range, walk: &mut Position, guard: &'g Guard) {
        walk.slots.clear();
        self.list_range(range, &mut walk.slots, |named| named.slot, guard);
        walk.slots.reverse();
        walk.at = 1 << 32;
    }
}
