//! A panic in user code, at each call of it in each operation, costs at most the value it happened to.

use crate::common::hashers::Hashing;
use crate::common::on_drop::OnDrop;
use crate::common::sites::{Probe, Site, SiteKey, SiteVal, arm, boom, caught, disarm, hit};
use crate::common::tally::Tally;
use crate::common::world::{ABSENT, Call, EXPIRED, LIVE, World};
use crate::common::{assert_slots_accounted, builder, exclusive, ns, settle};
use evanesce::{Budget, Lookup, ManualClock, Pinned, RefreshToken, TtlMap};
use std::hash::BuildHasher;

type Pin<'m> = Pinned<'m, SiteKey, SiteVal, Hashing>;

/// Lets each operation panic at its first, second, … call of `site`, until it does no more such calls. At least
/// `floor` panics must have happened, or the test tests nothing.
fn survives_each_panic_at(site: Site, floor: usize) {
    let mut panics = 0;
    for call in Call::ALL {
        for target in [2, EXPIRED, ABSENT] {
            for nth in 1.. {
                assert!(nth < 10_000, "{call:?} calls {site:?} without end");
                let world = World::new(Hashing::Constant);
                let before = world.contents();
                arm(site, nth, boom);
                let survived = caught(|| world.perform(call, target)).is_some();
                let fired = disarm();
                assert!(fired || survived);
                let after = world.contents();
                if !matches!(call, Call::Clear | Call::Sweep | Call::FullPass) {
                    for n in (0..LIVE).filter(|n| *n != target) {
                        assert_eq!(
                            after.get(&n),
                            before.get(&n),
                            "{call:?} of {target}, {site:?} {nth}"
                        );
                    }
                }
                world.finish(&format!("{call:?} of {target}, {site:?} {nth}"));
                if !fired {
                    break;
                }
                panics += 1;
            }
        }
    }
    println!("{panics} panics at {site:?}");
    assert!(panics >= floor, "only {panics} panics at {site:?}");
}

#[test]
fn every_operation_survives_each_panic_of_hash() {
    exclusive(|| survives_each_panic_at(Site::Hash, 90));
}

#[test]
fn every_operation_survives_each_panic_of_eq() {
    exclusive(|| survives_each_panic_at(Site::Eq, 500));
}

#[test]
fn every_operation_survives_each_panic_of_clone() {
    exclusive(|| survives_each_panic_at(Site::Clone, 24));
}

#[test]
fn every_operation_survives_each_panic_of_the_clock() {
    exclusive(|| survives_each_panic_at(Site::Clock, 70));
}

#[test]
fn every_operation_survives_each_panic_of_a_closure() {
    exclusive(|| survives_each_panic_at(Site::Closure, 90));
}

#[test]
fn every_operation_survives_each_panic_of_the_drop_of_a_key() {
    exclusive(|| survives_each_panic_at(Site::DropKey, 55));
}

#[test]
fn every_operation_survives_each_panic_of_the_drop_of_a_value() {
    exclusive(|| survives_each_panic_at(Site::DropVal, 48));
}

#[test]
fn an_operation_that_panics_before_its_effect_changes_nothing() {
    exclusive(|| {
        for site in [Site::Hash, Site::Closure] {
            for call in [
                Call::Insert,
                Call::TryInsert,
                Call::GetOrInsert,
                Call::Update,
                Call::Remove,
                Call::SetTtl,
            ] {
                for target in [2, EXPIRED, ABSENT] {
                    let world = World::new(Hashing::Sip);
                    let before = world.contents();
                    arm(site, 1, boom);
                    let survived = caught(|| world.perform(call, target)).is_some();
                    disarm();
                    assert!(
                        survived || world.contents() == before,
                        "{call:?} of {target}, {site:?}"
                    );
                    world.finish("");
                }
            }
        }
    });
}

#[test]
fn get_or_insert_with_inserts_after_its_closure_panicked() {
    exclusive(|| {
        let world = World::new(Hashing::Sip);
        arm(Site::Closure, 1, boom);
        assert!(caught(|| world.perform(Call::GetOrInsert, ABSENT)).is_none());
        assert!(disarm());
        assert!(!world.contents().contains_key(&ABSENT));
        world.perform(Call::GetOrInsert, ABSENT);
        assert!(world.contents().contains_key(&ABSENT));
        world.finish("");
    });
}

