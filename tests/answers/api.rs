//! Each method's answer in each case: present, absent, expired.

use crate::common::{FOREVER, Rng, assert_slots_accounted, builder, left, ns};
use evanesce::{Budget, Deadline, ManualClock, OccupiedError, Stats, Ttl, TtlMap};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

/// The key that is live.
const LIVE: u64 = 1;
/// The key that is expired, and not swept.
const EXPIRED: u64 = 2;
/// The key that was never there.
const ABSENT: u64 = 3;

/// `LIVE` holds 10 for 50 ns more; `EXPIRED` held 20 until now, which is 100. Writes do not sweep.
fn sample() -> (TtlMap<u64, u64>, ManualClock) {
    let clock = ManualClock::new();
    let map = builder().clock(clock.clone()).sweep_per_write(0).build().expect("valid options");
    {
        let pin = map.pin();
        pin.insert_with_ttl(LIVE, 10, ns(150));
        pin.insert_with_ttl(EXPIRED, 20, ns(100));
    }
    clock.advance(ns(100));
    (map, clock)
}

#[test]
fn get_answers_the_live_value_only() {
    let (map, _) = sample();
    let pin = map.pin();
    assert_eq!(pin.get(&LIVE), Some(&10));
    assert_eq!(pin.get(&EXPIRED), None);
    assert_eq!(pin.get(&ABSENT), None);
}

/// In any number and order, with keys twice, and while a level is half linked.
#[test]
fn get_many_answers_what_get_answers() {
    let clock = ManualClock::new();
    let map: TtlMap<u64, u64> = TtlMap::builder().clock(clock.clone()).build().expect("valid");
    let pinned = map.pin();
    let mut values = vec![Some(&9)];
    for n in 0..2_000_u64 {
        pinned.insert_with_ttl(n, n * n, Duration::from_nanos(1 + n % 7));
        if n % 5 == 0 {
            clock.advance(Duration::from_nanos(1));
        }
        let keys: Vec<u64> = (0..n % 40).map(|i| n.saturating_sub(i / 2 * 3)).collect();
        values.truncate(1);
        pinned.get_many_into(&keys, &mut values);
        assert_eq!(values[0], Some(&9), "what was there stays");
        assert!(values[1..].iter().copied().eq(keys.iter().map(|key| pinned.get(key))), "{keys:?}");
    }
    pinned.insert(1, 1);
    pinned.insert(3, 9);
    assert_eq!(pinned.get_many([&3, &2, &1, &3]), [Some(&9), None, Some(&1), Some(&9)]);
    assert_eq!(pinned.get_many::<u64, 0>([]), []);
    assert_eq!(pinned.get_many([&1; 33]), [Some(&1); 33]);
}

#[test]
fn contains_key_is_true_for_the_live_key_only() {
    let (map, _) = sample();
    let pin = map.pin();
    assert!(pin.contains_key(&LIVE));
    assert!(!pin.contains_key(&EXPIRED));
    assert!(!pin.contains_key(&ABSENT));
}

#[test]
fn get_cloned_answers_the_live_value_only() {
    let (map, _) = sample();
    assert_eq!(map.get_cloned(&LIVE), Some(10));
    assert_eq!(map.get_cloned(&EXPIRED), None);
    assert_eq!(map.get_cloned(&ABSENT), None);
}

#[test]
fn ttl_answers_the_time_left_or_never_or_nothing() {
    let (map, _) = sample();
    let pin = map.pin();
    pin.insert(4, 40);
    assert!(matches!(pin.ttl(&LIVE), Some(Ttl::Remaining(d)) if d == ns(50)));
    assert!(matches!(pin.ttl(&4), Some(Ttl::Never)));
    assert!(pin.ttl(&EXPIRED).is_none());
    assert!(pin.ttl(&ABSENT).is_none());
}

#[test]
fn insert_answers_the_replaced_live_value() {
    let (map, _) = sample();
    let pin = map.pin();
    assert_eq!(pin.insert(LIVE, 11), Some(&10));
    assert_eq!(pin.insert(EXPIRED, 21), None, "an expired value is not there to be replaced");
    assert_eq!(pin.insert(ABSENT, 31), None);
    for (key, value) in [(LIVE, 11), (EXPIRED, 21), (ABSENT, 31)] {
        assert_eq!(pin.get(&key), Some(&value));
        assert_eq!(left(&pin, &key), Some(FOREVER), "insert replaces the deadline, here by never");
    }
    assert_eq!(map.len(), 3);
}

#[test]
fn insert_with_ttl_answers_the_replaced_live_value() {
    let (map, _) = sample();
    let pin = map.pin();
    assert_eq!(pin.insert_with_ttl(LIVE, 11, ns(7)), Some(&10));
    assert_eq!(pin.insert_with_ttl(EXPIRED, 21, ns(7)), None);
    assert_eq!(pin.insert_with_ttl(ABSENT, 31, ns(7)), None);
    for (key, value) in [(LIVE, 11), (EXPIRED, 21), (ABSENT, 31)] {
        assert_eq!(pin.get(&key), Some(&value));
        assert_eq!(left(&pin, &key), Some(7));
    }
    assert_eq!(map.len(), 3);
}

