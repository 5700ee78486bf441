//! Models of loads: what is loaded while others write, wait and go. The origin that loaders ask is a word of the model.
//!
//! As `operations.rs`, and run with it (`ci/loom.sh`). "Stale" is what was read from the origin before a write of the key
//! that the origin knew of first.
#![cfg(all(evanesce_loom, not(crossbeam_loom), feature = "async"))]

use std::{
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use crate::small::{A, B, Key, Place, model, race};
use evanesce::{Load, ManualClock, TtlMap};
use loom::{
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Relaxed},
    },
    thread,
};

struct World {
    map: TtlMap<Key, u32, Place>,
    origin: AtomicUsize,
    /// How many loaders were called, beside the model.
    loads: std::sync::atomic::AtomicUsize,
}

impl World {
    /// A map that has loaded before, so that what loads need is there.
    fn new() -> Arc<Self> {
        let options = TtlMap::builder().hasher(Place(0)).capacity(4).clock(ManualClock::new());
        let map = options.sweep_per_write(0).max_slots(7).build().unwrap();
        map.get_or_load_blocking(&B, || 1);
        map.remove(&B);
        Arc::new(Self { map, origin: AtomicUsize::new(1), loads: 0.into() })
    }

    /// One in which a write always looks for a load: an error is kept.
    fn with_an_error() -> Arc<Self> {
        let w = Self::new();
        let keep = Load::new().negative_ttl(std::time::Duration::MAX);
        let _ = w.map.try_get_or_load_blocking_with(&B, &keep, || Err::<u32, _>(()));
        w
    }

    fn get(&self, key: Key) -> Option<u32> {
        self.map.get_cloned(&key)
    }

    /// Loads what the origin has, which is asked under its lock, as it were.
    fn load(&self) -> u32 {
        self.map.get_or_load_blocking(&A, || {
            self.loads.fetch_add(1, Relaxed);
            self.origin.fetch_add(0, AcqRel) as u32
        })
    }

    /// The same by a plain load.
    fn load_relaxed(&self) -> u32 {
        self.map.get_or_load_blocking(&A, || {
            self.loads.fetch_add(1, Relaxed);
            self.origin.load(Relaxed) as u32
        })
    }

    fn loads(&self) -> usize {
        self.loads.load(Relaxed)
    }

    /// Whether the load panicked.
    fn load_and_panic(&self) -> bool {
        let load = || self.map.get_or_load_blocking(&A, || resume_unwind(Box::new(())));
        catch_unwind(AssertUnwindSafe(load)).is_err()
    }

    fn end(self: Arc<Self>) {
        let this = Arc::into_inner(self).expect("all threads have joined");
        this.map.sweep(evanesce::Budget::full_pass());
        this.map.assert_well_formed();
    }
}

/// A load that is begun, and polled no more.
type Held = Pin<Box<dyn Future<Output = u32> + Send>>;