/// Map drop with a panic at the `nth` drop at `site`, over and over.
fn map_drop_goes_on(site: Site) {
    for nth in 1.. {
        let world = World::new(Hashing::Sip);
        let World { map, tally, .. } = world;
        arm(site, nth, boom);
        let survived = caught(|| drop(map)).is_some();
        let fired = disarm();
        assert!(fired || survived);
        tally.assert_all_dropped();
        if !fired {
            assert!(nth > 8, "the live ones at least");
            return;
        }
    }
}

#[test]
fn map_drop_goes_on_after_each_panic_of_a_key() {
    exclusive(|| map_drop_goes_on(Site::DropKey));
}

#[test]
fn map_drop_goes_on_after_each_panic_of_a_value() {
    exclusive(|| map_drop_goes_on(Site::DropVal));
}

/// A value whose drop panics, but not during a panic (that aborts, as it does for the collections of `std`).
fn bomb(tally: &Tally) -> OnDrop {
    let token = tally.token();
    OnDrop::new(move || {
        let _token = token; // dropped by the panic, too
        if !std::thread::panicking() {
            boom();
        }
    })
}

type Bombs = TtlMap<u64, OnDrop>;

fn bombs() -> (Bombs, ManualClock, Tally) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(0);
    (options.build().expect("valid options"), clock, Tally::new())
}

/// Full passes until one neither panics nor leaves anything pending.
fn settle_through_panics(map: &Bombs) -> usize {
    for panics in 0..10_000 {
        if caught(|| settle(map)).is_some() {
            return panics;
        }
    }
    panic!("the same values panic for ever: {:?}", map.stats());
}

#[test]
fn sweeps_get_through_values_that_all_panic() {
    exclusive(|| {
        let (map, clock, tally) = bombs();
        for n in 0..200 {
            map.pin().insert_with_ttl(n, bomb(&tally), ns(1 + n % 2));
        }
        clock.advance(ns(1));
        let panics = settle_through_panics(&map);
        println!("{panics} sweeps panicked");
        assert_eq!(map.len(), 100);
        assert_eq!(tally.alive(), 100);
        assert_slots_accounted(&map);
        assert!(caught(|| drop(map)).is_none(), "the panic is passed on");
        tally.assert_all_dropped();
    });
}

#[test]
fn overwrites_get_through_values_that_all_panic() {
    exclusive(|| {
        let (map, _, tally) = bombs();
        let mut panics = 0;
        for n in 0..2000 {
            let insert = || assert_eq!(map.pin().insert(n % 5, bomb(&tally)).is_some(), n >= 5);
            if caught(insert).is_none() {
                panics += 1;
            }
            assert_slots_accounted(&map);
        }
        println!("{panics} inserts panicked");
        assert!(map.stats().slots < 1999, "nothing was used again: {:?}", map.stats());
        assert_eq!(map.len(), 5);
        settle_through_panics(&map);
        assert_eq!(tally.alive(), 5);
        assert!(caught(|| drop(map)).is_none());
        tally.assert_all_dropped();
    });
}

#[test]
fn clear_gets_through_values_that_all_panic() {
    exclusive(|| {
        let (map, _, tally) = bombs();
        for n in 0..200 {
            map.pin().insert(n, bomb(&tally));
        }
        caught(|| map.clear());
        assert_eq!(map.len(), 0);
        settle_through_panics(&map);
        assert_slots_accounted(&map);
        tally.assert_all_dropped();
        let _ = map.pin().insert(1, bomb(&tally));
        assert_eq!(map.len(), 1);
        assert!(caught(|| drop(map)).is_none());
        tally.assert_all_dropped();
    });
}

