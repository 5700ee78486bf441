//! Sweeping: finding the entries that are past their deadline, block by block, and removing them.
//!
//! A block knows the earliest deadline of its entries, so one in which nothing is due costs a look at one
//! word, and only what has expired costs a walk (DESIGN.md, section 7).

use core::time::Duration;

use crate::{
    listener::RemovalCause,
    raw::{
        index::{Located, TOGETHER},
        reclaim::{guard, stripe::Turn},
        table::Table,
        words::{
            key::SlotIndex,
            numbers::{BLOCK_SLOTS, BlockNumbers},
            state::{Now, State},
        },
    },
    sync::{Ordering, planted},
};

/// What a sweep does under one pin, so that the epoch moves on: some microseconds of looking, some tens of
/// removing. In slots, a block in which nothing is due counting as one, as everywhere here.
const SLOTS_PER_PIN: u32 = 1024;

/// What a part of a sweep did.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Swept {
    /// Slots looked at, a block in which nothing was due counting as one.
    pub(crate) examined: usize,
    pub(crate) removed: usize,
    pub(crate) max_lag: Duration,
    /// Whether the walk passed the last slot.
    pub(crate) wrapped: bool,
    blocks: u32,
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.removed += other.removed;
        self.max_lag = self.max_lag.max(other.max_lag);
        self.wrapped |= other.wrapped;
        self.blocks += other.blocks;
    }
}

impl<T> Table<T> {
    /// Sweeps up to `count` slots from where the last sweep of this kind stopped, or until `enough`,
    /// asked now and then, says so; once round the slab at most.
    pub(crate) fn sweep_some(&self, count: u32, enough: impl Fn() -> bool) -> Swept {
        let blocks = self.index.slab.blocks.handed_out();
        let mut swept = Swept { wrapped: blocks == 0, ..Swept::default() };
        while swept.examined < count as usize && swept.blocks < blocks && !enough() {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            let left = count - swept.examined as u32;
            swept.add(self.sweep_step(left.min(SLOTS_PER_PIN), self.grace(), turn));
            self.after_sweep(turn);
        }
        self.reclaim_some();
        swept
    }

    /// Sweeps every slot there is at the moment, reclaims all that can be, and gives memory back.
    pub(crate) fn sweep_all(&self) -> Swept {
        let mut swept = Swept { wrapped: true, ..Swept::default() };
        let end = self.index.slab.blocks.handed_out();
        while swept.blocks < end {
            let guard = guard::pin();
            let turn = &mut self.turn(&guard);
            let (now, mut step) = (self.now_less(self.grace()), Swept::default());
            while step.examined < SLOTS_PER_PIN as usize && swept.blocks + step.blocks < end {
                let from = swept.blocks + step.blocks;
                let to = end.min(from + SLOTS_PER_PIN);
                let due = self.index.slab.blocks.first_due(from..to, now);
                step.add(self.sweep_stretch(from, to, due, now, turn));
            }
            swept.add(step);
            self.after_sweep(turn);
        }
        self.reclaim_all();
        self.trim();
        swept
    }

    /// The clock's reading, moved back by the nanoseconds for which what has expired is kept: a sweep goes by it. What is
    /// past its deadline by it is so by the clock as well.
    fn now_less(&self, grace: u64) -> Now {
        self.clock.now().earlier_by(grace)
    }

