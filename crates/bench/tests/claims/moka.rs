//! Of moka: README, "What it has, beside the others"; docs/migrating.md, "From moka". What is of time is in
//! `moka_expiry.rs`.

use super::common::{Call, Cloned, Parts, Tagged, pair, pass};
use moka::{
    notification::RemovalCause,
    ops::compute::{CompResult, Op},
    policy::EvictionPolicy,
    sync::{Cache, CacheBuilder},
};
use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
    time::Duration,
};

/// What the listener was told: key, value, cause, on which thread.
type Told<K> = Arc<Mutex<Vec<(K, u32, RemovalCause, ThreadId)>>>;

fn listening<K, C>(builder: CacheBuilder<K, u32, C>) -> (CacheBuilder<K, u32, C>, Told<K>)
where
    K: Clone + Send + Sync + 'static,
{
    let told = Told::default();
    let tell = Arc::clone(&told);
    let builder = builder.eviction_listener(move |key: Arc<K>, value, cause| {
        tell.lock().unwrap().push((K::clone(&key), value, cause, thread::current().id()));
    });
    (builder, told)
}

/// README: "a reference, without a lock" – (clones); "iteration without locks" ✓, clones. Migrating: `get`, `iter`.
#[test]
fn get_and_iter_clone() {
    let (cache, value) = (Cache::new(10), Cloned::default());
    cache.insert(1, value.clone());
    let before = value.count();
    assert!(cache.get(&1).is_some());
    assert_eq!(value.count(), before + 1);
    let (_, _): (Arc<i32>, Cloned) = cache.iter().next().unwrap();
    assert!(value.count() > before + 1);
}

/// README: "reads never wait, nor do upkeep", upkeep at times. Migrating: "never by a `get`, which in moka may run the
/// pending tasks".
#[test]
fn a_get_does_upkeep() {
    let (builder, told) = listening(Cache::builder().max_capacity(1));
    let cache = builder.build();
    thread::scope(|scope| _ = scope.spawn(|| (0..10).for_each(|key| cache.insert(key, key))));
    let before = told.lock().unwrap().len();
    for _ in 0..10_000 {
        cache.get(&0);
    }
    let told = told.lock().unwrap();
    assert!(told.len() > before && told.last().unwrap().3 == thread::current().id());
}

/// Migrating: "where moka lets its upkeep do so later"; the table: `entry_count`, `run_pending_tasks`,
/// `RemovalCause::Size`.
#[test]
fn the_bound_is_kept_by_later_upkeep() {
    let (builder, told) = listening(Cache::builder().max_capacity(5));
    let cache = builder.build();
    (0..10).for_each(|key| cache.insert(key, key));
    assert_eq!((cache.iter().count(), cache.entry_count()), (10, 0));
    cache.run_pending_tasks();
    assert_eq!((cache.iter().count(), cache.entry_count()), (5, 5));
    assert!(told.lock().unwrap().iter().all(|told| told.2 == RemovalCause::Size));
}

/// README: "writers wait for nobody" where its queue is full: of writes that nobody has taken up, since whoever does the
/// upkeep is in the listener.
#[test]
fn writes_wait_once_the_queue_of_writes_is_full() {
    const WRITES: usize = 100_000; // more than any queue here holds
    let (tell_called, called) = mpsc::channel();
    let (go_on, gone_on) = mpsc::channel::<()>();
    let gone_on = Mutex::new(gone_on);
    let cache = Cache::builder()
        .max_capacity(1)
        .eviction_listener(move |_, _, _| {
            _ = tell_called.send(());
            assert!(gone_on.lock().unwrap().recv().is_err(), "the other end is gone, no message");
        })
        .build();
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            (0..10).for_each(|key| cache.insert(key, key));
            cache.run_pending_tasks();
        });
        called.recv().unwrap();
        scope.spawn(|| {
            // Others than above: to put a value over another calls the listener.
            for key in 10..10 + WRITES {
                cache.insert(key, key);
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (mut before, mut still) = (0, 0);
        while still < 100 {
            pass(Duration::from_millis(1));
            let now = made.load(Ordering::Relaxed);
            still = if now == before && now > 0 { still + 1 } else { 0 };
            before = now;
        }
        drop(go_on);
        assert!(before < WRITES, "all {WRITES} went through");
    });
    assert_eq!(made.into_inner(), WRITES);
}

/// Migrating: "What was just put is there; moka may refuse it."
#[test]
fn what_is_put_beside_what_is_used_more_may_be_refused() {
    let cache = Cache::builder().max_capacity(2).build();
    for key in [1, 2] {
        cache.insert(key, key);
        (0..10).for_each(|_| assert_eq!(cache.get(&key), Some(key)));
    }
    cache.run_pending_tasks();
    cache.insert(3, 3);
    cache.run_pending_tasks();
    assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (Some(1), Some(2), None));
}

/// Migrating: an entry above the maximum weight, "moka takes it and drops it"; `weigher`; `eviction_policy`.
#[test]
fn an_entry_that_is_too_heavy_is_taken_and_dropped() {
    let builder = Cache::builder()
        .max_capacity(10)
        .weigher(|_, value| *value)
        .eviction_policy(EvictionPolicy::lru());
    let (builder, told) = listening(builder);
    let cache = builder.build();
    cache.insert(1, 11);
    cache.run_pending_tasks();
    assert_eq!(cache.get(&1), None);
    assert_eq!(told.lock().unwrap()[0].2, RemovalCause::Size);
}

