//! The longest insert while a map (`u64 -> u64`) grows from 0 to 4M entries, one thread, with no
//! capacity given.
//!
//! Each insert is timed from the end of the one before it to its own end, so nothing falls between
//! two readings: the figures include one clock reading each (the idle thread's mean says what that
//! costs) and every 64th includes the renewed guard. Making and dropping the map is not timed. Maps
//! take turns, five runs each, in one process, so all but the very first run meet a heap that was
//! used.
//!
//! A cell is the **median** over the runs of that run's figure, in microseconds:
//!
//! * `max`: the longest insert of the run. `worst`: the longest of all the runs (no median).
//! * `machine`: the longest gap that a thread which only reads the clock saw in the same seconds,
//!   on the other core. A `max` of that order says nothing about the map.
//! * `recurring`: the longest insert with the machine's pauses taken out. All runs insert the same
//!   keys in the same order, so a pause that belongs to the map comes back at the same insert, and
//!   one of the machine does not: this takes, for each insert, the median of its times over the
//!   runs, and then the largest of those. It misses a pause of the map that comes at another insert
//!   each time, so it stands beside `max` and does not replace it.
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

use common::{DASHMAP, EVANESCE, Entrant, Mode, PAPAYA, STD, nanos};

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
    /// Each insert's own time.
    gaps: Vec<u32>,
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
    let mut runs = ENTRANTS.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..ENTRANTS.len() {
            let who = (round + turn) % ENTRANTS.len();
            eprintln!("round {} of {rounds}: {}", round + 1, ENTRANTS[who].0);
            runs[who].push(run(ENTRANTS[who], &keys));
        }
    }
    print(entries, rounds, &runs);
}

fn run((_, new): Entrant, keys: &[u64]) -> Run {
    let mut gaps = vec![1; keys.len()]; // not zero, so the pages are touched here
    let mut map = new();
    let done = AtomicBool::new(false);
    let ready = Barrier::new(2);
    let machine = thread::scope(|scope| {
        let idle = scope.spawn(|| {
            ready.wait();
            watch(&done)
        });
        ready.wait();
        map.insert_timed(keys, &mut gaps);
        done.store(true, Ordering::Relaxed);
        idle.join().expect("the idle thread does not panic")
    });
    assert_eq!(map.get(keys), keys.len(), "every key must be there");
    drop(map);
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let above = |share: usize| sorted[sorted.len() - 1 - sorted.len() / share];
    Run {
        mean: gaps.iter().map(|&gap| u64::from(gap)).sum::<u64>() as f64 / gaps.len() as f64,
        p99: above(100),
        p999: above(1_000),
        p9999: above(10_000),
        max: above(usize::MAX),
        machine,
        gaps,
    }
}

/// The largest, over the inserts, of the median over the runs of that insert's time.
fn recurring(runs: &[Run]) -> u32 {
    let of_insert = |i: usize| {
        let mut times: Vec<u32> = runs.iter().map(|run| run.gaps[i]).collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    (0..runs[0].gaps.len()).map(of_insert).max().unwrap_or(0)
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
        "| map | mean | p99 | p99.9 | p99.99 | max | worst | machine | recurring \
         | ours / its, max | ours / its, recurring |"
    );
    println!("| --- |{}", " ---: |".repeat(10));
    let max = |runs: &[Run]| median(runs, |run| f64::from(run.max));
    let ours = (max(&runs[0]), f64::from(recurring(&runs[0])));
    for ((name, _), runs) in ENTRANTS.iter().zip(runs) {
        let theirs = (max(runs), f64::from(recurring(runs)));
        let worst = runs.iter().map(|run| run.max).max().unwrap_or(0);
        println!(
            "| {name} | {:.3} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} \
             | {:.3} | {:.3} |",
            median(runs, |run| run.mean) / 1e3,
            median(runs, |run| f64::from(run.p99)) / 1e3,
            median(runs, |run| f64::from(run.p999)) / 1e3,
            median(runs, |run| f64::from(run.p9999)) / 1e3,
            theirs.0 / 1e3,
            f64::from(worst) / 1e3,
            median(runs, |run| f64::from(run.machine.1)) / 1e3,
            theirs.1 / 1e3,
            ours.0 / theirs.0,
            ours.1 / theirs.1,
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
