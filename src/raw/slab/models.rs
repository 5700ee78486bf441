//! A model of the blocks alone: through the map it would have too many steps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::{Slab, Turn};
use crate::raw::{chunked::PageSize, guard, stripe::Stripes};

/// Explores `f`; fails below `floor` executions, half of what was seen first.
fn model(name: &str, preemptions: usize, floor: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        f();
    });
    let executions = executions.load(Relaxed);
    println!("model {name}: {executions} executions");
    assert!(executions >= floor, "{name}: {executions} executions, at least {floor} expected");
}

type Shared<T> = Arc<(Slab<T>, Stripes)>;

/// A slab of so many slots, in blocks of 3, then 4 each, all taken but these, counted from 0.
fn with_free<T>(max_slots: u32, free: core::ops::Range<usize>) -> Shared<T> {
    let shared = Arc::new((Slab::new(max_slots, 1, PageSize::Usual), Stripes::new()));
    let (slab, stripes) = &*shared;
    let guard = guard::pin();
    let mut turn = Turn::new(stripes, &guard);
    let slots: Vec<_> = (0..max_slots).map(|_| slab.take(&mut turn).unwrap()).collect();
    slots[free].iter().for_each(|slot| slab.blocks.give_back(*slot));
    drop(turn);
    shared
}

/// The last two blocks are a run, and free; the others are taken.
fn with_a_free_run() -> Shared<u32> {
    with_free(15, 7..15)
}

/// Of so large a type slots go back one by one.
type Large = [u64; 1024];

/// The second block has two free slots between two taken ones.
fn with_a_free_stretch() -> Shared<Large> {
    with_free(7, 4..6)
}

/// While one thread takes slots, another takes them as well and gives some back; blocks go out of the tree and
/// come in again. Every free slot can still be taken.
#[test]
fn slab_no_block_with_free_slots_is_left_behind() {
    model("slab_no_block_with_free_slots_is_left_behind", 2, 3200, || {
        // Magazines of two.
        let shared = Arc::new((Slab::<u32>::new(11, 2, PageSize::Usual), Stripes::new()));
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
}

/// A run whose memory is given back meanwhile is not used, and every slot of it can be taken afterwards.
#[test]
fn slab_release_vs_take() {
    model("slab_release_vs_take", 3, 560, || {
        let shared = with_a_free_run();
        let (slab, stripes) = &*shared;
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            let taken = theirs.0.take(&mut Turn::new(&theirs.1, &guard));
            if let Ok(slot) = taken {
                // SAFETY: just taken, and empty.
                unsafe { theirs.0.node(slot).fill(7, |place| place.write(7)) };
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
}

/// The same where slots go back one by one, of a block that has others.
#[test]
fn slab_release_of_some_vs_take() {
    model("slab_release_of_some_vs_take", 3, 97, || {
        let shared = with_a_free_stretch();
        let (slab, stripes) = &*shared;
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            let taken = theirs.0.take(&mut Turn::new(&theirs.1, &guard));
            if let Ok(slot) = taken {
                // SAFETY: just taken, and empty.
                unsafe { theirs.0.node(slot).fill(7, [7; 1024]) };
            }
            taken.is_ok()
        });
        let released = slab.release_run(1);
        let taken = usize::from(other.join().unwrap());
        let left = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(left + stripes.free_slots(), 2 - taken, "slots out of reach");
        assert_eq!(slab.released_slots(), 0, "{released}");
    });
}

/// Two threads give one run back: it counts once.
#[test]
fn slab_release_vs_release() {
    model("slab_release_vs_release", 2, 120, || {
        let shared = with_a_free_run();
        let slab = &shared.0;
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.0.release_run(1));
        slab.release_run(1);
        other.join().unwrap();
        while slab.blocks.take_from_first(1).is_some() {}
        assert_eq!(slab.released_slots(), 0, "all are in use again");
    });
}
