//! Our own side of the sentences that set it against a peer's.

use super::common::Tagged;
use evanesce::{ManualClock, Operation, RemovalCause, Ttl, TtlMap};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

/// Migrating: "`insert` replaces the key as well", and so does all else that puts a value.
#[test]
fn whatever_puts_a_value_replaces_the_key() {
    let map = TtlMap::<Tagged, u32>::new();
    let pinned = map.pin();
    let stored = || pinned.keys().next().unwrap().1;
    pinned.insert(Tagged(1, "first"), 1);
    pinned.insert(Tagged(1, "insert"), 2);
    assert_eq!(stored(), "insert");
    pinned.update(Tagged(1, "update"), |n| n + 1);
    assert_eq!(stored(), "update");
    pinned.update_or_insert_with(Tagged(1, "upsert"), |n| n + 1, || 0);
    assert_eq!(stored(), "upsert");
    pinned.compute(Tagged(1, "compute"), |_| Operation::Insert(5));
    assert_eq!(stored(), "compute");
    pinned.get_or_insert_with(Tagged(1, "a hit"), || 0);
    assert_eq!(stored(), "compute");
}

/// Migrating, "From Redis": `extend_ttl` is true where `EXPIRE k n GT` answers 0; `persist` likewise.
#[test]
fn extend_ttl_and_persist_are_true_where_nothing_changes() {
    let map = TtlMap::builder().clock(ManualClock::new()).build().unwrap();
    let pinned = map.pin();
    pinned.insert_with_ttl("k", 1, 10 * SECOND);
    assert!(pinned.extend_ttl("k", 5 * SECOND));
    assert_eq!(pinned.ttl("k"), Some(Ttl::Remaining(10 * SECOND)));
    assert!(pinned.persist("k") && pinned.persist("k") && pinned.extend_ttl("k", SECOND));
    assert_eq!(pinned.ttl("k"), Some(Ttl::Never));
    assert!(!pinned.extend_ttl("none", SECOND) && !pinned.persist("none"));
}

/// Migrating, "From Redis": a TTL of nothing, `EXPIRE k 0`, ends an entry as expired. "From moka": an insert over a
/// live key begins its time anew.
#[test]
fn a_ttl_of_nothing_is_told_as_expired_and_an_insert_begins_anew() {
    let (clock, told) = (ManualClock::new(), Arc::new(Mutex::new(vec![])));
    let tell = Arc::clone(&told);
    let map = TtlMap::builder()
        .clock(clock.clone())
        .eviction_listener(move |_: &&str, _: &i32, cause| tell.lock().unwrap().push(cause))
        .build()
        .unwrap();
    let pinned = map.pin();
    pinned.insert_with_ttl("k", 1, SECOND);
    pinned.insert_with_ttl("k", 2, 10 * SECOND);
    clock.advance(2 * SECOND);
    assert_eq!(pinned.get("k"), Some(&2));
    assert!(pinned.set_ttl("k", Duration::ZERO));
    assert_eq!(pinned.get("k"), None);
    map.sweep(evanesce::Budget::full_pass());
    assert_eq!(told.lock().unwrap().last(), Some(&RemovalCause::Expired));
}
