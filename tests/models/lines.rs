//! Models of the lines: cells reserved and used again, chains, and arrays that take the place of others.
//!
//! As `operations.rs`, and run with it (`ci/loom.sh`). In a model a line has two cells, the smallest array two
//! lines, and an array is meant for one entry a line. All keys of a model have one fingerprint.
#![cfg(all(evanesce_loom, not(crossbeam_loom)))]

use std::sync::Arc;

use crate::small::{A, A_TWIN, B, C, D, Key, NS, World, model, race};
use loom::thread;

/// A third key in the line of A and B.
const A_NEXT: Key = 0x1400_0000_0000_0006;

// Cells.

// A reader that read that a cell was present, and then meets the draft of another in it.
#[test]
fn racy_40_get_vs_a_cell_that_is_used_again() {
    model("racy_40_get_vs_a_cell_that_is_used_again", 2, 5420, || {
        let w = World::new();
        w.insert(A, 1);
        let (x, y) = (Arc::clone(&w), Arc::clone(&w));
        let again = thread::spawn(move || {
            let removed = (x.remove(A), x.map.pin().try_insert(B, x.value(2)).is_ok());
            drop(x);
            removed
        });
        let twice = thread::spawn(move || {
            let put = y.map.pin().try_insert(B, y.value(3)).is_ok();
            drop(y);
            put
        });
        let pinned = w.map.pin();
        let seen = [A, B, B].map(|key| pinned.get(&key).map(|v| v.number));
        drop(pinned);
        let (removed, first) = again.join().unwrap();
        let second = twice.join().unwrap();
        assert_eq!(removed, Some(1));
        assert!(first != second, "one of two gets in: {first} {second}");
        let put = if first { 2 } else { 3 };
        assert!(matches!(seen[0], None | Some(1)));
        assert!(seen[1].is_none_or(|n| n == put) && seen[2].is_none_or(|n| n == put), "{seen:?}");
        assert!(seen[1].is_none() || seen[2].is_some(), "seen, and then not");
        assert_eq!((w.get(A), w.get(B)), (None, Some(put)));
        w.end();
    });
}

// Two inserts of one key, one of which loses after it reserved; its cell and its slot are used again.
race!(
    racy_41_try_insert_vs_try_insert_one_wins,
    1,
    13_000,
    World::new(),
    |_: &World| {},
    |w: &World| {
        let won = w.map.pin().try_insert(A, w.value(1)).is_ok();
        (won, w.remove(A), w.insert(B, 3))
    },
    |w: &World| w.map.pin().try_insert(A, w.value(2)).is_ok(),
    |w: &World, (first, removed, b): (bool, Option<u32>, Option<u32>), second| {
        assert!(first || second);
        assert!(removed.is_some() && b.is_none());
        assert_eq!(w.get(B), Some(3));
        // The second was before the first, or behind the removal.
        assert_eq!(w.get(A), (second && removed == Some(1)).then_some(2));
    }
);

// A cell comes free and is taken again between an insert's search and its publication.
race!(
    racy_42_insert_vs_remove_and_insert_in_its_line,
    2,
    14_400,
    World::new(),
    |w: &World| {
        w.insert(B, 1);
    },
    |w: &World| (w.map.pin().try_insert(A, w.value(2)).is_ok(), w.get(A)),
    |w: &World| [w.remove(B), w.insert(A, 3), w.insert(B, 4)],
    |w: &World, (put, seen): (bool, Option<u32>), [removed, old, b]: [Option<u32>; 3]| {
        assert_eq!((removed, b), (Some(1), None));
        assert_eq!(old, put.then_some(2));
        assert!(seen == Some(3) || seen == Some(2) && put);
        assert_eq!((w.get(A), w.get(B), w.map.len()), (Some(3), Some(4), 2));
    }
);