#[test]
fn insert_with_deadline_answers_the_replaced_live_value() {
    let (map, clock) = sample();
    let pin = map.pin();
    assert_eq!(pin.insert_with_deadline(LIVE, 11, Deadline::from_nanos(109)), Some(&10));
    assert_eq!(pin.insert_with_deadline(EXPIRED, 21, Deadline::after(&clock, ns(9))), None);
    assert_eq!(pin.insert_with_deadline(ABSENT, 31, Deadline::NEVER), None);
    assert_eq!(left(&pin, &LIVE), Some(9));
    assert_eq!(left(&pin, &EXPIRED), Some(9));
    assert_eq!(left(&pin, &ABSENT), Some(FOREVER));
}

#[test]
fn insert_with_a_past_deadline_hides_the_key() {
    let (map, _) = sample();
    let pin = map.pin();
    for past in [100, 99, 0] {
        pin.insert(LIVE, 10);
        let replaced = pin.insert_with_deadline(LIVE, 11, Deadline::from_nanos(past));
        assert_eq!(replaced, Some(&10));
        assert_eq!(pin.get(&LIVE), None);
        assert_eq!(pin.remove(&LIVE), None);
    }
}

#[test]
fn try_insert_refuses_a_live_key_and_hands_the_value_back() {
    let (map, _) = sample();
    let pin = map.pin();
    let Err(OccupiedError { current, not_inserted, .. }) = pin.try_insert(LIVE, 11) else {
        panic!("inserted over a live value");
    };
    assert_eq!((*current, not_inserted), (10, 11));
    assert_eq!(pin.get(&LIVE), Some(&10));
    assert_eq!(left(&pin, &LIVE), Some(50), "a refused insert leaves the deadline");
}

#[test]
fn try_insert_takes_the_place_of_an_expired_or_absent_entry() {
    let (map, _) = sample();
    let pin = map.pin();
    for (key, value) in [(EXPIRED, 21), (ABSENT, 31)] {
        assert!(matches!(pin.try_insert(key, value), Ok(v) if *v == value));
        assert_eq!(pin.get(&key), Some(&value));
        assert_eq!(left(&pin, &key), Some(FOREVER));
    }
    assert_eq!(map.len(), 3);
}

#[test]
fn get_or_insert_with_calls_its_closure_only_when_nothing_is_live() {
    let (map, _) = sample();
    let pin = map.pin();
    let calls = Cell::new(0);
    let make = |value| {
        calls.set(calls.get() + 1);
        value
    };
    assert_eq!(pin.get_or_insert_with(LIVE, || make(11)), &10);
    assert_eq!(calls.get(), 0);
    assert_eq!(left(&pin, &LIVE), Some(50));
    assert_eq!(pin.get_or_insert_with(EXPIRED, || make(21)), &21);
    assert_eq!(pin.get_or_insert_with(ABSENT, || make(31)), &31);
    assert_eq!(calls.get(), 2);
    assert_eq!(pin.get(&EXPIRED), Some(&21));
    assert_eq!(pin.get(&ABSENT), Some(&31));
    assert_eq!(map.len(), 3);
}

#[test]
fn update_answers_the_new_value_and_keeps_the_deadline() {
    let (map, clock) = sample();
    let pin = map.pin();
    assert_eq!(pin.update(LIVE, |v| v + 1), Some(&11));
    assert_eq!(pin.get(&LIVE), Some(&11));
    assert_eq!(left(&pin, &LIVE), Some(50));
    clock.advance(ns(50));
    assert_eq!(pin.get(&LIVE), None);
    assert_eq!(pin.update(LIVE, |v| v + 1), None);
}

#[test]
fn update_does_not_call_its_closure_for_an_expired_or_absent_key() {
    let (map, _) = sample();
    let pin = map.pin();
    for key in [EXPIRED, ABSENT] {
        assert_eq!(pin.update(key, |_| panic!("nothing to update")), None);
        assert_eq!(pin.get(&key), None);
    }
}

#[test]
fn remove_answers_the_live_value_once() {
    let (map, _) = sample();
    let pin = map.pin();
    assert_eq!(pin.remove(&LIVE), Some(&10));
    assert_eq!(pin.remove(&LIVE), None);
    assert_eq!(pin.get(&LIVE), None);
    assert_eq!(pin.remove(&EXPIRED), None);
    assert_eq!(pin.remove(&ABSENT), None);
}

#[test]
fn set_ttl_is_true_for_the_live_key_only() {
    let (map, _) = sample();
    let pin = map.pin();
    assert!(pin.set_ttl(&LIVE, ns(500)));
    assert_eq!(left(&pin, &LIVE), Some(500));
    assert_eq!(pin.get(&LIVE), Some(&10));
    assert!(!pin.set_ttl(&EXPIRED, ns(500)), "an expired entry cannot be renewed");
    assert!(!pin.set_ttl(&ABSENT, ns(500)));
    assert_eq!(pin.get(&EXPIRED), None);
    assert_eq!(pin.get(&ABSENT), None);
}

