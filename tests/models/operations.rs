//! Models: every interleaving, up to a bound of preemptions, of two or three threads.
//!
//! ```text
//! RUSTFLAGS="--cfg evanesce_loom" cargo test --release --features async,loom --test models -- --nocapture --test-threads=1
//! ```
//!
//! The numbers are those of DESIGN.md, section 10, which also says what loom does not explore. Each
//! model asserts a floor of executions, half of what was seen first, so that one that stops
//! exploring fails; each fails when its bug is planted (`ci/planted.sh`).
//!
//! Under loom a hash is its key's place in split order, the smallest array has two lines of two cells, every
//! write looks at the count and may grow, a batch holds one slot.
#![cfg(all(evanesce_loom, not(crossbeam_loom)))]

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::small::{A, A_TWIN, B, C, D, Key, NS, Place, World, model, race};
use evanesce::{Clock, ManualClock, TtlMap};
use loom::thread;

race!(
    racy_01_insert_vs_insert_one_wins,
    2,
    49_500,
    World::new(),
    |_: &World| {},
    |w: &World| w.insert(A, 1),
    |w: &World| w.insert(A, 2),
    |w: &World, a, b| {
        // One was first and the other replaced it.
        let last = match (a, b) {
            (None, Some(1)) => 2,
            (Some(2), None) => 1,
            other => panic!("{other:?}"),
        };
        assert_eq!((w.get(A), w.map.len()), (Some(last), 1));
    }
);

race!(
    racy_01b_insert_vs_insert_at_one_place,
    2,
    64_800,
    World::new(),
    |_: &World| {},
    |w: &World| w.insert(A, 1),
    |w: &World| w.insert(A_TWIN, 2),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None));
        assert_eq!((w.get(A), w.get(A_TWIN), w.map.len()), (Some(1), Some(2), 2));
    }
);

race!(
    racy_02_remove_vs_remove_one_gets_it,
    5,
    1970,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.remove(A),
    |w: &World| w.remove(A),
    |w: &World, a: Option<u32>, b: Option<u32>| {
        assert_eq!(a.or(b), Some(1));
        assert!(a.is_none() || b.is_none(), "both removed it");
        assert_eq!((w.get(A), w.map.len()), (None, 0));
    }
);

race!(
    racy_03_remove_vs_remove_of_neighbours,
    5,
    5110,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| w.remove(A),
    |w: &World| w.remove(B),
    |w: &World, a, b| {
        assert_eq!((a, b), (Some(1), Some(2)));
        assert_eq!((w.get(A), w.get(B), w.map.len()), (None, None, 0));
    }
);

race!(
    racy_04_remove_vs_insert_behind_it,
    5,
    4230,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.remove(A),
    |w: &World| w.insert(B, 2),
    |w: &World, a, b| {
        assert_eq!((a, b), (Some(1), None));
        assert_eq!((w.get(A), w.get(B), w.map.len()), (None, Some(2), 1));
    }
);

race!(
    racy_05_remove_vs_get_sees_old_or_none,
    5,
    1010,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| {
        w.remove(A);
        w.sweep()
    },
    |w: &World| w.get(A),
    |w: &World, _, b| {
        assert!(matches!(b, None | Some(1)));
        assert_eq!(w.get(A), None);
    }
);

race!(
    racy_06_replace_vs_get_never_none,
    5,
    52,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(A, 2),
    |w: &World| w.get(A),
    |w: &World, a, b| {
        assert_eq!(a, Some(1));
        assert!(matches!(b, Some(1 | 2)), "{b:?}");
        assert_eq!((w.get(A), w.map.len()), (Some(2), 1));
    }
);

race!(
    racy_06b_two_replaces_vs_two_gets_never_go_back,
    5,
    1590,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| (w.insert(A, 2), w.insert(A, 3)),
    |w: &World| {
        // Under one pin, so that the second step of a chain is within its reach.
        let pinned = w.map.pin();
        [pinned.get(&A), pinned.get(&A)].map(|v| v.map(|v| v.number))
    },
    |w: &World, a, b: [Option<u32>; 2]| {
        assert_eq!(a, (Some(1), Some(2)));
        let [first, second] = b.map(|v| v.expect("never absent"));
        assert!(first <= second, "{second} after {first}");
        assert_eq!(w.get(A), Some(3));
    }
);

