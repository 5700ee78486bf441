//! The rows: what each is called, how long it takes, and what measures it.

mod bounds;
mod deadlines;
pub(crate) mod footprint;
pub(crate) mod growth;
mod hits;
mod lags;
mod limits;
mod loads;
mod origin;
mod prices;
mod reads;
pub(crate) mod scaling;
mod sweeps;
pub(crate) mod swings;
pub(crate) mod tails;
mod traces;
mod walks;
pub(crate) mod writes;

use std::fmt::Display;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::{Results, Run, Stop, no_parts, say};
use crate::keys::{Key, keys};
use crate::maps::{self, Peer};
use crate::measure::{Latencies, watch};
use crate::options::Mode;
use crate::results::{Against, Case, IDLE, Measured, Target, Verdict};

/// What is measured by one child, under one name or two.
pub(crate) struct Row {
    pub(crate) ids: &'static [&'static str],
    pub(crate) title: &'static str,
    /// Expected seconds of a full run and of a quick one, for the bar and the limit.
    seconds: [u64; 2],
    pub(crate) measure: fn(&Run) -> Result<Results, Stop>,
    /// Measures a part in a process of its own.
    pub(crate) alone: fn(&Run, &str) -> Result<Value, Stop>,
}

const fn row(
    ids: &'static [&'static str],
    title: &'static str,
    seconds: [u64; 2],
    measure: fn(&Run) -> Result<Results, Stop>,
) -> Row {
    Row { ids, title, seconds, measure, alone: no_parts }
}

pub(crate) const ALL: &[Row] = &[
    row(&["R1"], "Hit under a held guard, small maps, one and two threads", [25, 3], reads::small),
    row(&["R2"], "Hit, 1M and 4M entries, uniform, one and two threads", [150, 40], reads::large),
    row(&["R3"], "Hit, Zipf 0.99 over 1M entries, one and two threads", [40, 8], reads::unequal),
    row(&["R4"], "get_many of 16, 1M entries, uniform", [15, 4], reads::many),
    row(&["R5"], "Hit with a deadline on each entry", [120, 20], deadlines::measure),
    row(&["R6"], "Miss, 1k to 1M entries", [30, 8], reads::misses),
    row(&["R7"], "Hit with string keys of 16 to 32 bytes, Zipf over 1M", [110, 20], reads::strings),
    row(&["W1", "W2"], "Inserts from 0 to 8M, no capacity given", [420, 15], growth::measure),
    row(&["W3"], "Overwrites over 1M, one writer beside one reader", [100, 12], writes::overwrite),
    row(&["W4"], "Churn over 1M: a fresh key in, a random old one out", [30, 8], writes::churn),
    row(&["W5"], "Overwrites by one thread, 100k and 1M entries", [40, 8], writes::overwrite_alone),
    row(&["W6"], "A fill to 1M and 8M, no capacity given", [150, 8], growth::fill),
    row(&["WALK"], "A walk over 1M entries", [15, 5], walks::measure),
    row(&["T1"], "Reads while half of 2M entries expire at one instant", [120, 12], tails::expiry),
    row(&["T2"], "Reads with 4 readers and 4 writers", [110, 10], tails::crowd),
    Row {
        alone: footprint::entries_alone,
        ..row(&["M1"], "Memory of an entry", [70, 20], footprint::entries)
    },
    Row {
        alone: footprint::survivors_alone,
        ..row(&["M2"], "Memory after 95 % of 5M have expired", [460, 30], footprint::survivors)
    },
    Row {
        alone: swings::measure_alone,
        ..row(&["SWING"], "Three swings between 5M entries and 250k", [110, 25], swings::measure)
    },
    row(&["S1"], "A sweep with nothing due, 1M and 10M entries", [20, 3], sweeps::nothing_due),
    row(&["S2"], "A sweep with everything due, 1M and 10M entries", [120, 5], sweeps::all_due),
    row(&["S3"], "Reclaim lag while a million entries a second expire", [70, 12], lags::measure),
    Row { alone: origin::part, ..row(&["K1"], "The origin's table", [400, 12], origin::measure) },
    row(
        &["TRACES"],
        "Recorded requests through a read-through cache, two threads",
        [100, 15],
        traces::measure,
    ),
    row(&["B1"], "Hit ratio with room for 1 % and 10 % of the keys", [60, 20], hits::measure),
    row(
        &["B2"],
        "A read-through cache of 100k entries, a quarter of the requests never again, two threads",
        [90, 15],
        bounds::measure,
    ),
    row(&["L1"], "Requests that load, or wait for another's load", [60, 10], loads::measure),
    row(
        &["RMW"],
        "A rate limiter over 100k clients, one and two threads",
        [60, 8],
        limits::measure,
    ),
    row(&["SIZES"], "Hit in maps of 1k to 10M entries", [70, 5], scaling::sizes),
    row(&["SCALE"], "Hits by 1 to 8 threads, 100k entries", [40, 6], scaling::scale),
    row(&["PRICES"], "What each step of a get costs", [30, 6], prices::measure),
];