race!(
    racy_44_one_key_vs_the_chain_that_comes_behind_it,
    2,
    6880,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| (w.remove(A), w.insert(A_TWIN, 3)),
    |w: &World| (w.insert(A_TWIN, 4), w.get(B)),
    |w: &World, (removed, a), (b, seen)| {
        assert_eq!((removed, seen), (Some(1), Some(2)));
        let last = match (a, b) {
            (None, Some(3)) => 4,
            (Some(4), None) => 3,
            other => panic!("{other:?}"),
        };
        assert_eq!((w.get(A_TWIN), w.map.len()), (Some(last), 2));
    }
);

// The line in the middle becomes empty, and is passed.
race!(
    racy_45_get_and_insert_vs_a_chain_that_becomes_shorter,
    2,
    512,
    World::with_slots(4, 9),
    |w: &World| {
        for (key, n) in [(A, 1), (B, 2), (A_TWIN, 3), (A_NEXT, 4), (A + 8, 5)] {
            w.insert(key, n);
        }
    },
    |w: &World| (w.remove(A_TWIN), w.remove(A_NEXT), w.insert(A + 16, 6)),
    |w: &World| (w.get(A + 8), w.get(A_NEXT), w.get(A + 8)),
    |w: &World, a, (first, gone, last)| {
        assert_eq!(a, (Some(3), Some(4), None));
        assert_eq!((first, last), (Some(5), Some(5)), "hidden by what became shorter");
        assert!(matches!(gone, None | Some(4)));
        assert_eq!([B, A + 8, A + 16].map(|key| w.get(key)), [2, 5, 6].map(Some));
    }
);

// Arrays.

race!(
    racy_46_replace_vs_growth,
    2,
    4760,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(D, 2);
    },
    |w: &World| w.insert(C, 3),
    |w: &World| (w.insert(A, 4), w.get(A)),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, (Some(1), Some(4))));
        assert_eq!([A, C, D].map(|key| w.get(key)), [4, 3, 2].map(Some));
    }
);

race!(
    racy_47_remove_and_insert_vs_growth,
    2,
    56_600,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(D, 2);
    },
    |w: &World| (w.insert(C, 3), w.get(A)),
    |w: &World| (w.remove(A), w.insert(A, 4)),
    |w: &World, (c, seen), (removed, put)| {
        assert_eq!((c, removed, put), (None, Some(1), None));
        assert!(matches!(seen, None | Some(1 | 4)));
        assert_eq!([A, C, D].map(|key| w.get(key)), [4, 3, 2].map(Some));
    }
);

// Both halves of a line are entered only when both are born.
race!(
    racy_48_two_lines_one_source,
    2,
    11_400,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(C, 2);
    },
    |w: &World| (w.insert(D, 3), w.remove(C), w.get(C)),
    |w: &World| (w.remove(A), w.get(C)),
    |w: &World, a, (removed, seen)| {
        assert_eq!((a, removed), ((None, Some(2), None), Some(1)));
        assert!(matches!(seen, None | Some(2)));
        assert_eq!((w.get(A), w.get(C), w.get(D)), (None, None, Some(3)));
    }
);

// A chain is moved, by two who do it at once.
race!(
    racy_49_growth_of_a_chain,
    1,
    1950,
    World::with_slots(2, 9),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| (w.insert(A_TWIN, 3), w.insert(A_NEXT, 5)),
    |w: &World| (w.get(B), w.remove(B)),
    |w: &World, a, b| {
        assert_eq!((a, b), ((None, None), (Some(2), Some(2))));
        assert_eq!([A, A_TWIN, A_NEXT].map(|key| w.get(key)), [1, 3, 5].map(Some));
        assert_eq!(w.get(B), None);
    }
);

race!(
    racy_51_replaces_vs_the_way_back,
    2,
    2280,
    World::with_capacity(2),
    |w: &World| {
        w.insert(C, 1);
    },
    |w: &World| w.map.shrink_to_fit(),
    |w: &World| (w.insert(C, 2), w.insert(A, 3), w.remove(C)),
    |w: &World, (), b| {
        assert_eq!(b, (Some(1), None, Some(2)));
        assert_eq!((w.get(C), w.get(A)), (None, Some(3)));
    }
);