race!(
    racy_07_replace_vs_replace_last_one_stays,
    3,
    894,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(A, 2),
    |w: &World| w.insert(A, 3),
    |w: &World, a, b| {
        let last = match (a, b) {
            (Some(1), Some(2)) => 3,
            (Some(3), Some(1)) => 2,
            other => panic!("{other:?}"),
        };
        assert_eq!((w.get(A), w.map.len()), (Some(last), 1));
    }
);

race!(
    racy_08_sweep_vs_get_of_an_expired_key_is_none,
    5,
    1740,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.sweep(),
    |w: &World| w.get(A),
    |w: &World, a, b| {
        assert_eq!((a, b), (1, None));
        assert_eq!((w.get(A), w.map.len()), (None, 0));
    }
);

race!(
    racy_09_sweep_vs_replace_keeps_the_fresh_entry,
    3,
    12_900,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.sweep(),
    |w: &World| w.insert(A, 2),
    |w: &World, a, b| {
        assert!(a <= 1);
        assert_eq!(b, None);
        assert_eq!((w.get(A), w.map.len()), (Some(2), 1));
    }
);

race!(
    racy_10_sweep_vs_sweep_removes_once,
    2,
    2740,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.sweep(),
    |w: &World| w.sweep(),
    |w: &World, a, b| {
        assert_eq!(a + b, 1);
        assert_eq!((w.get(A), w.map.len()), (None, 0));
    }
);

race!(
    racy_11_set_ttl_vs_sweep_kept_or_told,
    3,
    2370,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.set_ttl(A, 100),
    |w: &World| {
        w.clock.advance(NS(10));
        w.sweep()
    },
    |w: &World, renewed: bool, swept| {
        assert_eq!(swept, usize::from(!renewed));
        assert_eq!(w.get(A), renewed.then_some(1));
    }
);

race!(
    racy_12_insert_vs_insert_that_make_it_grow,
    3,
    450,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(C, 2),
    |w: &World| w.insert(D, 3),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None));
        assert_eq!((w.get(A), w.get(C), w.get(D)), (Some(1), Some(2), Some(3)));
        assert_eq!(w.map.pin().iter().count(), 3);
    }
);

race!(
    racy_13_remove_vs_growth,
    3,
    3030,
    World::with_capacity(0),
    |w: &World| {
        // The second insert begins level 2 and links its first share; the next write links the rest.
        w.insert(A, 1);
        w.insert(D, 2);
    },
    |w: &World| w.insert(C, 3),
    |w: &World| w.remove(A),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, Some(1)));
        assert_eq!((w.get(A), w.get(C), w.get(D)), (None, Some(3), Some(2)));
        assert_eq!(w.map.pin().iter().count(), 2);
    }
);

#[test]
fn racy_14_get_vs_growth_vs_remove() {
    model("racy_14_get_vs_growth_vs_remove", 2, 1330, || {
        let w = World::with_capacity(0);
        w.insert(B, 1);
        w.insert(D, 2);
        let (x, y) = (Arc::clone(&w), Arc::clone(&w));
        // The third entry begins the next array; B's neighbour goes meanwhile.
        let split = thread::spawn(move || {
            let old = x.insert(C, 3);
            drop(x);
            old
        });
        let remove = thread::spawn(move || {
            let old = y.remove(D);
            drop(y);
            old
        });
        assert_eq!(w.get(B), Some(1), "hidden by the split");
        assert!(matches!(w.get(D), None | Some(2)));
        assert_eq!((split.join().unwrap(), remove.join().unwrap()), (None, Some(2)));
        assert_eq!((w.get(B), w.get(C), w.get(D)), (Some(1), Some(3), None));
        w.end();
    });
}

