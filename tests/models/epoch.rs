//! Models of two threads on the real crossbeam-epoch, with its own atomics under loom.
//!
//! ```text
//! RUSTFLAGS="--cfg evanesce_loom --cfg crossbeam_loom --cfg crossbeam_sanitize" \
//!     cargo test --release --features loom --test models -- --nocapture --test-threads=1
//! ```
//!
//! They check that the map keeps to what the collector asks of it, and the collector itself as far as
//! the map uses it. Nothing need be freed within a model, so what is retired too early is a matter for
//! the stand-in of `operations.rs`, which frees at once.
#![cfg(all(evanesce_loom, crossbeam_loom))]

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::small::{A, A_TWIN, World, model, race};

race!(
    epoch_01_insert_vs_insert_one_wins,
    1,
    3390,
    World::new(),
    |_: &World| {},
    |w: &World| w.insert(A, 1),
    |w: &World| w.insert(A, 2),
    |w: &World, a, b| {
        assert!(matches!((a, b), (None, Some(1)) | (Some(2), None)), "{a:?} {b:?}");
        assert_eq!(w.map.len(), 1);
    }
);

race!(
    epoch_02_remove_vs_remove_one_gets_it,
    2,
    1509,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.remove(A),
    |w: &World| w.remove(A),
    |w: &World, a: Option<u32>, b: Option<u32>| {
        assert_eq!(a.or(b), Some(1));
        assert!(a.is_none() || b.is_none(), "both removed it");
        assert_eq!(w.map.len(), 0);
    }
);

race!(
    epoch_06_replace_vs_get_never_none,
    2,
    86,
    World::new(),
    |w: &World| {
        w.insert(A, 1);
    },
    |w: &World| w.insert(A, 2),
    |w: &World| w.get(A),
    |_: &World, a, b| {
        assert_eq!(a, Some(1));
        assert!(matches!(b, Some(1 | 2)), "{b:?}");
    }
);

race!(
    epoch_19_slot_reuse_never_shows_another_key,
    2,
    298,
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
    |_: &World, _, b| assert!(matches!(b, None | Some(1)), "{b:?}")
);

race!(
    epoch_31_map_drop_vs_a_batch_deferred_on_another_thread,
    2,
    7146,
    World::new(),
    |_: &World| {},
    |w: &World| w.get(A),
    |w: &World| {
        let own = World::new();
        own.insert(A, 1);
        own.remove(A);
        let alive = Arc::clone(&own.alive);
        drop(own);
        w.get(A);
        alive.load(Relaxed)
    },
    |_: &World, _, alive| assert_eq!(alive, 0)
);