// Walks.

race!(
    racy_52_iter_vs_a_key_that_moves_behind,
    3,
    1220,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| (w.remove(A), w.remove(B), w.insert(A, 3), w.insert(B, 4)),
    |w: &World| w.map.pin().iter().map(|(k, v)| (*k, v.number)).collect::<Vec<_>>(),
    |w: &World, a, seen: Vec<(Key, u32)>| {
        assert_eq!(a, (Some(1), Some(2), None, None));
        for key in [A, B] {
            let told = seen.iter().filter(|(k, _)| *k == key).count();
            assert!(told <= 1, "{key:x} is told {told} times: {seen:?}");
        }
        assert_eq!((w.get(A), w.get(B)), (Some(3), Some(4)));
    }
);

// A key that was replaced twice, removed, and put again behind the walk, in a cell that it has not come to.
race!(
    racy_52b_iter_vs_a_replaced_key_that_moves_behind,
    2,
    2270,
    World::with_slots(4, 12),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
    },
    |w: &World| w.map.pin().iter().map(|(k, v)| (*k, v.number)).collect::<Vec<_>>(),
    |w: &World| {
        w.insert(A, 3);
        w.insert(A, 4);
        w.remove(A);
        w.remove(B);
        w.insert(A_NEXT, 5);
        w.insert(A, 6);
    },
    |w: &World, seen: Vec<(Key, u32)>, ()| {
        let told = seen.iter().filter(|(key, _)| *key == A).count();
        assert!(told <= 1, "A is told {told} times: {seen:?}");
        assert_eq!((w.get(A), w.get(A_NEXT)), (Some(6), Some(5)));
    }
);

race!(
    racy_53_iter_vs_growth_and_the_way_back,
    2,
    2990,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(C, 2);
    },
    |w: &World| {
        w.insert(D, 3);
        w.remove(D);
        w.map.shrink_to_fit();
    },
    |w: &World| {
        let mut seen: Vec<Key> = w.map.pin().iter().map(|(k, _)| *k).collect();
        seen.retain(|key| *key != D);
        seen
    },
    |w: &World, (), seen| {
        assert_eq!(seen, [A, C], "each that is there throughout is told once");
        assert_eq!((w.get(A), w.get(C)), (Some(1), Some(2)));
    }
);

race!(
    racy_54_retain_vs_replace_and_growth,
    2,
    3310,
    World::with_capacity(0),
    |w: &World| {
        w.insert(A, 1);
        w.insert(C, 2);
    },
    |w: &World| (w.insert(D, 3), w.insert(A, 4)),
    |w: &World| {
        let mut asked = Vec::new();
        w.map.retain(|key, v| {
            asked.push((*key, v.number));
            *key != C
        });
        asked
    },
    |w: &World, a, asked: Vec<(Key, u32)>| {
        assert_eq!(a, (None, Some(1)));
        assert_eq!(asked.iter().filter(|(key, _)| *key == C).count(), 1);
        assert_eq!(asked.iter().filter(|(key, _)| *key == A).count(), 1);
        assert_eq!((w.get(A), w.get(C), w.get(D)), (Some(4), None, Some(3)));
    }
);

// A sweep finds what another put in the place of an entry that its name has not left yet.
race!(
    racy_55_sweep_vs_the_replacement_that_is_due,
    3,
    3390,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
        w.clock.advance(NS(10));
    },
    |w: &World| w.insert_until(A, 2, 5),
    |w: &World| (w.sweep(), w.get(A)),
    |w: &World, a, (_, seen)| {
        assert_eq!(a, Some(1));
        assert!(matches!(seen, None | Some(1)));
        w.sweep();
        assert_eq!((w.get(A), w.map.len()), (None, 0));
    }
);
