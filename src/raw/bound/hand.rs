//! A hand that goes round the slots of a queue.

use crate::{
    raw::words::{
        key::SlotIndex,
        numbers::{BLOCK_SLOTS, BlockNumbers, slot_of},
    },
    sync::{HintU32, Ordering},
};

/// Slots that are claimed at once, at most.
const CLAIMED_AT_ONCE: u32 = 8;

/// Where it is: slots in the order of their blocks. (There are fewer than 2^29.)
pub(super) struct Hand(HintU32);

impl Hand {
    pub(super) fn new() -> Self {
        Self(HintU32::new(0))
    }

    /// Claims the next slots of its queue, of which `slots` tells those of the `n`-th block, and moves behind them; `None` if
    /// there are none in so many blocks. Each slot is one caller's, once a round. Lock-free: a block without any is passed
    /// by a load, and an exchange fails only where another has moved the hand.
    pub(super) fn claim(&self, slots: impl Fn(u32) -> u64, blocks: u32) -> Option<Claim> {
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
                let found = slots(n) & (u64::MAX << from);
                if found != 0 {
                    break found;
                }
                (n, from) = (n + 1, 0);
            };
            let claim = Claim::first_of(n, found);
            // Relaxed: what is found is a hint.
            let order = Ordering::Relaxed;
            match self.0.compare_exchange_weak(at, claim.behind(), order, order) {
                Ok(_) => return Some(claim),
                // From where it is now it goes once round anew: what it has passed may be all that there is behind it.
                Err(now) => (at, left) = (now, blocks + 1),
            }
        }
    }
}

/// Slots that one caller has to itself, for this round of the hand: some of the `n`-th block, as bits. So that threads
/// which end entries at the same time do not wait for each other at the hand for each. What is claimed and not asked for
/// the hand meets again.
#[derive(Clone, Copy, Default)]
pub(in crate::raw) struct Claim {
    n: u32,
    slots: u64,
}

impl Claim {
    /// The first of these slots of a block, as many as one claims at once.
    fn first_of(n: u32, slots: u64) -> Self {
        let mut more = slots;
        for _ in 0..CLAIMED_AT_ONCE {
            if more == 0 {
                break;
            }
            more &= more - 1;
        }
        Self { n, slots: slots & !more }
    }

    /// The place behind them.
    fn behind(&self) -> u32 {
        self.n * BLOCK_SLOTS + (u64::BITS - self.slots.leading_zeros())
    }

    /// Leaves out what is not in the queue any more.
    pub(super) fn keep(&mut self, slots: impl Fn(u32) -> u64) {
        if !self.is_empty() {
            self.slots &= slots(self.n);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// Takes the first, and tells the one after it.
    pub(super) fn next(&mut self) -> Option<(SlotIndex, Option<SlotIndex>)> {
        let block = BlockNumbers::nth(self.n);
        let first = |slots: u64| (slots != 0).then(|| slot_of(block, slots));
        let slot = first(self.slots)?;
        self.slots &= self.slots - 1;
        Some((slot, first(self.slots)))
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// The slots that are claimed, one by one.
    fn claimed(hand: &Hand, slots: impl Fn(u32) -> u64, blocks: u32) -> Option<Vec<u32>> {
        let mut claim = hand.claim(slots, blocks)?;
        Some(core::iter::from_fn(|| claim.next().map(|(slot, _)| slot.0)).collect())
    }

    fn slot(n: u32, place: u32) -> u32 {
        BlockNumbers::nth(n) * BLOCK_SLOTS + place
    }

    #[test]
    fn a_hand_comes_to_each_slot_once_a_round() {
        let slots = |n| [1 << 20 | 1 << 3, 0, 1 << 63, 0, 0xFFF][n as usize];
        let hand = Hand::new();
        let round = [
            vec![slot(0, 3), slot(0, 20)],
            vec![slot(2, 63)],
            (0..8).map(|place| slot(4, place)).collect(),
            (8..12).map(|place| slot(4, place)).collect(),
        ];
        for _ in 0..3 {
            let came: Vec<_> = (0..4).filter_map(|_| claimed(&hand, slots, 5)).collect();
            assert_eq!(came, round);
        }
    }

    #[test]
    fn a_claim_tells_the_slot_that_comes_then_and_leaves_out_what_has_left() {
        let mut claim = Hand::new().claim(|_| 0b1011, 1).unwrap();
        let named = |place| SlotIndex(slot(0, place));
        assert_eq!(claim.next(), Some((named(0), Some(named(1)))));
        claim.keep(|_| 0b1001);
        assert_eq!(claim.next(), Some((named(3), None)));
        assert!(claim.is_empty() && claim.next().is_none());
    }

    #[test]
    fn a_hand_ends_where_there_is_nothing() {
        let hand = Hand::new();
        assert_eq!(claimed(&hand, |_| 0, 4), None);
        assert_eq!(claimed(&hand, |_| 0, 0), None);
        // Also where all that there is stands before it.
        for _ in 0..2 {
            assert_eq!(claimed(&hand, |n| u64::from(n == 1), 2), Some(vec![slot(1, 0)]));
        }
    }

    #[test]
    fn a_hand_that_another_moves_meanwhile_finds_what_is_there() {
        let hand = Hand::new();
        assert_eq!(claimed(&hand, |_| 1 << 20, 1), Some(vec![slot(0, 20)]));
        // That one has left, and two stand before the hand: both come round to them, and the other is first.
        let is_first = Cell::new(true);
        let slots = |_| {
            if is_first.take() {
                assert_eq!(claimed(&hand, |_| 0b11, 1), Some(vec![slot(0, 0), slot(0, 1)]));
            }
            0b11
        };
        assert_eq!(claimed(&hand, slots, 1), Some(vec![slot(0, 0), slot(0, 1)]));
    }
}
