//! Options of the builder, the slot limit, and what the types implement.

use crate::common::sites::{boom, caught};
use crate::common::tally::{Tally, Token};
use crate::common::{FOREVER, SetClock, assert_slots_accounted, builder, exclusive, left, ns};
use evanesce::{
    Budget, BuildError, Clock, Deadline, ManualClock, MonotonicClock, Pinned, Stats, Sweeper, Ttl,
    TtlMap,
};
use std::cell::Cell;
use std::error::Error;
use std::hash::RandomState;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The largest slot limit, which is the default.
const TOP: usize = 436_207_567;

#[test]
fn constructors_make_empty_maps() {
    exclusive(|| {
        let maps: [TtlMap<u64, u64>; 5] = [
            TtlMap::new(),
            TtlMap::with_capacity(100),
            TtlMap::with_hasher(RandomState::new()),
            TtlMap::with_capacity_and_hasher(100, RandomState::new()),
            builder().build().expect("valid options"),
        ];
        for map in maps {
            assert!(map.is_empty());
            assert_eq!(map.pin().get(&1), None);
            assert_eq!(map.pin().insert(1, 2), None);
            assert_eq!(map.get_cloned(&1), Some(2));
            assert_eq!(map.max_slots(), TOP);
        }
    });
}

#[test]
fn entries_beyond_the_capacity_are_kept() {
    exclusive(|| {
        for capacity in [0, 1, 3, 1000] {
            let map: TtlMap<u64, u64> =
                builder().capacity(capacity).build().expect("valid options");
            let pin = map.pin();
            for n in 0..3000 {
                assert_eq!(pin.insert(n, n + 1), None);
            }
            assert_eq!(map.len(), 3000);
            assert!((0..3000).all(|n| pin.get(&n) == Some(&(n + 1))));
        }
    });
}

#[test]
fn default_time_to_live_applies_where_no_other_is_given() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).time_to_live(ns(10));
        let map: TtlMap<u64, u64> = options.build().expect("valid options");
        let pin = map.pin();
        pin.insert(0, 0);
        assert!(pin.try_insert(1, 0).is_ok());
        pin.get_or_insert_with(2, || 0);
        pin.insert_with_ttl(3, 0, ns(20));
        pin.insert_with_deadline(4, 0, Deadline::NEVER);
        pin.insert(5, 0);
        assert!(pin.set_ttl(&5, ns(30)));
        pin.update(5, |_| 1);
        let all = || [0, 1, 2, 3, 4, 5].map(|k| left(&pin, &k));
        let ten = Some(10);
        assert_eq!(all(), [ten, ten, ten, Some(20), Some(FOREVER), Some(30)]);
        clock.advance(ns(10));
        assert_eq!(all(), [None, None, None, ten, Some(FOREVER), Some(20)]);
    });
}

#[test]
fn default_time_to_live_of_zero_hides_what_is_inserted() {
    exclusive(|| {
        let map: TtlMap<u64, u64> =
            builder().time_to_live(Duration::ZERO).build().expect("valid options");
        let pin = map.pin();
        assert_eq!(pin.insert(1, 1), None);
        assert_eq!(pin.get(&1), None);
        assert_eq!(*pin.get_or_insert_with(1, || 2), 2, "answers what it inserted");
        assert_eq!(pin.get(&1), None);
    });
}

#[test]
fn clocks_of_any_type_drive_the_map() {
    exclusive(|| {
        let clock = SetClock::at(1_000);
        let map: TtlMap<u64, u64> = builder().clock(clock.clone()).build().expect("valid options");
        let pin = map.pin();
        pin.insert_with_ttl(1, 1, ns(10));
        clock.set(1_009);
        assert_eq!(pin.get(&1), Some(&1));
        clock.set(1_010);
        assert_eq!(pin.get(&1), None);
    });
}

