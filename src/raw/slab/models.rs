//! A model of the blocks alone: through the map it would have too many steps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::{Slab, Turn};
use crate::raw::{guard, stripe::Stripes};

/// Half of what was seen first.
const FLOOR: usize = 3200;

/// While one thread takes slots, another takes them as well and gives some back; blocks go out of the tree and
/// come in again. Every free slot can still be taken.
#[test]
fn slab_no_block_with_free_slots_is_left_behind() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        // Magazines of two.
        let shared = Arc::new((Slab::<u32>::new(11, 2), Stripes::new()));
        let (slab, stripes) = &*shared;
        let guard = guard::pin();
        let mut turn = Turn::new(stripes, &guard);
        let first: Vec<_> = (0..3).map(|_| slab.take(&mut turn).unwrap()).collect();
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            theirs.0.take(&mut Turn::new(&theirs.1, &guard)).is_ok()
        });
        let mut taken = (0..4).filter(|_| slab.take(&mut turn).is_ok()).count();
        slab.blocks.give_back(first[0]);
        slab.blocks.give_back(first[1]);
        taken += usize::from(slab.take(&mut turn).is_ok());
        taken += usize::from(other.join().unwrap());
        // Without the last look at all blocks: what the magazines and the tree lead to.
        let fresh = 11 - slab.blocks.slots() as usize;
        let free = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(free + stripes.free_slots() + fresh, 10 - taken, "slots out of reach");
    });
    let executions = executions.load(Relaxed);
    println!("model slab_no_block_with_free_slots_is_left_behind: {executions} executions");
    assert!(executions >= FLOOR, "{executions} executions, at least {FLOOR} expected");
}

/// A run whose memory is given back meanwhile is not used, and every slot of it can be taken afterwards.
#[test]
fn slab_release_vs_take() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        // Blocks of 3, 4, 4 and 4 slots; the last two are a run.
        let shared = Arc::new((Slab::<u32>::new(15, 1), Stripes::new()));
        let (slab, stripes) = &*shared;
        let guard = guard::pin();
        let mut turn = Turn::new(stripes, &guard);
        let slots: Vec<_> = (0..15).map(|_| slab.take(&mut turn).unwrap()).collect();
        slots[7..].iter().for_each(|slot| slab.blocks.give_back(*slot));
        turn.leave();
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            let taken = theirs.0.take(&mut Turn::new(&theirs.1, &guard));
            if let Ok(slot) = taken {
                // SAFETY: just taken, and empty.
                unsafe { theirs.0.node(slot).fill(7, 7) };
            }
            taken.is_ok()
        });
        let released = slab.release_run(1);
        let taken = usize::from(other.join().unwrap());
        let left = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(left + stripes.free_slots(), 8 - taken, "slots out of reach");
        // Used again, it counts as released no more.
        assert_eq!(slab.released_slots(), 0, "{released}");
    });
    let executions = executions.load(Relaxed);
    println!("model slab_release_vs_take: {executions} executions");
    assert!(executions >= 560, "{executions} executions, at least 560 expected");
}

/// Two threads give one run back: it counts once.
#[test]
fn slab_release_vs_release() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        let shared = Arc::new((Slab::<u32>::new(15, 1), Stripes::new()));
        let (slab, stripes) = &*shared;
        let guard = guard::pin();
        let mut turn = Turn::new(stripes, &guard);
        let slots: Vec<_> = (0..15).map(|_| slab.take(&mut turn).unwrap()).collect();
        slots[7..].iter().for_each(|slot| slab.blocks.give_back(*slot));
        turn.leave();
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.0.release_run(1));
        slab.release_run(1);
        other.join().unwrap();
        while slab.blocks.take_from_first(1).is_some() {}
        assert_eq!(slab.released_slots(), 0, "all are in use again");
    });
    let executions = executions.load(Relaxed);
    println!("model slab_release_vs_release: {executions} executions");
    assert!(executions >= 120, "{executions} executions, at least 120 expected");
}
