//! The set: what each call answers, with an element there, absent, or expired.

use crate::common::{builder, exclusive, ns};
use evanesce::{Budget, Deadline, ManualClock, Ttl, TtlSet};

fn set() -> (TtlSet<String>, ManualClock) {
    let clock = ManualClock::new();
    (builder().clock(clock.clone()).build().expect("valid options").into(), clock)
}

#[test]
fn elements_come_go_and_expire() {
    exclusive(|| {
        let (set, clock) = set();
        let pin = set.pin();
        assert!(pin.insert("a".into()) && !pin.insert("a".into()));
        assert!(pin.insert_with_ttl("b".into(), ns(10)));
        assert!(pin.insert_with_deadline("c".into(), Deadline::from_nanos(20)));
        assert_eq!((pin.get("a").map(String::as_str), pin.get("d")), (Some("a"), None));
        assert_eq!((pin.ttl("a"), pin.ttl("b")), (Some(Ttl::Never), Some(Ttl::Remaining(ns(10)))));
        assert!(pin.persist("b") && !pin.persist("d") && pin.extend_ttl("b", ns(2)));
        assert_eq!(pin.ttl("b"), Some(Ttl::Never), "which is longer");
        assert!(pin.set_deadline("b", set.as_map().now() + ns(10)));
        assert_eq!(pin.ttl("b"), Some(Ttl::Remaining(ns(10))));
        assert!(pin.set_ttl("a", ns(10)) && !pin.set_ttl("d", ns(10)));
        assert!(!pin.set_deadline("d", Deadline::NEVER) && !pin.extend_ttl("d", ns(10)));
        let mut all: Vec<_> = pin.iter().map(String::as_str).collect();
        all.sort_unstable();
        assert_eq!(all, ["a", "b", "c"]);
        clock.advance(ns(10));
        assert!(!pin.contains("a") && !pin.contains("b") && pin.contains("c"));
        assert!(!pin.remove("b"), "expired is absent");
        assert_eq!((set.len(), pin.iter().count()), (3, 1));
        assert!(pin.insert("b".into()), "and can be put again");
        assert_eq!(pin.take("c").map(String::as_str), Some("c"));
        assert_eq!((pin.take("c"), pin.remove("b")), (None, true));
        drop(pin);
        set.as_map().sweep(Budget::full_pass());
        assert!(set.is_empty());
    });
}

#[test]
fn sets_are_collected_extended_compared_cloned_and_taken_apart() {
    exclusive(|| {
        let mut set: TtlSet<u64> = (0..10).collect();
        set.extend(5..20);
        set.retain(|n| n % 2 == 0);
        let copy = set.clone();
        assert_eq!((copy.len(), &copy), (10, &set));
        copy.remove(&4);
        assert_ne!(copy, set);
        let mut elements: Vec<_> = copy.into_iter().collect();
        elements.sort_unstable();
        assert_eq!(elements, [0, 2, 6, 8, 10, 12, 14, 16, 18]);
        let one: TtlSet<u64> = [7].into_iter().collect();
        assert_eq!(format!("{one:?}"), "{7}");
        set.clear();
        assert_eq!(set, TtlSet::default());
    });
}
