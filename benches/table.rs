//! The table to quote: get, insert and remove beside papaya, dashmap and std, from **interleaved**
//! passes.
//!
//! `u64 -> u64`, one thread. For each operation and size every map takes one pass in turn, round
//! after round, and the map that starts moves on by one each round, so that a slow minute of a
//! shared machine falls on all of them. A cell is the **median** over the rounds of the nanoseconds
//! for one operation. A ratio is the median of the ratios **within** a round (so it need not be the
//! quotient of its two cells), with the lower and upper quartile of those in brackets; below 1
//! means that evanesce is faster. Quartiles on both sides of 1 mean: no difference seen.
//!
//! * `get hit`, `get miss`: uniform random keys under one held guard, on a map filled by inserts,
//!   with no capacity given. Lookups do not depend on each other: time per lookup in a stream, not
//!   the latency of one alone.
//! * `insert`: fresh keys into an empty map with no capacity given, growth included; making and
//!   dropping it is not.
//! * `remove`: all entries of that map in random order, until it is empty.
//! * `overwrite`: insert over a present key, uniform random.
//! * `insert+remove`: a fresh key in and a random older one out, at constant size; the time is for
//!   the pair.
//!
//! `+ttl` is evanesce with a deadline, an hour away, on each entry; compare it with the `evanesce`
//! column. The other conditions (hasher, keys, guards) are in `common/mod.rs`. Longest inserts are
//! in `growth.rs`.

#![allow(clippy::cast_precision_loss)] // counts of operations, all far below 2^52

mod common;

use std::time::Instant;

use common::{Churn, DASHMAP, EVANESCE, EVANESCE_TTL, Entrant, Mode, PAPAYA, Rng, SIZES, STD};

const ENTRANTS: [Entrant; 5] = [EVANESCE, EVANESCE_TTL, PAPAYA, DASHMAP, STD];
const OURS: usize = 0;
const THEIRS: [usize; 2] = [2, 3];

/// How much to do.
struct Plan {
    sizes: &'static [usize],
    rounds: usize,
    /// Operations of a read pass.
    reads: usize,
    /// Operations of a write pass (at least; a pass of inserts or removes fills or empties whole
    /// maps).
    writes: usize,
}

/// The nanoseconds per operation of every pass: one list a map, one number a round.
type Passes = [Vec<f64>; ENTRANTS.len()];

struct Row {
    operation: &'static str,
    entries: usize,
    passes: Passes,
}

fn main() {
    let plan = match common::mode() {
        Mode::Measure => Plan { sizes: &SIZES, rounds: 11, reads: 1 << 20, writes: 1 << 18 },
        Mode::Smoke => Plan { sizes: &SIZES[..1], rounds: 1, reads: 1000, writes: 1000 },
        Mode::List => return,
    };
    if plan.rounds == 1 {
        println!("{}", common::SMOKE);
    }
    let mut rows = Vec::new();
    for &n in plan.sizes {
        measure(&plan, n, &mut rows);
    }
    // Grouped by operation, sizes within it; the sort keeps the order of equals.
    let order = ["get hit", "get miss", "insert", "remove", "overwrite", "insert+remove"];
    rows.sort_by_key(|row| order.iter().position(|&name| name == row.operation));
    print(&plan, &rows);
}

