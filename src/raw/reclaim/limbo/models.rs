//! Models of batches alone, with two slots each at most: the map's models are too small for a batch that waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::{cell::UnsafeCell, sync::atomic::AtomicBool, thread};

use super::{Limbo, Ordering, SlotIndex, Turn};
use crate::raw::reclaim::{guard, stripe::Stripes};

/// Explores `f`; fails below `floor` executions, half of what was seen first.
fn model(name: &str, floor: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
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

type Shared = Arc<(Limbo, Stripes)>;

fn limbo(batch_slots: u32) -> Shared {
    Arc::new((Limbo::new(batch_slots), Stripes::new()))
}

/// Retires slots, each in a turn of its own, under a guard of its own.
fn retire<const N: usize>((limbo, stripes): &(Limbo, Stripes), slots: [u32; N]) {
    let guard = guard::pin();
    for slot in slots {
        limbo.retire(SlotIndex(slot), &mut Turn::new(stripes, &guard));
    }
}

/// Takes the slots of all batches that are due.
fn due((limbo, _): &(Limbo, Stripes)) -> Vec<u32> {
    let guard = guard::pin();
    let mut back = Vec::new();
    while let Some(mut batch) = limbo.pop(&guard) {
        back.extend(core::iter::from_fn(|| batch.take()).map(|slot| slot.0));
    }
    back
}

fn end(shared: Shared) {
    let (mut limbo, _stripes) = Arc::into_inner(shared).expect("all threads have joined");
    limbo.close();
}

/// Two threads of one number retire two slots each, in turns of one stripe or of two, into batches that
/// they find or begin; then a third comes for what is due. Each slot comes back once.
#[test]
fn limbo_each_slot_comes_back_once() {
    model("limbo_each_slot_comes_back_once", 233, || {
        let shared = limbo(2);
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            retire(&theirs, [1, 2]);
            drop(theirs);
        });
        retire(&shared, [3, 4]);
        other.join().unwrap();
        let guard = guard::pin();
        shared.0.seal_all(&mut Turn::new(&shared.1, &guard));
        drop(guard);
        let mut back = due(&shared);
        back.sort_unstable();
        assert_eq!(back, [1, 2, 3, 4]);
        end(shared);
    });
}

/// A batch is put on the one that is being popped.
#[test]
fn limbo_pop_vs_push() {
    model("limbo_pop_vs_push", 35, || {
        let shared = limbo(1);
        retire(&shared, [1]);
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            retire(&theirs, [2]);
            drop(theirs);
        });
        let mut back = due(&shared);
        other.join().unwrap();
        back.extend(due(&shared));
        back.sort_unstable();
        assert_eq!(back, [1, 2]);
        end(shared);
    });
}

/// Behind the end of a grace period are the batches from before it.
#[test]
fn limbo_grace_vs_the_last_guard() {
    model("limbo_grace_vs_the_last_guard", 54, || {
        let shared = limbo(2);
        let other = thread::spawn(|| drop(guard::pin()));
        retire(&shared, [1]);
        let (limbo, stripes) = &*shared;
        let guard = guard::pin();
        let grace = limbo.begin_grace(&mut Turn::new(stripes, &guard)).expect("the first");
        drop(guard);
        assert!(!limbo.is_past(grace) || limbo.has_due(), "passed, and no batch to be seen");
        other.join().unwrap();
        end(shared);
    });
}

/// Whoever finds a ticket past comes behind what was done under the guards that it waited for.
#[test]
fn limbo_ticket_vs_a_guard_from_before() {
    model("limbo_ticket_vs_a_guard_from_before", 16, || {
        let limbo = Limbo::new(1);
        let (used, is_pinned) = (Arc::new(UnsafeCell::new(())), Arc::new(AtomicBool::new(false)));
        let (theirs, tell) = (Arc::clone(&used), Arc::clone(&is_pinned));
        let other = thread::spawn(move || {
            let guard = guard::pin();
            tell.store(true, Ordering::Release);
            theirs.with(|_| ());
            drop(guard);
        });
        while !is_pinned.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let ticket = limbo.next_ticket();
        limbo.defer_ticket(ticket, &guard::pin());
        if limbo.is_past(ticket) {
            used.with_mut(|_| ());
        }
        other.join().unwrap();
    });
}
