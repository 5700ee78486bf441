//! Of papaya: README, "What it has, beside the others"; docs/migrating.md, "From papaya".

use super::common::{Call, Dropped, Drops, Parts, Tagged, is_send, pair, waits};
use papaya::{Compute, HashMap, HashSet, Operation};
use std::{
    cell::{Cell, RefCell},
    hash::{Hash, Hasher},
    rc::Rc,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Far more than a batch of its collector.
const MANY: u32 = 10_000;

/// Migrating, "Who drops": "In papaya the last thread to leave drops what was retired meanwhile, be it a reader."
/// README: "reads never wait, nor do upkeep", "may drop values at unpin".
#[test]
fn a_reader_drops_what_was_removed_while_it_was_pinned() {
    let (map, drops) = (HashMap::new(), Drops::default());
    (0..MANY).for_each(|key| assert!(map.pin().insert(key, drops.value()).is_none()));
    let (tell_pinned, pinned) = mpsc::channel();
    let (tell_removed, removed) = mpsc::channel();
    thread::scope(|scope| {
        let map = &map;
        let reader = scope.spawn(move || {
            let view = map.pin();
            assert!(view.get(&0).is_some());
            tell_pinned.send(()).unwrap();
            removed.recv().unwrap();
            drop(view);
            thread::current().id()
        });
        pinned.recv().unwrap();
        (0..MANY).for_each(|key| assert!(map.pin().remove(&key).is_some()));
        tell_removed.send(()).unwrap();
        assert!(drops.by(reader.join().unwrap()) > 0);
    });
}

/// Migrating, "Who drops": the values that a thread removed last stay, although others go on reading and writing, and
/// although that thread has ended. (A new thread may take its place, and its batch.)
#[test]
fn the_last_removed_values_stay_until_the_map_goes() {
    const LAST: usize = 20; // fewer than a batch
    let (map, drops) = (HashMap::<u32, Option<Dropped>>::new(), Drops::default());
    map.pin().insert(MANY, None); // this thread has its place before the other one leaves its own free
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let view = map.pin();
            (0..LAST as u32)
                .for_each(|key| assert!(view.insert(key, Some(drops.value())).is_none()));
            (0..LAST as u32).for_each(|key| assert!(view.remove(&key).is_some()));
        });
        writer.join().unwrap();
    });
    for _ in 0..100_000 {
        map.pin().insert(MANY, None);
        assert!(map.pin().get(&MANY).is_some());
    }
    assert_eq!(drops.count(), 0);
    drop(map);
    assert_eq!(drops.count(), LAST);
}

/// Migrating, "One collector for all maps": "A papaya map has a collector of its own". README: "a pin delays
/// reclamation of", its map.
#[test]
fn a_pin_of_one_map_delays_that_map_alone() {
    let (pinned, other, drops, others) =
        (HashMap::new(), HashMap::new(), Drops::default(), Drops::default());
    let (tell_pinned, is_pinned) = mpsc::channel();
    let (tell_done, done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let pinned = &pinned;
        scope.spawn(move || {
            let _view = pinned.pin();
            tell_pinned.send(()).unwrap();
            done.recv().unwrap();
        });
        is_pinned.recv().unwrap();
        for key in 0..MANY {
            pinned.pin().insert(key, drops.value());
            pinned.pin().remove(&key);
            other.pin().insert(key, others.value());
            other.pin().remove(&key);
        }
        assert_eq!(drops.count(), 0);
        assert!(others.count() > 0);
        tell_done.send(()).unwrap();
    });
}

/// Migrating and its "Surprises": "`insert` replaces the key as well, and so does papaya's", and its `update`.
#[test]
fn insert_and_update_store_the_new_key() {
    let map = HashMap::new();
    let view = map.pin();
    view.insert(Tagged(1, "old"), 1);
    view.insert(Tagged(1, "new"), 2);
    assert_eq!(view.keys().next().unwrap().1, "new");
    view.update(Tagged(1, "newer"), |n| n + 1);
    assert_eq!(view.keys().next().unwrap().1, "newer");
    view.update_or_insert_with(Tagged(1, "newest"), |n| n + 1, || 0);
    assert_eq!(view.keys().next().unwrap().1, "newest");
}

