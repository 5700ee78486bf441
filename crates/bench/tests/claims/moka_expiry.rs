//! Of moka and time: README, "What it has, beside the others"; docs/migrating.md, "From moka". It has no clock to set,
//! so that real time must pass: little of it before a deadline far off, and more than enough after a near one.

use super::common::pass;
use moka::{Expiry, notification::RemovalCause, sync::Cache};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3600);

/// A value is its own time to live.
struct AtCreation;

impl Expiry<u32, Duration> for AtCreation {
    fn expire_after_create(&self, _: &u32, value: &Duration, _: Instant) -> Option<Duration> {
        Some(*value)
    }
}

/// The same, also where a value takes the place of another.
struct AtEachWrite;

impl Expiry<u32, Duration> for AtEachWrite {
    fn expire_after_create(&self, _: &u32, value: &Duration, _: Instant) -> Option<Duration> {
        Some(*value)
    }

    fn expire_after_update(
        &self,
        _: &u32,
        value: &Duration,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(*value)
    }
}

/// README: "a deadline for each entry" by an `Expiry`. Migrating: an `Expiry` that says only what holds at creation
/// keeps the old deadline on an insert over a live key, and has a say again once that has passed.
#[test]
fn an_expiry_keeps_the_old_deadline_on_insert_over_a_live_key() {
    // If the machine pauses for so long that the first deadline passes before the second insert, the try says nothing.
    assert!((0..20).any(|_| {
        let kept = Cache::builder().expire_after(AtCreation).build();
        let renewed = Cache::builder().expire_after(AtEachWrite).build();
        for value in [SHORT, LONG] {
            kept.insert(1, value);
            renewed.insert(1, value);
        }
        pass(SHORT * 2);
        assert_eq!(renewed.get(&1), Some(LONG));
        let ended = kept.get(&1).is_none();
        kept.insert(1, LONG);
        assert_eq!(
            kept.get(&1),
            Some(LONG),
            "over one that has expired it is asked as for a new one"
        );
        ended
    }));
}

/// README: "one TTL for all" ✓; "time to idle" ✓. Migrating: beside each other "moka takes whichever comes first".
#[test]
fn of_a_ttl_and_an_idle_time_the_first_one_counts() {
    for (ttl, idle) in [(SHORT, LONG), (LONG, SHORT)] {
        let cache = Cache::builder().time_to_live(ttl).time_to_idle(idle).build();
        cache.insert(1, 1);
        pass(SHORT * 2);
        assert_eq!(cache.get(&1), None);
    }
    let cache = Cache::builder().time_to_live(LONG).time_to_idle(LONG).build();
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), Some(1));
}

/// Migrating: "in moka all of it passes", since the last hit, however soon that came after the one before.
#[test]
fn each_hit_puts_the_end_off() {
    const IDLE: Duration = Duration::from_millis(320);
    // A pause of the machine may end the entry, or make the hit a late one: such a try says nothing.
    assert!((0..20).any(|_| {
        let cache = Cache::builder().time_to_idle(IDLE).build();
        let begun = Instant::now();
        cache.insert(1, 1);
        pass(IDLE / 16);
        let is_hit = cache.get(&1).is_some();
        let is_soon = begun.elapsed() < IDLE / 8;
        pass((IDLE + IDLE / 64).saturating_sub(begun.elapsed()));
        is_hit && is_soon && begun.elapsed() > IDLE && cache.get(&1).is_some()
    }));
}

/// Migrating: "Here `contains_key` is a hit, in moka it is none".
#[test]
fn contains_key_is_no_hit() {
    const IDLE: Duration = Duration::from_millis(200);
    let ends_in_spite_of = |look: &dyn Fn(&Cache<u32, u32>)| {
        let cache = Cache::builder().time_to_idle(IDLE).build();
        cache.insert(1, 1);
        let start = Instant::now();
        while start.elapsed() < IDLE * 2 {
            look(&cache);
            pass(Duration::from_millis(5));
        }
        cache.get(&1).is_none()
    };
    assert!(ends_in_spite_of(&|cache| _ = cache.contains_key(&1)));
    // A pause of the machine may let it end in spite of hits, but hardly each time.
    assert!((0..10).any(|_| !ends_in_spite_of(&|cache| _ = cache.get(&1))));
}

/// Migrating: "moka's `remove` hands it out until its upkeep has come by"; the first row of "Surprises".
#[test]
fn remove_returns_a_value_that_has_expired() {
    // Upkeep may come by in any call, if enough time has gone since.
    assert!((0..20).any(|_| {
        let cache = Cache::builder().time_to_live(SHORT).build();
        cache.insert(1, 7);
        pass(SHORT * 2);
        assert_eq!(cache.get(&1), None);
        cache.remove(&1) == Some(7)
    }));
}

/// Migrating, "Surprises": an expired entry that is overwritten is told as `Expired` with `time_to_live`, as `Replaced`
/// with `expire_after`.
#[test]
fn the_cause_of_an_expired_entry_hangs_on_how_its_deadline_was_set() {
    let causes = Arc::new(Mutex::new(vec![]));
    let tell = Arc::clone(&causes);
    let builder =
        Cache::builder().eviction_listener(move |_, _, cause| tell.lock().unwrap().push(cause));
    let cache = builder.time_to_live(SHORT).build();
    cache.insert(1, SHORT);
    pass(SHORT * 2);
    cache.insert(1, SHORT);
    let of_ttl = causes.lock().unwrap()[0];
    let replaced = (0..20).any(|_| {
        let causes = Arc::new(Mutex::new(vec![]));
        let tell = Arc::clone(&causes);
        let builder =
            Cache::builder().eviction_listener(move |_, _, cause| tell.lock().unwrap().push(cause));
        let cache = builder.expire_after(AtEachWrite).build();
        cache.insert(1, SHORT);
        pass(SHORT * 2);
        cache.insert(1, SHORT);
        causes.lock().unwrap()[0] == RemovalCause::Replaced
    });
    assert_eq!((of_ttl, replaced), (RemovalCause::Expired, true));
}
