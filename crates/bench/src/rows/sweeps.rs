//! S1 and S2: what a full pass of the sweeper costs.

use std::thread;
use std::time::{Duration, Instant};

use evanesce::{Budget, Deadline, TtlMap};

use crate::child::{Results, Run, Stop};
use crate::keys::key;
use crate::maps::{EVANESCE, EVANESCE_TTL, Hasher, RENEW, hasher};
use crate::measure::{interleave, per};
use crate::results::{Case, Measured, Target};

type Map = TtlMap<u64, u64, Hasher>;

/// What a target that is a number is compared with.
const LIMIT: &str = "the limit";

/// The sizes, with their names.
fn sizes(run: &Run) -> &'static [(usize, &'static str)] {
    const ALL: [(usize, &str); 3] = [(10_000, "10k"), (1_000_000, "1M"), (10_000_000, "10M")];
    run.pick(&ALL[1..], &ALL[1..2], &ALL[..1])
}

/// S1.
pub(super) fn nothing_due(run: &Run) -> Result<Results, Stop> {
    const ENTRANTS: [&str; 2] = [EVANESCE_TTL, EVANESCE];
    let mut measured = Measured::default();
    measured.parameter("rounds", run.rounds());
    measured.note("`evanesce+ttl` has deadlines a day away; `evanesce` has none.");
    run.expect(sizes(run).len() * run.rounds() * ENTRANTS.len());
    for (n, size) in sizes(run) {
        let far = Instant::now() + Duration::from_secs(3600 * 24);
        let maps = [map(*n, far.into()), map(*n, Deadline::NEVER)];
        for map in &maps {
            map.sweep(Budget::full_pass()); // finishes the index
        }
        let what = format!("nothing due, {size}");
        let passes = interleave(run, &what, &ENTRANTS, run.rounds(), |_, who| {
            let start = Instant::now();
            let removed = maps[who].sweep(Budget::full_pass()).removed;
            let spent = per(start, *n);
            match removed {
                0 => Ok(Some(spent)),
                removed => Err(Stop::Fail(format!("{removed} entries expired too early"))),
            }
        })?;
        let name = format!("an entry, {size}");
        let target = Target::must(0.5).and_aim(0.05);
        measured.verdicts.push(target.judge(&name, EVANESCE_TTL, LIMIT, "ns", &passes[0]));
        measured.add(Case::new(name, "ns", &ENTRANTS, &passes, |ns| *ns), &[]);
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
    run.expect(sizes(run).len() * rounds);
    for (n, size) in sizes(run) {
        let what = format!("all due, {size}");
        let passes =
            interleave(run, &what, &[EVANESCE], rounds, |_, _| sweep_all_due(*n).map(Some))?;
        let name = format!("an entry reclaimed, {size}");
        let target = Target::must(200.0).and_aim(100.0);
        measured.verdicts.push(target.judge(&name, EVANESCE, LIMIT, "ns", &passes[0]));
        measured.add(Case::new(name, "ns", &[EVANESCE], &passes, |ns| *ns), &[]);
    }
    Ok(vec![("S2", measured)])
}

/// Nanoseconds an entry until `n` that are due are removed and their slots free.
fn sweep_all_due(n: usize) -> Result<f64, Stop> {
    /// Sweeps until nothing waits for a pinned thread: the collector needs some to see that none is.
    const MOST_SWEEPS: usize = 16;
    let begun = Instant::now();
    let half = map(n / 2, Deadline::NEVER);
    let ahead = begun.elapsed() * 6 + Duration::from_millis(50);
    drop(half);
    let deadline = Instant::now() + ahead;
    let map = map(n, deadline.into());
    let Some(wait) = deadline.checked_duration_since(Instant::now()) else {
        return Err(Stop::Fail("filling it took longer than the deadlines were ahead".into()));
    };
    thread::sleep(wait);
    let start = Instant::now();
    let mut removed = 0;
    for _ in 0..MOST_SWEEPS {
        let report = map.sweep(Budget::full_pass());
        removed += report.removed;
        if report.pending_reclaim == 0 {
            break;
        }
    }
    let spent = per(start, n);
    if removed != n || map.stats().pending_reclaim > 0 {
        return Err(Stop::Fail(format!("{removed} of {n} were removed, and {:?}", map.stats())));
    }
    Ok(spent)
}

/// A map whose writes do not sweep, with `n` entries.
fn map(n: usize, deadline: Deadline) -> Map {
    let map = TtlMap::builder().hasher(hasher()).sweep_per_write(0).build();
    let map = map.expect("0 is in the range");
    let mut pinned = map.pin();
    for i in 0..n {
        if i % RENEW == 0 {
            pinned.repin();
        }
        pinned.insert_with_deadline(key(i), !key(i), deadline);
    }
    drop(pinned);
    map
}
