//! R1 to R4, R6 and R7: lookups under one held guard, in a stream of independent ones.
//!
//! Time a lookup in a stream, not the latency of one alone. The order is computed before the clock
//! starts, and an eighth of it warms the caches, which hold the map of the pass before.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::common::{Aim, filled};
use crate::keys::{Hot, Key, Rng, keys, zipf};
use crate::maps::{
    self, BEFORE, DASHMAP, EVANESCE, EVANESCE_MANY, MANY, MOKA, PAPAYA, Peer, SCC_INDEX, SCC_MAP,
    entrants,
};
use crate::measure::per;
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The entries of a large map.
pub(super) fn million(run: &Run) -> usize {
    run.pick(1_000_000, 1_000_000, 2_000)
}

/// The lookups of one pass.
pub(super) fn count(run: &Run) -> usize {
    run.pick(1 << 20, 1 << 19, 1 << 10)
}

/// R1.
pub(super) fn small(run: &Run) -> Result<Results, Stop> {
    let entrants = maps::read();
    let sizes = [
        (1_000, "1k", Target::must(0.8)),
        (run.pick(10_000, 10_000, 1_000), "10k", Target::TOLD),
        (run.pick(100_000, 100_000, 1_000), "100k", Target::must(1.0)),
    ];
    let mut measured = Measured::default();
    described(run, &mut measured);
    run.expect(2 * sizes.len() * run.rounds() * entrants.len());
    for (n, size, papaya) in sizes {
        let maps = filled::<u64>(&entrants, n)?;
        let targets = [
            (EVANESCE, Against::Peer(PAPAYA), papaya),
            (EVANESCE, Against::Peer(SCC_INDEX), Target::must(1.3).and_aim(1.0)),
            (EVANESCE, Against::Peer(BEFORE), Target::must(0.75)),
        ];
        let orders = uniform(run, n);
        let name = format!("hit, {size}");
        let case = looked_up(run, &name, &entrants, &maps, &orders[0], count(run))?;
        measured.add(case, &targets);
        let case = looked_up_by_many(run, &by_two(&name), &entrants, &maps, &orders)?;
        measured.add(case, &[]);
    }
    Ok(vec![("R1", measured)])
}

/// R2.
pub(super) fn large(run: &Run) -> Result<Results, Stop> {
    let with_moka: Vec<&str> = maps::read().into_iter().chain([MOKA]).collect();
    // moka would take most of the time that it takes to fill the larger ones.
    let sizes = [
        (million(run), "1M", with_moka, Target::must(1.0)),
        (4 * million(run), "4M", maps::read(), Target::TOLD),
    ];
    let mut measured = Measured::default();
    described(run, &mut measured);
    let passes: usize = sizes.iter().map(|(_, _, entrants, _)| 2 * entrants.len()).sum();
    run.expect(run.rounds() * passes);
    for (n, size, entrants, papaya) in sizes {
        let maps = filled::<u64>(&entrants, n)?;
        let orders = uniform(run, n);
        let name = format!("hit, {size} uniform");
        let case = looked_up(run, &name, &entrants, &maps, &orders[0], count(run))?;
        measured.add(case, &large_targets(papaya));
        let case = looked_up_by_many(run, &by_two(&name), &entrants, &maps, &orders)?;
        measured.add(case, &TARGETS_BY_TWO);
    }
    Ok(vec![("R2", measured)])
}

/// R3.
pub(super) fn unequal(run: &Run) -> Result<Results, Stop> {
    let entrants = maps::read();
    let n = million(run);
    let mut measured = Measured::default();
    described(run, &mut measured);
    measured.note(HOT_NOTE);
    run.expect(2 * HOT.len() * run.rounds() * entrants.len());
    let maps = filled::<u64>(&entrants, n)?;
    for (hot, name) in HOT {
        let orders = [zipf(n, count(run), hot, 1), zipf(n, count(run), hot, 2)];
        let one = format!("Zipf, {name}, one thread");
        let case = looked_up(run, &one, &entrants, &maps, &orders[0], count(run))?;
        let [before, papaya, dashmap, written] = large_targets(Target::must(1.3));
        let best = (EVANESCE, Against::Best, Target::aim(1.0));
        measured.add(case, &[before, papaya, dashmap, best, written]);
        let name = format!("Zipf, {name}");
        let case = looked_up_by_many(run, &by_two(&name), &entrants, &maps, &orders)?;
        measured.add(case, &TARGETS_BY_TWO);
    }
    Ok(vec![("R3", measured)])
}

