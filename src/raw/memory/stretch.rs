//! Neighbouring slots whose memory goes back together.

use crate::raw::words::numbers::slot_of;

/// Neighbouring slots: some of one block, or all of some blocks.
#[derive(Clone, Copy, Debug)]
pub(in crate::raw) struct Stretch {
    /// The first block.
    block: u32,
    pub(in crate::raw) blocks: u32,
    /// Which slots of each.
    pub(in crate::raw) slots: u64,
}

impl Stretch {
    /// The number of the first slot.
    pub(in crate::raw) fn first(self) -> u32 {
        slot_of(self.block, self.slots).0
    }

    pub(in crate::raw) fn len(self) -> u32 {
        self.blocks * self.slots.count_ones()
    }

    pub(in crate::raw) fn blocks(self) -> core::ops::Range<u32> {
        self.block..self.block + self.blocks
    }
}

/// The stretches that some slots of each of some blocks make up: one, if those are all.
pub(in crate::raw) fn stretches(
    block: u32,
    blocks: u32,
    mut left: u64,
) -> impl Iterator<Item = Stretch> {
    core::iter::from_fn(move || {
        let from = left & left.wrapping_neg();
        // The carry ends the ones above the lowest.
        let slots = left & !left.wrapping_add(from);
        left &= !slots;
        (slots != 0).then_some(Stretch { block, blocks, slots })
    })
}