#[test]
fn racy_15_clock_advance_vs_get_vs_sweep_never_comes_back() {
    model("racy_15_clock_advance_vs_get_vs_sweep_never_comes_back", 3, 2110, || {
        let w = World::new();
        w.insert_until(A, 1, 10);
        let (x, y) = (Arc::clone(&w), Arc::clone(&w));
        let advance = thread::spawn(move || {
            x.clock.advance(NS(10));
            drop(x);
        });
        let sweep = thread::spawn(move || {
            let swept = y.sweep();
            drop(y);
            swept
        });
        let pinned = w.map.pin();
        let first = pinned.get(&A).is_some();
        let second = pinned.get(&A).is_some();
        drop(pinned);
        assert!(first || !second, "seen after it was seen expired");
        advance.join().unwrap();
        let swept = sweep.join().unwrap();
        assert_eq!(swept + w.sweep(), 1);
        assert_eq!(w.get(A), None);
        w.end();
    });
}

race!(
    racy_16_drop_of_the_map_with_work_deferred,
    5,
    933,
    World::new(),
    |_: &World| {},
    |w: &World| {
        // A map of its own, dropped while the other thread is pinned on another one.
        let own = World::new();
        own.insert(A, 1);
        own.insert(A, 2);
        own.remove(A);
        own.insert(B, 3);
        let alive = Arc::clone(&own.alive);
        drop(own);
        assert_eq!(alive.load(Relaxed), 0);
        w.insert(A, 1)
    },
    |w: &World| w.get(A),
    |w: &World, _, b| {
        assert!(matches!(b, None | Some(1)));
        assert_eq!(w.get(A), Some(1));
    }
);

race!(
    racy_17_clear_vs_insert,
    3,
    10_000,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.map.clear(),
    |w: &World| w.insert(B, 2),
    |w: &World, (), b| {
        assert_eq!(b, None);
        assert_eq!(w.get(A), None, "there before, and not cleared");
        assert!(matches!(w.get(B), None | Some(2)));
        assert_eq!(w.map.len(), usize::from(w.get(B).is_some()));
    }
);

race!(
    racy_17b_clear_vs_replace_leaves_no_replacement,
    3,
    16_200,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.map.clear(),
    |w: &World| w.insert(A, 2),
    |w: &World, (), b: Option<u32>| {
        // What found the key was there before it was cleared.
        assert_eq!(w.get(A), if b.is_none() { Some(2) } else { None });
        assert_eq!(w.map.len(), usize::from(b.is_none()));
    }
);

race!(
    racy_18_length_is_never_below_zero,
    5,
    598,
    World::new(),
    |_: &World| {},
    |w: &World| w.insert(A, 1),
    |w: &World| (w.remove(A), w.map.len()),
    |w: &World, _, (removed, len): (Option<u32>, usize)| {
        assert!(len <= 1, "{len}");
        assert_eq!(w.map.len(), usize::from(removed.is_none()));
    }
);

race!(
    racy_19_slot_reuse_never_shows_another_key,
    5,
    1730,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| {
        w.remove(A);
        w.sweep();
        w.insert(A_TWIN, 2)
    },
    |w: &World| w.get(A),
    |w: &World, _, b| {
        assert!(matches!(b, None | Some(1)), "{b:?}");
        assert_eq!((w.get(A), w.get(A_TWIN)), (None, Some(2)));
    }
);

race!(
    racy_20_refresh_token_one_of_two_gets_it,
    5,
    655,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
        // So the words for tokens are there: how they come to be, once, loom does not see.
        drop(w.token(A));
    },
    |w: &World| w.token(A),
    |w: &World| w.token(A),
    |_: &World, a: Option<_>, b: Option<_>| {
        assert_eq!(usize::from(a.is_some()) + usize::from(b.is_some()), 1);
    }
);

