//! Moving the entries of an array's lines to the next array, group by group (DESIGN.md, section 6).

use core::cmp;

use super::{
    Index,
    array::{Array, Root},
    line::{CELLS, Cell, FIRST_CELL, Fingerprint, Line, Presence, in_second_word},
};
use crate::{
    raw::{
        reclaim::guard::Guard,
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
    sync::{Ordering, planted},
};

/// A source and its two targets, two sources and their target, or one and one: by the first line of each, and how
/// many there are.
#[derive(Clone, Copy)]
struct Group {
    sources: (u32, u32),
    targets: (u32, u32),
}

impl Group {
    /// The group of a line of the older array.
    fn of(old: Root, new: Root, index: u32) -> Self {
        let (sources, targets) = match new.level().cmp(&old.level()) {
            cmp::Ordering::Greater => ((index, 1), (2 * index, 2)),
            cmp::Ordering::Less => ((index & !1, 2), (index / 2, 1)),
            cmp::Ordering::Equal => ((index, 1), (index, 1)),
        };
        Self { sources, targets }
    }
}

/// How many lines of the older array a migration goes over together: the sources of a group.
fn lines_a_group(old: Root, new: Root) -> u32 {
    if new.level() < old.level() { 2 } else { 1 }
}

/// A line of the new array that is being filled, the same by all who do it.
struct Target<'g> {
    line: &'g Line,
    presence: Presence,
    fingerprints: u64,
    /// How many cells of the line, or of the last one of its chain, are filled.
    filled: u32,
    /// Whether another has filled it meanwhile.
    is_done: bool,
    chain: Option<Chain<'g>>,
}

/// The overflow lines of a target, nobody else's before its birth.
struct Chain<'g> {
    /// The number of the first one.
    first: u32,
    /// The last one, as far as it is filled.
    last: &'g Line,
    presence: Presence,
    fingerprints: u64,
}

impl<'g> Target<'g> {
    fn new(line: &'g Line) -> Self {
        Self {
            line,
            presence: Presence::BORN,
            fingerprints: 0,
            filled: 0,
            is_done: false,
            chain: None,
        }
    }

    /// Puts an entry in, behind those that are there.
    fn push(&mut self, slot: SlotIndex, fingerprint: Fingerprint, array: &'g Array) {
        if self.filled == CELLS {
            // A line of a chain is not got back: not for nothing.
            self.is_done |= self.line.presence().is_born();
            if self.is_done {
                return;
            }
            self.lengthen(array);
        }
        let number = FIRST_CELL + self.filled;
        self.filled += 1;
        let byte = in_second_word(number, fingerprint);
        if let Some(chain) = &mut self.chain {
            chain.presence = chain.presence.with(number, fingerprint);
            chain.fingerprints |= byte;
            // Relaxed: published by the birth of the target.
            chain.last.cell(number).store(Cell::of(slot), Ordering::Relaxed);
            return;
        }
        self.presence = self.presence.with(number, fingerprint);
        self.fingerprints |= byte;
        let cell = self.line.cell(number);
        if planted!(target_stored) {
            cell.store(Cell::of(slot), Ordering::Release); // planted
        } else {
            // Relaxed: the birth releases it, also of who lost: it has seen it here, and the entry by its mark. It
            // fails if another has filled it: a filled cell never becomes unset again, so one that comes late changes
            // nothing.
            cell.replace(Cell::UNSET, Cell::of(slot), Ordering::Relaxed);
        }
    }

    /// Adds an overflow line.
    #[cold]
    fn lengthen(&mut self, array: &'g Array) {
        let (number, line) = array.new_overflow_line();
        let fresh = |first| Chain { first, last: line, presence: Presence::BORN, fingerprints: 0 };
        self.chain = Some(match self.chain.take() {
            None => fresh(number),
            Some(chain) => {
                chain.last.fill(chain.presence.chained_to(number), chain.fingerprints);
                fresh(chain.first)
            }
        });
        self.filled = 0;
    }

    /// Says that the line is filled, unless it was said.
    fn give_birth(mut self) {
        if self.is_done {
            return;
        }
        self.line.fill_fingerprints(self.fingerprints);
        if let Some(chain) = &self.chain {
            chain.last.fill(chain.presence, chain.fingerprints);
            self.presence = self.presence.chained_to(chain.first);
        }
        self.line.advance(Presence::UNBORN, self.presence);
    }
}

impl<T> Index<T> {
    /// Moves the entries of the group of a line of `old`, which was the root under this guard and has a next array,
    /// unless that is done. All targets of the group are born then. Returns the next array.
    pub(super) fn migrate(&self, old: Root, index: u32, _guard: &Guard) -> Root {
        // SAFETY: it was the root, and is the root's next, under the guard.
        let Some(new) = (unsafe { old.next() }) else {
            unreachable!("its lines are frozen after it has one")
        };
        let group = Group::of(old, new, index);
        // SAFETY: as above.
        let array = unsafe { new.array() };
        let targets = group.targets.0..group.targets.0 + group.targets.1;
        // SAFETY: as above; there are so many lines.
        let target = |index| unsafe { new.line(index) };
        // The targets of a group are in one page.
        target(targets.start).write_first();
        let is_born = |index| target(index).presence().is_born();
        // Before any look into a node: a slot that a source names may be free long since.
        if is_born(targets.start) && (planted!(born_test_of_one_target) || is_born(targets.end - 1))
        {
            return new;
        }
        if planted!(born_before_it_is_filled) {
            targets.clone().for_each(|index| Target::new(target(index)).give_birth());
        }
        let mut filling = [target(targets.start), target(targets.end - 1)].map(Target::new);
        for index in group.sources.0..group.sources.0 + group.sources.1 {
            // SAFETY: as above.
            let mut line: &Line = unsafe { old.line(index) };
            loop {
                let presence = line.freeze();
                for number in presence.cells() {
                    let slot = if planted!(not_marked) {
                        {
                            let cell = line.cell(number).load(Ordering::Acquire); // planted
                            cell.slot().unwrap_or_else(|| unreachable!("it is present"))
                        }
                    } else {
                        line.cell(number).mark()
                    };
                    if planted!(dead_left_out)
                        && self.slab.node(slot).state.load(Ordering::Relaxed) == State::DEAD
                    {
                        continue;
                    }
                    let key = SplitKey::of_node(self.slab.key(slot));
                    // Of two targets, which.
                    let which = (new.index_of(key) - targets.start) as usize;
                    filling[which].push(slot, line.fingerprint(presence, number), array);
                }
                let Some(next) = presence.chained() else { break };
                // SAFETY: as above.
                line = unsafe { old.array() }.overflow_line(next);
            }
        }
        for target in filling.into_iter().take(targets.len()) {
            target.give_birth();
        }
        new
    }

    /// Moves a share: the groups of some neighbouring lines of `old`, all at once in the cache.
    pub(super) fn migrate_share(
        &self,
        old: Root,
        new: Root,
        lines: core::ops::Range<u32>,
        guard: &Guard,
    ) {
        self.bring(lines.clone().map(|index| {
            // SAFETY: it was the root under the guard; there are so many lines.
            unsafe { old.line(index) }
        }));
        for index in lines.step_by(lines_a_group(old, new) as usize) {
            self.migrate(old, index, guard);
        }
    }

    /// Brings the keys of the nodes that some lines name into the cache, side by side.
    fn bring<'g>(&self, lines: impl Iterator<Item = &'g Line>) {
        for line in lines {
            for number in line.presence().cells() {
                if let Some(slot) = line.cell(number).slot_to_bring() {
                    self.slab.bring_key(slot);
                }
            }
        }
    }
}
