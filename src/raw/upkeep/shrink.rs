//! Giving memory back: runs of free slots to the system, and an index that is far too large.
//!
//! A write does a little of it now and then; a full sweep does all that is worth it, and
//! [`Table::shrink_to_fit`] all there is (DESIGN.md, sections 3 and 6).

use crate::raw::{
    index::Index,
    reclaim::{guard, stripe::Turn},
    slab::node::Node,
    table::Table,
    upkeep::PATIENT_ROUNDS,
    words::numbers::BLOCK_SLOTS,
};

/// Free slots that are kept, in bytes, beside one for eight entries: memory that is given back and touched
/// again costs a page fault for 100 entries or so.
const KEPT_BYTES: usize = 128 << 10;

/// Runs that a write looks at, at most; it gives back one.
const RUNS_PER_WRITE: u32 = 8;

/// Runs that a sweep looks at before it counts again what there is to give back.
const RUNS_AT_ONCE: u32 = 16;

impl<T> Table<T> {
    /// The share of a write in giving memory back, now and then.
    pub(in crate::raw) fn trim_some<'g>(&'g self, entries: usize, turn: &mut Turn<'g>) {
        self.index.lines.shrink(entries, false, turn.guard);
        if self.drain(entries) > 0 {
            self.release_some(RUNS_PER_WRITE, true);
        }
    }

    /// Gives back what is worth it.
    pub(in crate::raw) fn trim(&self) {
        self.release_all(|| self.drain(self.entries()));
        self.shrink_index(false);
    }

    /// Gives back all there is: free slots as far as they fill whole runs, and an index larger than a
    /// fresh map of these entries has.
    pub(crate) fn shrink_to_fit(&self) {
        self.reclaim_all();
        self.release_all(|| self.idle_slots(self.entries()));
        self.shrink_index(true);
    }

    /// Finishes what was begun with the index, and halves it, time after time, for as long as grace periods pass.
    fn shrink_index(&self, exactly: bool) {
        let Index { lines, stripes, .. } = &self.index;
        let mut vain = 0;
        while vain < PATIENT_ROUNDS {
            let guard = guard::pin();
            lines.shrink(stripes.entries(), exactly, &guard);
            if !lines.is_busy(&guard) {
                break;
            }
            if self.index.help(&self.turn(&guard)) {
                vain = 0;
            } else {
                vain += 1;
                guard.flush();
            }
        }
    }

    /// Free slots whose memory was not given back, beside so many entries. May be off while writers run.
    fn idle_slots(&self, entries: usize) -> usize {
        let Index { slab, stripes, .. } = &self.index;
        let used = entries + stripes.pending() + stripes.free_slots() + slab.unused_slots();
        (slab.blocks.slots() as usize).saturating_sub(used)
    }

    /// How many of them are spare, that is, more than is kept. If any, the slots of high blocks are not to be
    /// used again before those of low ones: so high blocks drain, where entries are put and replaced.
    fn drain(&self, entries: usize) -> usize {
        let kept = entries / 8 + KEPT_BYTES / size_of::<Node<T>>();
        let spare = self.idle_slots(entries).saturating_sub(kept);
        self.index.slab.blocks.drain(if spare > 0 { (entries + kept) as u32 } else { u32::MAX });
        spare
    }

    /// Gives back run after run, the highest first, for as long as some slots are `left`.
    fn release_all(&self, left: impl Fn() -> usize) {
        let runs = self.index.slab.blocks.runs().len() as u32;
        let mut looked = 0;
        while looked < runs && left() > 0 {
            self.release_some(RUNS_AT_ONCE, false);
            looked += RUNS_AT_ONCE;
        }
    }

    /// Looks at some runs, downwards from where this was left, and gives back those that are free; only one if
    /// `one`.
    fn release_some(&self, count: u32, one: bool) {
        let slab = &self.index.slab;
        let runs = slab.blocks.runs();
        for _ in 0..count.min(runs.len() as u32) {
            let run = slab.blocks.next_run(runs.clone());
            // A block of large slots goes back in pieces, a stretch of free ones each.
            let pieces = (0..BLOCK_SLOTS).take_while(|_| slab.give_back_run(run));
            if pieces.take(if one { 1 } else { usize::MAX }).count() > 0 && one {
                return;
            }
        }
    }
}