fn measure(plan: &Plan, n: usize, rows: &mut Vec<Row>) {
    let present = common::keys(0..n);
    let hits = Rng::new(1).draws(n, plan.reads);
    let misses = common::keys(n..n + plan.reads);
    let warm = &hits[..plan.reads / 8];
    let mut maps = ENTRANTS.map(|(_, new)| new());
    for map in &mut maps {
        assert_eq!(map.insert(&present), 0);
    }

    // The reads come first: they see the memory as the inserts left it.
    for (operation, keys, found) in [("get hit", &hits, hits.len()), ("get miss", &misses, 0)] {
        eprintln!("{n} entries: {operation}");
        let passes = interleave(plan.rounds, |_, who| {
            maps[who].get(warm); // the caches hold the previous map
            let start = Instant::now();
            let count = maps[who].get(keys);
            let spent = per(start, keys.len());
            assert_eq!(count, found, "{}", ENTRANTS[who].0);
            spent
        });
        rows.push(Row { operation, entries: n, passes });
    }

    eprintln!("{n} entries: overwrite");
    let keys = &hits[..plan.writes];
    let passes = interleave(plan.rounds, |_, who| {
        maps[who].get(warm);
        let start = Instant::now();
        let count = maps[who].insert(keys);
        let spent = per(start, keys.len());
        assert_eq!(count, keys.len(), "{}", ENTRANTS[who].0);
        spent
    });
    rows.push(Row { operation: "overwrite", entries: n, passes });

    eprintln!("{n} entries: insert+remove");
    let mut churn = Churn::new(n);
    let steps: Vec<_> = (0..plan.rounds).map(|_| churn.steps(plan.writes)).collect();
    let passes = interleave(plan.rounds, |round, who| {
        let start = Instant::now();
        let count = maps[who].churn(&steps[round]);
        let spent = per(start, plan.writes);
        assert_eq!(count, plan.writes, "{}", ENTRANTS[who].0);
        spent
    });
    rows.push(Row { operation: "insert+remove", entries: n, passes });
    drop(maps);

    eprintln!("{n} entries: insert, remove");
    let mut victims = present.clone();
    Rng::new(2).shuffle(&mut victims);
    let count = plan.writes.div_ceil(n);
    let mut emptying = Passes::default();
    let filling = interleave(plan.rounds, |_, who| {
        let mut maps: Vec<_> = (0..count).map(|_| ENTRANTS[who].1()).collect();
        let start = Instant::now();
        let replaced: usize = maps.iter_mut().map(|map| map.insert(&present)).sum();
        let spent = per(start, count * n);
        let start = Instant::now();
        let removed: usize = maps.iter_mut().map(|map| map.remove(&victims)).sum();
        emptying[who].push(per(start, count * n));
        assert_eq!((replaced, removed), (0, count * n), "{}", ENTRANTS[who].0);
        spent
    });
    for (operation, passes) in [("insert", filling), ("remove", emptying)] {
        rows.push(Row { operation, entries: n, passes });
    }
}

/// One pass a map and round; the map that starts moves on by one each round.
fn interleave(rounds: usize, mut pass: impl FnMut(usize, usize) -> f64) -> Passes {
    let mut passes = Passes::default();
    for round in 0..rounds {
        for turn in 0..ENTRANTS.len() {
            let who = (round + turn) % ENTRANTS.len();
            passes[who].push(pass(round, who));
        }
    }
    passes
}

fn per(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / operations as f64
}

/// The quartile (0 to 4) of some numbers.
fn quartile(numbers: &[f64], which: usize) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * which / 4]
}

fn print(plan: &Plan, rows: &[Row]) {
    println!(
        "\n{} interleaved rounds; ns per operation, median; \
         ratios below 1: evanesce is faster [quartiles]\n",
        plan.rounds
    );
    println!(
        "| operation | entries | evanesce | +ttl | papaya | dashmap \
         | std (no sync) | / papaya | / dashmap |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows {
        print!("| {} | {} |", row.operation, row.entries);
        for passes in &row.passes {
            print!(" {:.1} |", quartile(passes, 2));
        }
        for peer in THEIRS {
            let ratios: Vec<f64> = row.passes[OURS]
                .iter()
                .zip(&row.passes[peer])
                .map(|(us, them)| us / them)
                .collect();
            print!(
                " {:.2} [{:.2}-{:.2}] |",
                quartile(&ratios, 2),
                quartile(&ratios, 1),
                quartile(&ratios, 3)
            );
        }
        println!();
    }
}