#[test]
fn deadlines_from_instants_are_those_of_the_monotonic_clock() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = builder().clock(MonotonicClock).build().expect("valid options");
        let pin = map.pin();
        let hour = Duration::from_secs(3600);
        let start = Instant::now();
        pin.insert_with_deadline(1, 1, Deadline::from(start + hour));
        let Some(Ttl::Remaining(left)) = pin.ttl(&1) else { panic!("not there, or for ever") };
        // 10 ms: the error a clock that is not `Instant` itself may have.
        let (error, passed) = (Duration::from_millis(10), start.elapsed());
        assert!(left <= hour + error && left + passed + error >= hour, "{left:?} left");
        pin.insert_with_deadline(
            2,
            2,
            Deadline::from(start.checked_sub(error * 2).unwrap_or(start)),
        );
        assert_eq!(pin.get(&2), None);
    });
}

#[test]
fn monotonic_clock_never_runs_backwards() {
    let clock = MonotonicClock;
    let mut last = clock.now();
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= last);
        last = now;
    }
}

#[test]
fn clones_of_a_manual_clock_share_its_time() {
    let clock = ManualClock::new();
    let other = clock.clone();
    let start = clock.now();
    other.advance(ns(5));
    assert_eq!(clock.now(), start + 5);
}

fn refusal(result: Result<TtlMap<u64, u64>, BuildError>) -> String {
    let Err(error) = result else { panic!("not refused") };
    let error: Box<dyn Error + Send + Sync> = Box::new(error);
    error.to_string()
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} does not name {part}");
    }
}

#[test]
fn build_refuses_max_slots_outside_its_range() {
    exclusive(|| {
        for value in [0, TOP + 1, usize::MAX] {
            let message = refusal(builder().max_slots(value).build());
            assert_names(&message, &["max_slots", &value.to_string(), "1", &TOP.to_string()]);
        }
        for value in [1, TOP] {
            let map: TtlMap<u64, u64> = builder().max_slots(value).build().expect("in range");
            assert_eq!(map.max_slots(), value);
        }
    });
}

#[test]
fn build_refuses_a_capacity_beyond_max_slots() {
    exclusive(|| {
        for (capacity, max) in [(11, 10), (TOP + 1, TOP), (usize::MAX, TOP)] {
            let message = refusal(builder().capacity(capacity).max_slots(max).build());
            assert_names(&message, &["capacity", &capacity.to_string(), &max.to_string()]);
        }
        let map: Result<TtlMap<u64, u64>, _> = builder().capacity(10).max_slots(10).build();
        assert!(map.is_ok());
    });
}

/// Runs `f`, which must panic, and returns the message.
fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else { panic!("did not panic") };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    }
}

type Limited = TtlMap<u64, Token>;

fn limited(max_slots: usize) -> Limited {
    builder().max_slots(max_slots).build().expect("in range")
}

fn insert_past_max_slots_panics(limit: usize) {
    let tally = Tally::new();
    let map = limited(limit);
    for n in 0..limit as u64 {
        assert!(map.pin().insert(n, tally.token()).is_none());
    }
    let attempts: [&dyn Fn(); 3] = [
        &|| _ = map.pin().insert(999, tally.token()),
        &|| _ = map.pin().try_insert(999, tally.token()),
        &|| _ = map.pin().get_or_insert_with(999, || tally.token()),
    ];
    for attempt in attempts {
        assert_names(&panic_message(attempt), &[&limit.to_string()]);
    }
    assert_eq!(map.len(), limit);
    assert_eq!(tally.alive(), limit, "a value that was refused is dropped");
    assert!(map.pin().get(&999).is_none());
    assert!((0..limit as u64).all(|n| map.pin().contains_key(&n)));
    assert_slots_accounted(&map);

    assert!(map.pin().remove(&0).is_some());
    map.sweep(Budget::full_pass());
    assert!(map.pin().insert(999, tally.token()).is_none());
    assert!(map.pin().contains_key(&999));
    assert_eq!(map.len(), limit);
    panic_message(|| _ = map.pin().insert(0, tally.token()));
    drop(map);
    tally.assert_all_dropped();
}

