//! S1 and S2: what a full pass of the sweeper costs.

use std::thread;
use std::time::{Duration, Instant};

use crate::maps::{EVANESCE, EVANESCE_TTL, Sweepable, entrants, newer, sweepable};
use crate::measure::per;
use crate::results::{Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// What a target that is a number is compared with.
const LIMIT: &str = "the limit";

/// The sizes, with their names.
fn sizes(run: &Run) -> &'static [(usize, &'static str)] {
    const ALL: [(usize, &str); 3] = [(10_000, "10k"), (1_000_000, "1M"), (10_000_000, "10M")];
    run.pick(&ALL[1..], &ALL[1..2], &ALL[..1])
}

/// S1.
pub(super) fn nothing_due(run: &Run) -> Result<Results, Stop> {
    let entrants = entrants(&[EVANESCE_TTL, EVANESCE]);
    let mut measured = Measured::default();
    measured.parameter("rounds", run.rounds());
    measured.note("`evanesce+ttl` has deadlines a day away; `evanesce` has none.");
    run.expect(sizes(run).len() * run.rounds() * entrants.len());
    for (n, size) in sizes(run) {
        let far = Instant::now() + Duration::from_secs(3600 * 24);
        let map = |name: &&str| {
            let mortal = newer(name).unwrap_or(name) == EVANESCE_TTL;
            let map = sweepable(name, *n, mortal.then_some(far));
            map.sweep(); // finishes the index
            map
        };
        let maps: Vec<Box<dyn Sweepable>> = entrants.iter().map(map).collect();
        let what = format!("nothing due, {size}");
        let passes = interleave(run, &what, &entrants, run.rounds(), |_, who| {
            let start = Instant::now();
            let removed = maps[who].sweep().removed;
            let spent = per(start, *n);
            match removed {
                0 => Ok(Some(spent)),
                removed => Err(Stop::Fail(format!("{removed} entries expired too early"))),
            }
        })?;
        let name = format!("an entry, {size}");
        let target = Target::must(0.5).and_aim(0.05);
        measured.verdicts.push(target.judge(&name, EVANESCE_TTL, LIMIT, "ns", &passes[0]));
        measured.add(Case::new(name, "ns", &entrants, &passes, |ns| *ns), &[]);
    }
    Ok(vec![("S1", measured)])
}

/// S2.
pub(super) fn all_due(run: &Run) -> Result<Results, Stop> {
    let rounds = run.pick(5, 1, 1);
    let mut measured = Measured::default();
    measured.parameter("rounds", rounds);
    measured.note(
        "Sweeps until every entry is removed and its slot is free again, on the system's clock; \
         writes did not sweep before.",
    );
    let entrants = entrants(&[EVANESCE]);
    run.expect(sizes(run).len() * rounds * entrants.len());
    for (n, size) in sizes(run) {
        let what = format!("all due, {size}");
        let passes = interleave(run, &what, &entrants, rounds, |_, who| {
            sweep_all_due(entrants[who], *n).map(Some)
        })?;
        let name = format!("an entry reclaimed, {size}");
        let target = Target::must(200.0).and_aim(100.0);
        measured.verdicts.push(target.judge(&name, EVANESCE, LIMIT, "ns", &passes[0]));
        measured.add(Case::new(name, "ns", &entrants, &passes, |ns| *ns), &[]);
    }
    Ok(vec![("S2", measured)])
}

/// Nanoseconds an entry until `n` that are due are removed and their slots free.
fn sweep_all_due(name: &str, n: usize) -> Result<f64, Stop> {
    /// Sweeps until nothing waits for a pinned thread: the collector needs some to see that none is.
    const MOST_SWEEPS: usize = 16;
    let begun = Instant::now();
    let half = sweepable(name, n / 2, None);
    let ahead = begun.elapsed() * 6 + Duration::from_millis(50);
    drop(half);
    let deadline = Instant::now() + ahead;
    let map = sweepable(name, n, Some(deadline));
    let Some(wait) = deadline.checked_duration_since(Instant::now()) else {
        return Err(Stop::Fail("filling it took longer than the deadlines were ahead".into()));
    };
    thread::sleep(wait);
    let start = Instant::now();
    let (mut removed, mut pending) = (0, 0);
    for _ in 0..MOST_SWEEPS {
        let pass = map.sweep();
        removed += pass.removed;
        pending = pass.pending;
        if pending == 0 {
            break;
        }
    }
    let spent = per(start, n);
    if removed != n || pending > 0 {
        return Err(Stop::Fail(format!("{removed} of {n} were removed, and {pending} wait")));
    }
    Ok(spent)
}
