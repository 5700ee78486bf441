//! Maps that are never dropped, as in statics: what they hold is not lost, for tools that look for leaks. They
//! look when the process ends, so this binary has maps that are still there then, and each test is to be run under
//! one of them (`ci/rungs.sh`: `lsan`, `asan`); elsewhere it shows nothing.

use evanesce_testkit as common;

use common::exclusive;
use evanesce::{Budget, TtlMap, TtlSet};
use std::sync::LazyLock;

type Map = TtlMap<u64, String>;

/// A static map of so many entries, each with memory of its own, after as many others were removed, of which some
/// may wait to be reclaimed.
fn fill(map: &Map, entries: u64) {
    let value = |key: u64| format!("the value of the key {key} is in the heap");
    (0..2 * entries).for_each(|key| _ = map.pin().insert(key, value(key)));
    (entries..2 * entries).for_each(|key| _ = map.pin().remove(&key));
    (0..entries).step_by(3).for_each(|key| _ = map.pin().insert(key, value(key)));
    assert_eq!(map.len() as u64, entries);
}

#[test]
fn a_static_map_of_one_entry_is_not_a_leak() {
    static MAP: LazyLock<Map> = LazyLock::new(Map::new);
    exclusive(|| fill(&MAP, 1));
}

#[test]
fn a_static_map_of_a_hundred_entries_is_not_a_leak() {
    static MAP: LazyLock<Map> = LazyLock::new(Map::new);
    exclusive(|| fill(&MAP, 100));
}

#[test]
fn a_static_map_of_twenty_thousand_entries_is_not_a_leak() {
    static MAP: LazyLock<Map> = LazyLock::new(Map::new);
    exclusive(|| fill(&MAP, 20_000));
}

/// Large ones, in memory that is laid out for more, and that was given back in part.
#[test]
fn a_static_map_that_shrank_is_not_a_leak() {
    static MAP: LazyLock<Map> = LazyLock::new(|| Map::with_capacity(10_000));
    static SET: LazyLock<TtlSet<(String, [u64; 1000])>> = LazyLock::new(TtlSet::new);
    exclusive(|| {
        fill(&MAP, 50_000);
        (100..50_000).for_each(|key| _ = MAP.pin().remove(&key));
        MAP.sweep(Budget::full_pass());
        MAP.shrink_to_fit();
        (0..1000).for_each(|n| assert!(SET.pin().insert((format!("in the heap: {n}"), [n; 1000]))));
    });
}

/// What threads leave behind that have ended.
#[test]
fn a_static_map_of_ended_threads_is_not_a_leak() {
    static MAP: LazyLock<Map> = LazyLock::new(Map::new);
    let fill = |n: u64| {
        for key in 1000 * n..1000 * (n + 1) {
            MAP.pin().insert(key, format!("by the thread {n}"));
            MAP.pin().remove(&(key - key % 1000 / 2));
        }
    };
    exclusive(move || {
        for thread in [1, 2, 3].map(|n| std::thread::spawn(move || fill(n))) {
            thread.join().expect("no panic");
        }
    });
}
