//! Walks over all lines, in split order (DESIGN.md, section 15).

use smallvec::SmallVec;

use crate::{
    raw::{
        guard::Guard,
        judge::Hit,
        key::{SlotIndex, SplitKey},
        state::{Now, State},
    },
    sync::planted,
};

use super::{List, line::{Line, Presence}, lookup::{View, settle}};

/// Slots that a walk brings into the cache side by side: those of some lines, until there are about so many.
const SLOTS_AT_ONCE: usize = 48;

/// The slots of some lines; in place, but for those of long chains.
type Slots = SmallVec<[SlotIndex; 64]>;

/// A slot, and the cell that named it.
#[derive(Clone, Copy)]
pub(in crate::raw) struct Named<'g> {
    pub(super) line: &'g Line,
    pub(super) number: u32,
    pub(in crate::raw) slot: SlotIndex,
}

/// Where a walk stands; at the beginning by default.
#[derive(Clone, Default)]
pub(in crate::raw) struct Walk {
    /// The upper 32 bits of the keys at which the next line begins; 2^32 behind the last one.
    at: u64,
    /// The slots of the lines before, the next one last.
    slots: Slots,
}

impl<T> List<T> {
    /// Walks on to the next visible entry; `None` at the end. Writes nothing; lock-free: a line is looked at again
    /// where entries were published meanwhile.
    pub(in crate::raw) fn next_visible<'g>(
        &'g self,
        walk: &mut Walk,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
    ) -> Option<Hit<'g, T>> {
        loop {
            while let Some(slot) = walk.slots.pop() {
                let hit = self.slab.judge(self.slab.node(slot), guard, &reading, |hit| hit);
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
    fn fill<'g>(&'g self, walk: &mut Walk, guard: &'g Guard) -> bool {
        while walk.slots.len() < SLOTS_AT_ONCE && walk.at >> 32 == 0 {
            walk.at = self.snapshot(walk.at as u32, &mut walk.slots, |named| named.slot, guard);
        }
        let mut touched = 0;
        for slot in &walk.slots {
            touched ^= self.slab.node(*slot).key();
        }
        core::hint::black_box(touched);
        walk.slots.reverse();
        !walk.slots.is_empty()
    }

    /// Adds what the line of `from` names, of keys that are not before it, as it was at one instant: each key once.
    /// Returns where the next line begins. `from` and that are upper halves of keys.
    pub(in crate::raw) fn snapshot<'g, N: smallvec::Array>(
        &'g self,
        from: u32,
        slots: &mut SmallVec<N>,
        take: impl Fn(Named<'g>) -> N::Item,
        guard: &'g Guard,
    ) -> u64 {
        let first = slots.len();
        loop {
            let View { array, line, presence } = self.view(SplitKey::of_node(from), guard);
            let size = 1_u64 << (32 - array.level());
            let end = (u64::from(from) / size + 1) * size;
            let is_in_range = |named: &Named<'g>| {
                let key = self.slab.node(named.slot).key();
                (from..=(end - 1) as u32).contains(&key) || planted!(walk_out_of_range)
            };
            // SAFETY: the root or its next, under the guard.
            let array = unsafe { array.array() };
            // The lines of the chain, and what they said.
            let mut chain = SmallVec::<[_; 4]>::new();
            let (mut at, mut seen) = (line, presence);
            loop {
                let named = |number| Some(Named { line: at, number, slot: settle(at, seen, number)? });
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
}
