//! Models of a map that is full: entries that have to go, beside all else that may happen to them. And of a map whose
//! hits put deadlines off, and of one that keeps what has expired.
//!
//! As `operations.rs`, and run with it (`ci/loom.sh`). What `World::end` asks of all of them: each value was dropped
//! once, the sums are those of what is there, and the map is within its bound.
#![cfg(all(evanesce_loom, not(crossbeam_loom)))]

use std::sync::Arc;

use crate::small::{A, B, C, NS, World, model, race};

race!(
    racy_70_evict_vs_get_sees_old_or_none,
    4,
    1500,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| [w.get(A), w.get(A)],
    |w: &World, a, seen: [Option<u32>; 2]| {
        assert_eq!(a, None);
        assert!(matches!(seen, [Some(1) | None, None] | [Some(1), Some(1)]), "{seen:?}");
        assert_eq!((w.get(A), w.get(B), w.map.len()), (None, Some(2), 1));
    }
);

race!(
    racy_71_evict_vs_replace_ends_each_once,
    2,
    6_500,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.insert(A, 3),
    |w: &World, a, replaced: Option<u32>| {
        assert_eq!(a, None);
        assert!(matches!(replaced, None | Some(1)));
        let left = [w.get(A), w.get(B)];
        assert!(matches!(left, [Some(3), None] | [None, Some(2)]), "{left:?}");
        assert_eq!((w.map.len(), w.map.stats().weight), (1, 1));
    }
);

race!(
    racy_72_evict_vs_remove_one_gets_it,
    2,
    1_700,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.remove(A),
    |w: &World, a, removed: Option<u32>| {
        assert_eq!(a, None);
        assert_eq!(removed.is_none(), w.map.stats().evicted_total == 1, "removed, or had to go");
        assert_eq!((w.get(A), w.get(B), w.map.len()), (None, Some(2), 1));
        assert_eq!(w.map.stats().weight, 1);
    }
);

race!(
    racy_73_insert_vs_insert_into_a_full_map,
    2,
    10_600,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.insert(C, 3),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None));
        assert_eq!(w.map.len(), 1);
        assert_eq!(w.map.stats().evicted_total, 2);
    }
);

// The same with fewer turns: so that also with a weaker ordering, which makes more of each, it comes to its end.
race!(
    racy_73c_insert_vs_insert_soon,
    1,
    100,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.insert(C, 3),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None));
        assert_eq!(w.map.len(), 1);
        assert_eq!(w.map.stats().evicted_total, 2);
    }
);

// Both find room, and there is room for one: then one entry goes, and not both.
race!(
    racy_73b_insert_vs_insert_into_room_for_one,
    3,
    20_000,
    World::bounded(1),
    |w: &World| {
        w.insert(A, 1);
        w.remove(A);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.insert(C, 3),
    |w: &World, a, b| {
        assert_eq!((a, b), (None, None));
        assert_eq!(w.map.len(), 1);
        assert_eq!(w.map.stats().evicted_total, 1);
    }
);

// The hand brings A off its probation, since it was used, while it is removed.
race!(
    racy_74_promotion_vs_remove_keeps_the_sums,
    3,
    7900,
    World::bounded(2),
    |w: &World| {
        w.insert(A, 1);
        w.insert(B, 2);
        (0..3).for_each(|_| _ = w.get(A));
    },
    |w: &World| w.insert(C, 3),
    |w: &World| w.remove(A),
    |w: &World, a, removed: Option<u32>| {
        assert_eq!((a, removed), (None, Some(1)));
        assert_eq!((w.get(A), w.get(C)), (None, Some(3)));
        assert_eq!(w.map.stats().weight, w.map.len() as u64);
    }
);

// What is to go is renewed meanwhile, so the step from the state that was met fails, and goes on from the next.
race!(
    racy_75_evict_vs_set_ttl_ends_it_once,
    4,
    4800,
    World::bounded(1),
    |w: &World| {
        w.insert_until(A, 1, 10);
    },
    |w: &World| w.insert(B, 2),
    |w: &World| w.map.pin().set_ttl(&A, NS(20)),
    |w: &World, a, _| {
        assert_eq!(a, None);
        assert_eq!((w.get(A), w.get(B), w.map.len()), (None, Some(2), 1));
        assert_eq!(w.map.stats().evicted_total, 1);
    }
);

// The hit's renewal and the sweep's claim go from one word: one of them wins. What was renewed is noted, so that a sweep
// comes to it when its time has come.
race!(
    racy_76_renewal_by_a_hit_vs_sweep_that_saw_it_due,
    4,
    2700,
    World::idle(10),
    |w: &World| {
        w.insert(A, 1);
        w.clock.advance(NS(9));
    },
    |w: &World| w.get(A),
    |w: &World| {
        w.clock.advance(NS(1));
        w.sweep()
    },
    |w: &World, seen, swept| {
        assert_eq!(w.map.len() + swept, 1);
        if swept == 1 {
            assert_eq!(w.get(A), None);
        } else {
            assert_eq!((seen, w.get(A)), (Some(1), Some(1)), "renewed");
            w.clock.advance(NS(10));
            assert_eq!((w.get(A), w.sweep()), (None, 1));
        }
    }
);

race!(
    racy_77_renewal_by_a_hit_vs_remove_it_stays_removed,
    4,
    600,
    World::idle(10),
    |w: &World| {
        w.insert(A, 1);
        w.clock.advance(NS(9));
    },
    |w: &World| w.get(A),
    |w: &World| (w.remove(A), w.get(A)),
    |w: &World, seen, removed| {
        assert!(matches!(seen, None | Some(1)));
        assert_eq!((removed, w.get(A), w.map.len()), ((Some(1), None), None, 0));
    }
);

// Each value has expired when the next takes its place: at each instant one of them is stale, or fresh.
race!(
    racy_78_late_replaces_vs_get_stale_never_none,
    4,
    5900,
    World::graceful(10),
    |w: &World| {
        w.insert_until(A, 1, 5);
        w.clock.advance(NS(6));
    },
    |w: &World| (w.insert_until(A, 2, 5), w.insert_until(A, 3, 20)),
    |w: &World| w.get_stale(A),
    |w: &World, a, seen| {
        assert_eq!(a, (None, None));
        assert!(matches!(seen, Some((1 | 2, true) | (3, false))), "{seen:?}");
        assert_eq!(w.get_stale(A), Some((3, false)));
    }
);

// A hit may meet the new value by way of the old one, before a cell names it, and renews it all the same.
race!(
    racy_79_renewal_by_a_hit_vs_replace_the_new_one_stays,
    4,
    800,
    World::idle(10),
    |w: &World| {
        w.insert(A, 1);
        w.clock.advance(NS(5));
    },
    |w: &World| w.insert(A, 2),
    |w: &World| {
        w.clock.advance(NS(4));
        w.get(A)
    },
    |w: &World, replaced, seen| {
        assert_eq!(replaced, Some(1));
        assert!(matches!(seen, Some(1 | 2)));
        assert_eq!((w.get(A), w.map.len()), (Some(2), 1));
        w.clock.advance(NS(10));
        assert_eq!((w.get(A), w.sweep()), (None, 1));
    }
);
