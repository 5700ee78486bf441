//! RMW: a rate limiter, whose every decision reads what is there and writes what follows from it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::common::throughput;
use crate::keys::{Hot, keys, zipf};
use crate::maps::{DASHMAP, DASHMAP_TICKS, EVANESCE, EVANESCE_TICKS, GOVERNOR, limiter};
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

const ENTRANTS: [&str; 5] = [EVANESCE, EVANESCE_TICKS, DASHMAP, DASHMAP_TICKS, GOVERNOR];

/// So many requests in a window.
struct Limit {
    requests: u32,
    window: Duration,
    name: &'static str,
}

const UNREACHED: Limit =
    Limit { requests: 1_000_000_000, window: Duration::from_secs(60), name: "none refused" };
const LOW: Limit = Limit { requests: 100, window: Duration::from_secs(1), name: "100 a second" };

const THREADS: [(usize, &str); 2] = [(1, "one thread"), (2, "two threads")];

/// What a pass saw.
struct Pass {
    /// Million decisions a second.
    rate: f64,
    allowed: f64,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let clients = run.pick(100_000, 100_000, 1_000);
    let count = run.pick(1_000_000, 500_000, 10_000);
    let orders: Vec<Vec<u64>> =
        [1, 2].map(|seed| zipf(clients, count, Hot::Scattered, seed)).into();
    let mut measured = Measured::default();
    measured.parameter("clients", clients);
    measured.parameter("decisions of a thread", count);
    measured.parameter("rounds", run.rounds());
    measured.note(
        "Zipf over the clients, all of whom have been seen before the clock starts. None refused: a limit that no one \
         reaches in a minute, so that every decision writes. With a limit of 100 in a second most requests are of \
         clients that are over it, and the faster a limiter is, the more it refuses. `+ticks` judges windows by a word \
         that a thread sets every millisecond, dashmap else by `Instant::now()`. governor keeps no window; it has a \
         clock of its own.",
    );
    run.expect(2 * THREADS.len() * run.rounds() * ENTRANTS.len());
    let all: Vec<u64> = keys(0..clients);
    for limit in [UNREACHED, LOW] {
        let is_reached = limit.requests == LOW.requests;
        let requests = NonZeroU32::new(limit.requests).expect("it is not 0");
        let limiters = ENTRANTS.map(|name| limiter(name, requests, limit.window));
        for (limiter, name) in limiters.iter().zip(ENTRANTS) {
            expect(name, limiter.decide(&all), clients)?;
        }
        for (threads, by) in THREADS {
            let name = format!("{}, {by}", limit.name);
            let orders = &orders[..threads];
            let decisions = threads * count;
            let passes = interleave(run, &name, &ENTRANTS, run.rounds(), |_, who| {
                limiters[who].decide(&orders[0][..count / 8]); // warms the caches
                let (rate, allowed) = throughput(orders, |order| limiters[who].decide(order));
                if !is_reached {
                    expect(ENTRANTS[who], allowed, decisions)?;
                }
                Ok(Some(Pass { rate, allowed: allowed as f64 / decisions as f64 }))
            })?;
            let case = Case::new(&name, "M/s", &ENTRANTS, &passes, |pass| pass.rate);
            measured.add(case, &targets());
            if is_reached {
                let allowed = |pass: &Pass| pass.allowed * 100.0;
                let case = Case::new(name + ", allowed", "%", &ENTRANTS, &passes, allowed);
                measured.add(case.only_told(), &[]);
            }
        }
    }
    Ok(vec![("RMW", measured)])
}

fn targets() -> [super::common::Aim; 3] {
    let level = Target::must(1.0).at_least();
    [
        (EVANESCE, Against::Peer(DASHMAP), level),
        (EVANESCE_TICKS, Against::Peer(DASHMAP_TICKS), Target::TOLD.at_least()),
        (EVANESCE, Against::Peer(GOVERNOR), Target::TOLD.at_least()),
    ]
}

fn expect(name: &str, allowed: usize, of: usize) -> Result<(), Stop> {
    if allowed == of {
        Ok(())
    } else {
        Err(Stop::Fail(format!("{name} allowed {allowed} of {of} below the limit")))
    }
}
