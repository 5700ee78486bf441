//! Maps and sets made of other collections, extended by them, compared and seen.

use crate::common::{builder, exclusive, ns};
use evanesce::{ManualClock, Ttl, TtlMap, TtlSet};
use std::collections::{BTreeMap, HashMap};
use std::thread;

#[test]
fn an_array_becomes_a_map_as_it_does_in_std() {
    exclusive(|| {
        let entries = [(1_u64, 10_u64), (2, 20), (1, 30)];
        let (ours, std) = (TtlMap::from(entries), HashMap::from(entries));
        let mut seen: Vec<_> = ours.pin().iter().map(|(k, v)| (*k, *v)).collect();
        let mut expected: Vec<_> = std.into_iter().collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "of several the last");
        assert_eq!(ours.pin().ttl(&1), Some(Ttl::Never));
        assert_eq!(TtlMap::<u64, u64>::from([]), TtlMap::new());
        let set = TtlSet::<u64>::from([3, 4, 3]);
        assert_eq!((set.len(), set), (2, [4, 3].into()));
    });
}

#[test]
fn shared_maps_and_sets_are_extended_by_several_threads() {
    exclusive(|| {
        let (map, set) = (TtlMap::<u64, u64>::new(), TtlSet::<u64>::new());
        thread::scope(|scope| {
            for n in 0..4 {
                let (mut map, mut set) = (&map, &set);
                scope.spawn(move || {
                    map.extend((n * 100..(n + 1) * 100).map(|n| (n, n)));
                    set.extend(n * 100..(n + 1) * 100);
                });
            }
        });
        assert_eq!((map.len(), set.len()), (400, 400));
        assert_eq!((map.get_cloned(&399), set.contains(&0)), (Some(399), true));
    });
}

#[test]
fn what_extends_a_map_gets_its_default_ttl() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).time_to_live(ns(100));
        let mut map: TtlMap<u64, u64> = options.build().expect("valid options");
        let std = HashMap::from([(2, 20), (3, 30)]);
        map.extend([(1, 10)]);
        map.extend(&std);
        (&map).extend(&BTreeMap::from([(4, 40)]));
        let pin = map.pin();
        assert!((1..=4).all(|n| pin.get(&n) == Some(&(n * 10))));
        assert!((1..=4).all(|n| pin.ttl(&n) == Some(Ttl::Remaining(ns(100)))));
        let mut set: TtlSet<u64> = TtlSet::new();
        set.extend(&[1, 2]);
        (&set).extend(&[2, 3]);
        assert_eq!(set, TtlSet::from([1, 2, 3]));
    });
}

#[test]
fn views_are_equal_if_what_is_visible_in_them_is() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> = builder().clock(clock.clone()).build().expect("valid options");
        let other = TtlMap::from([(1, 1), (2, 2)]);
        let (pin, theirs) = (map.pin(), other.pin());
        assert_ne!(pin, theirs);
        map.insert_with_ttl(1, 1, ns(50));
        map.insert_with_ttl(2, 2, ns(60));
        map.insert_with_ttl(3, 3, ns(10));
        assert_ne!(pin, theirs, "one too many");
        clock.advance(ns(10));
        assert_eq!(
            pin, theirs,
            "what has expired is not there, and other deadlines are no difference"
        );
        map.insert(2, 7);
        assert_ne!(pin, theirs, "another value");
        assert_eq!(pin, map.pin(), "two views of one map");
        let (set, others) = (TtlSet::<u64>::from([1, 2]), TtlSet::from([2, 1]));
        assert_eq!(set.pin(), others.pin());
        others.remove(&1);
        assert_ne!(set.pin(), others.pin());
    });
}
