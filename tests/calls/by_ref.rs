//! Calls by reference: they answer as their twins with owned keys do, and make a key only where one is put.
#![allow(unsafe_code)] // a global allocator that counts

use crate::common::{assert_slots_accounted, builder, exclusive, ns, settle};
use equivalent::Equivalent;
use evanesce::{Compute, ManualClock, Operation, Ttl, TtlMap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static CLONES: Cell<usize> = const { Cell::new(0) };
    static CLONE_PANICS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` allocates.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// A key whose clones are counted.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Key(u32);

impl Clone for Key {
    fn clone(&self) -> Self {
        assert!(!CLONE_PANICS.get(), "a clone that panics");
        CLONES.set(CLONES.get() + 1);
        Self(self.0)
    }
}

/// What keys are looked up by.
#[derive(Hash)]
struct Name(u32);

impl Equivalent<Key> for Name {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0
    }
}

type Map = TtlMap<Key, u32>;
type Maker = fn(&Name) -> Key;

fn map() -> (Map, ManualClock) {
    let clock = ManualClock::new();
    (builder().clock(clock.clone()).build().expect("valid options"), clock)
}

/// A key of a map: absent, expired, or with a value (7) and 100 ns to live.
#[derive(Clone, Copy, PartialEq, Debug)]
enum There {
    Absent,
    Expired,
    Visible,
}

/// Every call in both forms, as text with the value and the deadline that the key has then; and whether it puts
/// something where there is a value, and where there is none.
macro_rules! calls {
    ($($name:literal, $puts_over:literal, $puts_anew:literal: $call:ident($($args:expr),*);)*) => {
        [$((
            $name, $puts_over, $puts_anew,
            (|map| format!("{:?}", map.pin().$call(Key(1) $(, $args)*))) as fn(&Map) -> String,
            (|map, maker| format!("{:?}", map.pin().by_ref(&Name(1), maker).$call($($args),*)))
                as fn(&Map, &dyn Fn(&Name) -> Key) -> String,
        )),*]
    };
}

#[test]
fn calls_by_reference_answer_as_their_twins_and_make_a_key_only_to_put_it() {
    type Error = Result<Operation<u32>, &'static str>;
    let calls = calls! {
        "get_or_insert_with", false, true: get_or_insert_with(|| 8);
        "get_or_insert_with_ttl", false, true: get_or_insert_with_ttl(ns(50), || 8);
        "try_insert", false, true: try_insert(8);
        "try_insert_with_ttl", false, true: try_insert_with_ttl(8, ns(50));
        "update", true, false: update(|n| n + 1);
        "update_or_insert_with", true, true: update_or_insert_with(|n| n + 1, || 9);
        "replace_if accepted", true, false: replace_if(8, |n| *n == 7);
        "replace_if refused", false, false: replace_if(8, |n| *n == 6);
        "replace_if_with_ttl accepted", true, false: replace_if_with_ttl(8, ns(50), |n| *n == 7);
        "replace_if_with_ttl refused", false, false: replace_if_with_ttl(8, ns(50), |n| *n == 6);
        "compute inserts", true, true: compute(|n| Operation::Insert(n.map_or(1, |n| n + 1)));
        "compute inserts with a TTL", true, true: compute(|_| Operation::InsertWithTtl(8, ns(50)));
        "compute removes", false, false: compute(|_| Operation::Remove);
        "compute aborts", false, false: compute(|_| Operation::Abort);
        "try_compute inserts", true, true: try_compute(|_| -> Error { Ok(Operation::Insert(8)) });
        "try_compute fails", false, false: try_compute(|_| -> Error { Err("no") });
    };
    exclusive(move || {
        for (name, puts_over, puts_anew, owned, by_ref) in calls {
            for there in [There::Absent, There::Expired, There::Visible] {
                let prepared = || {
                    let (map, clock) = map();
                    if there != There::Absent {
                        let ttl = if there == There::Expired { ns(10) } else { ns(110) };
                        map.insert_with_ttl(Key(1), 7, ttl);
                    }
                    clock.advance(ns(10));
                    map
                };
                let state = |map: &Map| {
                    let pin = map.pin();
                    (pin.get(&Key(1)).copied(), pin.ttl(&Key(1)), pin.get(&Name(1)).copied())
                };
                let (theirs, mine) = (prepared(), prepared());
                let expected = owned(&theirs);
                let made = Cell::new(0);
                CLONES.set(0);
                let answer = by_ref(&mine, &|name| {
                    made.set(made.get() + 1);
                    Key(name.0)
                });
                assert_eq!(answer, expected, "{name}, {there:?}");
                assert_eq!(state(&mine), state(&theirs), "{name}, {there:?}");
                let expected = match there {
                    There::Visible => (0, usize::from(puts_over)),
                    _ => (usize::from(puts_anew), 0),
                };
                assert_eq!((made.get(), CLONES.get()), expected, "{name}, {there:?}: made, cloned");
                settle(&mine);
                assert_slots_accounted(&mine);
            }
        }
    });
}

#[test]
fn what_puts_nothing_by_reference_does_not_allocate() {
    exclusive(|| {
        let map: TtlMap<String, u64> = builder().build().expect("valid options");
        let pin = map.pin();
        pin.insert("a".into(), 7);
        let allocated = allocations(|| {
            for _ in 0..100 {
                assert_eq!(pin.by_ref("a", String::from).get_or_insert_with(|| 8), &7);
                assert_eq!(pin.by_ref("a", String::from).get_or_insert_with_ttl(ns(1), || 8), &7);
                assert!(pin.by_ref("a", String::from).try_insert(8).is_err());
                assert!(pin.by_ref("a", String::from).try_insert_with_ttl(8, ns(1)).is_err());
                assert_eq!(pin.by_ref("a", String::from).replace_if(8, |_| false), Err(8));
                assert_eq!(pin.by_ref("b", String::from).replace_if(8, |_| true), Err(8));
                assert_eq!(pin.by_ref("b", String::from).update(|n| n + 1), None);
                let aborted = pin.by_ref("a", String::from).compute(|_| Operation::Abort);
                assert_eq!(aborted, Compute::Unchanged(Some(&7)));
                let removed = pin.by_ref("b", String::from).compute(|_| Operation::Remove);
                assert_eq!(removed, Compute::Unchanged(None));
            }
        });
        assert_eq!(allocated, 0);
    });
}

/// Beside the batches in which what was replaced waits, one for 124.
#[test]
fn an_update_by_reference_allocates_nothing_where_a_clone_of_the_key_does_not() {
    exclusive(|| {
        let map: TtlMap<Arc<str>, u32> = builder().build().expect("valid options");
        let first: Arc<str> = "a".into();
        map.insert(Arc::clone(&first), 0);
        let count = || {
            let pin = map.pin();
            *pin.by_ref("a", |_| unreachable!()).update_or_insert_with(|n| n + 1, || unreachable!())
        };
        (0..1000).for_each(|_| _ = count());
        let allocated = allocations(|| (0..1000).for_each(|_| _ = count()));
        assert!(allocated < 100, "{allocated} allocations in 1,000 updates");
        assert_eq!(count(), 2001);
        let pin = map.pin();
        let (key, _) = pin.get_key_value("a").expect("there");
        assert!(Arc::ptr_eq(key, &first), "the key of the map stays");
    });
}

/// The closure runs again, for another thread's (here its own) step came between: a key that was made waits for that.
#[test]
fn a_key_is_made_once_however_often_the_closure_runs() {
    exclusive(|| {
        let (map, _) = map();
        let pin = map.pin();
        let (mut runs, mut made) = (0, 0);
        let key = pin.by_ref(&Name(1), |name| {
            made += 1;
            Key(name.0)
        });
        CLONES.set(0);
        let computed = key.compute(|value| {
            runs += 1;
            match runs {
                1 => _ = map.insert(Key(1), 10), // it was absent, and is not
                2 => _ = map.remove(&Key(1)),
                _ => {}
            }
            Operation::Insert(value.map_or(runs, |n| n + runs))
        });
        assert_eq!((computed, runs, made, CLONES.get()), (Compute::Inserted(&3), 3, 1, 0));
        drop(pin);
        settle(&map);
        assert_slots_accounted(&map);
    });
}

#[test]
fn a_key_that_cannot_be_made_changes_nothing() {
    exclusive(|| {
        let (map, _) = map();
        map.insert_with_ttl(Key(1), 7, ns(100));
        let message = |f: &dyn Fn()| {
            let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a message")
        };
        let absent = |maker: Maker| {
            [
                message(&|| _ = map.pin().by_ref(&Name(2), maker).get_or_insert_with(|| 1)),
                message(&|| _ = map.pin().by_ref(&Name(2), maker).try_insert(1)),
                message(&|| {
                    _ = map.pin().by_ref(&Name(2), maker).compute(|_| Operation::Insert(1));
                }),
                message(&|| {
                    _ = map.pin().by_ref(&Name(2), maker).update_or_insert_with(|n| *n, || 1);
                }),
            ]
        };
        for told in absent(|_| panic!("no key today")) {
            assert_eq!(told, "no key today");
        }
        for told in absent(|name| Key(name.0 + 1)) {
            assert!(
                told.contains("`make_key` of `by_ref` made a key that is not equivalent"),
                "{told}"
            );
        }
        CLONE_PANICS.set(true);
        let maker: Maker = |_| unreachable!();
        for told in [
            message(&|| _ = map.pin().by_ref(&Name(1), maker).update(|n| n + 1)),
            message(&|| _ = map.pin().by_ref(&Name(1), maker).replace_if(8, |_| true)),
            message(&|| _ = map.pin().by_ref(&Name(1), maker).compute(|_| Operation::Insert(1))),
        ] {
            assert_eq!(told, "a clone that panics");
        }
        CLONE_PANICS.set(false);
        let pin = map.pin();
        assert_eq!((map.len(), pin.get(&Key(1)), pin.get(&Key(2))), (1, Some(&7), None));
        assert_eq!(pin.ttl(&Key(1)), Some(Ttl::Remaining(ns(100))));
        drop(pin);
        settle(&map);
        assert_slots_accounted(&map);
    });
}

/// A borrowed pair for a pair of owned ones: no reference to the owned pair can be had.
#[test]
fn keys_may_be_made_of_what_is_equivalent_and_no_reference_to_one() {
    struct Pair<'a>(&'a str, u32);
    impl Hash for Pair<'_> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0, self.1).hash(state);
        }
    }
    impl Equivalent<(String, u32)> for Pair<'_> {
        fn equivalent(&self, (text, number): &(String, u32)) -> bool {
            self.0 == text && self.1 == *number
        }
    }
    exclusive(|| {
        let map: TtlMap<(String, u32), u32> = builder().build().expect("valid options");
        let pin = map.pin();
        let to_owned = |pair: &Pair<'_>| (pair.0.to_owned(), pair.1);
        for n in 1..=3 {
            let key = Pair(&String::from("a"), 5);
            assert_eq!(pin.by_ref(&key, to_owned).update_or_insert_with(|n| n + 1, || 1), &n);
        }
        assert_eq!(pin.get(&("a".to_owned(), 5)), Some(&3));
        // And a reference to a key itself will do.
        assert_eq!(pin.by_ref(&("a".into(), 5), Clone::clone).update(|n| n + 1), Some(&4));
    });
}
