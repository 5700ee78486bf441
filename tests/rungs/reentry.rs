//! The map may be called again from everything it calls.

use crate::common::hashers::Hashing;
use crate::common::nesting::{counted, deepest};
use crate::common::on_drop::OnDrop;
use crate::common::sites::{Site, arm, disarm};
use crate::common::tally::{Tally, Token};
use crate::common::world::{ABSENT, Call, EXPIRED, World};
use crate::common::{builder, dose, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, TtlMap};
use std::rc::Rc;
use std::sync::Arc;

/// In each operation, at its first, second, … call of `site` (up to a limit), does each operation on the same
/// key; at least `floor` times in all, if it does each: a small dose has each eighth, other ones for other operations.
fn allows_each_call_in(site: Site, floor: usize) {
    const CALLS: usize = 5;
    let part = dose(8, 1) as usize;
    let (mut entered, mut number) = (0, 0);
    for outer in Call::ALL {
        for inner in Call::BASIC {
            for target in [2, EXPIRED, ABSENT] {
                number += 1;
                if number % part != 0 {
                    continue;
                }
                for nth in 1..=CALLS {
                    let world = Rc::new(World::new(Hashing::Constant));
                    let again = Rc::clone(&world);
                    arm(site, nth, move || again.perform(inner, target));
                    world.perform(outer, target);
                    let fired = disarm();
                    let label = format!("{outer:?} of {target}, in {site:?} {nth}: {inner:?}");
                    Rc::into_inner(world).expect("disarmed").finish(&label);
                    if !fired {
                        break;
                    }
                    entered += 1;
                }
            }
        }
    }
    println!("{entered} calls in {site:?}");
    let floor = if part == 1 { floor } else { floor / (part + 1) };
    assert!(entered >= floor, "only {entered} calls in {site:?}");
}

#[test]
fn every_operation_may_be_called_in_hash() {
    exclusive(|| allows_each_call_in(Site::Hash, 1500));
}

#[test]
fn every_operation_may_be_called_in_eq() {
    exclusive(|| allows_each_call_in(Site::Eq, 5000));
}

#[test]
fn every_operation_may_be_called_in_clone() {
    exclusive(|| allows_each_call_in(Site::Clone, 150));
}

#[test]
fn every_operation_may_be_called_in_a_closure() {
    exclusive(|| allows_each_call_in(Site::Closure, 1000));
}

#[test]
fn every_operation_may_be_called_in_the_drop_of_a_key() {
    exclusive(|| allows_each_call_in(Site::DropKey, 600));
}

#[test]
fn every_operation_may_be_called_in_the_drop_of_a_value() {
    exclusive(|| allows_each_call_in(Site::DropVal, 500));
}

#[test]
fn every_operation_may_be_called_in_a_reading_of_the_clock() {
    exclusive(|| allows_each_call_in(Site::Clock, 1000));
}

#[test]
fn every_operation_may_be_called_while_iterating() {
    exclusive(|| {
        for inner in Call::ALL {
            for at in 0..6 {
                let world = World::new(Hashing::FewBits);
                {
                    let pin = world.map.pin();
                    for (i, (key, value)) in pin.iter().enumerate() {
                        if i == at {
                            world.perform(inner, key.n);
                        }
                        assert_eq!(value.n / 1_000_000, key.n);
                        assert!(world.tally.is_alive(value.token()), "{inner:?} at {at}");
                    }
                }
                world.finish(&format!("{inner:?} at {at}"));
            }
        }
    });
}

