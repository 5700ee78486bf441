//! Keeping a map within its bound: who goes past it ends another's entry (DESIGN.md, section 14).
//!
//! Which entry is to go, the bound says, and may be wrong about it: it knows slots. What makes it sure is what a sweep
//! does: a cell names the slot, and the CAS is from the state that was met.

use crate::{
    listener::RemovalCause,
    raw::{
        bound::{Bound, Candidate, Owed, Queue},
        index::Located,
        memory::blocks::Blocks,
        reclaim::{guard, stripe::Turn},
        table::Table,
        words::{
            key::SlotIndex,
            numbers::{BLOCK_SLOTS, BlockNumbers, block_of},
            state::State,
        },
    },
    sync::{MODEL, planted},
};

/// Blocks that a write which is past the bound looks at for expired entries, which are to go before others: so mostly
/// they do.
const BLOCKS_LOOKED_AT: u32 = 64;

/// Entries that are spared for what they were used, before the next goes whatever it was: so much work does a write at
/// most for each that has to go, beside what it passes in others' hands.
const MOST_SPARED: u32 = if MODEL { 2 } else { 64 };

/// How often a look for one to go begins anew.
const ROUNDS_AGAIN: u32 = 2;

/// Entries that the change of a bound ends under one pin.
const EVICTED_PER_PIN: u32 = 64;

/// Entries that a write ends beside the weight that it has brought, where the map is past its bound all the same: what
/// a listener put, or what a lower bound has left.
const EVICTED_BESIDE: u32 = 1;

impl<T> Table<T> {
    /// Counts the entry that a write has put, and while the map is past its bound ends entries of as much weight as that,
    /// and one more. The listener, which is told of them, may put others; it does not come back here, or there might be
    /// no end.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn count_in_bound<'g>(
        &'g self,
        put: SlotIndex,
        entered: Queue,
        turn: &mut Turn<'g>,
    ) {
        let Some(bound) = self.bound() else { return };
        let owed = &mut Owed::for_entry(bound, put, entered);
        if !owed.is_past() {
            owed.pay();
            // Asked again: others may have counted theirs meanwhile.
            if bound.excess() == 0 {
                return;
            }
        }
        self.make_way(bound, put, owed, turn);
    }

    fn make_way<'g>(
        &'g self,
        bound: &'g Bound,
        put: SlotIndex,
        owed: &mut Owed<'g>,
        turn: &mut Turn<'g>,
    ) {
        if self.listener.is_running(self.address()) || planted!(bound_not_kept) {
            return;
        }
        if self.has_deadlines() {
            // What is in its grace stays, as in each sweep: else a map that is always full would keep none of it.
            self.sweep_aside(BLOCKS_LOOKED_AT, self.grace(), turn);
        }
        let brought = u64::from(bound.weight(put));
        // What alone is too heavy, since the bound was lowered meanwhile, goes as well.
        let spared = (brought <= bound.most()).then_some(put);
        let (mut freed, mut beside) = (0, 0);
        while beside < EVICTED_BESIDE {
            if !owed.is_past() || !owed.is_owing() {
                // From here on each that goes is taken off the sum.
                owed.pay();
                if bound.excess() == 0 {
                    return;
                }
            }
            beside += u32::from(freed >= brought);
            match self.evict_one(bound, spared, owed, turn) {
                Some(weight) => freed += u64::from(weight),
                // What it met was in others' hands, who knew nothing of what is owed. Once that is counted, who is still in
                // the middle of a write makes way for it; and what those have put who are done is found now.
                None if owed.is_owing() => owed.pay(),
                None => return,
            }
        }
    }

    /// Ends entries until the map is within its bound, after that was lowered; as much as it is past it now, at most, so
    /// that a listener that puts others does not keep it.
    pub(crate) fn shrink_to_bound(&self) {
        let Some(bound) = self.bound() else { return };
        let mut left = bound.excess();
        while left > 0 {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            let owed = &mut Owed::nothing(bound);
            for _ in 0..EVICTED_PER_PIN {
                let evicted = if left > 0 { self.evict_one(bound, None, owed, turn) } else { None };
                left = evicted.map_or(0, |weight| left.saturating_sub(weight.into()));
            }
            self.after_sweep(turn);
        }
        self.reclaim_some();
    }

    /// Ends one entry, but not the one in `spared`; returns its weight. `None` if the map is within its bound, or if both
    /// hands went round, and where they met any thrice, and none could go: what they met is in others' hands.
    fn evict_one<'g>(
        &'g self,
        bound: &'g Bound,
        spared: Option<SlotIndex>,
        owed: &mut Owed<'g>,
        turn: &mut Turn<'g>,
    ) -> Option<u32> {
        let mut round = Round::new(&self.index.slab.blocks);
        while let Some((candidate, queue)) = round.next(bound, owed, turn) {
            let slot = candidate.slot;
            // For the next write: what it is to find is on its way by then.
            if let Some(then) = candidate.then {
                let slab = &self.index.slab;
                self.index.bring_lines([then].into_iter(), turn.guard);
                slab.node(then).bring();
                bound.bring_ghost(slab.key(then), slab.room());
            }
            let uses_up = round.spared < MOST_SPARED;
            if queue == Queue::Main && uses_up && bound.takes_off_use(slot) {
                round.spare(queue);
                continue;
            }
            let found = if Some(slot) == spared {
                None
            } else {
                self.find_in(slot, |state| !state.is_terminal(), turn)
            };
            // What a load has not shown yet is not counted either.
            let Some(old) = found.filter(|old| !old.state.is_hidden()) else {
                round.pass(&candidate, queue);
                continue;
            };
            if queue == Queue::Probation && uses_up && owed.promotes(slot) {
                round.spare(queue);
                continue;
            }
            match self.evict(bound, old, queue, owed, turn) {
                Evicted::Weight(weight) => return Some(weight),
                Evicted::Nothing => round.pass(&candidate, queue),
                Evicted::WithinBound => return None,
            }
        }
        None
    }

    /// Ends an entry that was found.
    fn evict<'g>(
        &'g self,
        bound: &'g Bound,
        mut old: Located<'g, T>,
        queue: Queue,
        owed: &mut Owed<'g>,
        turn: &mut Turn<'g>,
    ) -> Evicted {
        // Of an entry that a line names: its slot is used for no other under our guard.
        let (slot, weight) = (old.slot(), bound.weight(old.slot()));
        // In the place of what this write has brought; else off the sum.
        let is_discounted = !owed.is_owing();
        while !old.state.is_terminal() {
            // First, as the clock may be the user's, and panic.
            let visible = self.is_visible(old.state);
            // Off the sum before it is off the map: so of two writers that find it past its bound by one entry, one ends
            // one. What is discounted is there, and if it is not ended here, then by another, who takes it off as well.
            if is_discounted && !bound.discount(weight) {
                return Evicted::WithinBound;
            }
            if old.advance(State::DEAD) || planted!(evicted_without_claim) {
                owed.end(slot, is_discounted);
                turn.count_entries(-1);
                old.take_off(&self.index, turn);
                if visible {
                    let slab = &self.index.slab;
                    bound.note_evicted(slab.key(slot), queue, slab.room());
                    turn.count_evicted();
                }
                let cause = if visible { RemovalCause::Size } else { RemovalCause::Expired };
                self.tell_listener(slot, cause, turn);
                return Evicted::Weight(weight);
            }
            if is_discounted {
                bound.recount(weight);
            }
        }
        Evicted::Nothing
    }
}

