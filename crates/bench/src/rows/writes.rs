//! W3 to W5: overwriting beside a reader, churn, and overwriting alone.

use std::time::{Duration, Instant};

use super::common::{Aim, filled, holds, together};
use super::reads::million;
use crate::keys::{Churn, Rng, keys};
use crate::maps::{self, BEFORE, DASHMAP, EVANESCE, PAPAYA, SCC_INDEX, SCC_MAP};
use crate::measure::{Latencies, per};
use crate::results::{Against, Case, Curve, IDLE, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The chart of W3's reader.
pub(crate) const CHART: &str = "overwrite";

/// W3.
pub(super) fn overwrite(run: &Run) -> Result<Results, Stop> {
    let n = million(run);
    let rounds = run.pick(7, 1, 1);
    let time =
        run.pick(Duration::from_secs(1), Duration::from_millis(700), Duration::from_millis(20));
    let shared = maps::shared();
    let maps = filled::<u64>(&shared, n)?;
    let entrants: Vec<&str> = shared.iter().copied().chain([IDLE]).collect();
    let reads = [Rng::new(1).draws(n, 1 << 20)];
    let put = [Rng::new(2).draws(n, 1 << 20)];
    run.expect(rounds * entrants.len());
    let passes = interleave(run, "overwrite", &entrants, rounds, |_, who| {
        // The idle thread needs a map no more than a neighbour that works, which is any.
        let map = maps.get(who).unwrap_or(&maps[0]);
        Ok(Some(together(entrants[who], &**map, time, &reads, &put, false)))
    })?;
    for (map, name) in maps.iter().zip(&shared) {
        holds(&**map, name, &keys(0..n))?;
    }
    let mut measured = Measured::default();
    measured.parameter("entries", n);
    measured.parameter("rounds", rounds);
    measured.parameter("seconds a round", time.as_secs_f64());
    measured.note(
        "The reader's latencies include a reading of the clock each; what the idle thread sees is what \
         they would be without a map. Both renew their guards every 64 operations.",
    );
    let (maps_only, map_passes) = (&entrants[..shared.len()], &passes[..shared.len()]);
    let targets = [
        (EVANESCE, Against::Peer(PAPAYA), Target::must(3.0).at_least()),
        (EVANESCE, Against::BestOf(&[SCC_MAP, SCC_INDEX]), Target::aim(1.0).at_least()),
        (EVANESCE, Against::Peer(SCC_MAP), Target::aim(1.0).at_least()),
        // 0.6 of its time.
        (EVANESCE, Against::Peer(BEFORE), Target::must(1.67).at_least()),
    ];
    let writer =
        Case::new("writer", "M/s", maps_only, map_passes, |pass| pass.writes_per_second / 1e6);
    measured.add(writer, &targets);
    let reader =
        Case::new("reader", "M/s", maps_only, map_passes, |pass| pass.reads_per_second / 1e6);
    measured.add(reader, &[]);
    for (name, share) in [("reader's p99", 0.99), ("reader's p99.9", 0.999)] {
        let case = Case::new(name, "ns", &entrants, &passes, |pass| pass.latencies.quantile(share));
        measured.add(case, &[]);
    }
    for (entrant, passes) in entrants.iter().zip(&passes) {
        let curve = merged(passes.iter().map(|pass| &pass.latencies)).curve();
        measured.curves.push(Curve::new(CHART, entrant, curve));
    }
    Ok(vec![("W3", measured)])
}

/// The latencies of all rounds.
pub(super) fn merged<'l>(all: impl Iterator<Item = &'l Latencies>) -> Latencies {
    let mut sum = Latencies::new();
    all.for_each(|latencies| sum.add(latencies));
    sum
}

/// W4.
pub(super) fn churn(run: &Run) -> Result<Results, Stop> {
    let n = million(run);
    let count = run.pick(1 << 18, 1 << 18, 1 << 10);
    let mut measured = Measured::default();
    measured.parameter("entries", n);
    measured.parameter("rounds", run.rounds());
    measured.parameter("pairs a pass", count);
    measured.note("The time is for the pair.");
    let entrants = maps::written();
    let maps = filled::<u64>(&entrants, n)?;
    let mut churn = Churn::new(n);
    let steps: Vec<_> = (0..run.rounds()).map(|_| churn.steps(count)).collect();
    run.expect(run.rounds() * entrants.len());
    let passes = interleave(run, "churn", &entrants, run.rounds(), |round, who| {
        let start = Instant::now();
        let removed = maps[who].churn(&steps[round]);
        let spent = per(start, count);
        if removed == count {
            Ok(Some(spent))
        } else {
            Err(Stop::Fail(format!("{} removed {removed} of {count}", entrants[who])))
        }
    })?;
    let targets = [
        (EVANESCE, Against::Peer(PAPAYA), Target::must(0.6)),
        (EVANESCE, Against::Peer(DASHMAP), Target::aim(1.0)),
        (EVANESCE, Against::Peer(SCC_INDEX), Target::aim(1.0)),
        (EVANESCE, Against::Peer(BEFORE), Target::must(0.85)),
    ];
    let case = Case::new("insert+remove, 1M", "ns", &entrants, &passes, |ns| *ns);
    measured.add(case, &targets);
    Ok(vec![("W4", measured)])
}

/// W5.
pub(super) fn overwrite_alone(run: &Run) -> Result<Results, Stop> {
    const TARGETS: [Aim; 2] = [
        (EVANESCE, Against::Peer(BEFORE), Target::must(0.6)),
        (EVANESCE, Against::Peer(SCC_MAP), Target::aim(1.0)),
    ];
    let entrants = maps::written();
    let sizes = [(run.pick(100_000, 100_000, 1_000), "100k"), (million(run), "1M")];
    let count = run.pick(1 << 19, 1 << 18, 1 << 10);
    let mut measured = Measured::default();
    measured.parameter("rounds", run.rounds());
    measured.parameter("overwrites a pass", count);
    run.expect(sizes.len() * run.rounds() * entrants.len());
    for (n, size) in sizes {
        let maps = filled::<u64>(&entrants, n)?;
        let order = Rng::new(3).draws(n, count);
        let name = format!("overwrite, {size}");
        let passes = interleave(run, &name, &entrants, run.rounds(), |_, who| {
            maps[who].insert(&order[..count / 8]); // warms the caches
            let start = Instant::now();
            maps[who].insert(&order);
            Ok(Some(per(start, count)))
        })?;
        for (map, name) in maps.iter().zip(&entrants) {
            holds(&**map, name, &keys(0..n))?;
        }
        measured.add(Case::new(name, "ns", &entrants, &passes, |ns| *ns), &TARGETS);
    }
    Ok(vec![("W5", measured)])
}
