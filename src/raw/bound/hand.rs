//! A hand that goes round the slots of a queue.

use crate::{
    raw::words::{
        key::SlotIndex,
        numbers::{BLOCK_SLOTS, BlockNumbers, slot_of},
    },
    sync::{HintU32, Ordering},
};

/// Where it is: slots in the order of their blocks. (There are fewer than 2^29.)
pub(super) struct Hand(HintU32);

impl Hand {
    pub(super) fn new() -> Self {
        Self(HintU32::new(0))
    }

    /// Moves it behind the next slot of its queue, of which `bits` tells those of the `n`-th block, and returns that, and
    /// the one in the same block that comes then; `None` if there is none in so many blocks. Each slot is one caller's, once
    /// a round. Lock-free: a block without any is passed by a load, and an exchange fails only where another has moved the
    /// hand.
    pub(super) fn next(
        &self,
        bits: impl Fn(u32) -> u64,
        blocks: u32,
    ) -> Option<(SlotIndex, Option<SlotIndex>)> {
        // Once round, and the part of the first block that is before the hand.
        let mut left = blocks + 1;
        let mut at = self.0.load(Ordering::Relaxed);
        loop {
            let (mut n, mut from) = (at / BLOCK_SLOTS, at % BLOCK_SLOTS);
            let found = loop {
                if n >= blocks {
                    (n, from) = (0, 0);
                }
                left = left.checked_sub(1)?;
                let slots = bits(n) & (u64::MAX << from);
                if slots != 0 {
                    break slots;
                }
                (n, from) = (n + 1, 0);
            };
            let behind = n * BLOCK_SLOTS + found.trailing_zeros() + 1;
            // Relaxed: what is found is a hint.
            let order = Ordering::Relaxed;
            match self.0.compare_exchange_weak(at, behind, order, order) {
                Ok(_) => {
                    let (block, rest) = (BlockNumbers::nth(n), found & (found - 1));
                    let then = (rest != 0).then(|| slot_of(block, rest));
                    return Some((slot_of(block, found), then));
                }
                Err(now) => {
                    at = now;
                    left = left.max(1);
                }
            }
        }
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_hand_comes_to_each_slot_once_a_round() {
        let bits = |n| [1 << 20 | 1 << 3, 0, 1 << 63, 0][n as usize];
        let (hand, slot) = (Hand::new(), |n, place| BlockNumbers::nth(n) * BLOCK_SLOTS + place);
        let round = [slot(0, 3), slot(0, 20), slot(2, 63)];
        for _ in 0..3 {
            let came: Vec<_> = (0..3).map(|_| hand.next(bits, 4).map(|(slot, _)| slot.0)).collect();
            assert_eq!(came, round.map(Some));
        }
    }

    #[test]
    fn a_hand_ends_where_there_is_nothing() {
        let hand = Hand::new();
        let next = |bits: fn(u32) -> u64, blocks| hand.next(bits, blocks).map(|(slot, _)| slot);
        assert_eq!(next(|_| 0, 4), None);
        assert_eq!(next(|_| 0, 0), None);
        // Also where all that there is stands before it.
        assert_eq!(next(|n| u64::from(n == 1), 2), Some(slot_of(BlockNumbers::nth(1), 1)));
        assert_eq!(next(|n| u64::from(n == 1), 2), Some(slot_of(BlockNumbers::nth(1), 1)));
    }
}
