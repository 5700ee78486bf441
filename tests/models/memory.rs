//! Models of memory that goes back: arrays halved, runs of slots released, notes of deadlines taken.
//!
//! As `operations.rs`, and run with it (`ci/loom.sh`).
#![cfg(all(evanesce_loom, not(crossbeam_loom)))]

use std::sync::Arc;

use crate::small::{A, B, C, D, NS, World, model, race};
use loom::thread;

race!(
    racy_21c_shrink_vs_remove,
    3,
    593,
    World::with_capacity(2),
    |w: &World| {
        w.insert(C, 1);
    },
    |w: &World| w.map.shrink_to_fit(),
    |w: &World| w.remove(C),
    |w: &World, (), b| {
        assert_eq!((b, w.get(C), w.map.len()), (Some(1), None, 0));
        w.map.shrink_to_fit();
        assert_eq!((w.insert(C, 2), w.get(C)), (None, Some(2)));
    }
);

// A helper that is slow with its share, and a reader that pins when all others are done.
race!(
    racy_21f_shrink_vs_two_helping_inserts_and_a_get,
    2,
    31_900,
    World::with_capacity(2),
    |w: &World| {
        w.insert(C, 1);
    },
    |w: &World| w.map.shrink_to_fit(),
    |w: &World| (w.insert(A, 2), w.insert(B, 3), w.get(C)),
    |_: &World, (), seen| assert_eq!(seen, (None, None, Some(1)))
);

/// Growth to a level, and the way back while a helper may be in the middle of linking it.
#[test]
fn racy_21d_grow_vs_shrink() {
    model("racy_21d_grow_vs_shrink", 1, 503, || {
        let w = World::with_capacity(0);
        w.insert(A, 1);
        w.insert(D, 2);
        let theirs = Arc::clone(&w);
        let other = thread::spawn(move || {
            let removed = (theirs.remove(D), theirs.remove(A));
            theirs.map.shrink_to_fit();
            drop(theirs);
            removed
        });
        assert_eq!(w.insert(C, 3), None);
        assert_eq!(other.join().unwrap(), (Some(2), Some(1)));
        w.map.shrink_to_fit();
        assert_eq!((w.get(A), w.get(C), w.get(D)), (None, Some(3), None));
        w.end();
    });
}

/// What a sweep does not see is noted behind it, so the next one comes to it.
fn is_swept_in_time(w: &World, swept: usize, entries: usize) {
    w.clock.advance(NS(20));
    assert_eq!(swept + w.sweep(), entries, "an entry is left that no sweep looks for");
    assert_eq!(w.map.len(), 0);
}

race!(
    racy_26_set_ttl_to_a_shorter_one_vs_sweep_of_its_block,
    3,
    4150,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 1000);
        w.insert_until(B, 2, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.set_ttl(A, 5),
    |w: &World| w.sweep(),
    |w: &World, renewed: bool, swept| {
        assert!(renewed);
        is_swept_in_time(w, swept, 2);
    }
);

race!(
    racy_26b_insert_vs_sweep_of_its_block,
    3,
    18_100,
    World::new(),
    |w: &World| {
        w.insert_until(B, 2, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.insert_until(A, 1, 15),
    |w: &World| w.sweep(),
    |w: &World, a, swept| {
        assert_eq!(a, None);
        is_swept_in_time(w, swept, 2);
    }
);

race!(
    racy_26c_set_ttl_to_a_longer_one_vs_sweep_that_saw_it_due,
    3,
    2370,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.set_ttl(A, 15),
    |w: &World| {
        w.clock.advance(NS(10));
        w.sweep()
    },
    |w: &World, renewed: bool, swept| {
        assert!(renewed || swept == 1);
        is_swept_in_time(w, swept, 1);
    }
);