    /// Sweeps up to `count` slots at the shared cursor, or a block if that has more; fewer at the end of the
    /// slab, or if another sweep is as far. What has expired is kept for `grace` nanoseconds.
    pub(in crate::raw) fn sweep_step<'g>(
        &'g self,
        count: u32,
        grace: u64,
        turn: &mut Turn<'g>,
    ) -> Swept {
        let blocks = &self.index.slab.blocks;
        let end = blocks.handed_out();
        let now = self.now_less(grace);
        let mut swept = Swept::default();
        while swept.examined < count as usize && !swept.wrapped {
            let cursor = self.sweeping.cursor.load(Ordering::Relaxed);
            let from = if cursor < end { cursor } else { 0 };
            let to = end.min(from + (count - swept.examined as u32));
            let due = blocks.first_due(from..to, now);
            let behind = due.map_or(to, |n| n + 1);
            // Relaxed: each step gets a stretch of its own; nothing else hangs on it.
            let order = Ordering::Relaxed;
            if self.sweeping.cursor.compare_exchange(cursor, behind, order, order).is_err() {
                break;
            }
            swept.add(self.sweep_stretch(from, to, due, now, turn));
            swept.wrapped = behind == end;
        }
        swept
    }

    /// Passes the blocks in which nothing is due, and sweeps the first one in which something is, if there is
    /// one. The reading of the clock is from before their words: what it calls due stays due.
    fn sweep_stretch<'g>(
        &'g self,
        from: u32,
        to: u32,
        due: Option<u32>,
        now: Now,
        turn: &mut Turn<'g>,
    ) -> Swept {
        let passed = due.unwrap_or(to) - from;
        let mut swept = Swept { examined: passed as usize, blocks: passed, ..Swept::default() };
        if let Some(n) = due {
            swept.add(self.sweep_block(BlockNumbers::nth(n), now, turn));
        }
        swept
    }

    /// Claims each entry of a block, and takes it off its line, that is past its deadline.
    fn sweep_block<'g>(&'g self, block: u32, now: Now, turn: &mut Turn<'g>) -> Swept {
        let slab = &self.index.slab;
        let mut swept = Swept { examined: BLOCK_SLOTS as usize, blocks: 1, ..Swept::default() };
        let late = planted!(note_taken_after_the_scan);
        if !late {
            slab.blocks.take_note(block);
        }
        // Relaxed: a hint, and no older than the note (O9). The slot may be in someone's hands, or retired.
        let load = |slot| slab.node(slot).state.load(Ordering::Relaxed);
        let mut stays = State::NEVER;
        let mut due = [(SlotIndex(0), State::FREE); BLOCK_SLOTS as usize];
        let mut len = 0;
        for slot in slab.taken_slots(block) {
            let state = load(slot);
            if state.is_due_at(now) {
                // One that is not shown yet has no deadline.
                if !state.is_hidden() {
                    due[len] = (slot, state);
                    len += 1;
                }
            } else if !state.is_terminal() {
                stays = stays.earlier(state);
            }
        }
        for group in due[..len].chunks(TOGETHER) {
            self.index.bring_lines(group.iter().map(|(slot, _)| *slot), turn.guard);
            for &(slot, state) in group {
                if self.claim_expired(slot, state, turn) {
                    swept.removed += 1;
                    swept.max_lag = swept.max_lag.max(state.lag(now));
                } else if !planted!(renewed_entry_not_noted) {
                    // Renewed, perhaps; and who lengthens a deadline does not note it.
                    let state = load(slot);
                    if state.has_deadline() {
                        stays = stays.earlier(state);
                    }
                }
            }
        }
        if late {
            slab.blocks.take_note(block);
        }
        slab.blocks.note(block, stays);
        if swept.removed > 0 {
            let lag = u64::try_from(swept.max_lag.as_nanos()).unwrap_or(u64::MAX);
            self.sweeping.removed.fetch_add(swept.removed as u64, Ordering::Relaxed);
            self.sweeping.max_lag_nanos.fetch_max(lag, Ordering::Relaxed);
        }
        swept
    }

    /// Ends the entry in `slot` if a line names it and it is still in the state that was due. A renewed or
    /// recycled slot is in another, and is left alone.
    fn claim_expired<'g>(&'g self, slot: SlotIndex, due: State, turn: &mut Turn<'g>) -> bool {
        let Some(mut old) = self.find_in(slot, |state| state == due, turn) else { return false };
        if planted!(sweep_without_claim) {
            self.end(&old, RemovalCause::Expired, turn);
            return true;
        }
        let claimed =
            (old.state == due || planted!(claim_without_compare)) && old.advance(State::DEAD);
        if claimed {
            self.end(&old, RemovalCause::Expired, turn);
        }
        claimed
    }

    /// The entry in a slot, if a line names it; or, while its state is `wanted`, if one names another that it replaced a
    /// moment ago, as soon as the line names it.
    pub(super) fn find_in<'g>(
        &'g self,
        slot: SlotIndex,
        wanted: impl FnOnce(State) -> bool,
        turn: &mut Turn<'g>,
    ) -> Option<Located<'g, T>> {
        self.index.locate(slot, turn).or_else(|| {
            // Relaxed: a hint.
            let state = self.index.slab.node(slot).state.load(Ordering::Relaxed);
            let is_there = wanted(state) && self.index.swing_to(slot, turn);
            is_there.then(|| self.index.locate(slot, turn)).flatten()
        })
    }
}
