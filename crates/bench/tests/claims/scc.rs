//! Of scc: README, "What it has, beside the others" and "Use something else when".

use super::common::{Call, Drops, Parts, Tagged, eventually, is_send, pair, waits};
use scc::{Guard, HashCache, HashIndex, HashMap, HashSet, hash_index, hash_map};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

fn locked(index: &HashIndex<u32, u32>) -> hash_index::OccupiedEntry<'_, u32, u32> {
    match index.entry_sync(1) {
        hash_index::Entry::Occupied(entry) => entry,
        hash_index::Entry::Vacant(_) => unreachable!("it was put in"),
    }
}

/// README: "a reference, without a lock" ✓, "iteration without locks", of `HashIndex`.
#[test]
fn lookups_and_walks_of_hash_index_do_not_wait_for_a_writer() {
    let index = HashIndex::<u32, u32>::new();
    index.insert_sync(1, 10).unwrap();
    let mut entry = locked(&index);
    thread::scope(|scope| {
        let reader = Call::start(scope, || {
            let guard = Guard::new();
            assert_eq!(index.peek(&1, &guard), Some(&10));
            assert_eq!(index.iter(&guard).count(), 1);
        });
        assert!(!reader.waits());
    });
    entry.update(11);
    drop(entry);
    assert!(index.contains(&1));
}

/// README: "reads never wait, nor do upkeep": a lookup of `HashIndex` drops values that its thread removed before.
#[test]
fn lookups_of_hash_index_drop_removed_values() {
    const REMOVED: u32 = 1000;
    let (index, drops) = (HashIndex::<u32, _>::new(), Drops::default());
    (0..REMOVED).for_each(|key| {
        assert!(index.insert_sync(key, std::sync::Arc::new(drops.value())).is_ok());
    });
    (0..REMOVED).for_each(|key| assert!(index.remove_sync(&key)));
    let before = drops.count();
    (0..100_000).for_each(|key| assert!(!index.contains(&(key % REMOVED))));
    println!(
        "dropped by {REMOVED} removals: {before}, by lookups after them: {}",
        drops.count() - before
    );
    assert!(drops.count() > before);
    assert_eq!(drops.by(thread::current().id()), drops.count());
}

/// README: "a pin delays reclamation of", all containers.
#[test]
fn a_guard_anywhere_delays_the_drops_of_every_index() {
    let (index, drops) = (HashIndex::<u32, _>::new(), Drops::default());
    let (tell_pinned, is_pinned) = mpsc::channel();
    let (tell_done, done) = mpsc::channel::<()>();
    let churn = |from: u32| {
        for key in from..from + 1000 {
            assert!(index.insert_sync(key, std::sync::Arc::new(drops.value())).is_ok());
            assert!(index.remove_sync(&key));
            assert!(!index.contains(&key));
        }
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let _guard = Guard::new();
            tell_pinned.send(()).unwrap();
            done.recv().unwrap();
        });
        is_pinned.recv().unwrap();
        churn(0);
        assert_eq!(drops.count(), 0);
        tell_done.send(()).unwrap();
    });
    let mut from = 0;
    eventually("a drop once the guard is gone", || {
        from += 1000;
        churn(from);
        drops.count() > 0
    });
}

/// README: "values changed in place, entries locked" `HashMap`; "a closure on the value" ✓; "reads never wait", only
/// `HashIndex`.
#[test]
fn a_read_of_hash_map_waits_for_an_entry() {
    let map = HashMap::<u32, u32>::new();
    map.insert_sync(1, 10).unwrap();
    let mut entry = map.get_sync(&1).unwrap();
    *entry.get_mut() += 1;
    assert!(waits(|| assert_eq!(map.read_sync(&1, |_, n| *n), Some(11)), || drop(entry)));
}

/// README: "one caller makes a missing value, others wait" ✓, in `entry`; "a write during that wins" ✓, it waits.
#[test]
fn others_wait_while_entry_makes_a_value() {
    let (map, calls) = (HashMap::<u32, usize>::new(), AtomicUsize::new(0));
    let make = || calls.fetch_add(1, Ordering::Relaxed);
    thread::scope(|scope| {
        map.entry_sync(1).or_insert_with(|| {
            let other = Call::start(scope, || {
                map.entry_sync(1).or_insert_with(make);
                map.upsert_sync(1, 7);
            });
            assert!(other.waits());
            make()
        });
    });
    assert_eq!((calls.load(Ordering::Relaxed), map.read_sync(&1, |_, n| *n)), (1, Some(7)));
}

/// README: "guards that are `Send`" ✓, a lock; "keys and values not `'static`" ✓; "set" ✓; "lookup by `Equivalent`" ✓;
/// "async calls" ✓.
#[test]
fn it_has_send_guards_borrowed_keys_lookups_by_parts_and_async_calls() {
    let text = String::from("a b");
    let map: HashMap<&str, &str> = text.split(' ').map(|part| (part, part)).collect();
    let entry: hash_map::OccupiedEntry<'_, _, _> = map.get_sync("a").unwrap();
    assert!(is_send(&entry));
    drop(entry);
    assert!(is_send(&map.insert_async("c", "c")));
    let index = HashIndex::<&str, &str>::new();
    index.insert_sync(&text, &text).unwrap();
    let set = HashSet::<(String, String)>::new();
    set.insert_sync(pair()).unwrap();
    assert!(set.contains_sync(&Parts("a", "b")));
}

/// README: "maximum size, with eviction" `HashCache`.
#[test]
fn hash_cache_evicts() {
    let cache = HashCache::<u32, u32>::with_capacity(0, 64);
    let evicted = (0..1000).filter(|key| matches!(cache.put_sync(*key, 0), Ok(Some(_)))).count();
    assert!(evicted >= 1000 - cache.capacity() && cache.len() + evicted == 1000);
}

/// README: "memory of an index that is too large" goes back by itself.
#[test]
fn an_index_that_is_emptied_shrinks() {
    let (map, index) = (HashMap::<u32, u32>::new(), HashIndex::<u32, u32>::new());
    for key in 0..100_000 {
        map.insert_sync(key, 0).unwrap();
        index.insert_sync(key, 0).unwrap();
    }
    let full = (map.capacity(), index.capacity());
    for key in 0..100_000 {
        assert!(map.remove_sync(&key).is_some() && index.remove_sync(&key));
    }
    assert!(
        map.capacity() < full.0 / 10 && index.capacity() < full.1 / 10,
        "{} {}",
        map.capacity(),
        index.capacity()
    );
}

/// findings/insert-updates-the-key.sh, which names scc beside papaya.
#[test]
fn upsert_keeps_the_key() {
    let map = HashMap::new();
    map.upsert_sync(Tagged(1, "old"), 1);
    map.upsert_sync(Tagged(1, "new"), 2);
    assert_eq!(map.get_sync(&Tagged(1, "")).unwrap().key().1, "old");
}