/// What the last holder did, the next one sees.
#[test]
fn racy_20b_refresh_token_comes_back_vs_the_next() {
    model("racy_20b_refresh_token_comes_back_vs_the_next", 5, 3, || {
        let w = World::new();
        w.insert_until(A, 1, 10);
        let token = w.token(A).expect("the first to ask");
        let record = Arc::new(loom::cell::UnsafeCell::new(0));
        let theirs = Arc::clone(&record);
        let holder = thread::spawn(move || {
            theirs.with_mut(|_| ());
            drop(token);
        });
        if let Some(next) = w.token(A) {
            record.with_mut(|_| ());
            drop(next);
        }
        holder.join().unwrap();
        assert!(w.token(A).is_some());
        w.end();
    });
}

/// Whichever comes first: the inserted value is newer than the one that was made from the old.
#[test]
fn racy_20c_refresh_vs_insert_the_refresh_is_never_on_top() {
    model("racy_20c_refresh_vs_insert_the_refresh_is_never_on_top", 3, 1130, || {
        let w = World::new();
        w.insert_until(A, 1, 10);
        let token = w.token(A).expect("the first to ask");
        let theirs = Arc::clone(&w);
        let other = thread::spawn(move || {
            let old = theirs.insert(A, 3);
            drop(theirs);
            old
        });
        let is_put = w.refresh(token, A, 2);
        assert_eq!(other.join().unwrap(), Some(if is_put { 2 } else { 1 }));
        assert_eq!((w.get(A), w.map.len()), (Some(3), 1));
        w.end();
    });
}

/// A token that outlived its entry is nothing to the next entry in its slot.
#[test]
fn racy_20d_late_refresh_token_vs_reuse_of_its_slot() {
    model("racy_20d_late_refresh_token_vs_reuse_of_its_slot", 5, 13, || {
        let w = World::with_slots(1, 1);
        w.insert_until(A, 1, 10);
        let token = w.token(A).expect("the first to ask");
        let holder = thread::spawn(move || drop(token));
        w.remove(A);
        w.sweep();
        w.insert_until(A_TWIN, 2, 10);
        let next = w.token(A_TWIN);
        holder.join().unwrap();
        assert!(next.is_some());
        assert!(w.token(A_TWIN).is_none(), "two holders");
        drop(next);
        w.end();
    });
}

#[test]
fn racy_23_no_renewal_after_a_get_saw_it_expired() {
    model("racy_23_no_renewal_after_a_get_saw_it_expired", 5, 72, || {
        let w = World::new();
        w.insert_until(A, 1, 10);
        let x = Arc::clone(&w);
        let advance = thread::spawn(move || {
            x.clock.advance(NS(10));
            drop(x);
        });
        let before = w.get(A).is_some();
        let renewed = w.set_ttl(A, 100);
        let after = w.get(A).is_some();
        assert!(before || !renewed, "renewed after it was seen expired");
        assert_eq!(renewed, after, "a renewed entry stays, one that is not goes");
        advance.join().unwrap();
        assert_eq!(w.get(A).is_some(), renewed);
        w.end();
    });
}

race!(
    racy_24_set_ttl_vs_update_keeps_the_deadline,
    5,
    3580,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.set_ttl(A, 100),
    |w: &World| w.update(A),
    |w: &World, a, b| {
        assert_eq!((a, b), (true, Some(2)));
        w.clock.advance(NS(50));
        assert_eq!(w.get(A), Some(2));
    }
);

race!(
    racy_25_iter_vs_replace_sees_each_key_once,
    5,
    73,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| w.insert(A, 3),
    |w: &World| {
        let pinned = w.map.pin();
        pinned.iter().map(|(key, _)| *key).collect::<Vec<_>>()
    },
    |_: &World, a, keys: Vec<Key>| {
        assert_eq!((a, keys), (Some(1), vec![A, B]));
    }
);

