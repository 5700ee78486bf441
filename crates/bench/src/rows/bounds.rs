//! B2: what a map with a bound does a second.

use std::hint::black_box;

use super::common::throughput;
use crate::keys::Scans;
use crate::maps::{Bounded, EVANESCE, MOKA, QUICK_CACHE, bounded};
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

const ENTRANTS: [&str; 3] = [EVANESCE, QUICK_CACHE, MOKA];
const THREADS: u64 = 2;
/// Keys that are asked for again, for each entry that there is room for.
const KEYS_PER_ENTRY: usize = 4;
const EXPONENT: f64 = 0.9;
/// One request in so many is for a key that no other asks for.
const FRESH: usize = 4;

/// What a pass saw.
struct Pass {
    /// Million requests a second.
    rate: f64,
    hits: f64,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let room = run.pick(100_000, 100_000, 1_000);
    let count = run.pick(1_000_000, 500_000, 10_000);
    let rounds = run.pick(7, 1, 1);
    let mut scans = Scans::new(room * KEYS_PER_ENTRY, EXPONENT, FRESH);
    let before = scans.stream(count, 0);
    let orders: Vec<Vec<u64>> = (1..=THREADS).map(|seed| scans.stream(count, seed)).collect();
    let mut measured = Measured::default();
    measured.parameter("room, entries", room);
    measured.parameter("keys of the Zipf stream", room * KEYS_PER_ENTRY);
    measured.parameter("exponent", EXPONENT);
    measured.parameter("threads", THREADS);
    measured.parameter("requests of a thread", count);
    measured.parameter("rounds", rounds);
    measured.note(format!(
        "One request in {FRESH} is for a key that no other request asks for. Read-through: get, and on a miss insert; \
         a fresh map a pass, through which one thread has sent as many requests before the clock starts. \
         Reads alone: the same requests, without the insert, on a map filled in that way.",
    ));
    let full = |name: &str| {
        let map = bounded(name, room);
        map.request(&before);
        map
    };
    run.expect(2 * rounds * ENTRANTS.len());
    let requests: usize = orders.iter().map(Vec::len).sum();
    let pass = |(rate, hits): (f64, usize)| Pass { rate, hits: hits as f64 / requests as f64 };

    let name = "read-through, two threads";
    let passes = interleave(run, name, &ENTRANTS, rounds, |_, who| {
        let map = full(ENTRANTS[who]);
        let told = pass(throughput(&orders, |order| map.request(order)));
        keeps_bound(&*map, ENTRANTS[who], room)?;
        Ok(Some(told))
    })?;
    let quick_cache = (EVANESCE, Against::Peer(QUICK_CACHE));
    let moka = (EVANESCE, Against::Peer(MOKA), Target::TOLD.at_least());
    let target = Target::must(0.8).and_aim(1.0).at_least();
    add(&mut measured, name, &passes, &[(quick_cache.0, quick_cache.1, target), moka]);

    let name = "reads alone, two threads";
    let maps = ENTRANTS.map(full);
    let passes = interleave(run, name, &ENTRANTS, rounds, |_, who| {
        let map = &maps[who];
        black_box(map.get(&orders[0][..orders[0].len() / 8])); // warms the caches
        Ok(Some(pass(throughput(&orders, |order| map.get(order)))))
    })?;
    let target = Target::must(2.0).at_least();
    add(&mut measured, name, &passes, &[(quick_cache.0, quick_cache.1, target), moka]);
    Ok(vec![("B2", measured)])
}

/// The rate, and of how many requests the key was there.
fn add(measured: &mut Measured, name: &str, passes: &[Vec<Pass>], targets: &[super::common::Aim]) {
    measured.add(Case::new(name, "M/s", &ENTRANTS, passes, |pass| pass.rate), targets);
    let hits = format!("{name}, hits");
    let case = Case::new(hits, "%", &ENTRANTS, passes, |pass| pass.hits * 100.0);
    measured.add(case.only_told(), &[]);
}

/// That there are no more entries than there is room for; shards of `quick_cache` round theirs up.
fn keeps_bound(map: &dyn Bounded, name: &str, room: usize) -> Result<(), Stop> {
    let most = if name == EVANESCE { room } else { room + room / 10 };
    match map.entries() {
        entries if (room / 2..=most).contains(&entries) => Ok(()),
        entries => Err(Stop::Fail(format!("{name} has {entries} entries, with room for {room}"))),
    }
}