/// What became of an entry that was to go.
enum Evicted {
    /// It was ended, and weighed so much.
    Weight(u32),
    /// Another has ended it.
    Nothing,
    /// It stays, since the map is within its bound.
    WithinBound,
}

/// How far a look for one entry to go has come.
struct Round<'g> {
    slab_blocks: &'g Blocks,
    /// How many blocks it looks at: what there was when it began, or began anew.
    blocks: u32,
    /// How many entries it has spared for their uses.
    spared: u32,
    /// How often it may begin anew where it has passed any: what passed was in others' hands, who may have put others
    /// behind the hand before they ended them.
    again: u32,
    /// Of each queue.
    laps: [Lap; 2],
}

/// How far the hand of a queue went over entries that could not go, in slots.
#[derive(Clone, Copy, Default)]
struct Lap {
    /// The place of the last of them.
    last: Option<u32>,
    walked: u32,
    is_over: bool,
}

impl<'g> Round<'g> {
    fn new(slab_blocks: &'g Blocks) -> Self {
        let (blocks, laps) = (slab_blocks.handed_out(), [Lap::default(); 2]);
        Self { slab_blocks, blocks, spared: 0, again: ROUNDS_AGAIN, laps }
    }

    /// The next candidate: of the queue that is to give one, or, if its hand has gone round in vain, of the other.
    fn next(
        &mut self,
        bound: &Bound,
        owed: &Owed<'g>,
        turn: &mut Turn<'g>,
    ) -> Option<(Candidate, Queue)> {
        loop {
            let first = owed.queue_to_give();
            for queue in [first, first.other()] {
                let lap = &mut self.laps[queue as usize];
                let next = |claim: &mut _| bound.next_in(queue, self.blocks, claim);
                let candidate = if lap.is_over { None } else { turn.with_claim(queue, next) };
                match candidate {
                    Some(candidate) => return Some((candidate, queue)),
                    None => lap.is_over = true,
                }
            }
            if self.again == 0 || self.laps.iter().all(|lap| lap.last.is_none()) {
                return None;
            }
            self.again -= 1;
            // What was put meanwhile may be in a block that was handed out meanwhile.
            self.blocks = self.slab_blocks.handed_out();
            self.laps = Default::default();
        }
    }

    /// A candidate was spared for its uses, and has fewer now: the next time round it may go.
    fn spare(&mut self, queue: Queue) {
        self.spared += 1;
        self.laps[queue as usize] = Lap::default();
    }

    /// A candidate could not go.
    fn pass(&mut self, candidate: &Candidate, queue: Queue) {
        let lap = &mut self.laps[queue as usize];
        // What was claimed before is anywhere, and the hand comes to it again.
        if !candidate.is_claimed_now && lap.last.is_none() {
            return;
        }
        let (slot, all) = (candidate.slot, self.blocks * BLOCK_SLOTS);
        let at = BlockNumbers::count(block_of(slot)) * BLOCK_SLOTS + slot.0 % BLOCK_SLOTS;
        if let Some(last) = lap.last.replace(at) {
            lap.walked += if at > last { at - last } else { at + all - last };
        }
        lap.is_over = lap.walked >= all;
    }
}