race!(
    racy_25b_iter_vs_remove_and_insert_in_a_run_sees_no_key_twice,
    3,
    97,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.insert(A_TWIN, 2);
    },
    |w: &World| (w.remove(A), w.insert(A, 3)),
    |w: &World| {
        let pinned = w.map.pin();
        pinned.iter().map(|(key, _)| *key).collect::<Vec<_>>()
    },
    |_: &World, _, keys: Vec<Key>| {
        let times = |key| keys.iter().filter(|met| **met == key).count();
        assert!(times(A) <= 1 && times(A_TWIN) == 1, "{keys:?}");
    }
);

race!(
    racy_27_replace_vs_get_while_the_old_deadline_passes,
    5,
    218,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| {
        // Replaced before the deadline, so the key is never absent.
        let replaced = w.insert_until(A, 2, 100);
        w.clock.advance(NS(10));
        replaced
    },
    |w: &World| w.get(A),
    |w: &World, a: Option<u32>, b: Option<u32>| {
        assert_eq!(a, Some(1));
        assert!(b.is_some(), "absent, yet replaced in time");
        assert_eq!(w.get(A), Some(2));
    }
);

race!(
    racy_27b_renew_vs_get_while_the_old_deadline_passes,
    5,
    279,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| {
        let renewed = w.set_ttl(A, 20) && w.set_ttl(A, 100);
        w.clock.advance(NS(30));
        renewed
    },
    |w: &World| w.get(A),
    |w: &World, a: bool, b| {
        assert!(a);
        assert_eq!((b, w.get(A)), (Some(1), Some(1)));
    }
);

race!(
    racy_28_remove_vs_set_ttl_zero_have_an_order,
    5,
    1090,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 100);
    },
    |w: &World| w.remove(A),
    |w: &World| w.set_ttl(A, 0),
    |w: &World, removed, expired| {
        assert!(matches!((removed, expired), (Some(1), false) | (None, true)));
        assert_eq!(w.get(A), None);
        w.sweep();
    }
);

race!(
    racy_28b_remove_vs_a_deadline_that_comes_back,
    4,
    15_300,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.remove(A),
    |w: &World| {
        let moved = w.set_ttl(A, 20);
        w.clock.advance(NS(10));
        moved && w.set_ttl(A, 0)
    },
    |w: &World, removed: Option<u32>, over: bool| {
        assert!(removed.is_none() || !over, "removed after it was over");
        assert_eq!(w.get(A), None);
    }
);

race!(
    racy_28c_remove_if_vs_a_passed_deadline_that_comes_back,
    3,
    3920,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.map.pin().remove_if(&A, |_, _| true).unwrap().is_some(),
    |w: &World| {
        let moved = w.set_ttl(A, 20);
        w.clock.advance(NS(10));
        moved && w.set_deadline(A, 10)
    },
    |w: &World, removed: bool, over: bool| {
        assert!(!removed || !over, "removed after it was over");
        assert_eq!(w.get(A), None);
    }
);

race!(
    racy_29_sweep_vs_replace_ends_an_entry_once,
    3,
    25_500,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.insert(A, 2),
    |w: &World| {
        w.clock.advance(NS(10));
        w.sweep()
    },
    |w: &World, replaced: Option<u32>, swept| {
        assert!(usize::from(replaced.is_some()) + swept <= 1, "replaced and expired");
        assert_eq!(w.get(A), Some(2));
    }
);

race!(
    racy_29b_sweep_vs_remove_ends_an_entry_once,
    4,
    18_500,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.remove(A),
    |w: &World| {
        w.clock.advance(NS(10));
        w.sweep()
    },
    |w: &World, removed: Option<u32>, swept| {
        assert_eq!(usize::from(removed.is_some()) + swept, 1);
        assert_eq!(w.get(A), None);
    }
);

race!(
    racy_30_growth_vs_growth,
    2,
    8890,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(D, 2);
    },
    |w: &World| (w.insert(B, 3), w.insert(C, 4)),
    |w: &World| w.remove(D),
    |w: &World, a, b| {
        assert_eq!((a, b), ((None, None), Some(2)));
        // However the shares were dealt, a few writes later every level begun is built.
        for _ in 0..6 {
            w.insert(A, 5);
        }
        assert_eq!((w.get(A), w.get(B), w.get(C), w.get(D)), (Some(5), Some(3), Some(4), None));
        assert_eq!(w.map.pin().iter().count(), 3);
        assert!(w.map.stats().growths >= 1);
    }
);

