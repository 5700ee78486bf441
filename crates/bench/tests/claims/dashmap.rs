//! Of dashmap: README, "What it has, beside the others"; docs/migrating.md, "From `DashMap`".

use super::common::{Call, Tagged, is_send, waits};
use dashmap::{DashMap, DashSet, try_result::TryResult};
use std::sync::atomic::{AtomicUsize, Ordering};

fn one_shard() -> DashMap<u32, u32> {
    let map = DashMap::with_shard_amount(2); // the least that it takes
    map.insert(1, 10);
    map
}

/// A key that lies in the shard of 1.
fn neighbour(map: &DashMap<u32, u32>) -> u32 {
    let _held = map.get(&1).unwrap();
    (2..1000).find(|key| map.try_entry(*key).is_none()).unwrap()
}

/// Migrating: "`DashMap`'s `Ref` is a lock on its shard: while one is held, an `insert` into that shard waits". README:
/// a reference without a lock, "locks a shard".
#[test]
fn an_insert_waits_while_a_ref_into_its_shard_is_held() {
    let map = one_shard();
    let key = neighbour(&map);
    let held = map.get(&1).unwrap();
    assert!(waits(|| _ = map.insert(key, 20), || drop(held)));
    assert_eq!(map.get(&key).as_deref(), Some(&20));
}

/// Migrating: "a thread that inserts while it holds a `Ref` may wait for itself".
#[test]
fn the_lock_of_a_ref_is_not_its_threads_own() {
    let map = one_shard();
    let key = neighbour(&map);
    let held = map.get(&1).unwrap();
    assert!(map.try_entry(key).is_none(), "it would wait for itself");
    drop(held);
    assert!(map.try_entry(key).is_some());
}

/// README: "reads never wait" –; "iteration without locks" –.
#[test]
fn a_read_and_a_walk_wait_for_a_writer() {
    let map = one_shard();
    let held = map.get_mut(&1).unwrap();
    assert!(matches!(map.try_get(&1), TryResult::Locked));
    assert!(waits(|| _ = map.get(&1).is_some(), || drop(held)));
    let held = map.get_mut(&1).unwrap();
    assert!(waits(|| _ = map.iter().count(), || drop(held)));
}

/// README: "one caller makes a missing value, others wait" ✓, in `entry`; "a write during that wins" ✓, it waits.
/// Migrating: "`entry` locks, so its closure runs once."
#[test]
fn others_wait_while_entry_makes_a_value() {
    let map = DashMap::<u32, u32>::with_shard_amount(2);
    let calls = AtomicUsize::new(0);
    let make = || u32::try_from(calls.fetch_add(1, Ordering::Relaxed)).unwrap();
    std::thread::scope(|scope| {
        map.entry(1).or_insert_with(|| {
            let other = Call::start(scope, || {
                map.entry(1).or_insert_with(make);
                map.insert(1, 7);
            });
            assert!(other.waits());
            make()
        });
    });
    assert_eq!(
        (calls.load(Ordering::Relaxed), *map.get(&1).unwrap()),
        (1, 7),
        "calls once, and the write came after"
    );
}

/// README: "values changed in place"; "entry API"; "a closure on the value", `view`. Migrating, the table.
#[test]
fn the_calls_of_the_migrating_page_are_there() {
    let map = DashMap::<String, u32>::with_capacity(8);
    let a = || "a".to_owned();
    assert_eq!(map.insert(a(), 1), None);
    *map.get_mut("a").unwrap() += 1;
    map.alter("a", |_, n| n + 1);
    assert_eq!(map.view("a", |_, n| *n), Some(3));
    map.entry(a()).and_modify(|n| *n += 1).or_insert_with(|| 0);
    assert_eq!(map.remove_if("a", |_, n| *n == 0), None);
    map.alter_all(|_, n| n * 2);
    map.iter_mut().for_each(|mut entry| *entry += 1);
    map.retain(|_, n| {
        *n += 1;
        true
    });
    assert_eq!(map.remove("a"), Some((a(), 10)));
    map.shrink_to_fit();
    map.clear();
    assert!(map.is_empty() && map.capacity() == 0, "the index goes back by `shrink_to_fit`");
    let mut map = map;
    assert!(map.try_reserve(100).is_ok() && map.capacity() >= 100, "it reserves");
    assert!(map.into_read_only().is_empty());
    let set = DashSet::new();
    assert!(set.insert(1) && !set.insert(1), "true for a new element");
}

/// Migrating: "`insert` replaces the key as well, where `DashMap` and std keep the old one".
#[test]
fn insert_keeps_the_key_as_std_does() {
    let map = DashMap::new();
    map.insert(Tagged(1, "old"), 1);
    map.insert(Tagged(1, "new"), 2);
    assert_eq!(map.iter().next().unwrap().key().1, "old");
    let mut map = std::collections::HashMap::new();
    map.insert(Tagged(1, "old"), 1);
    map.insert(Tagged(1, "new"), 2);
    assert_eq!(map.keys().next().unwrap().1, "old");
}

/// README: "guards that are `Send`" ✓, a lock; "keys and values not `'static`" ✓; "set" ✓.
#[test]
fn its_guards_are_send_and_its_keys_may_borrow() {
    let text = String::from("a b");
    let map: DashMap<&str, &str> = text.split(' ').map(|part| (part, part)).collect();
    assert!(is_send(&map.get("a").unwrap()));
}
