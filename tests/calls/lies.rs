//! Equality, hashes and clocks that answer whatever they like, in every call of the surface: it costs answers, and
//! nothing else. (`hashers.rs` has keys that lie by themselves.)

use crate::common::hashers::Hashing;
use crate::common::sites::{Site, lying};
use crate::common::world::{Call, World};
use crate::common::{Rng, assert_slots_accounted, exclusive, ns, settle};

/// Random calls, of random keys, while what is called at `sites` answers at random.
fn survives_lies_at(sites: &'static [Site]) {
    let mut rng = Rng::from_env();
    for hashing in [Hashing::Sip, Hashing::Identity, Hashing::Constant, Hashing::TiesGolden] {
        for _ in 0..20 {
            let World { map, clock, tally, .. } = lying(rng.clone(), sites, || {
                let world = World::new(hashing);
                for _ in 0..200 {
                    let call = Call::ALL[rng.below(Call::ALL.len() as u64) as usize];
                    world.perform(call, rng.below(12));
                    world.clock.advance(ns(rng.below(3)));
                    assert_slots_accounted(&world.map);
                }
                world
            });
            settle(&map);
            let stats = assert_slots_accounted(&map);
            assert_eq!(tally.alive(), 2 * stats.len, "a key and a value an entry");
            // Honest from now on, it works: what can be found can be removed, and what cannot goes with all.
            clock.advance(ns(1000));
            map.clear();
            settle(&map);
            assert_eq!((map.len(), tally.alive()), (0, 0), "{sites:?}");
            drop(map);
            tally.assert_all_dropped();
        }
    }
}

#[test]
fn a_comparison_that_lies_costs_answers_and_nothing_else() {
    exclusive(|| survives_lies_at(&[Site::Eq]));
}

#[test]
fn a_hash_that_lies_costs_answers_and_nothing_else() {
    exclusive(|| survives_lies_at(&[Site::Hash]));
}

/// It runs backwards as often as forwards.
#[test]
fn a_clock_that_lies_costs_answers_and_nothing_else() {
    exclusive(|| survives_lies_at(&[Site::Clock]));
}

#[test]
fn all_lies_at_once_cost_answers_and_nothing_else() {
    exclusive(|| survives_lies_at(&[Site::Hash, Site::Eq, Site::Clock]));
}