#[test]
fn iter_yields_the_live_entry_only() {
    let (map, _) = sample();
    assert_eq!(map.pin().iter().collect::<Vec<_>>(), [(&LIVE, &10)]);
}

#[test]
fn clear_leaves_nothing_visible_and_the_map_usable() {
    let (map, _) = sample();
    map.clear();
    assert_eq!(map.len(), 0);
    assert!(map.is_empty());
    let pin = map.pin();
    assert_eq!(pin.get(&LIVE), None);
    assert_eq!(pin.iter().count(), 0);
    assert_eq!(pin.insert(LIVE, 12), None);
    assert_eq!(pin.get(&LIVE), Some(&12));
    assert_eq!(map.len(), 1);
}

#[test]
fn clear_of_an_empty_map_does_nothing() {
    let map: TtlMap<u64, u64> = TtlMap::new();
    map.clear();
    assert!(map.is_empty());
}

#[test]
fn len_counts_expired_entries_until_they_are_swept() {
    let (map, _) = sample();
    assert_eq!(map.len(), 2);
    assert!(!map.is_empty());
    assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    assert_eq!(map.len(), 1);
    assert_eq!(map.pin().remove(&LIVE), Some(&10));
    assert_eq!(map.len(), 0);
    assert!(map.is_empty());
}

#[test]
fn stats_tell_expired_from_live() {
    let (map, _) = sample();
    let stats = assert_slots_accounted(&map);
    assert_eq!((stats.len, stats.expired_unswept, stats.swept_total), (2, 1, 0));
    map.sweep(Budget::full_pass());
    let stats: Stats = assert_slots_accounted(&map).clone();
    assert_eq!((stats.len, stats.expired_unswept, stats.swept_total), (1, 0, 1));
    assert!(stats.bytes_allocated > 0);
}

#[test]
fn references_outlive_the_removal_and_the_end_of_their_entry() {
    let (map, clock) = sample();
    let pin = map.pin();
    let got = pin.get(&LIVE).expect("live");
    let replaced = pin.insert(LIVE, 11).expect("live");
    let removed = pin.remove(&LIVE).expect("live");
    clock.advance(ns(1000));
    map.sweep(Budget::full_pass());
    map.clear();
    assert_eq!((*got, *replaced, *removed), (10, 10, 11));
}

#[test]
fn string_keys_are_found_by_str() {
    let map: TtlMap<String, u64> = TtlMap::new();
    let pin = map.pin();
    pin.insert("a".to_owned(), 1);
    assert_eq!(pin.get("a"), Some(&1));
    assert_eq!(pin.get("b"), None);
    assert!(pin.contains_key("a"));
    assert!(matches!(pin.ttl("a"), Some(Ttl::Never)));
    assert_eq!(map.get_cloned("a"), Some(1));
    assert!(pin.set_ttl("a", Duration::from_secs(60)));
    assert_eq!(pin.remove("a"), Some(&1));
    assert_eq!(pin.get(&"a".to_owned()), None);
}

#[test]
fn keys_are_found_by_a_type_that_is_equivalent_only() {
    #[derive(Hash)]
    struct Pair<'a>(&'a str, u8);
    impl equivalent::Equivalent<(String, u8)> for Pair<'_> {
        fn equivalent(&self, key: &(String, u8)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }
    let map: TtlMap<(String, u8), u64> = TtlMap::new();
    let pin = map.pin();
    pin.insert(("a".to_owned(), 1), 5);
    assert_eq!(pin.get(&Pair("a", 1)), Some(&5));
    assert_eq!(pin.get(&Pair("a", 2)), None);
}

#[test]
fn two_pins_of_one_thread_see_each_others_writes() {
    let map: TtlMap<u64, u64> = TtlMap::new();
    let (a, mut b) = (map.pin(), map.pin());
    a.insert(1, 1);
    assert_eq!(b.get(&1), Some(&1));
    b.repin();
    b.insert(1, 2);
    assert_eq!(a.get(&1), Some(&2));
    drop(a);
    assert_eq!(b.remove(&1), Some(&2));
}

#[test]
fn contents_match_a_btreemap_after_many_inserts_and_removes() {
    let map: TtlMap<u64, u64> = TtlMap::new();
    let mut model = BTreeMap::new();
    let mut rng = Rng::from_env();
    for n in 0..20_000 {
        let key = rng.below(3000);
        let pin = map.pin();
        if rng.below(3) == 0 {
            assert_eq!(pin.remove(&key).copied(), model.remove(&key));
        } else {
            assert_eq!(pin.insert(key, n).copied(), model.insert(key, n));
        }
        assert_eq!(map.len(), model.len());
    }
    let pin = map.pin();
    assert_eq!(pin.iter().map(|(k, v)| (*k, *v)).collect::<BTreeMap<_, _>>(), model);
}
