//! Time to idle: hits put the deadline off.

use crate::common::{FOREVER, builder, exclusive, left, ns};
use evanesce::{Budget, Lookup, ManualClock, Pinned, TickClock, Ttl, TtlMap};
use std::time::Duration;

const IDLE: u64 = 80;
/// As much must have gone for a hit to renew.
const EIGHTH: u64 = IDLE / 8;

/// A map with a time to idle, of which writes do not sweep.
fn idle() -> (TtlMap<u64, u64>, ManualClock) {
    let clock = ManualClock::new();
    (idle_by(&clock), clock)
}

fn idle_by(clock: &ManualClock) -> TtlMap<u64, u64> {
    let options = builder().clock(clock.clone()).sweep_per_write(0).time_to_idle(ns(IDLE));
    options.build().expect("valid options")
}

type Pin<'m> = Pinned<'m, u64, u64>;

/// The time that is left for key 1 after `look` was done, a nanosecond before its end.
fn left_after(look: impl FnOnce(&TtlMap<u64, u64>, &Pin<'_>)) -> Option<u128> {
    let (map, clock) = idle();
    map.insert(1, 10);
    clock.advance(ns(IDLE - 1));
    let pin = map.pin();
    look(&map, &pin);
    left(&pin, &1)
}

#[test]
fn an_entry_expires_after_its_time_without_a_hit() {
    exclusive(|| {
        let (map, clock) = idle();
        map.insert(1, 10);
        clock.advance(ns(IDLE - 1));
        assert_eq!(left(&map.pin(), &1), Some(1));
        clock.advance(ns(1));
        assert_eq!(map.get_cloned(&1), None);
        assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    });
}

#[test]
fn a_hit_renews_when_an_eighth_has_gone_and_not_before() {
    exclusive(|| {
        let (map, clock) = idle();
        map.insert(1, 10);
        clock.advance(ns(EIGHTH - 1));
        assert_eq!(map.get_cloned(&1), Some(10));
        assert_eq!(left(&map.pin(), &1), Some(u128::from(IDLE - EIGHTH + 1)));
        clock.advance(ns(1));
        assert_eq!(map.get_cloned(&1), Some(10));
        assert_eq!(left(&map.pin(), &1), Some(u128::from(IDLE)));
        for _ in 0..100 {
            clock.advance(ns(IDLE - 1));
            assert_eq!(map.get_cloned(&1), Some(10));
        }
        clock.advance(ns(IDLE));
        assert_eq!(map.get_cloned(&1), None);
    });
}

#[test]
fn short_times_to_idle_are_renewed_as_well() {
    exclusive(|| {
        for idle in 1..20 {
            let clock = ManualClock::new();
            let options = builder::<u64, u64>().clock(clock.clone()).time_to_idle(ns(idle));
            let map = options.build().expect("valid options");
            map.insert(1, 10);
            for _ in 0..10 {
                clock.advance(ns(idle - 1));
                assert_eq!(map.get_cloned(&1), Some(10), "{idle} ns");
            }
            clock.advance(ns(idle));
            assert_eq!(map.get_cloned(&1), None, "{idle} ns");
        }
    });
}

#[test]
fn each_kind_of_lookup_is_a_hit() {
    exclusive(|| {
        let renewed = Some(u128::from(IDLE));
        assert_eq!(left_after(|_, pin| _ = pin.get(&1)), renewed);
        assert_eq!(left_after(|_, pin| _ = pin.get_key_value(&1)), renewed);
        assert_eq!(left_after(|_, pin| assert!(pin.contains_key(&1))), renewed);
        assert_eq!(left_after(|_, pin| _ = pin.get_many([&2, &1])), renewed);
        assert_eq!(left_after(|_, pin| _ = pin.get_stale(&1)), renewed);
        assert_eq!(left_after(|_, pin| _ = pin.get_or_insert_with(1, || 11)), renewed);
        assert_eq!(left_after(|map, _| _ = map.get_cloned(&1)), renewed);
        assert_eq!(left_after(|map, _| _ = map.view(&1, |n| *n)), renewed);
        assert_eq!(left_after(|map, _| _ = map.get_or_load_blocking(&1, || 11)), renewed);
    });
}

#[test]
fn looking_at_deadlines_and_walking_are_no_hits() {
    exclusive(|| {
        assert_eq!(left_after(|_, pin| assert!(pin.get_entry(&1).is_some())), Some(1));
        assert_eq!(left_after(|_, pin| assert!(pin.ttl(&1).is_some())), Some(1));
        let refresh = |_: &TtlMap<_, _>, pin: &Pin<'_>| {
            assert!(matches!(pin.get_or_refresh(&1, ns(1)), Lookup::Refresh(..)));
        };
        assert_eq!(left_after(refresh), Some(1));
        assert_eq!(left_after(|_, pin| assert_eq!(pin.iter().count(), 1)), Some(1));
        assert_eq!(left_after(|map, _| assert_eq!(map.live_len(), 1)), Some(1));
        assert_eq!(left_after(|_, pin| _ = pin.update(1, |n| n + 1)), Some(1));
        assert_eq!(left_after(|map, _| _ = map.sweep(Budget::full_pass())), Some(1));
    });
}