impl Row {
    pub(crate) fn name(&self) -> String {
        self.ids.join("+")
    }

    /// How long this should take.
    pub(crate) fn expected(&self, mode: Mode) -> Duration {
        Duration::from_secs(match mode {
            Mode::Full => self.seconds[0],
            Mode::Quick => self.seconds[1],
            Mode::Smoke => 1,
        })
    }
}

/// A target of a case: of whom, against whom, and what.
type Aim = (&'static str, Against, Target);

impl Measured {
    /// A case, and what comes of its targets. Each entrant of the older build is compared with the same of
    /// the present one, target or not.
    fn add(&mut self, case: Case, targets: &[Aim]) {
        let judge = |(us, against, target): &Aim| case.judge(us, *against, *target);
        let verdicts: Vec<Verdict> = targets.iter().filter_map(judge).collect();
        let judged = |older: &str| verdicts.iter().any(|verdict| verdict.against == older);
        let told: Vec<Verdict> = (maps::OLDER.iter())
            .filter(|(_, older)| case.compared && !judged(older))
            .filter_map(|(ours, older)| case.judge(ours, Against::Peer(older), Target::TOLD))
            .collect();
        self.verdicts.extend(verdicts.into_iter().chain(told));
        self.cases.push(case);
    }

    fn parameter(&mut self, name: &str, value: impl Display) {
        self.parameters.insert(name.into(), value.to_string());
    }

    /// Leaves something out, aloud.
    fn skip(&mut self, what: &str, why: &str) {
        let line = format!("{what}: {why}");
        say(&format!("SKIPPED: {line}"));
        self.skipped.push(line);
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// Maps with the first `n` keys, put by one thread without a capacity given.
fn filled<K: Key>(names: &[&str], n: usize) -> Result<Vec<Box<dyn Peer<K>>>, Stop> {
    filled_by(names, n, maps::new)
}

/// The same with maps that `new` makes.
fn filled_by<K: Key>(
    names: &[&str],
    n: usize,
    new: impl Fn(&str) -> Box<dyn Peer<K>>,
) -> Result<Vec<Box<dyn Peer<K>>>, Stop> {
    let present: Vec<K> = keys(0..n);
    let fill = |name: &&str| {
        let map = new(name);
        map.insert(&present);
        holds(&*map, name, &present)?;
        Ok(map)
    };
    names.iter().map(fill).collect()
}

/// That a map has all of these keys.
fn holds<K>(map: &dyn Peer<K>, name: &str, keys: &[K]) -> Result<(), Stop> {
    match map.get(keys) {
        found if found == keys.len() => Ok(()),
        found => Err(Stop::Fail(format!("{name} has {found} of {} keys", keys.len()))),
    }
}

/// Lets a thread for each order `work` on it, all at once. Says how many million keys were worked on a second, from
/// when the first thread begins to when the last is done, and the sum of what was answered.
fn throughput(orders: &[Vec<u64>], work: impl Fn(&[u64]) -> usize + Sync) -> (f64, usize) {
    let ready = Barrier::new(orders.len());
    let keys: usize = orders.iter().map(Vec::len).sum();
    let one = |order: &[u64]| {
        ready.wait();
        let start = Instant::now();
        let answer = work(order);
        (start, Instant::now(), answer)
    };
    let told: Vec<(Instant, Instant, usize)> = thread::scope(|scope| {
        let threads: Vec<_> = orders.iter().map(|order| scope.spawn(|| one(order))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    });
    let start = told.iter().map(|(start, ..)| *start).min().expect("there is a thread");
    let end = told.iter().map(|(_, end, _)| *end).max().expect("there is a thread");
    let answers = told.iter().map(|(.., answer)| answer).sum();
    (keys as f64 / (end - start).as_secs_f64() / 1e6, answers)
}

/// What readers beside writers have seen, and how much all have done.
struct Together {
    reads_per_second: f64,
    writes_per_second: f64,
    latencies: Latencies,
}

/// Lets readers and writers loose on one map for a while. Each gets its own keys.
fn together(
    name: &str,
    map: &dyn Peer<u64>,
    time: Duration,
    readers: &[Vec<u64>],
    writers: &[Vec<u64>],
    removing: bool,
) -> Together {
    let stop = AtomicBool::new(false);
    let ready = Barrier::new(readers.len() + writers.len() + 1);
    let idle = name == IDLE;
    let stopped = |_: Duration| stop.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let reading: Vec<_> = (readers.iter())
            .map(|keys| {
                scope.spawn(|| {
                    let mut latencies = Latencies::new();
                    ready.wait();
                    if idle {
                        watch(&mut latencies, stopped);
                    } else {
                        map.read_until(keys, &stop, &mut latencies);
                    }
                    latencies
                })
            })
            .collect();
        let writing: Vec<_> = (writers.iter())
            .map(|keys| {
                scope.spawn(|| {
                    ready.wait();
                    if idle {
                        watch(&mut Latencies::new(), stopped);
                        0
                    } else {
                        map.write_until(keys, &stop, removing)
                    }
                })
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let seconds = start.elapsed().as_secs_f64();
        let mut latencies = Latencies::new();
        for thread in reading {
            latencies.add(&thread.join().expect("readers do not panic"));
        }
        let calls: u64 =
            writing.into_iter().map(|thread| thread.join().expect("writers do not panic")).sum();
        Together {
            reads_per_second: latencies.count() as f64 / seconds,
            writes_per_second: calls as f64 / seconds,
            latencies,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::{BEFORE, BEFORE_TTL, EVANESCE, EVANESCE_TTL};

    /// Whom a case of these entrants is compared with, given a target against the older build.
    fn compared(entrants: &[&str]) -> Vec<(String, Option<f64>)> {
        let passes: Vec<Vec<f64>> = entrants.iter().map(|_| vec![1.0]).collect();
        let mut measured = Measured::default();
        let target = (EVANESCE, Against::Peer(BEFORE), Target::must(0.8));
        measured.add(Case::new("hit", "ns", entrants, &passes, |ns| *ns), &[target]);
        measured.verdicts.into_iter().map(|verdict| (verdict.against, verdict.must)).collect()
    }

    #[test]
    fn older_build_is_compared_once_where_it_took_part() {
        let with = [EVANESCE, BEFORE, EVANESCE_TTL, BEFORE_TTL];
        assert_eq!(compared(&with), [(BEFORE.into(), Some(0.8)), (BEFORE_TTL.into(), None)]);
        assert!(compared(&[EVANESCE, EVANESCE_TTL]).is_empty());
    }
}
