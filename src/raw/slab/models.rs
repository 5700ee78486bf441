//! Models of the blocks alone: through the map they would have too many steps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::{Slab, SlotIndex, Turn, slot_of};
use crate::raw::{
    memory::pages::PageSize,
    reclaim::{guard, stripe::Stripes},
};

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
    slots[free].iter().for_each(|slot| slab.blocks.free_slot(*slot));
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
        slab.blocks.free_slot(first[0]);
        slab.blocks.free_slot(first[1]);
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
            taken.map(|slot| fill(&theirs.0, slot)).is_ok()
        });
        let released = slab.give_back_run(1);
        let taken = usize::from(other.join().unwrap());
        let left = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(left + stripes.free_slots(), 8 - taken, "slots out of reach");
        // Used again, it counts as released no more.
        assert_eq!(slab.unused_slots(), 0, "{released}");
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
                unsafe { theirs.0.fill(slot, 7, |place| place.write([7; 1024])) };
            }
            taken.is_ok()
        });
        let released = slab.give_back_run(1);
        let taken = usize::from(other.join().unwrap());
        let left = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(left + stripes.free_slots(), 2 - taken, "slots out of reach");
        assert_eq!(slab.unused_slots(), 0, "{released}");
    });
}

/// Two threads give one run back: it counts once.
#[test]
fn slab_release_vs_release() {
    model("slab_release_vs_release", 2, 120, || {
        let shared = with_a_free_run();
        let slab = &shared.0;
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.0.give_back_run(1));
        slab.give_back_run(1);
        other.join().unwrap();
        while slab.blocks.take_from_first(1).is_some() {}
        assert_eq!(slab.unused_slots(), 0, "all are in use again");
    });
}

/// A slab of two blocks with magazines of one slot, and its slots, all taken.
fn full() -> (Arc<(Slab<u32>, Stripes)>, Vec<SlotIndex>) {
    let shared = Arc::new((Slab::<u32>::new(7, 1, PageSize::Usual), Stripes::new()));
    let guard = guard::pin();
    let mut turn = Turn::new(&shared.1, &guard);
    let slots = (0..7).map(|_| shared.0.take(&mut turn).unwrap()).collect();
    drop(turn);
    (shared, slots)
}

/// Uses a slot that was taken.
fn fill(slab: &Slab<u32>, slot: SlotIndex) {
    // SAFETY: just taken, and empty.
    unsafe { slab.fill(slot, 7, |place| place.write(7)) };
}

/// The same, and gives it back.
fn fill_and_give_back(slab: &Slab<u32>, slot: SlotIndex) {
    fill(slab, slot);
    // SAFETY: filled in the line before, and not published.
    unsafe { slab.take_out(slot, |_| ()) };
    slab.blocks.free_slot(slot);
}

/// What the last user of a slot did with it comes before what the next one does. (The block is in the tree all
/// the time: only its bitmap tells.)
#[test]
fn slab_give_back_vs_take() {
    model("slab_give_back_vs_take", 3, 47, || {
        let (shared, slots) = full();
        let slab = &shared.0;
        slab.blocks.free_slot(slots[1]);
        let (theirs, slot) = (Arc::clone(&shared), slots[0]);
        let other = thread::spawn(move || fill_and_give_back(&theirs.0, slot));
        let (block, bits) = slab.blocks.take_from_first(1).expect("one is free");
        fill(slab, slot_of(block, bits));
        other.join().unwrap();
    });
}

/// The same where memory is given back instead.
#[test]
fn slab_give_back_vs_release() {
    model("slab_give_back_vs_release", 3, 3, || {
        let shared = with_a_free_run();
        let (block, bits) = shared.0.blocks.take_from_first(1).expect("a run is free");
        let (theirs, slot) = (Arc::clone(&shared), slot_of(block, bits));
        let other = thread::spawn(move || fill_and_give_back(&theirs.0, slot));
        shared.0.give_back_run(1);
        other.join().unwrap();
    });
}

/// The last free slot of a block is taken, and the block goes out of the tree, while another slot of it is given
/// back.
#[test]
fn slab_give_back_vs_take_of_the_last_one() {
    model("slab_give_back_vs_take_of_the_last_one", 3, 47, || {
        let (shared, slots) = full();
        let slab = &shared.0;
        slab.blocks.free_slot(slots[0]);
        let (theirs, slot) = (Arc::clone(&shared), slots[1]);
        let other = thread::spawn(move || theirs.0.blocks.free_slot(slot));
        let taken = slab.blocks.take_from_first(1).is_some();
        other.join().unwrap();
        let left = core::iter::from_fn(|| slab.blocks.take_from_first(1)).count();
        assert_eq!(usize::from(taken) + left, 2, "slots out of reach");
    });
}

/// A block that another thread has just made is met in the tree.
#[test]
fn slab_fresh_block_vs_take_from_first() {
    model("slab_fresh_block_vs_take_from_first", 3, 3, || {
        let shared = Arc::new((Slab::<u32>::new(11, 1, PageSize::Usual), Stripes::new()));
        let slab = &shared.0;
        let fresh = |slab: &Slab<u32>| slab.fresh_block(1).expect("there are three").0;
        let first = fresh(slab);
        while slab.blocks.free_in(first) != 0 {
            slab.blocks.take_from_first(1);
        }
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || fresh(&theirs.0));
        if let Some((block, bits)) = slab.blocks.take_from_first(1) {
            fill(slab, slot_of(block, bits));
        }
        other.join().unwrap();
    });
}
