//! SIZES and SCALE: lookups in maps of all sizes, and by more threads.

use std::hint::black_box;

use super::common::{filled, throughput};
use super::reads::{count, described, looked_up};
use crate::keys::Rng;
use crate::maps::{self, EVANESCE};
use crate::results::{Case, Curve, Figures, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The chart of SIZES.
pub(crate) const SIZES: &str = "sizes";
/// The chart of SCALE.
pub(crate) const SCALE: &str = "scale";

/// SIZES.
pub(super) fn sizes(run: &Run) -> Result<Results, Stop> {
    let all: [(usize, &str); 5] =
        [(1_000, "1k"), (10_000, "10k"), (100_000, "100k"), (1_000_000, "1M"), (10_000_000, "10M")];
    let all = run.pick(&all[..], &all[..4], &all[..2]);
    let entrants = maps::read();
    let mut measured = Measured::default();
    described(run, &mut measured);
    run.expect(all.len() * run.rounds() * entrants.len());
    for (n, size) in all {
        let maps = filled::<u64>(&entrants, *n)?;
        let order = Rng::new(1).draws(*n, count(run));
        let case = looked_up(run, &format!("hit, {size}"), &entrants, &maps, &order, order.len())?;
        measured.add(case, &[]);
    }
    let entries: Vec<f64> = all.iter().map(|(n, _)| *n as f64).collect();
    measured.curves = curves(SIZES, &measured.cases, &entries);
    Ok(vec![("SIZES", measured)])
}

/// SCALE.
pub(super) fn scale(run: &Run) -> Result<Results, Stop> {
    const THREADS: [usize; 4] = [1, 2, 4, 8];
    /// What two threads shall do in the time of one.
    const GAIN: f64 = 1.9;
    let entrants = maps::read();
    let n = run.pick(100_000, 100_000, 1_000);
    let mut measured = Measured::default();
    described(run, &mut measured);
    measured.parameter("entries", n);
    run.expect(THREADS.len() * run.rounds() * entrants.len());
    let maps = filled::<u64>(&entrants, n)?;
    let orders: Vec<Vec<u64>> = (0..8).map(|seed| Rng::new(seed).draws(n, count(run))).collect();
    for threads in THREADS {
        let name = if threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
        let orders = &orders[..threads];
        let passes = interleave(run, &name, &entrants, run.rounds(), |_, who| {
            maps[who].get(&orders[0][..orders[0].len() / 8]);
            let (rate, _) = throughput(orders, |order| black_box(maps[who].get(order)));
            Ok(Some(rate))
        })?;
        measured.add(Case::new(name, "M/s", &entrants, &passes, |rate| *rate), &[]);
    }
    let gains = |entrant: &str| -> Vec<f64> {
        let rounds = |case: &Case| case.of(entrant).map_or(Vec::new(), |it| it.rounds.clone());
        let (one, two) = (rounds(&measured.cases[0]), rounds(&measured.cases[1]));
        two.iter().zip(&one).map(|(two, one)| two / one).collect()
    };
    let name = "2 threads over 1";
    let all: Vec<Vec<f64>> = entrants.iter().map(|entrant| gains(entrant)).collect();
    let target = Target::must(GAIN).at_least();
    let verdict = target.judge(name, EVANESCE, "the limit", "times", &all[0]);
    measured.verdicts.push(verdict);
    measured.curves = curves(SCALE, &measured.cases, &THREADS.map(|threads| threads as f64));
    measured.add(Case::new(name, "times", &entrants, &all, |times| *times), &[]);
    Ok(vec![("SCALE", measured)])
}

/// A line an entrant through the medians of some cases.
fn curves(chart: &str, cases: &[Case], at: &[f64]) -> Vec<Curve> {
    let entrants = cases.first().map_or(&[][..], |case| &case.figures);
    let line = |Figures { entrant, .. }: &Figures| {
        let medians = cases.iter().filter_map(|case| Some(case.of(entrant)?.median));
        let points = at.iter().zip(medians).map(|(x, y)| [*x, y]).collect();
        Curve::new(chart, entrant, points)
    };
    entrants.iter().map(line).collect()
}
