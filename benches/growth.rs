//! The longest insert while a map (`u64 -> u64`) grows from 0 to 4M entries, one thread, with no
//! capacity given.
//!
//! Each insert is timed from the end of the one before it, so nothing falls between two readings;
//! the figures include one clock reading each (the idle thread's mean says what that costs), and
//! every 64th includes the renewed guard. Making and dropping the map is not timed. Maps take
//! turns, five runs each, in one process, so all but the very first run meet a heap that was used.
//!
//! A cell is the **median** over the runs of that run's figure, in microseconds:
//!
//! * `max`: the longest insert of the run. `worst`: the longest of all the runs (no median).
//! * `machine`: the longest gap that a thread which only reads the clock saw in the same seconds,
//!   on the other core. A `max` of that order says nothing about the map.
//! * `own`: the longest insert without the times at which the machine ran something else. The
//!   thread's processor time is read around every 64 inserts, and no insert can have used more of
//!   it than its 64 did together: so each counts at most that much. Page faults, interrupts and
//!   what a hypervisor takes still count. On a busy machine this is the column to compare.
//! * `ours / its`: evanesce's figure over that map's; below 1 means that evanesce's longest insert
//!   is shorter.
//!
//! std is not synchronised; it is the limit. The other conditions (hasher, keys, guards) are in
//! `common/mod.rs`.

#![allow(clippy::cast_precision_loss)] // counts and nanoseconds, all far below 2^52

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use common::{DASHMAP, EVANESCE, Entrant, Mode, PAPAYA, REPIN, STD, nanos};
use cpu_time::ThreadTime;

const ENTRANTS: [Entrant; 4] = [EVANESCE, PAPAYA, DASHMAP, STD];

/// The figures of one run, in nanoseconds.
struct Run {
    mean: f64,
    p99: u32,
    p999: u32,
    p9999: u32,
    max: u32,
    /// What the idle thread saw: its mean and its longest gap.
    machine: (f64, u32),
    /// The longest insert, counted as at most the processor time of its chunk.
    own: u32,
}

fn main() {
    let (entries, rounds) = match common::mode() {
        Mode::Measure => (4_000_000, 5),
        Mode::Smoke => (4_000, 1),
        Mode::List => return,
    };
    if rounds == 1 {
        println!("{}", common::SMOKE);
    }
    let keys = common::keys(0..entries);
    let mut gaps = vec![1; entries]; // not zero, so the pages are touched here
    let mut runs = ENTRANTS.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..ENTRANTS.len() {
            let who = (round + turn) % ENTRANTS.len();
            eprintln!("round {} of {rounds}: {}", round + 1, ENTRANTS[who].0);
            runs[who].push(run(ENTRANTS[who], &keys, &mut gaps));
        }
    }
    print(entries, rounds, &runs);
}

fn run((_, new): Entrant, keys: &[u64], gaps: &mut [u32]) -> Run {
    let mut cpu = Vec::with_capacity(keys.len().div_ceil(REPIN));
    let mut map = new();
    let done = AtomicBool::new(false);
    let ready = Barrier::new(2);
    let machine = thread::scope(|scope| {
        let idle = scope.spawn(|| {
            ready.wait();
            watch(&done)
        });
        ready.wait();
        map.insert_timed(keys, gaps, (processor_time, &mut cpu));
        done.store(true, Ordering::Relaxed);
        idle.join().expect("the idle thread does not panic")
    });
    assert_eq!(map.get(keys), keys.len(), "every key must be there");
    drop(map);
    let own = gaps
        .chunks(REPIN)
        .zip(&cpu)
        .map(|(chunk, &cpu)| {
            let longest = chunk.iter().copied().max().unwrap_or(0);
            longest.min(u32::try_from(cpu).unwrap_or(u32::MAX))
        })
        .max()
        .unwrap_or(0);
    gaps.sort_unstable();
    let above = |share: usize| gaps[gaps.len() - 1 - gaps.len() / share];
    Run {
        mean: gaps.iter().map(|&gap| u64::from(gap)).sum::<u64>() as f64 / gaps.len() as f64,
        p99: above(100),
        p999: above(1_000),
        p9999: above(10_000),
        max: above(usize::MAX),
        own,
        machine,
    }
}

/// Nanoseconds for which this thread has run.
fn processor_time() -> u64 {
    u64::try_from(ThreadTime::now().as_duration().as_nanos()).unwrap_or(u64::MAX)
}

/// Reads the clock until `done`: the mean gap between two readings, and the longest.
fn watch(done: &AtomicBool) -> (f64, u32) {
    let first = Instant::now();
    let (mut last, mut longest, mut readings) = (first, 0, 0_u64);
    while !done.load(Ordering::Relaxed) {
        let now = Instant::now();
        longest = longest.max(nanos(now - last));
        last = now;
        readings += 1;
    }
    ((last - first).as_secs_f64() * 1e9 / readings.max(1) as f64, longest)
}

/// The median of one figure over the runs.
fn median(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print(entries: usize, rounds: usize, runs: &[Vec<Run>; ENTRANTS.len()]) {
    println!(
        "\n0 to {entries} entries, {rounds} interleaved runs, median; microseconds for one insert\n"
    );
    println!(
        "| map | mean | p99 | p99.9 | p99.99 | max | worst | machine | own \
         | ours / its, max | ours / its, own |"
    );
    println!("| --- |{}", " ---: |".repeat(10));
    let max = |runs: &[Run]| median(runs, |run| f64::from(run.max));
    let own = |runs: &[Run]| median(runs, |run| f64::from(run.own));
    for ((name, _), its) in ENTRANTS.iter().zip(runs) {
        println!(
            "| {name} | {:.3} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} \
             | {:.3} | {:.3} |",
            median(its, |run| run.mean) / 1e3,
            median(its, |run| f64::from(run.p99)) / 1e3,
            median(its, |run| f64::from(run.p999)) / 1e3,
            median(its, |run| f64::from(run.p9999)) / 1e3,
            max(its) / 1e3,
            f64::from(its.iter().map(|run| run.max).max().unwrap_or(0)) / 1e3,
            median(its, |run| f64::from(run.machine.1)) / 1e3,
            own(its) / 1e3,
            max(&runs[0]) / max(its),
            own(&runs[0]) / own(its),
        );
    }
    let mut idle: Vec<(f64, u32)> = runs.iter().flatten().map(|run| run.machine).collect();
    idle.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!(
        "\nidle thread: {:.3} between two readings; longest gap of all runs {:.0}",
        idle[idle.len() / 2].0 / 1e3,
        f64::from(idle.iter().map(|idle| idle.1).max().unwrap_or(0)) / 1e3,
    );
}
