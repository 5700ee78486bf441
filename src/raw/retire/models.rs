//! A model of batches alone, with two slots each: the map's models are too small for a batch that waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::{Limbo, SlotIndex, Turn};
use crate::raw::{guard, stripe::Stripes};

/// Half of what was seen first.
const FLOOR: usize = 175;

/// Two threads of one number retire two slots each, in turns of one stripe or of two, into batches that
/// they find or begin; then a third comes for what is due. Each slot comes back once.
#[test]
fn limbo_each_slot_comes_back_once() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        let shared = Arc::new((Limbo::new(2), Stripes::new()));
        let retire = |(limbo, stripes): &(Limbo, Stripes), slots: [u32; 2]| {
            let guard = guard::pin();
            for slot in slots {
                limbo.retire(SlotIndex(slot), &mut Turn::new(stripes, &guard));
            }
        };
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            retire(&theirs, [1, 2]);
            drop(theirs);
        });
        retire(&shared, [3, 4]);
        other.join().unwrap();
        let (limbo, stripes) = &*shared;
        let guard = guard::pin();
        limbo.seal_all(&mut Turn::new(stripes, &guard));
        drop(guard);
        let guard = guard::pin();
        let mut back = Vec::new();
        while let Some(mut batch) = limbo.pop(&guard) {
            back.extend(core::iter::from_fn(|| batch.take()).map(|slot| slot.0));
        }
        back.sort_unstable();
        assert_eq!(back, [1, 2, 3, 4]);
        drop(guard);
        let (mut limbo, _stripes) = Arc::into_inner(shared).expect("all threads have joined");
        limbo.close();
    });
    let executions = executions.load(Relaxed);
    println!("model limbo_each_slot_comes_back_once: {executions} executions");
    assert!(executions >= FLOOR, "{executions} executions, at least {FLOOR} expected");
}