const HOT: [(Hot, &str); 3] =
    [(Hot::Scattered, "scattered"), (Hot::First, "hot first"), (Hot::Last, "hot last")];
const HOT_NOTE: &str = "Scattered: the hot keys were inserted anywhere among the others; hot first and hot last: \
     before or behind all others. Tables with open addressing give first comers the best places.";

/// Of one thread in maps that no cache holds.
fn large_targets(papaya: Target) -> [Aim; 4] {
    [
        (EVANESCE, Against::Peer(BEFORE), Target::must(0.85)),
        (EVANESCE, Against::Peer(PAPAYA), papaya),
        (EVANESCE, Against::Peer(DASHMAP), Target::must(1.15).and_aim(1.0)),
        (EVANESCE, Against::BestWritten, Target::aim(1.0)),
    ]
}

/// Of two threads there.
const TARGETS_BY_TWO: [Aim; 5] = [
    (EVANESCE, Against::Peer(PAPAYA), Target::must(1.0)),
    (EVANESCE, Against::Peer(DASHMAP), Target::must(1.0)),
    (EVANESCE, Against::Peer(SCC_INDEX), Target::must(1.1)),
    (EVANESCE, Against::Best, Target::aim(1.0)),
    (EVANESCE, Against::BestWritten, Target::TOLD),
];

fn by_two(name: &str) -> String {
    format!("{name}, two threads")
}

/// An order for each of two threads, every key of `n` as likely.
fn uniform(run: &Run, n: usize) -> [Vec<u64>; 2] {
    [1, 2].map(|seed| Rng::new(seed).draws(n, count(run)))
}

/// R4.
pub(super) fn many(run: &Run) -> Result<Results, Stop> {
    let entrants = entrants(&[EVANESCE_MANY, EVANESCE, PAPAYA, DASHMAP, SCC_INDEX]);
    let n = million(run);
    let mut measured = Measured::default();
    described(run, &mut measured);
    measured.parameter("keys at once", MANY);
    measured
        .note("Only `evanesce get_many` is asked for many keys at once, the others one by one.");
    run.expect(run.rounds() * entrants.len());
    let maps = filled::<u64>(&entrants, n)?;
    let order = Rng::new(1).draws(n, count(run));
    let case = looked_up(run, "hit, 1M uniform, a key", &entrants, &maps, &order, order.len())?;
    let target = Target::must(0.6).and_aim(0.5);
    measured.add(case, &[(EVANESCE_MANY, Against::Peer(DASHMAP), target)]);
    Ok(vec![("R4", measured)])
}

/// The nanoseconds of one reading of the clock, in a stream of them.
pub(super) fn readings(count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        black_box(Instant::now());
    }
    per(start, count)
}

/// R6.
pub(super) fn misses(run: &Run) -> Result<Results, Stop> {
    let entrants = maps::read();
    let best = (EVANESCE, Against::Best, Target::aim(1.0));
    let before = |most| (EVANESCE, Against::Peer(BEFORE), Target::must(most));
    let sizes: [(usize, &str, &[Aim]); 3] = [
        (1_000, "1k", &[before(0.35), best]),
        (run.pick(100_000, 100_000, 1_000), "100k", &[before(0.3), best]),
        (
            million(run),
            "1M",
            &[
                before(0.5),
                (EVANESCE, Against::Peer(DASHMAP), Target::aim(1.2)),
                (EVANESCE, Against::Peer(PAPAYA), Target::must(0.8)),
                (EVANESCE, Against::BestOf(&[SCC_MAP, SCC_INDEX]), Target::aim(1.0)),
            ],
        ),
    ];
    let mut measured = Measured::default();
    described(run, &mut measured);
    run.expect(sizes.len() * run.rounds() * entrants.len());
    for (n, size, targets) in sizes {
        let maps = filled::<u64>(&entrants, n)?;
        let absent = keys(n..n + count(run));
        let case = looked_up(run, &format!("miss, {size}"), &entrants, &maps, &absent, 0)?;
        measured.add(case, targets);
    }
    Ok(vec![("R6", measured)])
}

