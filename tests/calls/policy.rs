//! What a map does by itself, and changing it while others use the map.

use crate::common::{FOREVER, builder, exclusive, left, ns};
use evanesce::{ManualClock, Policy, TtlMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

type Map = TtlMap<u64, u64>;

fn map() -> (Map, ManualClock) {
    let clock = ManualClock::new();
    (builder().clock(clock.clone()).build().expect("valid options"), clock)
}

fn with_ttl(map: &Map, ttl: Option<Duration>, jitter: f64) -> Policy {
    let mut policy = map.policy();
    policy.time_to_live = ttl;
    policy.ttl_jitter = jitter;
    policy
}

#[test]
fn a_policy_counts_for_what_is_put_later() {
    exclusive(|| {
        let (map, _) = map();
        assert_eq!(map.policy(), Policy::default());
        map.insert(1, 1);
        map.set_policy(with_ttl(&map, Some(ns(50)), 0.0)).unwrap();
        map.insert(2, 2);
        map.pin().get_or_insert_with(3, || 3);
        map.pin().update_or_insert_with(4, |v| *v, || 4);
        map.set_policy(with_ttl(&map, None, 0.0)).unwrap();
        map.insert(5, 5);
        let lefts = [1, 2, 3, 4, 5].map(|key| left(&map.pin(), &key));
        let never = Some(crate::common::FOREVER);
        assert_eq!(lefts, [never, Some(50), Some(50), Some(50), never]);
    });
}

#[test]
fn bad_values_are_refused_by_name_and_change_nothing() {
    exclusive(|| {
        let (map, _) = map();
        for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refused = map.set_policy(with_ttl(&map, Some(ns(5)), jitter)).unwrap_err();
            let message = format!("ttl_jitter is {jitter:?}, but must be from 0.0 to 1.0");
            assert_eq!(refused.to_string(), message);
            let built = builder::<u64, u64>().ttl_jitter(jitter).build();
            assert_eq!(built.unwrap_err().to_string(), message);
        }
        let mut policy = map.policy();
        policy.sweep_per_write = 1025;
        let refused = map.set_policy(policy).unwrap_err();
        assert_eq!(refused.to_string(), "sweep_per_write is 1025, but must be from 0 to 1024");
        assert_eq!(map.policy(), Policy::default());
    });
}

/// Drawn anew for each entry, evenly, never longer than the TTL and never shorter than the share allows.
#[test]
fn jitter_shortens_the_default_ttl_at_random() {
    exclusive(|| {
        const TTL: u64 = 1_000_000;
        let (map, _) = map();
        map.set_policy(with_ttl(&map, Some(ns(TTL)), 0.25)).unwrap();
        (0..4000).for_each(|key| _ = map.insert(key, 0));
        let pin = map.pin();
        let lefts: Vec<u128> = (0..4000).map(|key| left(&pin, &key).unwrap()).collect();
        let (low, high) = (u128::from(TTL) * 3 / 4, u128::from(TTL));
        assert!(lefts.iter().all(|left| (low..=high).contains(left)));
        // In each tenth of the range there are about 400; 300 to 500 leave five standard deviations.
        for tenth in 0..10 {
            let from = low + (high - low) * tenth / 10;
            let to = low + (high - low) * (tenth + 1) / 10;
            let count = lefts.iter().filter(|left| (from..to).contains(left)).count();
            assert!((300..=500).contains(&count), "{count} in tenth {tenth}");
        }
        map.pin().insert_with_ttl(1, 1, ns(77));
        assert_eq!(left(&pin, &1), Some(77), "a TTL that is given is exact");
        // The largest and the smallest.
        map.set_policy(with_ttl(&map, Some(Duration::MAX), 1.0)).unwrap();
        map.insert(1, 1);
        assert_eq!(left(&pin, &1), Some(FOREVER));
        map.set_policy(with_ttl(&map, Some(ns(1)), 1.0)).unwrap();
        map.insert(1, 1);
        assert_eq!(left(&pin, &1), Some(1));
        map.set_policy(with_ttl(&map, Some(ns(0)), 1.0)).unwrap();
        map.insert(1, 1);
        assert_eq!(left(&pin, &1), None);
    });
}

/// It was drawn from 584 years, which is what a clock's nanoseconds can tell, though no deadline is so far off.
#[test]
fn a_default_ttl_past_the_range_means_never_with_jitter_as_without() {
    exclusive(|| {
        const YEARS_147: Duration = Duration::from_secs(147 * 366 * 86_400);
        let (map, _) = map();
        for ttl in [YEARS_147, Duration::MAX] {
            for jitter in [0.0, 0.5, 1.0] {
                map.set_policy(with_ttl(&map, Some(ttl), jitter)).unwrap();
                (0..20).for_each(|key| _ = map.insert(key, 0));
                let pin = map.pin();
                assert!((0..20).all(|key| left(&pin, &key) == Some(FOREVER)), "{ttl:?}, {jitter}");
            }
        }
    });
}

#[test]
fn writes_sweep_as_much_as_the_policy_says() {
    exclusive(|| {
        let (map, clock) = map();
        let mut policy = map.policy();
        policy.sweep_per_write = 0;
        map.set_policy(policy.clone()).unwrap();
        (0..5000).for_each(|key| _ = map.insert_with_ttl(key, 0, ns(1)));
        clock.advance(ns(1));
        let write = |n| (0..n).for_each(|_| _ = map.insert(9999, 0));
        write(5000);
        assert_eq!(map.len(), 5001, "nothing is swept");
        policy.sweep_per_write = 64;
        map.set_policy(policy).unwrap();
        write(200);
        assert_eq!(map.len(), 1, "some eighty blocks");
    });
}

/// Writers see one policy or the other, whole.
#[test]
fn a_policy_is_swapped_whole_beside_writers() {
    exclusive(|| {
        let (map, _) = map();
        let policies = [with_ttl(&map, Some(ns(100)), 0.0), with_ttl(&map, Some(ns(10)), 0.0)];
        map.set_policy(policies[0].clone()).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for key in 0..3 {
                let (map, done) = (&map, &done);
                scope.spawn(move || {
                    while !done.load(SeqCst) {
                        map.insert(key, 1);
                        let left = left(&map.pin(), &key);
                        assert!([Some(100), Some(10)].contains(&left), "{left:?}");
                    }
                });
            }
            for n in 0..20_000 {
                map.set_policy(policies[n % 2].clone()).unwrap();
            }
            done.store(true, SeqCst);
        });
    });
}