/// README: "one caller makes a missing value, others wait" –.
#[test]
fn two_callers_may_make_a_value() {
    let (map, calls) = (HashMap::new(), AtomicUsize::new(0));
    let make = || calls.fetch_add(1, Ordering::Relaxed);
    map.pin().get_or_insert_with(1, || {
        thread::scope(|scope| {
            let other = Call::start(scope, || _ = map.pin().get_or_insert_with(1, make));
            assert!(!other.waits());
        });
        make()
    });
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

type Tell = Box<dyn Fn(u32)>;

thread_local! {
    /// What a [`Watched`] calls with its number when this thread hashes it.
    static ON_HASH: RefCell<Option<Tell>> = RefCell::default();
}

/// A key that tells when it is hashed.
#[derive(PartialEq, Eq)]
struct Watched(u32);

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ON_HASH.with_borrow(|tell| tell.iter().for_each(|tell| tell(self.0)));
        self.0.hash(state);
    }
}

/// README: "writers wait for nobody" rarely: when another thread is copying the key's entry to a larger table, which
/// hashes that key.
#[test]
fn a_write_waits_while_its_entry_is_copied_to_a_larger_table() {
    let map = HashMap::new();
    let (tell_copying, copying) = mpsc::channel();
    let (go_on, gone_on) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let map = &map;
        scope.spawn(move || {
            let inserted = Rc::new(Cell::new(0));
            let own = Rc::clone(&inserted);
            ON_HASH.set(Some(Box::new(move |key| {
                if key != own.get() && tell_copying.send(key).is_ok() {
                    assert!(gone_on.recv().is_err(), "the other end is gone, no message");
                }
            })));
            for key in 0..MANY {
                inserted.set(key);
                map.pin().insert(Watched(key), 0);
            }
        });
        let key = copying.recv().unwrap();
        drop(copying); // only the first one is held
        assert_eq!(map.pin().get(&Watched(key)), Some(&0), "a reader does not wait");
        assert!(waits(|| _ = map.pin().insert(Watched(key), 1), || drop(go_on)));
    });
}

/// README: "guards that are `Send`" `pin_owned`; "keys and values not `'static`" ✓; "lookup by `Equivalent`" ✓; "set"
/// ✓.
#[test]
fn it_has_send_guards_borrowed_keys_and_lookups_by_parts() {
    let text = String::from("a b");
    let map: HashMap<&str, &str> = text.split(' ').map(|part| (part, part)).collect();
    assert!(is_send(&map.pin_owned()));
    let map = HashMap::new();
    map.pin().insert(pair(), 1);
    assert_eq!(map.pin().get(&Parts("a", "b")), Some(&1));
    assert!(HashSet::new().pin().insert(1));
}

/// README: "a reference, without a lock"; "iteration without locks". Migrating: views, references.
#[test]
fn a_reference_and_a_walk_hold_nobody_up() {
    let map = HashMap::new();
    let view = map.pin();
    view.insert(1, 10);
    let held = view.get(&1).unwrap();
    let mut walk = view.iter();
    thread::scope(|scope| {
        let writer = Call::start(scope, || {
            map.pin().insert(1, 11);
            map.pin().insert(2, 20);
        });
        assert!(!writer.waits());
    });
    assert_eq!((held, view.get(&1), walk.next().is_some()), (&10, Some(&11), true));
}

/// Migrating, the table "From papaya".
#[test]
fn the_calls_of_the_migrating_page_are_there() {
    let map = HashMap::builder()
        .resize_mode(papaya::ResizeMode::Blocking)
        .collector(seize::Collector::new())
        .build();
    let guard = map.guard();
    assert_eq!(map.get("a", &guard), None);
    let view = map.pin();
    assert_eq!(view.get_or_insert("a".to_owned(), 1), &1);
    assert_eq!(view.try_insert_with("a".to_owned(), || 2), Err(&1));
    assert!(view.try_insert("a".to_owned(), 2).is_err());
    assert_eq!(view.update_or_insert("a".to_owned(), |n| n + 1, 0), &2);
    assert_eq!(view.remove_if("a", |_, n| *n == 0), Err((&"a".to_owned(), &2)));
    let aborted = view.compute("a".to_owned(), |entry| match entry {
        Some((_, 2)) => Operation::Abort("two"),
        Some(_) => Operation::Remove,
        None => Operation::Insert(1),
    });
    assert_eq!(aborted, Compute::Aborted("two"));
    assert_eq!(view.remove_if("a", |_, n| *n == 2), Ok(Some((&"a".to_owned(), &2))));
    view.reserve(10);
    view.retain(|_, _| true);
    view.clear();
    assert!(view.is_empty());
}