/// README: "one caller makes a missing value, others wait" ✓. Migrating: `get_with`.
#[test]
fn others_wait_for_the_one_who_makes_a_value() {
    let cache = Cache::new(10);
    thread::scope(|scope| {
        let value = cache.get_with(1, || {
            let other = Call::start(scope, || {
                assert_eq!(cache.get_with(1, || unreachable!("made twice")), 5);
            });
            assert!(other.waits());
            5
        });
        assert_eq!(value, 5);
    });
}

/// README: "a write during that wins" –. Migrating: "in moka an `init` that ends later puts its value over an
/// `invalidate` or `insert` that came meanwhile".
#[test]
fn a_load_undoes_an_insert_or_an_invalidate_that_came_meanwhile() {
    let cache = Cache::new(10);
    cache.get_with(1, || {
        cache.insert(1, 7);
        5
    });
    assert_eq!(cache.get(&1), Some(5));
    cache.invalidate(&1);
    cache.get_with(1, || {
        cache.invalidate(&1);
        5
    });
    assert_eq!(cache.get(&1), Some(5));
}

/// Migrating: `try_get_with(k, init)` → `Result<V, Arc<E>>`; `entry(k).or_insert_with(f)`, `is_fresh()`;
/// `and_upsert_with`, `and_compute_with`, `and_try_compute_with`; `cache.clone()`, a second handle.
#[test]
fn the_calls_of_the_migrating_page_are_there() {
    let cache = Cache::builder().initial_capacity(10).max_capacity(10).build();
    let error: Result<u32, Arc<&str>> = cache.try_get_with("a", || Err("none"));
    assert_eq!(error, Err(Arc::new("none")));
    assert!(cache.entry("a").or_insert_with(|| 1).is_fresh());
    assert!(!cache.entry("a").or_insert_with(|| 2).is_fresh());
    let put = cache.entry("a").and_upsert_with(|old| old.map_or(0, |old| old.into_value() + 1));
    assert_eq!(put.into_value(), 2);
    let result = cache
        .entry("a")
        .and_compute_with(|old| if old.is_some() { Op::Remove } else { Op::Put(0) });
    assert!(matches!(result, CompResult::Removed(_)));
    let result = cache.entry("a").and_try_compute_with(|_| Err::<Op<u32>, _>("no"));
    assert!(result.is_err());
    let handle = cache.clone();
    handle.insert("b", 1);
    assert!(cache.contains_key(&"b"), "the same cache");
}

/// Migrating: `invalidate_all()`, "which leaves the removing to later calls", and `invalidate_entries_if(p)` the same.
#[test]
fn invalidations_leave_the_removing_to_later() {
    let (builder, told) = listening(Cache::builder().support_invalidation_closures());
    let cache = builder.build();
    cache.insert(1, 1);
    cache.run_pending_tasks();
    pass(Duration::from_millis(5)); // so that the entry is older than the invalidation by its clock
    cache.invalidate_all();
    assert_eq!((cache.get(&1), told.lock().unwrap().len()), (None, 0));
    cache.run_pending_tasks();
    assert_eq!(told.lock().unwrap().len(), 1);
    cache.insert(2, 2);
    cache.run_pending_tasks();
    pass(Duration::from_millis(5));
    cache.invalidate_entries_if(|_, value| *value == 2).unwrap();
    assert_eq!((cache.get(&2), told.lock().unwrap().len()), (None, 1));
}

/// Migrating and its "Surprises": the listener gets "in moka the new key" with the old value.
#[test]
fn the_listener_gets_the_new_key_with_the_old_value() {
    let (builder, told) = listening(Cache::builder());
    let cache = builder.build();
    cache.insert(Tagged(1, "old"), 10);
    cache.insert(Tagged(1, "new"), 11);
    let told = told.lock().unwrap();
    assert_eq!((told[0].0.1, told[0].1, told[0].2), ("new", 10, RemovalCause::Replaced));
}

/// A key that counts its clones, which are the keys that moka makes of a reference to it.
#[derive(Clone, Debug)]
struct Name(Cloned);

impl PartialEq for Name {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Migrating, "By reference": "A hit of `get_or_insert_with` makes no key, as in moka"; "moka's `and_upsert_with` and
/// `and_compute_with` make an owned key at each call"; `get_with_by_ref`, `entry_by_ref`.
#[test]
fn a_hit_by_reference_makes_no_key_and_an_update_makes_one() {
    let (cache, key) = (Cache::new(10), Name(Cloned::default()));
    let made = |act: &dyn Fn()| {
        let before = key.0.count();
        act();
        key.0.count() - before
    };
    cache.insert(key.clone(), 1);
    assert_eq!(made(&|| _ = cache.get_with_by_ref(&key, || 2)), 0);
    assert_eq!(made(&|| _ = cache.entry_by_ref(&key).or_insert_with(|| 2)), 0);
    assert_eq!(made(&|| _ = cache.entry_by_ref(&key).and_upsert_with(|_| 2)), 1);
    assert_eq!(made(&|| _ = cache.entry_by_ref(&key).and_compute_with(|_| Op::Put(2))), 1);
}

/// README: "lookup by `Equivalent`" ✓; "async calls" `future`. Migrating: `get_with(k, future)`.
#[test]
fn it_finds_by_parts_and_loads_in_async() {
    let cache = Cache::new(10);
    cache.insert(pair(), 1);
    assert_eq!(cache.get(&Parts("a", "b")), Some(1));
    let cache = moka::future::Cache::new(10);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(cache.get_with(1, async { 5 })), 5);
}