#[test]
fn map_drop_gets_through_values_that_all_panic() {
    exclusive(|| {
        for pending in [0, 3, 100] {
            let (map, _, tally) = bombs();
            {
                let pin = map.pin(); // so that all of it is still pending
                for n in 0..pending {
                    pin.insert(n, bomb(&tally));
                    pin.remove(&n);
                }
                for n in 0..100 {
                    pin.insert(n, bomb(&tally));
                }
            }
            assert!(caught(|| drop(map)).is_none(), "the panic is passed on");
            tally.assert_all_dropped();
        }
    });
}

#[test]
fn operations_work_while_the_thread_is_panicking() {
    struct Uses<'a>(&'a World);
    impl Drop for Uses<'_> {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            for call in Call::ALL {
                self.0.perform(call, 2);
                self.0.perform(call, ABSENT);
            }
        }
    }
    exclusive(|| {
        let world = World::new(Hashing::Sip);
        let outcome = caught(|| {
            let _uses = Uses(&world);
            boom();
        });
        assert!(outcome.is_none());
        world.map.sweep(Budget::full_pass());
        world.finish("");
    });
}

/// A value that is to be handed back is dropped when the drop of its key panics: the call has no answer then.
#[test]
fn values_that_are_refused_are_not_lost_when_the_drop_of_their_key_panics() {
    exclusive(|| {
        let refusals: [fn(&World); 6] = [
            |world| _ = world.map.pin().replace_if(world.key(2), world.val(2), |_| false),
            |world| _ = world.map.pin().replace_if(world.key(ABSENT), world.val(2), |_| true),
            |world| _ = world.map.pin().try_insert(world.key(2), world.val(2)),
            |world| _ = world.map.pin().try_insert_with_ttl(world.key(2), world.val(2), ns(1)),
            |world| {
                refused_refresh(world, |pin, token, key, value| _ = pin.refresh(token, key, value));
            },
            |world| {
                refused_refresh(world, |pin, token, key, value| {
                    _ = pin.refresh_with_ttl(token, key, value, ns(5));
                });
            },
        ];
        for (n, refusal) in refusals.iter().enumerate() {
            let world = World::new(Hashing::Sip);
            arm(Site::DropKey, 1, boom);
            assert!(caught(|| refusal(&world)).is_none(), "{n}");
            assert!(disarm(), "{n}");
            world.finish(&format!("refusal {n}"));
        }
    });
}

