//! WALK: a walk over all entries of a map, one thread.
//!
//! The maps take walks in turn, so each finds the caches as the others left them. The first walk over a
//! map may do what later ones find done, and so is a case of its own.

use std::time::Instant;

use super::common::holds;
use super::reads::million;
use crate::keys::keys;
use crate::maps::{DASHMAP, EVANESCE, PAPAYA, SCC_INDEX, Walked, entrants, walked};
use crate::measure::per;
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// WALK.
pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let entrants = entrants(&[EVANESCE, PAPAYA, DASHMAP, SCC_INDEX]);
    let n = million(run);
    let present: Vec<u64> = keys(0..n);
    let fill = |name: &&str| {
        let map = walked(name);
        map.insert(&present);
        holds(&*map, name, &present)?;
        Ok(map)
    };
    let maps: Vec<Box<dyn Walked>> = entrants.iter().map(fill).collect::<Result<_, Stop>>()?;
    let mut measured = Measured::default();
    measured.parameter("entries", n);
    measured.parameter("rounds", run.rounds());
    run.expect((1 + run.rounds()) * entrants.len());
    let walks = |name: &str, rounds: usize| {
        let passes = interleave(run, name, &entrants, rounds, |_, who| {
            let start = Instant::now();
            let found = maps[who].walk();
            let spent = per(start, n);
            if found == n {
                Ok(Some(spent))
            } else {
                Err(Stop::Fail(format!("{name}: {} told {found} of {n}", entrants[who])))
            }
        })?;
        Ok(Case::new(name, "ns", &entrants, &passes, |ns| *ns))
    };
    measured.add(walks("an entry, 1M, the first walk", 1)?.only_told(), &[]);
    let target = (EVANESCE, Against::Peer(PAPAYA), Target::must(1.0));
    measured.add(walks("an entry, 1M, later walks", run.rounds())?, &[target]);
    Ok(vec![("WALK", measured)])
}
