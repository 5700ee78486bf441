//! Models of memory that goes back: levels given up, runs of slots released, notes of deadlines taken.
//!
//! As `tests/loom.rs`, and run with it (`ci/loom.sh`).
#![cfg(all(loom, not(crossbeam_loom)))]

#[path = "models/small.rs"]
mod small;

use std::sync::Arc;

use loom::thread;
use small::{A, B, C, D, NS, World, model, race};

// Of the two sentinels that level 2 adds to level 1, one stands before C, the other behind D.

race!(
    racy_21_shrink_vs_insert_behind_a_sentinel_that_goes,
    3,
    20_300,
    World::with_capacity(2),
    |_: &World| {},
    |w: &World| w.map.shrink_to_fit(),
    |w: &World| w.insert(C, 1),
    |w: &World, (), b| {
        assert_eq!(b, None);
        assert_eq!((w.get(C), w.map.len()), (Some(1), 1));
        w.map.shrink_to_fit();
        assert_eq!((w.get(C), w.insert(A, 2), w.get(A)), (Some(1), None, Some(2)));
    }
);

race!(
    racy_21b_shrink_vs_get,
    3,
    180,
    World::with_capacity(2),
    |w: &World| {
        w.insert(C, 1);
    },
    |w: &World| w.map.shrink_to_fit(),
    |w: &World| (w.get(B), w.get(C)),
    |_: &World, (), seen| assert_eq!(seen, (None, Some(1)))
);

race!(
    racy_21c_shrink_vs_remove_behind_a_sentinel_that_goes,
    3,
    10_500,
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
    144_000,
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
    model("racy_21d_grow_vs_shrink", 1, 62_000, || {
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

#[test]
fn racy_21e_shrink_vs_get_vs_insert() {
    model("racy_21e_shrink_vs_get_vs_insert", 2, 12_100, || {
        let w = World::with_capacity(2);
        w.insert(C, 1);
        let (x, y) = (Arc::clone(&w), Arc::clone(&w));
        let shrink = thread::spawn(move || {
            x.map.shrink_to_fit();
            drop(x);
        });
        let insert = thread::spawn(move || {
            let old = y.insert(D, 2);
            drop(y);
            old
        });
        assert_eq!(w.get(C), Some(1), "hidden by the way back");
        shrink.join().unwrap();
        assert_eq!(insert.join().unwrap(), None);
        assert_eq!((w.get(C), w.get(D)), (Some(1), Some(2)));
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
    3350,
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
    7100,
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
    2550,
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
