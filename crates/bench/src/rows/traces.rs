//! TRACES: recorded requests through a read-through cache: get, and on a miss put with a TTL.
//!
//! The traces carry no TTLs, so each key gets one by the shares that were published for production
//! caches (Twitter, OSDI 2020). A pass goes round and round its trace for a fixed time, into which the
//! TTLs are compressed, so that the median entry expires about ten times a pass.

pub(super) mod read;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::read::{ABSENT, SCARAB, SPRITE, Trace, UNKNOWN, WEB, folder};
use crate::keys::key;
use crate::maps::{DASHMAP, EVANESCE, Expiring, MOKA, PAPAYA, expiring};
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

const THREADS: usize = 2;
/// Requests that a thread takes at once, in order.
const DEAL: usize = 64;
/// The median TTL's share of a pass.
const MEDIAN: f64 = 0.1;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// TTLs in seconds and their shares; what they lack to 1 never expires.
type Mix = &'static [(f64, f64)];
const CLUSTER_4: Mix = &[
    (MINUTE, 0.39),
    (5.0 * MINUTE, 0.24),
    (10.0 * MINUTE, 0.12),
    (HOUR, 0.13),
    (4.0 * HOUR, 0.09),
];
const CLUSTER_37: Mix = &[(20.0, 0.91), (5.0 * MINUTE, 0.06), (2.0 * HOUR, 0.02)];
const CLUSTER_52: Mix = &[(12.0 * HOUR, 0.07), (DAY, 0.65), (14.0 * DAY, 0.27)];

/// A trace, and the TTLs that it gets.
const TRACES: [(Trace, Mix, &str); 3] = [
    (WEB, CLUSTER_4, "cluster 4"),
    (SPRITE, CLUSTER_37, "cluster 37"),
    (SCARAB, CLUSTER_52, "cluster 52"),
];

/// What a pass saw.
struct Pass {
    requests_per_second: f64,
    hits: f64,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    const ENTRANTS: [&str; 4] = [EVANESCE, MOKA, PAPAYA, DASHMAP];
    let folder = folder(run).ok_or_else(|| Stop::Skip(UNKNOWN.into()))?;
    let rounds = run.pick(5, 1, 1);
    let time = Duration::from_millis(run.pick(1_000, 700, 20));
    let mut measured = Measured::default();
    measured.parameter("threads", THREADS);
    measured.parameter("rounds", rounds);
    measured.parameter("seconds a round", time.as_secs_f64());
    measured.note(
        "papaya and dashmap carry the deadline in the value and check it by hand; nothing clears them. \
         evanesce sweeps with its writes and a `Sweeper`, moka on its own. A faster cache sends more \
         requests into the same lifetimes, and so has more hits.",
    );
    run.expect(TRACES.len() * rounds * ENTRANTS.len());
    for (trace, mix, cluster) in TRACES {
        let (file, what) = (trace.file, trace.what);
        let Some(requests) = trace.read(folder)? else {
            measured.skip(file, ABSENT);
            continue;
        };
        let ttls = Ttls::new(mix, time);
        let passes = interleave(run, file, &ENTRANTS, rounds, |_, who| {
            Ok(Some(replay(&*expiring(ENTRANTS[who]), &requests, &ttls, time)))
        })?;
        measured.parameter(file, format!("{what}, {} requests, TTLs of {cluster}", requests.len()));
        let rate = |pass: &Pass| pass.requests_per_second / 1e6;
        let case = Case::new(format!("{file}, requests"), "M/s", &ENTRANTS, &passes, rate);
        measured.add(case, &[(EVANESCE, Against::Peer(MOKA), Target::TOLD.at_least())]);
        let hits = |pass: &Pass| pass.hits * 100.0;
        let case = Case::new(format!("{file}, hits"), "%", &ENTRANTS, &passes, hits);
        measured.add(case.only_told(), &[]);
    }
    if measured.cases.is_empty() {
        return Err(Stop::Skip("no trace in the folder of traces".into()));
    }
    Ok(vec![("TRACES", measured)])
}

fn replay(map: &dyn Expiring, requests: &[u64], ttls: &Ttls, time: Duration) -> Pass {
    let stop = AtomicBool::new(false);
    let cursor = AtomicUsize::new(0);
    let ready = Barrier::new(THREADS + 1);
    let one = || {
        let (mut count, mut hits) = (0_u64, 0_u64);
        ready.wait();
        while !stop.load(Ordering::Relaxed) {
            // Relaxed: the cursor only hands out places; the requests themselves never change.
            let first = cursor.fetch_add(DEAL, Ordering::Relaxed) % requests.len();
            for key in requests.iter().skip(first).take(DEAL) {
                hits += u64::from(map.request(*key, ttls.of(*key)));
                count += 1;
            }
        }
        (count, hits)
    };
    let (seconds, sums) = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        ready.wait();
        let start = Instant::now();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let sums = threads.into_iter().map(|thread| thread.join().expect("a reader panicked"));
        let sums = sums.fold((0, 0), |(count, hits), (more, also)| (count + more, hits + also));
        (start.elapsed().as_secs_f64(), sums)
    });
    let (count, hits) = sums;
    Pass { requests_per_second: count as f64 / seconds, hits: hits as f64 / count.max(1) as f64 }
}

/// How long values live, compressed into a pass.
struct Ttls {
    shares: Vec<(Duration, f64)>,
}

impl Ttls {
    fn new(mix: Mix, pass: Duration) -> Self {
        let median = median(mix);
        let compressed = |ttl: f64| pass.mul_f64(MEDIAN * ttl / median);
        Self { shares: mix.iter().map(|(ttl, share)| (compressed(*ttl), *share)).collect() }
    }

    /// The TTL of a key: always the same, and drawn by the shares.
    fn of(&self, of: u64) -> Duration {
        const NEVER: Duration = Duration::from_secs(3600);
        let mut point = key(of as usize) as f64 / u64::MAX as f64;
        for (ttl, share) in &self.shares {
            if point < *share {
                return *ttl;
            }
            point -= share;
        }
        NEVER
    }
}

/// The TTL below which half of what expires lies; the TTLs are in order.
fn median(mix: Mix) -> f64 {
    let half = mix.iter().map(|(_, share)| share).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let middle = mix.iter().find(|(_, share)| {
        below += share;
        below >= half
    });
    middle.map_or(1.0, |(ttl, _)| *ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // whole seconds
    fn ttls_follow_their_shares_and_the_median_is_a_tenth_of_the_pass() {
        assert_eq!(median(CLUSTER_4), 300.0);
        assert_eq!(median(CLUSTER_37), 20.0);
        let ttls = Ttls::new(CLUSTER_4, Duration::from_secs(10));
        let drawn: Vec<Duration> = (0..10_000).map(|key| ttls.of(key)).collect();
        let share = |ttl: Duration| drawn.iter().filter(|drawn| **drawn == ttl).count();
        assert!((3_700..4_100).contains(&share(Duration::from_millis(200))));
        assert!((2_200..2_600).contains(&share(Duration::from_secs(1))));
        assert_eq!(ttls.of(7), ttls.of(7));
    }
}