#[test]
fn get_or_insert_with_answers_what_is_in_the_map_when_its_closure_inserts_the_key() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = TtlMap::new();
        let pin = map.pin();
        let got = pin.get_or_insert_with(1, || {
            assert_eq!(map.pin().insert(1, 10), None);
            20
        });
        assert_eq!(*got, 10, "the key was there when the closure had run");
        assert_eq!(pin.get(&1), Some(got));
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn update_runs_again_when_its_closure_replaces_the_value() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = TtlMap::new();
        let pin = map.pin();
        pin.insert(1, 10);
        let mut seen = Vec::new();
        let updated = pin.update(1, |value| {
            seen.push(*value);
            if seen.len() == 1 {
                map.pin().insert(1, 20);
            }
            value + 1
        });
        assert_eq!(updated, Some(&21));
        assert_eq!(seen, [10, 20]);
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn update_answers_none_when_its_closure_removes_the_key() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = TtlMap::new();
        let pin = map.pin();
        pin.insert(1, 10);
        let updated = pin.update(1, |value| {
            assert_eq!(map.pin().remove(&1), Some(value));
            value + 1
        });
        assert_eq!(updated, None);
        assert_eq!(pin.get(&1), None);
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn update_keeps_a_deadline_set_by_its_closure_and_runs_once() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> = builder().clock(clock.clone()).build().expect("valid options");
        let pin = map.pin();
        pin.insert(1, 10);
        let mut runs = 0;
        let updated = pin.update(1, |value| {
            runs += 1;
            assert!(map.pin().set_ttl(&1, ns(5)));
            value + 1
        });
        assert_eq!((updated, runs), (Some(&11), 1));
        assert_eq!(crate::common::left(&pin, &1), Some(5));
        clock.advance(ns(5));
        assert_eq!(pin.get(&1), None);
    });
}

#[test]
fn update_whose_entry_expires_in_its_closure_stands_before_the_deadline() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> = builder().clock(clock.clone()).build().expect("valid options");
        let pin = map.pin();
        pin.insert_with_ttl(1, 10, ns(5));
        let updated = pin.update(1, |value| {
            clock.advance(ns(5));
            value + 1
        });
        assert_eq!(updated, Some(&11), "it keeps the deadline, so it comes just before that");
        assert_eq!(pin.get(&1), None);
    });
}

/// A value that does something to its map when it is dropped.
fn link(left: u64, map: &Arc<TtlMap<u64, OnDrop>>, tally: &Tally) -> OnDrop {
    let (map, tally, token) = (Arc::downgrade(map), tally.clone(), tally.token());
    OnDrop::new(move || {
        counted(|| {
            if let (Some(map), 1..) = (map.upgrade(), left) {
                // The next value, and at once its end.
                map.pin().insert(left % 3, link(left - 1, &map, &tally));
                map.pin().remove(&(left % 3));
                map.sweep(Budget::full_pass());
            }
        });
        drop(token);
    })
}

#[test]
fn drops_that_cause_drops_do_not_recurse() {
    exclusive(|| {
        let (map, tally) = (Arc::new(TtlMap::new()), Tally::new());
        map.pin().insert(0, link(dose(4_000, 10_000), &map, &tally));
        map.pin().remove(&0);
        for _ in 0..100_000 {
            if tally.alive() == 0 {
                break;
            }
            map.sweep(Budget::full_pass());
        }
        tally.assert_all_dropped();
        let deepest = deepest();
        assert!(deepest <= 2, "nested {deepest} deep");
        settle(&map);
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn the_drop_of_a_value_may_drop_another_map() {
    exclusive(|| {
        let tally = Tally::new();
        let outer: TtlMap<u64, TtlMap<u64, Token>> = TtlMap::new();
        for n in 0..20 {
            let inner = TtlMap::new();
            for n in 0..20 {
                inner.pin().insert(n % 10, tally.token());
            }
            outer.pin().insert(n % 10, inner);
        }
        settle(&outer);
        assert_eq!(outer.len(), 10);
        let pin = outer.pin();
        assert!(pin.iter().all(|(_, inner)| inner.len() == 10));
        drop(pin);
        // What inner maps left pending when they were dropped is dropped too.
        drop(outer);
        tally.assert_all_dropped();
    });
}

#[test]
fn the_last_owner_of_a_map_may_be_one_of_its_values() {
    exclusive(|| {
        let tally = Tally::new();
        let map = Arc::new(TtlMap::<u64, OnDrop>::new());
        let weak = Arc::downgrade(&map);
        let owner = |map: Option<Arc<_>>| {
            let owned = (map, tally.token());
            OnDrop::new(move || drop(owned))
        };
        map.pin().insert(1, owner(Some(Arc::clone(&map))));
        map.pin().insert(2, owner(None));
        map.pin().remove(&1);
        settle(&map);
        assert_eq!(Arc::strong_count(&map), 1);
        drop(map);
        assert!(weak.upgrade().is_none());
        tally.assert_all_dropped();
    });
}
