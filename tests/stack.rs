//! A call that puts a value has few copies of it on the stack, so that a large one does not end the process.

use evanesce_testkit as common;

use common::{builder, exclusive};
use evanesce::{Lookup, Operation, TtlMap, TtlSet};
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How many copies of its value a call may have on the stack at once, that of the caller's argument included. Builds
/// without optimisation move a value from temporary to temporary.
const fn copies(optimised: usize, debug: usize) -> usize {
    if cfg!(debug_assertions) { debug } else { optimised }
}
/// An entry that was removed earlier, which a write drops.
const DROPPED: usize = 1;
/// Stack for all the rest.
const ALLOWANCE: usize = SIZE / 2;
const SIZE: usize = 384 << 10;

/// So many calls that some of them drop what others removed, in a map of so few slots.
const CALLS: u64 = 60;
const SLOTS: usize = 16;
const KEYS: u64 = 4;
const HOUR: Duration = Duration::from_secs(3600);

/// A large value with a `Drop`, so that each move of it is one.
struct Large([u8; SIZE]);

impl Large {
    #[inline(never)]
    fn new() -> Self {
        #[allow(clippy::large_stack_arrays)] // that is the point
        Self([7; SIZE])
    }
}

impl Clone for Large {
    #[inline(never)]
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        black_box(&self.0);
    }
}

impl PartialEq for Large {
    fn eq(&self, other: &Self) -> bool {
        self.0[0] == other.0[0]
    }
}

impl Eq for Large {}

impl Hash for Large {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[0].hash(state);
    }
}

type Map = TtlMap<u64, Large>;

/// Makes a call for each of some keys, which have a value already or have none, on a thread whose stack has room for
/// so many copies: in a map from which nothing was removed, and in one with little room.
fn suffice_for(copies: usize, is_full: bool, call: fn(&Map, u64)) {
    let prepare = if is_full { fill } else { empty };
    on_a_stack_of(copies, move || {
        let map = Map::new();
        (0..KEYS).for_each(|key| prepare(&map, key));
        (0..KEYS).for_each(|key| call(&map, key));
    });
    on_a_stack_of(copies + DROPPED, move || {
        let map = builder().max_slots(SLOTS).build().expect("valid options");
        for n in 0..CALLS {
            prepare(&map, n % KEYS);
            call(&map, n % KEYS);
        }
    });
}

#[inline(never)]
fn fill(map: &Map, key: u64) {
    map.pin().insert_with_ttl(key, Large::new(), HOUR);
}

#[inline(never)]
fn empty(map: &Map, key: u64) {
    map.pin().remove(&key);
}

/// Alone: a thread of another test that is interrupted while it is pinned keeps slots from a map with little room.
fn on_a_stack_of(copies: usize, f: impl FnOnce() + Send + 'static) {
    exclusive(move || {
        let name = thread::current().name().expect("a test has a name").to_owned();
        // The name is told if it does not suffice.
        let small = thread::Builder::new().name(name).stack_size(copies * SIZE + ALLOWANCE);
        small.spawn(f).expect("spawned").join().expect("no panic");
    });
}

fn is(key: u64) -> impl Fn(&u64) -> Result<bool, ()> {
    move |met| Ok(*met == key)
}

