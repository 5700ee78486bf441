//! Of `quick_cache`: README, "What it has, beside the others".

use super::common::{Call, Cloned, Parts, is_send, pair};
use quick_cache::{
    Lifecycle, OptionsBuilder, UnitWeighter, Weighter,
    sync::{Cache, EntryAction, EntryResult},
};
use std::{
    hash::RandomState,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    thread,
};

fn one_shard<V: Clone>() -> Cache<u32, V, UnitWeighter, RandomState> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(100)
        .weight_capacity(100)
        .shards(1)
        .build()
        .unwrap();
    Cache::with_options(
        options,
        UnitWeighter,
        RandomState::new(),
        quick_cache::sync::DefaultLifecycle::default(),
    )
}

/// README: "a reference, without a lock" – (clones).
#[test]
fn get_clones() {
    let (cache, value) = (one_shard(), Cloned::default());
    cache.insert(1, value.clone());
    let before = value.count();
    assert!(cache.get(&1).is_some());
    assert_eq!(value.count(), before + 1);
}

/// README: "reads never wait" –; "values changed in place, entries locked" in `entry`; "insert, change or remove in one
/// step" `entry`; "entry API" a closure.
#[test]
fn reads_wait_for_an_entry_closure() {
    let cache = one_shard();
    cache.insert(1, 10);
    thread::scope(|scope| {
        let result = cache.entry(&1, None, |_, value| {
            *value += 1;
            assert!(cache.try_get(&1).is_err(), "it would wait");
            assert!(Call::start(scope, || _ = cache.get(&1)).waits());
            EntryAction::Retain(())
        });
        assert!(matches!(result, EntryResult::Retained(())));
    });
    assert_eq!(cache.get(&1), Some(11));
    let removed = cache.entry(&1, None, |_, _| EntryAction::<()>::Remove);
    assert!(matches!(removed, EntryResult::Removed(1, 11)));
}

/// README: "one caller makes a missing value, others wait" ✓.
#[test]
fn others_wait_for_the_one_who_makes_a_value() {
    let cache = one_shard();
    thread::scope(|scope| {
        let value = cache.get_or_insert_with(&1, || {
            let other = Call::start(scope, || {
                assert_eq!(cache.get_or_insert_with(&1, || Err::<u32, _>("made twice")), Ok(5));
            });
            assert!(other.waits());
            Ok::<_, &str>(5)
        });
        assert_eq!(value, Ok(5));
    });
}

/// README: "a write during that wins" ✓.
#[test]
fn an_insert_during_a_load_wins() {
    let cache = one_shard();
    let loaded = cache.get_or_insert_with(&1, || {
        cache.insert(1, 7);
        Ok::<_, ()>(5)
    });
    assert_eq!((loaded, cache.get(&1)), (Ok(5), Some(7)));
}

#[derive(Clone, Default)]
struct Evicted(Arc<Mutex<Vec<(u32, u32)>>>);

impl Lifecycle<u32, u32> for Evicted {
    type RequestState = ();
    fn on_evict(&self, (): &mut (), key: u32, value: u32) {
        self.0.lock().unwrap().push((key, value));
    }
}

/// README: a listener, "evictions and replacements, no cause; no removals".
#[test]
fn on_evict_is_called_for_replaced_values_and_not_for_removed_ones() {
    let evicted = Evicted::default();
    let options = OptionsBuilder::new()
        .estimated_items_capacity(9)
        .weight_capacity(9)
        .shards(1)
        .build()
        .unwrap();
    let cache = Cache::with_options(options, UnitWeighter, RandomState::new(), evicted.clone());
    cache.insert(1, 10);
    cache.insert(1, 11);
    cache.remove(&1);
    assert_eq!(*evicted.0.lock().unwrap(), [(1, 10)]);
    (0..10).for_each(|key| cache.insert(key, key));
    assert_eq!(evicted.0.lock().unwrap().len(), 2, "an eviction looks the same");
}

#[derive(Clone)]
struct Itself;

impl Weighter<u32, u32> for Itself {
    fn weight(&self, _: &u32, value: &u32) -> u64 {
        u64::from(*value)
    }
}

/// README: "maximum size, with eviction" ✓, changed live; "weights" ✓.
#[test]
fn its_bound_is_of_weight_and_can_be_changed_live() {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(100)
        .weight_capacity(1000)
        .shards(1)
        .build()
        .unwrap();
    let cache = Cache::with_options(
        options,
        Itself,
        RandomState::new(),
        quick_cache::sync::DefaultLifecycle::default(),
    );
    (1..100).for_each(|key| cache.insert(key, 50));
    assert!((900..=1000).contains(&cache.weight()), "{}", cache.weight());
    cache.set_capacity(100);
    assert!(cache.weight() <= 100, "{}", cache.weight());
}

/// README: "lookup by `Equivalent`" ✓; "keys and values not `'static`" ✓; "guards that are `Send`", no guards; "async
/// calls" some.
#[test]
fn it_finds_by_parts_holds_borrows_and_loads_in_async() {
    let cache = Cache::new(10);
    cache.insert(pair(), 1);
    assert_eq!(cache.get(&Parts("a", "b")), Some(1));
    let text = String::from("a");
    let cache = Cache::<&str, Arc<AtomicUsize>>::new(10);
    cache.insert(&text, Arc::default());
    let load = cache.get_or_insert_async(&"b", async { Ok::<_, ()>(Arc::default()) });
    assert!(is_send(&load));
}