/// R7.
pub(super) fn strings(run: &Run) -> Result<Results, Stop> {
    let entrants = maps::read();
    let n = million(run);
    let mut measured = Measured::default();
    described(run, &mut measured);
    measured
        .note("Lookups bring a `&str` of equal content that lies elsewhere than the map's key.");
    measured.note(HOT_NOTE);
    run.expect(2 * HOT.len() * run.rounds() * entrants.len());
    let maps = filled::<String>(&entrants, n)?;
    for (hot, name) in HOT {
        let papaya = match hot {
            Hot::Scattered => Target::must(1.1).and_aim(1.0),
            Hot::First | Hot::Last => Target::must(1.0),
        };
        let targets = [
            (EVANESCE, Against::Peer(BEFORE), Target::must(0.8)),
            (EVANESCE, Against::Peer(PAPAYA), papaya),
            (EVANESCE, Against::Best, Target::aim(1.0)),
            (EVANESCE, Against::BestWritten, Target::TOLD),
        ];
        let orders = [zipf(n, count(run), hot, 1), zipf(n, count(run), hot, 2)];
        let name = format!("hit, String, Zipf over 1M, {name}");
        let case = looked_up(run, &name, &entrants, &maps, &orders[0], count(run))?;
        measured.add(case, &targets);
        let case = looked_up_by_many(run, &by_two(&name), &entrants, &maps, &orders)?;
        measured.add(case, &[]);
    }
    Ok(vec![("R7", measured)])
}

pub(super) fn described(run: &Run, measured: &mut Measured) {
    measured.parameter("rounds", run.rounds());
    measured.parameter("lookups a pass", count(run));
}

/// One thread's nanoseconds a lookup, of which `found` must be hits.
pub(super) fn looked_up<K: Key>(
    run: &Run,
    name: &str,
    entrants: &[&str],
    maps: &[Box<dyn Peer<K>>],
    order: &[K],
    found: usize,
) -> Result<Case, Stop> {
    let passes = interleave(run, name, entrants, run.rounds(), |_, who| {
        maps[who].get(&order[..order.len() / 8]);
        let start = Instant::now();
        let hits = maps[who].get(order);
        let spent = per(start, order.len());
        if hits == found {
            Ok(Some(spent))
        } else {
            Err(Stop::Fail(format!("{name}: {} found {hits} of {found}", entrants[who])))
        }
    })?;
    Ok(Case::new(name, "ns", entrants, &passes, |ns| *ns))
}

/// The same by several threads, each with its own order.
fn looked_up_by_many<K: Key>(
    run: &Run,
    name: &str,
    entrants: &[&str],
    maps: &[Box<dyn Peer<K>>],
    orders: &[Vec<K>],
) -> Result<Case, Stop> {
    let passes = interleave(run, name, entrants, run.rounds(), |_, who| {
        maps[who].get(&orders[0][..orders[0].len() / 8]);
        by_many(name, entrants[who], &*maps[who], orders).map(Some)
    })?;
    Ok(Case::new(name, "ns", entrants, &passes, |ns| *ns))
}

/// The nanoseconds a lookup takes each of some threads that begin together, on average. All are hits.
pub(super) fn by_many<K: Key>(
    name: &str,
    who: &str,
    map: &dyn Peer<K>,
    orders: &[Vec<K>],
) -> Result<f64, Stop> {
    let ready = Barrier::new(orders.len());
    let one = |order: &[K]| {
        ready.wait();
        let start = Instant::now();
        let hits = map.get(order);
        (hits, per(start, order.len()))
    };
    let (hits, spent) = thread::scope(|scope| {
        let (own, others) = orders.split_first().expect("there is a thread");
        let others: Vec<_> = others.iter().map(|order| scope.spawn(|| one(order))).collect();
        let own = one(own);
        let others = others.into_iter().map(|thread| thread.join().expect("a reader panicked"));
        others.fold(own, |(hits, spent), (more, ns)| (hits + more, spent + ns))
    });
    let all: usize = orders.iter().map(Vec::len).sum();
    if hits == all {
        Ok(spent / orders.len() as f64)
    } else {
        Err(Stop::Fail(format!("{name}: {who} found {hits} of {all}")))
    }
}