#[test]
fn insert_past_max_slots_panics_naming_the_limit_and_leaves_the_map_usable() {
    exclusive(|| {
        [1, 2, 37, 300].into_iter().for_each(insert_past_max_slots_panics);
    });
}

#[test]
fn insert_reuses_slots_at_the_limit_without_a_sweep() {
    exclusive(|| {
        let map = limited(2_000);
        let tally = Tally::new();
        for n in 0..100_000 {
            map.pin().insert(n % 4, tally.token());
        }
        assert_eq!(map.len(), 4);
    });
}

#[test]
fn reads_renewals_and_removals_need_no_slot_at_the_limit() {
    exclusive(|| {
        let (map, tally) = (limited(4), Tally::new());
        let pin = map.pin();
        for n in 0..4 {
            pin.insert(n, tally.token());
        }
        assert!(pin.get(&1).is_some());
        assert!(pin.set_ttl(&1, Duration::from_secs(60)));
        assert_eq!(pin.iter().count(), 4);
        assert!(pin.remove(&2).is_some());
        assert_eq!(map.len(), 3);
    });
}

#[test]
fn update_at_the_limit_works_or_panics_and_loses_nothing() {
    exclusive(|| {
        let (map, tally) = (limited(4), Tally::new());
        for n in 0..4 {
            map.pin().insert(n, tally.token());
        }
        let update = || map.pin().update(1, |_| tally.token()).is_some();
        let updated = catch_unwind(AssertUnwindSafe(update));
        assert!(updated.unwrap_or(true));
        assert!((0..4).all(|n| map.pin().contains_key(&n)));
        assert_eq!(map.len(), 4);
        map.sweep(Budget::full_pass());
        assert_eq!(tally.alive(), 4);
    });
}

#[test]
fn expired_entries_give_their_slots_back_after_a_sweep() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().max_slots(50).clock(clock.clone()).time_to_live(ns(5));
        let map: TtlMap<u64, u64> = options.build().expect("in range");
        for round in 0..20 {
            for n in 0..50 {
                assert_eq!(map.pin().insert(round * 50 + n, n), None);
            }
            clock.advance(ns(5));
            map.sweep(Budget::full_pass());
            assert_eq!(map.len(), 0);
        }
        assert!(assert_slots_accounted(&map).slots <= 50);
    });
}

/// As many as it says fit, and one more does not; entries that wait for their grace period take room as well.
#[test]
fn try_reserve_tells_what_fits() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = builder().max_slots(100).build().expect("in range");
        let refused = |additional| map.try_reserve(additional).map_err(|error| error.to_string());
        for len in 0..=100 {
            assert_eq!(refused(100 - len), Ok(()));
            assert_eq!(
                refused(101 - len),
                Err(format!(
                    "{} more entries do not fit: {} of the map's 100 slots are free",
                    101 - len,
                    100 - len
                ))
            );
            if len < 100 {
                map.pin().insert(len as u64, 0);
            }
        }
        let pin = map.pin();
        pin.remove(&1);
        assert!(map.try_reserve(0).is_ok() && map.try_reserve(1).is_err(), "this pin may see it");
        drop(pin);
        map.sweep(Budget::full_pass());
        assert!(map.try_reserve(1).is_ok() && map.try_reserve(2).is_err());
        assert!(map.try_reserve(usize::MAX).is_err());
    });
}

#[test]
fn a_map_full_of_expired_entries_makes_room_by_itself() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().max_slots(50).sweep_per_write(0).clock(clock.clone());
        let map: TtlMap<u64, u64> = options.build().expect("in range");
        for n in 0..50 {
            map.pin().insert_with_ttl(n, n, ns(5));
        }
        clock.advance(ns(5));
        // The write that finds it full still sees, under its own pin, what it removes; a later one
        // gets the slots.
        let fits = |n| catch_unwind(AssertUnwindSafe(|| map.pin().insert(100, n).copied())).is_ok();
        assert!((0..10).any(fits), "no room after ten tries: {:?}", map.stats());
        assert_eq!(map.pin().iter().count(), 1);
    });
}