#[test]
fn an_update_keeps_the_deadline_one_that_hits_put_off() {
    exclusive(|| {
        let renewed = Some(u128::from(IDLE));
        assert_eq!(left_after(|_, pin| _ = (pin.update(1, |n| n + 1), pin.get(&1))), renewed);
        assert_eq!(left_after(|_, pin| _ = (pin.insert(1, 11), pin.get(&1))), renewed);
    });
}

#[test]
fn a_ttl_of_its_own_is_not_renewed() {
    exclusive(|| {
        for ttl in [5, IDLE, 3 * IDLE] {
            let (map, clock) = idle();
            map.insert_with_ttl(1, 10, ns(ttl));
            map.insert(2, 20);
            assert!(map.pin().set_ttl(&2, ns(ttl)));
            clock.advance(ns(ttl - 1));
            assert_eq!((map.get_cloned(&1), map.get_cloned(&2)), (Some(10), Some(20)));
            assert_eq!((left(&map.pin(), &1), left(&map.pin(), &2)), (Some(1), Some(1)));
        }
        assert_eq!(left_after(|_, pin| _ = (pin.persist(&1), pin.get(&1))), Some(FOREVER));
    });
}

#[test]
fn a_reset_gives_an_entry_the_time_of_one_that_is_put_now() {
    exclusive(|| {
        const HASH: u64 = 7;
        let is_one = |key: &u64| Ok::<_, ()>(*key == 1);
        let clock = ManualClock::new();
        let ttl = builder().clock(clock.clone()).sweep_per_write(0).time_to_live(ns(50));
        let never = builder().clock(clock.clone()).sweep_per_write(0);
        let maps = [
            (ttl.build().expect("valid options"), Some(50), false),
            (never.build().expect("valid options"), None, false),
            (idle_by(&clock), Some(u128::from(IDLE)), true),
        ];
        for (map, time, slides) in maps {
            let pin = map.pin();
            let entry = || pin.get_entry_by(HASH, is_one).unwrap().expect("it is there");
            let left = || match entry().ttl() {
                Ttl::Never => None,
                Ttl::Remaining(left) => Some(left.as_nanos()),
            };
            assert_eq!(pin.reset_ttl_by(HASH, is_one), Ok(false));
            pin.insert_with_ttl_by(HASH, 1, 10, ns(5), is_one).unwrap();
            assert!(!entry().slides());
            assert_eq!(pin.reset_ttl_by(HASH, |_| Err(())), Err(()));
            assert_eq!(left(), Some(5));
            assert_eq!(pin.reset_ttl_by(HASH, is_one), Ok(true));
            assert_eq!((left(), entry().slides()), (time, slides));
            clock.advance(ns(40));
            assert_eq!(pin.get_by(HASH, is_one), Ok(Some(&10)));
            assert_eq!(left(), if slides { time } else { time.map(|time| time - 40) });
            assert_eq!(pin.set_ttl_by(HASH, ns(5), is_one), Ok(true));
            assert!(!entry().slides());
            clock.advance(ns(5));
            assert_eq!(pin.reset_ttl_by(HASH, is_one), Ok(false));
            assert_eq!(map.sweep(Budget::full_pass()).removed, 1, "its earlier deadline was noted");
        }
    });
}

#[test]
fn what_was_loaded_is_renewed() {
    exclusive(|| {
        let (map, clock) = idle();
        assert_eq!(map.get_or_load_blocking(&1, || 10), 10);
        for _ in 0..3 {
            clock.advance(ns(IDLE - 1));
            assert_eq!(map.get_or_load_blocking(&1, || 11), 10);
        }
    });
}

#[test]
fn a_hit_of_an_expired_entry_renews_nothing() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).sweep_per_write(0).grace(ns(IDLE));
        let map = options.time_to_idle(ns(IDLE)).build().expect("valid options");
        map.insert(1, 10);
        clock.advance(ns(IDLE));
        assert_eq!(map.get_cloned(&1), None);
        let found = map.pin().get_stale(&1).and_then(|found| found.expired_for);
        assert_eq!((found, map.get_cloned(&1)), (Some(ns(0)), None));
    });
}

#[test]
fn sweeps_find_what_hits_have_renewed() {
    exclusive(|| {
        let (map, clock) = idle();
        (0..1000).for_each(|key| _ = map.insert(key, 10));
        clock.advance(ns(IDLE - 1));
        (0..500).for_each(|key| _ = map.get_cloned(&key));
        clock.advance(ns(1));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 500);
        clock.advance(ns(IDLE - 2));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 0);
        clock.advance(ns(1));
        assert_eq!(map.sweep(Budget::full_pass()).removed, 500);
    });
}