fn held(w: &Arc<World>) -> Held {
    let w = Arc::clone(w);
    let mut load: Held = Box::pin(async move { w.map.get_or_load(&A, pending).await });
    assert!(load.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    load
}

race!(
    racy_60_load_vs_remove_keeps_nothing_stale,
    3,
    1400,
    World::new(),
    |_: &World| {},
    |w: &World| w.load(),
    |w: &World| {
        w.origin.fetch_add(1, AcqRel);
        w.map.remove(&A)
    },
    |w: &World, loaded, _| {
        assert!(matches!(loaded, 1 | 2));
        assert!(matches!(w.get(A), None | Some(2)), "what is stale was kept");
        assert_eq!(w.map.len(), usize::from(w.get(A).is_some()));
    }
);

race!(
    racy_61_load_vs_insert_the_insert_stays,
    2,
    2800,
    World::new(),
    |_: &World| {},
    |w: &World| w.load(),
    |w: &World| w.map.insert(A, 9),
    |w: &World, loaded, replaced: bool| {
        assert!(matches!(loaded, 1 | 9) && (!replaced || loaded == 1));
        assert_eq!((w.get(A), w.map.len()), (Some(9), 1));
    }
);

race!(
    racy_62_load_vs_clear_keeps_nothing_stale,
    2,
    1300,
    World::new(),
    |_: &World| {},
    |w: &World| w.load(),
    |w: &World| {
        w.origin.fetch_add(1, AcqRel);
        w.map.clear();
    },
    |w: &World, loaded, ()| {
        assert!(matches!(loaded, 1 | 2));
        assert!(matches!(w.get(A), None | Some(2)), "what is stale was kept");
        assert_eq!(w.map.len(), usize::from(w.get(A).is_some()));
    }
);

race!(
    racy_63_load_vs_load_one_loads,
    2,
    3600,
    World::new(),
    |_: &World| {},
    |w: &World| w.load(),
    |w: &World| {
        // So that nothing is reclaimed, and the collector orders nothing.
        let _pin = w.map.pin();
        w.load()
    },
    |w: &World, a, b| assert_eq!((a, b, w.loads(), w.map.len()), (1, 1, 1, 1))
);

race!(
    racy_64_leader_that_panics_vs_one_who_waits,
    2,
    4200,
    World::new(),
    |_: &World| {},
    |w: &World| w.load_and_panic(),
    |w: &World| w.load(),
    |w: &World, _, b| assert_eq!((b, w.loads(), w.get(A)), (1, 1, Some(1)))
);

race!(
    racy_65_load_vs_get_none_or_the_value,
    3,
    900,
    World::new(),
    |_: &World| {},
    |w: &World| w.load(),
    |w: &World| (w.get(A), w.map.pin().iter_linked().count(), w.get(A)),
    |w: &World, _, (first, linked, last): (Option<u32>, usize, Option<u32>)| {
        assert!(first <= last && usize::from(first.is_some()) <= linked);
        assert!(linked <= usize::from(last.is_some()), "what is hidden was told");
        assert_eq!((w.get(A), w.map.len()), (Some(1), 1));
    }
);

// The origin is asked by plain loads: the fences of the leader and of the write.
race!(
    racy_66_load_of_a_relaxed_origin_vs_remove,
    2,
    270,
    World::with_an_error(),
    |_: &World| {},
    |w: &World| w.load_relaxed(),
    |w: &World| {
        w.origin.store(2, Relaxed);
        w.map.remove(&A)
    },
    |w: &World, _, _| assert!(matches!(w.get(A), None | Some(2)), "what is stale was kept")
);

/// Who does not join a load that a write has ended sees what that write knew.
#[test]
fn racy_67_load_after_a_remove_is_not_stale() {
    model("racy_67_load_after_a_remove_is_not_stale", 2, 490, || {
        let w = World::new();
        let leader = held(&w);
        let theirs = Arc::clone(&w);
        let remover = thread::spawn(move || {
            theirs.origin.store(2, Relaxed);
            theirs.map.remove(&A);
            drop(leader);
        });
        let loaded = w.load_relaxed();
        // It waited, and led in the place of the other; or it began a load of its own.
        assert_eq!(
            loaded, 2,
            "a load from before the remove was joined, or what it knew was not seen"
        );
        remover.join().unwrap();
        w.end();
    });
}

/// The leader goes, and so does the first who waits, whoever of them was told what.
#[test]
fn racy_68_leader_and_heir_dropped_vs_one_who_waits() {
    model("racy_68_leader_and_heir_dropped_vs_one_who_waits", 2, 560, || {
        let w = World::new();
        let leader = held(&w);
        let heir = held(&w);
        let one = thread::spawn(move || drop(leader));
        let two = thread::spawn(move || drop(heir));
        assert_eq!(w.load(), 1);
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!((w.loads(), w.get(A)), (1, Some(1)));
        w.end();
    });
}

/// The last who waits goes, and so does the leader; what comes then begins anew, and a write finds it.
#[test]
fn racy_69_the_last_ones_go_vs_load_and_remove() {
    model("racy_69_the_last_ones_go_vs_load_and_remove", 2, 450, || {
        let w = World::new();
        let leader = held(&w);
        let theirs = Arc::clone(&w);
        let remover = thread::spawn(move || {
            drop(leader);
            theirs.origin.fetch_add(1, AcqRel);
            theirs.map.remove(&A)
        });
        let loaded = w.load();
        remover.join().unwrap();
        assert!(matches!(loaded, 1 | 2));
        assert!(matches!(w.get(A), None | Some(2)), "what is stale was kept");
        w.end();
    });
}
