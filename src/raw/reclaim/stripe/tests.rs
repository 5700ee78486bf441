//! Whose stripe is whose, and when another may take what it holds; one thread in several turns.

use super::*;
use crate::raw::reclaim::{guard, limbo::Limbo};

/// A thread that meets another in its stripe is not to meet it again with each write.
#[test]
fn a_writer_that_finds_its_stripe_in_use_goes_to_another_chain_and_stays_there() {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    let (mut first, mut second) = (Turn::new(&stripes, &guard), Turn::new(&stripes, &guard));
    let before = thread_number();
    let in_use = first.stripe();
    let found = second.stripe();
    assert!(!ptr::eq(in_use, found), "a stripe for two");
    let after = thread_number();
    assert_ne!(after, before);
    assert_eq!(thread_number(), after, "it keeps the number");
    let chain = iter::successors(Stripes::at(stripes.chain(after)), |s| Stripes::at(&s.next));
    assert!(
        chain.into_iter().any(|stripe| ptr::eq(stripe, found)),
        "in the chain of the new number"
    );
}

/// Those of a stripe that is written to fill up by themselves; what waits for nobody is handed over.
#[test]
fn a_batch_is_taken_from_a_stripe_only_if_nobody_wrote_between_two_looks() {
    let (stripes, guard) = (Stripes::new(), guard::pin());
    let limbo = Limbo::new(100);
    let (mut writer, mut other) = (Turn::new(&stripes, &guard), Turn::new(&stripes, &guard));
    let stripe = writer.stripe();
    other.count_write();
    writer.count_write();
    limbo.retire(SlotIndex(1), &mut writer);
    let look = |other: &mut Turn<'_>| (0..2).find_map(|n| other.take_idle_batch(n)).is_some();
    assert!(!look(&mut other) && !look(&mut other), "a write is in it");
    writer.leave();
    for _ in 0..5 {
        assert!(!look(&mut other), "someone wrote");
        other.try_turn(stripe).expect("nobody is in it").count_write();
    }
    assert!(!look(&mut other), "someone wrote");
    assert!(look(&mut other), "nobody did");
    assert!(!look(&mut other), "it has gone");
}