#[test]
fn a_panic_in_a_pinned_scope_unpins() {
    exclusive(|| {
        let (map, tally) = (limited(TOP), Tally::new());
        let outcome = caught(|| {
            let pin = map.pin();
            pin.insert(1, tally.token());
            pin.remove(&1);
            boom();
        });
        assert!(outcome.is_none());
        map.sweep(Budget::full_pass());
        tally.assert_all_dropped();
    });
}

#[test]
fn debug_output_shows_something_and_no_expired_value() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<&str, &str> =
            builder().clock(clock.clone()).build().expect("valid options");
        map.pin().insert_with_ttl("k", "it-expired", ns(1));
        clock.advance(ns(1));
        let shown = format!("{map:?}");
        assert!(!shown.is_empty() && !shown.contains("it-expired"), "{shown}");
        for text in [
            format!("{:?}", map.stats()),
            format!("{:?}", map.sweep(Budget::full_pass())),
            format!("{:?}", Ttl::Remaining(ns(1))),
            format!("{:?}", Deadline::NEVER),
            format!("{:?}", Budget::entries(1)),
            format!("{clock:?}"),
            format!("{MonotonicClock:?}"),
            format!("{:?}", builder::<u64, u64>()),
        ] {
            assert!(!text.is_empty());
        }
        let pin = map.pin();
        pin.insert("x", "1");
        let occupied = format!("{:?}", pin.try_insert("x", "2").expect_err("occupied"));
        assert!(occupied.contains('1') && occupied.contains('2'), "{occupied}");
    });
}

#[test]
fn shared_types_are_send_and_sync() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<TtlMap<String, Vec<u8>>>();
    send_and_sync::<TtlMap<u8, Box<dyn Fn() + Send + Sync>>>();
    send_and_sync::<ManualClock>();
    send_and_sync::<MonotonicClock>();
    send_and_sync::<Deadline>();
    send_and_sync::<Budget>();
    send_and_sync::<Stats>();
    send_and_sync::<BuildError>();
    send_and_sync::<Sweeper>();
}

/// Whether a type implements a trait, by method resolution (an inherent method goes before a trait's).
macro_rules! implements {
    ($bound:ident, $t:ty) => {{
        struct Probe<T>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "used only when the bound does not hold")]
        trait Otherwise {
            fn answer(&self) -> bool {
                false
            }
        }
        impl<T> Otherwise for Probe<T> {}
        #[allow(dead_code, reason = "used only when the bound holds")]
        impl<T: $bound> Probe<T> {
            fn answer(&self) -> bool {
                true
            }
        }
        Probe::<$t>(std::marker::PhantomData).answer()
    }};
}

#[test]
fn maps_are_as_shareable_as_what_they_hold() {
    assert!(implements!(Send, TtlMap<u64, u64>) && implements!(Sync, TtlMap<u64, u64>));
    assert!(!implements!(Send, TtlMap<Rc<u8>, u8>));
    assert!(!implements!(Sync, TtlMap<Rc<u8>, u8>));
    assert!(!implements!(Send, TtlMap<u8, Rc<u8>>));
    assert!(!implements!(Sync, TtlMap<u8, Rc<u8>>));
    assert!(!implements!(Sync, TtlMap<u8, Cell<u8>>), "a reader would share the cell");
    assert!(implements!(Send, TtlMap<u8, Cell<u8>>), "one thread at a time has it");
    assert!(
        !implements!(Send, evanesce::Iter<'static, u8, u8, RandomState>),
        "it is of a pinned thread"
    );
    assert!(
        !implements!(Sync, TtlMap<u8, std::sync::MutexGuard<'static, u8>>),
        "a sweep would drop it elsewhere"
    );
    assert!(
        !implements!(Send, TtlMap<u8, std::sync::MutexGuard<'static, u8>>),
        "its new thread would drop it"
    );
    assert!(!implements!(Send, Pinned<'static, u8, u8, RandomState>));
    assert!(!implements!(Sync, Pinned<'static, u8, u8, RandomState>));
}