#[test]
fn a_clone_goes_on_with_what_hits_renew() {
    exclusive(|| {
        let (map, clock) = idle();
        map.insert(1, 10);
        map.insert_with_ttl(2, 20, ns(IDLE));
        let copy = map.clone();
        clock.advance(ns(IDLE - 1));
        assert_eq!((copy.get_cloned(&1), copy.get_cloned(&2)), (Some(10), Some(20)));
        let left = |key| left(&copy.pin(), &key);
        assert_eq!((left(1), left(2)), (Some(u128::from(IDLE)), Some(1)));
        assert_eq!(copy.policy().time_to_idle, Some(ns(IDLE)));
    });
}

#[test]
fn it_goes_with_a_maximum_and_with_counted_lookups() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options =
            builder::<u64, u64>().clock(clock.clone()).time_to_idle(ns(IDLE)).max_entries(2);
        let map = options.record_stats(true).build().expect("valid options");
        map.insert(1, 10);
        for _ in 0..3 {
            clock.advance(ns(IDLE - 1));
            assert_eq!(map.get_cloned(&1), Some(10));
        }
        (2..9).for_each(|key| _ = map.insert(key, 0));
        assert_eq!((map.get_cloned(&1), map.len()), (Some(10), 2), "used, so it stays");
        assert_eq!((map.stats().hits, map.stats().misses), (4, 0));
    });
}

#[test]
fn it_can_be_changed_live() {
    exclusive(|| {
        let (map, clock) = idle();
        map.insert(1, 10);
        let mut policy = map.policy();
        policy.time_to_idle = Some(ns(2 * IDLE));
        map.set_policy(policy.clone()).expect("valid options");
        clock.advance(ns(IDLE - 1));
        assert_eq!(map.get_cloned(&1), Some(10));
        assert_eq!(left(&map.pin(), &1), Some(u128::from(2 * IDLE)));
        policy.time_to_idle = Some(ns(5));
        map.set_policy(policy.clone()).expect("valid options");
        assert_eq!(map.get_cloned(&1), Some(10));
        assert_eq!(left(&map.pin(), &1), Some(u128::from(2 * IDLE)), "never to an earlier one");
        policy.time_to_idle = None;
        map.set_policy(policy).expect("valid options");
        clock.advance(ns(2 * IDLE - 1));
        assert_eq!(map.get_cloned(&1), Some(10));
        assert_eq!(left(&map.pin(), &1), Some(1), "no hit renews any more");
        map.insert(2, 20);
        assert_eq!(left(&map.pin(), &2), Some(FOREVER));
    });
}

#[test]
fn one_that_is_zero_or_too_late_or_beside_a_ttl_is_refused() {
    let refused = |options: evanesce::Builder<u64, u64>| options.build().unwrap_err().to_string();
    let says = refused(builder().time_to_idle(Duration::ZERO));
    assert!(says.starts_with("time_to_idle is 0ns, but must be from 1ns to "), "{says}");
    let both = "time_to_idle is set, but so is time_to_live: an entry has one deadline";
    assert_eq!(refused(builder().time_to_idle(ns(1)).time_to_live(ns(1))), both);
    let map = TtlMap::<u64, u64>::new();
    let mut policy = map.policy();
    policy.time_to_idle = Some(ns(1));
    let says = map.set_policy(policy).unwrap_err().to_string();
    assert_eq!(says, "time_to_idle is set, but the map was built without it");
}

#[test]
fn one_past_the_range_means_never() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder::<u64, u64>().clock(clock.clone()).time_to_idle(Duration::MAX);
        let map = options.build().expect("valid options");
        map.insert(1, 10);
        clock.advance(ns(1 << 50));
        assert_eq!((map.get_cloned(&1), left(&map.pin(), &1)), (Some(10), Some(FOREVER)));
    });
}

#[test]
fn it_goes_with_a_clock_in_a_word_and_with_the_systems() {
    const HOUR: Duration = Duration::from_secs(3600);
    let options = builder::<u64, u64>().time_to_idle(HOUR);
    let ticking = options.clock(TickClock::shared()).build().expect("valid options");
    let usual = builder::<u64, u64>().time_to_idle(HOUR).build().expect("valid options");
    for map in [ticking, usual] {
        map.insert(1, 10);
        assert_eq!(map.get_cloned(&1), Some(10));
        let ends = |map: &TtlMap<u64, u64>| map.pin().get_entry(&1).unwrap().expires_at().unwrap();
        let first = ends(&map);
        // As if so much time had gone.
        let mut policy = map.policy();
        policy.time_to_idle = Some(8 * HOUR);
        map.set_policy(policy).expect("valid options");
        assert_eq!(map.get_cloned(&1), Some(10));
        assert!(ends(&map) >= first + 7 * HOUR);
    }
}