race!(
    racy_31_map_drop_vs_a_batch_deferred_on_another_thread,
    5,
    213,
    World::new(),
    |_: &World| {},
    |w: &World| {
        // Pinned on one map when the other one's batch is handed over, and the one to run it.
        let seen = w.map.pin().get(&A).is_some();
        seen
    },
    |_: &World| {
        let own = World::new();
        own.insert(A, 1);
        own.remove(A);
        let alive = Arc::clone(&own.alive);
        drop(own);
        alive.load(Relaxed)
    },
    |_: &World, _, alive| assert_eq!(alive, 0)
);

/// One thread has a fresh block in its hands, and the other finds no other: it is not full.
#[test]
fn racy_32_first_inserts_of_a_map_of_three() {
    model("racy_32_first_inserts_of_a_map_of_three", 2, 227_000, || {
        let map = TtlMap::builder().hasher(Place(0)).capacity(3).max_slots(3).build().unwrap();
        let map: Arc<TtlMap<Key, u32, Place>> = Arc::new(map);
        let theirs = Arc::clone(&map);
        let other = thread::spawn(move || {
            theirs.pin().insert(A, 1);
            drop(theirs);
        });
        map.pin().insert(B, 2);
        other.join().unwrap();
        assert_eq!(map.len(), 2);
    });
}

race!(
    racy_34_get_many_vs_insert_and_replace,
    3,
    380,
    World::new(),
    |w: &World| {
        w.insert(B, 1);
    },
    |w: &World| {
        w.insert(B, 2);
        w.insert(A, 3);
    },
    |w: &World| w.get_many([A, B]),
    |w: &World, (), [a, b]: [Option<u32>; 2]| {
        assert!(matches!(a, None | Some(3)), "{a:?}");
        assert!(matches!(b, Some(1 | 2)), "{b:?}");
        assert_eq!(w.get_many([B, A]), [Some(2), Some(3)]);
    }
);

race!(
    racy_33_get_vs_insert_of_an_entry_that_is_over_never_sees_it,
    5,
    42,
    World::new(),
    |_: &World| {},
    |w: &World| {
        w.clock.advance(NS(10));
        w.insert_until(A, 1, 10)
    },
    |w: &World| w.get(A),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None), "it never was visible");
        assert_eq!(w.get(A), None);
    }
);

// A second key comes into a line and goes.
race!(
    racy_35b_remove_vs_insert_behind,
    3,
    71,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.remove(B),
    |w: &World, _, removed: Option<u32>| {
        assert_eq!(w.map.len(), 2 - usize::from(removed.is_some()));
    }
);

// What comes into a line while another key leaves it stays.
race!(
    racy_35c_remove_and_get_vs_insert_behind,
    3,
    2300,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| (w.remove(A), w.get(B)),
    |w: &World, _, (removed, found): (Option<u32>, Option<u32>)| {
        assert_eq!(removed, Some(1));
        assert!(matches!(found, None | Some(2)));
        assert_eq!((w.get(B), w.map.len()), (Some(2), 1));
    }
);

// Not the first look finds the replacement, but the second.
race!(
    racy_27c_replace_vs_get_of_an_expired_key,
    5,
    157,
    World::new(),
    |w: &World| {
        w.insert_until(A, 1, 10);
        w.clock.advance(NS(10));
    },
    |w: &World| w.insert(A, 2),
    |w: &World| w.get(A),
    |w: &World, a, b| {
        assert_eq!(a, None);
        assert!(matches!(b, None | Some(2)), "{b:?}");
        assert_eq!(w.get(A), Some(2));
    }
);

/// The clock of the models is the public one.
#[test]
fn the_manual_clock_starts_at_zero() {
    loom::model(|| assert_eq!(ManualClock::new().now(), 0));
}
