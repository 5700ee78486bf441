//! No entries, and many. `EVANESCE_ENTRIES` sets how many; `.ci/run` does it with ten million.

use crate::common::{assert_slots_accounted, builder, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, TtlMap};

#[test]
fn an_empty_map_answers_every_question_and_sweeps_and_clears() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = TtlMap::new();
        assert!(map.pin().get(&1).is_none() && map.pin().remove(&1).is_none());
        assert!(map.pin().iter().next().is_none() && !map.pin().set_ttl(&1, ns(1)));
        assert!(map.sweep(Budget::full_pass()).completed_pass);
        map.clear();
        let stats = assert_slots_accounted(&map);
        assert_eq!((stats.len, stats.slots, stats.growths), (0, 0, 0));
    });
}

#[test]
fn many_entries_are_found_expire_and_give_their_slots_to_as_many_others() {
    let entries: u64 = std::env::var("EVANESCE_ENTRIES")
        .map_or(50_000, |text| text.parse().expect("EVANESCE_ENTRIES is a number"));
    exclusive(move || {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> =
            builder().clock(clock.clone()).sweep_per_write(0).build().expect("valid options");
        let mut pin = map.pin();
        for key in 0..entries {
            let ttl = if key % 2 == 0 { ns(10) } else { ns(20) };
            assert_eq!(pin.insert_with_ttl(key, !key, ttl), None);
            if key % 1024 == 0 {
                pin.repin();
            }
        }
        assert!((0..entries).all(|key| pin.get(&key) == Some(&!key)));
        assert_eq!(pin.get(&entries), None);
        assert_eq!(map.len() as u64, entries);
        assert!(
            1 << (map.stats().growths + 4) >= entries,
            "the index has grown: {:?}",
            map.stats()
        );
        let slots = map.stats().slots;
        clock.advance(ns(10));
        assert!((0..entries).all(|key| pin.contains_key(&key) == (key % 2 == 1)));
        drop(pin);
        assert_eq!(map.sweep(Budget::full_pass()).removed as u64, entries.div_ceil(2));
        settle(&map);
        let mut pin = map.pin();
        for key in (0..entries).step_by(2) {
            assert_eq!(pin.insert(key, key), None);
            if key % 1024 == 0 {
                pin.repin();
            }
        }
        assert_eq!(pin.iter().count() as u64, entries);
        drop(pin);
        assert!(map.stats().slots <= slots + 64, "reclaimed slots are used again");
        assert_slots_accounted(&map);
    });
}
