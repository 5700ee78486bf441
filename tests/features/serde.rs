//! Maps and sets written and read again: what is visible, with the time it has left.
#![cfg(feature = "serde")]

use crate::common::{builder, exclusive, ns};
use evanesce::{Budget, ManualClock, Ttl, TtlMap, TtlSet};
use serde::de::DeserializeSeed;
use std::time::Duration;

type Map = TtlMap<String, u32>;

fn map() -> (Map, ManualClock) {
    let clock = ManualClock::new();
    (builder().clock(clock.clone()).build().expect("valid options"), clock)
}

/// Reads into a map with options.
fn read_into<'j, S: DeserializeSeed<'j>>(seed: S, json: &'j str) -> serde_json::Result<S::Value> {
    seed.deserialize(&mut serde_json::Deserializer::from_str(json))
}

#[test]
fn a_map_is_written_with_the_time_left_and_without_what_has_expired() {
    exclusive(|| {
        let (map, clock) = map();
        assert_eq!(serde_json::to_string(&map).unwrap(), "{}");
        map.insert_with_ttl("gone".into(), 0, ns(5));
        clock.advance(ns(5));
        map.insert_with_ttl("a".into(), 1, Duration::new(60, 7));
        clock.advance(ns(2));
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":[1,{"secs":60,"nanos":5}]}"#);
        map.clear();
        map.insert("b".into(), 2);
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"b":[2,null]}"#);
    });
}

#[test]
fn a_map_comes_back_and_its_time_counts_on_from_then() {
    exclusive(|| {
        let (old, old_clock) = map();
        old_clock.advance(Duration::from_secs(1000));
        old.insert_with_ttl("a".into(), 1, Duration::from_secs(60));
        old.insert("b".into(), 2);
        old_clock.advance(Duration::from_secs(20));
        let json = serde_json::to_string(&old).unwrap();

        let clock = ManualClock::new();
        let options = builder().clock(clock.clone()).time_to_live(ns(1));
        let new: Map = options.build().expect("valid options");
        new.insert("c".into(), 3);
        read_into(&new, &json).unwrap();
        assert_eq!(new.pin().ttl("a"), Some(Ttl::Remaining(Duration::from_secs(40))));
        assert_eq!(new.pin().ttl("b"), Some(Ttl::Never), "not by the default");
        clock.advance(Duration::from_secs(40));
        assert_eq!(new.into_iter().collect::<Vec<_>>(), [("b".into(), 2)]);

        let plain: Map = serde_json::from_str(&json).unwrap();
        assert!(matches!(plain.pin().ttl("a"), Some(Ttl::Remaining(left)) if left.as_secs() <= 40));
        assert_eq!(plain, old);
    });
}

#[test]
fn a_set_comes_back_with_its_time() {
    exclusive(|| {
        let make = || {
            let clock = ManualClock::new();
            let map = builder().clock(clock.clone()).build().expect("valid options");
            (TtlSet::<u32>::from(map), clock)
        };
        let (old, _) = make();
        old.insert_with_ttl(7, Duration::from_nanos(30));
        let json = serde_json::to_string(&old).unwrap();
        assert_eq!(json, r#"[[7,{"secs":0,"nanos":30}]]"#);
        let (new, clock) = make();
        read_into(&new, &json).unwrap();
        clock.advance(Duration::from_nanos(29));
        assert!(new.contains(&7));
        clock.advance(Duration::from_nanos(1));
        assert!(!new.contains(&7));
        assert_eq!(serde_json::from_str::<TtlSet<u32>>("[[1,null],[2,null]]").unwrap().len(), 2);
    });
}

/// Each kind of wrong input is an error with a place; what came before stays, and nothing else happens.
#[test]
fn wrong_input_is_an_error() {
    exclusive(|| {
        for (json, said) in [
            ("[1]", "expected a map of keys to pairs"),
            (r#"{"a":1}"#, "expected a tuple of size 2"),
            (r#"{"a":[1,{"secs":-1,"nanos":0}]}"#, "invalid value"),
            (r#"{"a":[1,{"secs":18446744073709551615,"nanos":1999999999}]}"#, "overflow"),
            (r#"{"a":["x",null]}"#, "expected u32"),
            (r#"{"a":[1,null]"#, "EOF"),
        ] {
            let refused = serde_json::from_str::<Map>(json).unwrap_err().to_string();
            assert!(refused.contains(said) && refused.contains("column"), "{json}: {refused}");
        }
        let (map, _clock) = map();
        let refused = read_into(&map, r#"{"a":[1,null],"b":[]}"#).unwrap_err();
        assert!(refused.to_string().contains("invalid length 0"), "{refused}");
        assert_eq!(map.get_cloned("a"), Some(1));

        let full: Map = builder().max_slots(1).build().expect("valid options");
        let refused = read_into(&full, r#"{"a":[1,null],"b":[2,null]}"#).unwrap_err();
        assert!(refused.to_string().contains("0 of the map's 1 slots are free"), "{refused}");
        assert_eq!(full.get_cloned("a"), Some(1));
        let huge = format!(r#"{{"a":[1,{{"secs":{},"nanos":0}}]}}"#, u64::MAX);
        read_into(&map, &huge).unwrap();
        assert_eq!(map.pin().ttl("a"), Some(Ttl::Never));
        map.sweep(Budget::full_pass());
    });
}