macro_rules! calls {
    ($copies:expr, $is_full:expr; $($name:ident: $call:expr;)*) => {
        $(#[test] fn $name() { suffice_for($copies, $is_full, $call) })*
    };
}

mod two_copies_suffice_for {
    use super::*;

    calls! { copies(2, 5), false;
        insert: |map, key| _ = map.pin().insert(key, Large::new());
        insert_with_ttl: |map, key| _ = map.pin().insert_with_ttl(key, Large::new(), HOUR);
        insert_with_deadline: |map, key| {
            let deadline = map.now() + HOUR;
            map.pin().insert_with_deadline(key, Large::new(), deadline);
        };
        insert_that_pins_for_itself: |map, key| _ = map.insert(key, Large::new());
        insert_with_ttl_that_pins_for_itself: |map, key| {
            map.insert_with_ttl(key, Large::new(), HOUR);
        };
        insert_by: |map, key| _ = map.pin().insert_by(key, key, Large::new(), is(key));
        insert_with_ttl_by: |map, key| {
            _ = map.pin().insert_with_ttl_by(key, key, Large::new(), HOUR, is(key));
        };
        upsert_by: |map, key| _ = map.pin().upsert_by(key, is(key), |_| key, |_| Large::new());
        upsert_with_ttl_by: |map, key| {
            _ = map.pin().upsert_with_ttl_by(key, HOUR, is(key), |_| key, |_| Large::new());
        };
        get_or_insert_with: |map, key| _ = map.pin().get_or_insert_with(key, Large::new);
        get_or_insert_with_ttl: |map, key| {
            map.pin().get_or_insert_with_ttl(key, HOUR, Large::new);
        };
        update_or_insert_with: |map, key| {
            map.pin().update_or_insert_with(key, Large::clone, Large::new);
        };
    }

    calls! { copies(2, 10), false;
        compute: |map, key| {
            map.pin().compute(key, |_| Operation::Insert(Large::new()));
        };
        compute_by_ref: |map, key| {
            map.pin().by_ref(&key, Clone::clone).compute(|_| Operation::Insert(Large::new()));
        };
        get_or_insert_with_by_ref: |map, key| {
            map.pin().by_ref(&key, Clone::clone).get_or_insert_with(Large::new);
        };
        update_or_insert_with_by_ref: |map, key| {
            map.pin().by_ref(&key, Clone::clone).update_or_insert_with(Large::clone, Large::new);
        };
    }

    calls! { copies(2, 14), false;
        try_compute: |map, key| {
            let made = map.pin().try_compute(key, |_| Ok::<_, ()>(Operation::Insert(Large::new()))).is_ok();
            assert!(made);
        };
    }

    mod over_another {
        use super::*;

        calls! { copies(2, 5), true;
            insert: |map, key| _ = map.pin().insert(key, Large::new());
            update: |map, key| assert!(map.pin().update(key, Large::clone).is_some());
            update_or_insert_with: |map, key| {
                map.pin().update_or_insert_with(key, Large::clone, Large::new);
            };
        }

        calls! { copies(2, 10), true;
            compute: |map, key| {
                map.pin().compute(key, |_| Operation::InsertWithTtl(Large::new(), HOUR));
            };
        }
    }

    macro_rules! set_calls {
        ($($name:ident: $call:expr;)*) => {
            $(#[test] fn $name() {
                let set = Arc::new(TtlSet::new());
                let shared = Arc::clone(&set); // so that the set is not dropped there
                on_a_stack_of(copies(2, 5), move || {
                    let call: fn(&TtlSet<Large>) = $call;
                    call(&shared);
                });
            })*
        };
    }

    set_calls! {
        set_insert: |set| _ = set.pin().insert(Large::new());
        set_insert_with_ttl: |set| _ = set.pin().insert_with_ttl(Large::new(), HOUR);
        set_insert_with_deadline: |set| {
            let deadline = set.as_map().now() + HOUR;
            set.pin().insert_with_deadline(Large::new(), deadline);
        };
        set_insert_that_pins_for_itself: |set| _ = set.insert(Large::new());
        set_insert_with_ttl_that_pins_for_itself: |set| _ = set.insert_with_ttl(Large::new(), HOUR);
    }

    #[test]
    fn collect() {
        let entries = || (0..KEYS).map(|key| (key, Large::new()));
        on_a_stack_of(copies(2, 6), move || assert_eq!(entries().collect::<Map>().len(), 4));
    }

    #[test]
    fn extend() {
        let entries = || (0..KEYS).map(|key| (key, Large::new()));
        on_a_stack_of(copies(2, 6), move || Map::new().extend(entries()));
    }

    #[test]
    fn clone() {
        on_a_stack_of(copies(2, 6), || {
            let map = Map::new();
            (0..KEYS).for_each(|key| fill(&map, key));
            assert_eq!(map.clone().len(), 4);
        });
    }
}

/// The third is of the answer, in which the value may come back.
mod three_copies_suffice_for {
    use super::*;

    calls! { copies(3, 9), false;
        try_insert: |map, key| assert!(map.pin().try_insert(key, Large::new()).is_ok());
        try_insert_with_ttl: |map, key| {
            assert!(map.pin().try_insert_with_ttl(key, Large::new(), HOUR).is_ok());
        };
        try_insert_by: |map, key| {
            let pinned = map.pin();
            assert!(pinned.try_insert_by(key, key, Large::new(), is(key)).is_ok());
        };
        try_insert_with_ttl_by: |map, key| {
            let pinned = map.pin();
            assert!(pinned.try_insert_with_ttl_by(key, key, Large::new(), HOUR, is(key)).is_ok());
        };
        replace_if_that_finds_nothing: |map, key| {
            assert!(map.pin().replace_if(key, Large::new(), |_| true).is_err());
        };
    }

    mod over_another {
        use super::*;

        calls! { copies(3, 9), true;
            try_insert_that_is_refused: |map, key| {
                assert!(map.pin().try_insert(key, Large::new()).is_err());
            };
            replace_if: |map, key| {
                assert!(map.pin().replace_if(key, Large::new(), |_| true).is_ok());
            };
            replace_if_with_ttl: |map, key| {
                assert!(map.pin().replace_if_with_ttl(key, Large::new(), HOUR, |_| true).is_ok());
            };
            replace_if_by_ref: |map, key| {
                let pinned = map.pin();
                assert!(pinned.by_ref(&key, Clone::clone).replace_if(Large::new(), |_| true).is_ok());
            };
            try_insert_by_ref_that_is_refused: |map, key| {
                assert!(map.pin().by_ref(&key, Clone::clone).try_insert(Large::new()).is_err());
            };
            replace_if_that_is_refused: |map, key| {
                assert!(map.pin().replace_if(key, Large::new(), |_| false).is_err());
            };
            refresh: |map, key| {
                let pinned = map.pin();
                let Lookup::Refresh(_, token) = pinned.get_or_refresh(&key, 2 * HOUR) else {
                    panic!("the entry expires in an hour")
                };
                assert!(pinned.refresh(token, key, Large::new()).is_ok());
            };
            refresh_with_ttl: |map, key| {
                let pinned = map.pin();
                let Lookup::Refresh(_, token) = pinned.get_or_refresh(&key, 2 * HOUR) else {
                    panic!("the entry expires in an hour")
                };
                assert!(pinned.refresh_with_ttl(token, key, Large::new(), HOUR).is_ok());
            };
            refresh_that_comes_late: |map, key| {
                let pinned = map.pin();
                let Lookup::Refresh(_, token) = pinned.get_or_refresh(&key, 2 * HOUR) else {
                    panic!("the entry expires in an hour")
                };
                pinned.remove(&key);
                assert!(pinned.refresh(token, key, Large::new()).is_err());
            };
        }
    }
}