/// So is the error of a comparison.
#[test]
fn errors_of_a_comparison_are_not_lost_when_the_drop_of_a_key_or_value_panics() {
    exclusive(|| {
        let puts: [fn(&Pin<'_>, &World, u64) -> bool; 3] = [
            |pin, world, hash| {
                let fails = |_: &SiteKey| Err(world.val(2));
                pin.insert_by(hash, world.key(2), world.val(2), fails).is_err()
            },
            |pin, world, hash| {
                let fails = |_: &SiteKey| Err(world.val(2));
                pin.insert_with_ttl_by(hash, world.key(2), world.val(2), ns(5), fails).is_err()
            },
            |pin, world, hash| {
                let fails = |_: &SiteKey| Err(world.val(2));
                pin.try_insert_by(hash, world.key(2), world.val(2), fails).is_err()
            },
        ];
        for (n, put) in puts.iter().enumerate() {
            for site in [Site::DropKey, Site::DropVal] {
                let world = World::new(Hashing::Sip);
                let hash = Hashing::Sip.hash_one(Probe(2));
                arm(site, 1, boom);
                assert!(caught(|| put(&world.map.pin(), &world, hash)).is_none(), "{n}");
                assert!(disarm(), "{n}");
                world.finish(&format!("put {n}, {site:?}"));
            }
        }
    });
}

/// And so is that of the closure of `try_compute`.
#[test]
fn an_error_of_a_closure_is_not_lost_when_the_drop_of_the_key_panics() {
    exclusive(|| {
        let world = World::new(Hashing::Sip);
        arm(Site::DropKey, 1, boom);
        let compute = || world.map.pin().try_compute(world.key(2), |_| Err(world.val(2))).is_err();
        assert!(caught(compute).is_none() && disarm());
        world.finish("an error of a closure");
    });
}

/// Puts a value by the token of an entry that is not there any more.
fn refused_refresh(world: &World, refresh: impl Fn(&Pin<'_>, RefreshToken, SiteKey, SiteVal)) {
    let pin = world.map.pin();
    pin.set_ttl(&Probe(2), ns(5));
    let Lookup::Refresh(_, token) = pin.get_or_refresh(&Probe(2), ns(10)) else {
        panic!("it is near its deadline");
    };
    pin.remove(&Probe(2));
    refresh(&pin, token, world.key(2), world.val(2));
}

/// What is not wanted is dropped by and by, each panic that of one write or sweep.
#[test]
fn retain_gets_through_values_that_all_panic() {
    exclusive(|| {
        let (map, _, tally) = bombs();
        for n in 0..200 {
            map.pin().insert(n, bomb(&tally));
        }
        assert!(caught(|| map.retain(|n, _| n % 2 == 0)).is_some(), "it drops nothing of so few");
        assert_eq!((map.len(), tally.alive()), (100, 200));
        settle_through_panics(&map);
        assert_eq!((map.len(), tally.alive()), (100, 100));
        assert_slots_accounted(&map);
        assert!(caught(|| drop(map)).is_none());
        tally.assert_all_dropped();
    });
}

/// What was ended before the closure panicked does not wait for a write that comes by.
#[test]
fn what_retain_removed_before_its_closure_panicked_is_reclaimed() {
    exclusive(|| {
        for hashing in [Hashing::Constant, Hashing::Sip] {
            for calls in 0..8 {
                let world = World::new(hashing);
                world.map.pin().remove(&Probe(EXPIRED));
                world.map.sweep(Budget::full_pass());
                let mut asked = 0;
                let panics = caught(|| {
                    world.map.retain(|_, _| {
                        asked += 1;
                        if asked > calls {
                            boom();
                        }
                        false
                    });
                });
                let left = (LIVE as usize).saturating_sub(calls);
                assert_eq!((panics.is_none(), world.map.len()), (left > 0, left));
                assert_slots_accounted(&world.map);
                settle(&world.map);
                assert_eq!(world.tally.alive(), 2 * left, "after {calls}");
                world.finish("");
            }
        }
    });
}

/// A map is taken apart into what is visible; the rest, what has expired and what waits for its grace period, is
/// dropped, and a panic in there costs the caller the entries, which are dropped as well.
#[test]
fn a_map_taken_apart_loses_nothing_when_the_drop_of_the_rest_panics() {
    for site in [Site::DropKey, Site::DropVal] {
        exclusive(move || {
            for nth in 1.. {
                let World { map, tally, .. } = World::new(Hashing::Sip);
                arm(site, nth, boom);
                let entries = caught(|| map.into_iter().collect::<Vec<_>>());
                let fired = disarm();
                assert_eq!(fired, entries.is_none());
                assert_eq!(tally.alive(), entries.iter().flatten().count() * 2, "{site:?} {nth}");
                if !fired {
                    assert!(nth > 4, "only {nth} drops");
                    return;
                }
            }
        });
    }
}

/// What came before is in the map, what was in hand is dropped, and what comes after is the iterator's.
#[test]
fn extend_survives_each_panic_of_its_map_and_of_its_iterator() {
    exclusive(|| {
        for site in [Site::Hash, Site::Eq, Site::DropVal, Site::Closure] {
            for nth in 1.. {
                let mut world = World::new(Hashing::Constant);
                let entries: Vec<_> =
                    [2, 20, 3, 21].into_iter().map(|n| (world.key(n), world.val(n))).collect();
                let mut given = 0;
                let entries = entries.into_iter().inspect(|_| {
                    hit(Site::Closure);
                    given += 1;
                });
                arm(site, nth, boom);
                let survived = caught(|| world.map.extend(entries)).is_some();
                let fired = disarm();
                assert!(fired || survived);
                let pin = world.map.pin();
                let put = [20, 21].iter().filter(|n| pin.contains_key(&Probe(**n))).count();
                assert!(given / 2 - put <= 1, "{given} given, {put} put");
                drop(pin);
                for n in [20, 21] {
                    world.map.remove(&Probe(n));
                }
                world.finish(&format!("{site:?} {nth}"));
                if !fired {
                    break;
                }
            }
        }
    });
}
