//! W1 and W2: the longest and the mean insert while a map grows from nothing, one thread; W6: the mean of
//! a fill that nothing interrupts.
//!
//! In W1 and W2 each insert is timed from the end of the one before it, so nothing falls between two readings;
//! figures include one reading of the clock each. Making and dropping the map is not timed. A second
//! thread does nothing but read the clock meanwhile.
//!
//! `own` leaves out the times at which the machine ran something else: the thread's processor time
//! is read around every [`RENEW`] inserts, and no insert can have used more of it than its 64 did
//! together, so each counts at most that much. Page faults, interrupts and what a hypervisor takes
//! still count. The longest 64 inserts are those that took the most of it together.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::common::{Aim, holds};
use super::reads::million;
use crate::keys::keys;
use crate::maps::{self, BEFORE, DASHMAP, EVANESCE, MOKA, PAPAYA, RENEW, SCC_INDEX, SCC_MAP};
use crate::measure::{Latencies, median, per, watch};
use crate::results::{Against, Case, Curve, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The chart of the longest inserts.
pub(crate) const CHART: &str = "growth";
/// moka inserts several times as slowly as the others, so it runs less often.
const RUNS_OF_MOKA: usize = 3;
/// The stretches of the chart.
const STRETCHES: usize = 32;

/// The figures of one run, in nanoseconds.
struct Growth {
    mean: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    longest: f64,
    own: f64,
    /// The longest [`RENEW`] inserts, own processor time.
    own_together: f64,
    /// The same while the map grew to [`million`] entries.
    own_together_early: f64,
    /// The longest gap that the idle thread saw.
    machine: f64,
    /// The longest insert of each stretch, own processor time.
    stretches: Vec<f64>,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let entries = run.pick(8_000_000, 1_000_000, 4_000);
    let rounds = run.pick(5, 1, 1);
    let entrants: Vec<&str> = maps::written().into_iter().chain([MOKA]).collect();
    let keys: Vec<u64> = keys(0..entries);
    let mut gaps = vec![1; entries]; // not zero, so that its pages are touched here
    run.expect(rounds * entrants.len());
    let passes = interleave(run, "growth", &entrants, rounds, |round, who| {
        if entrants[who] == MOKA && round >= RUNS_OF_MOKA {
            return Ok(None);
        }
        grow(entrants[who], &keys, &mut gaps, million(run)).map(Some)
    })?;
    let case = |name: &str, quantity: fn(&Growth) -> f64| {
        Case::new(name, "ns", &entrants, &passes, quantity)
    };
    let mut longest = Measured::default();
    longest.parameter("entries", entries);
    longest.parameter("runs", rounds);
    longest.parameter("runs of moka", rounds.min(RUNS_OF_MOKA));
    let mut mean = longest.clone();
    let target = (EVANESCE, Against::Best, Target::must(0.2).and_aim(0.05));
    longest.add(case("longest insert, as measured", |run| run.longest), &[target]);
    longest.add(case("longest insert, own processor time", |run| run.own), &[target]);
    let name = "longest 64 inserts to 1M, own processor time";
    longest.add(case(name, |run| run.own_together_early), &[]);
    let target = (EVANESCE, Against::Peer(BEFORE), Target::must(1.2));
    longest.add(case("longest 64 inserts, own processor time", |run| run.own_together), &[target]);
    longest.add(case("longest gap of the idle thread", |run| run.machine).only_told(), &[]);
    longest.note(
        "A longest insert of the order of the idle thread's longest gap says nothing about the map; \
         `own processor time` counts only what the inserting thread itself ran.",
    );
    for (entrant, passes) in entrants.iter().zip(&passes) {
        longest.curves.push(Curve::new(CHART, entrant, stretches(passes, entries)));
    }
    mean.note("Each figure includes one reading of the clock.");
    let targets = [
        (EVANESCE, Against::Peer(PAPAYA), Target::must(1.0)),
        (EVANESCE, Against::BestOf(&[SCC_MAP, SCC_INDEX]), Target::aim(1.0)),
    ];
    mean.add(case("mean insert", |run| run.mean), &targets);
    mean.add(case("p99", |run| run.p99), &[]);
    mean.add(case("p99.9", |run| run.p99_9), &[]);
    mean.add(case("p99.99", |run| run.p99_99), &[]);
    Ok(vec![("W1", longest), ("W2", mean)])
}

fn grow(name: &str, keys: &[u64], gaps: &mut [u32], early: usize) -> Result<Growth, Stop> {
    let mut own = Vec::with_capacity(keys.len().div_ceil(RENEW));
    let map = maps::new::<u64>(name);
    let done = AtomicBool::new(false);
    let ready = Barrier::new(2);
    let machine = thread::scope(|scope| {
        let idle = scope.spawn(|| {
            let mut gaps = Latencies::new();
            ready.wait();
            watch(&mut gaps, |_| done.load(Ordering::Relaxed));
            gaps.longest()
        });
        ready.wait();
        map.insert_timed(keys, gaps, &mut own);
        done.store(true, Ordering::Relaxed);
        idle.join().expect("the idle thread does not panic")
    });
    holds(&*map, name, keys)?;
    Ok(summary(gaps, &own, machine, early))
}

fn summary(gaps: &mut [u32], own: &[u32], machine: f64, early: usize) -> Growth {
    let bounded: Vec<f64> = (gaps.chunks(RENEW).zip(own))
        .map(|(chunk, own)| f64::from(chunk.iter().copied().max().unwrap_or(0).min(*own)))
        .collect();
    let most = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
    let most_of = |own: &[u32]| f64::from(own.iter().copied().max().unwrap_or(0));
    let stretches: Vec<f64> = bounded.chunks(bounded.len().div_ceil(STRETCHES)).map(most).collect();
    gaps.sort_unstable();
    let above = |share: usize| f64::from(gaps[gaps.len() - 1 - gaps.len() / share]);
    Growth {
        mean: gaps.iter().map(|gap| u64::from(*gap)).sum::<u64>() as f64 / gaps.len() as f64,
        p99: above(100),
        p99_9: above(1_000),
        p99_99: above(10_000),
        longest: above(usize::MAX),
        own: most(&bounded),
        own_together: most_of(own),
        own_together_early: most_of(&own[..own.len().min(early.div_ceil(RENEW))]),
        machine,
        stretches,
    }
}

/// W6.
pub(super) fn fill(run: &Run) -> Result<Results, Stop> {
    const TARGETS: [Aim; 2] = [
        (EVANESCE, Against::Peer(BEFORE), Target::must(0.6)),
        (EVANESCE, Against::Peer(DASHMAP), Target::aim(1.0)),
    ];
    /// Entries, their name, and rounds of a full run.
    const SIZES: [(usize, &str, usize); 3] =
        [(4_000, "4k", 1), (1_000_000, "1M", 7), (8_000_000, "8M", 3)];
    let sizes = run.pick(&SIZES[1..], &SIZES[1..2], &SIZES[..1]);
    let entrants = maps::written();
    let mut measured = Measured::default();
    let rounds = |full: usize| run.pick(full, 1, 1);
    let passes: usize = sizes.iter().map(|(_, _, full)| rounds(*full) * entrants.len()).sum();
    run.expect(passes);
    for (n, size, full) in sizes {
        let keys: Vec<u64> = keys(0..*n);
        let name = format!("an insert, filled to {size}");
        measured.parameter(&format!("rounds to {size}"), rounds(*full));
        let passes = interleave(run, &name, &entrants, rounds(*full), |_, who| {
            let map = maps::new::<u64>(entrants[who]);
            let start = Instant::now();
            map.insert(&keys);
            let spent = per(start, *n);
            holds(&*map, entrants[who], &keys)?;
            Ok(Some(spent))
        })?;
        measured.add(Case::new(name, "ns", &entrants, &passes, |ns| *ns), &TARGETS);
    }
    Ok(vec![("W6", measured)])
}

/// For each stretch the median of its longest inserts, at its last entry.
fn stretches(passes: &[Growth], entries: usize) -> Vec<[f64; 2]> {
    let count = passes.first().map_or(0, |run| run.stretches.len());
    (0..count)
        .map(|at| {
            let longest: Vec<f64> = passes.iter().map(|run| run.stretches[at]).collect();
            [entries as f64 * (at + 1) as f64 / count as f64, median(&longest)]
        })
        .collect()
}
