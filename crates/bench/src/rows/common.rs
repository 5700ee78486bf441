//! What rows share: targets, full maps, and threads that work on one.

use std::fmt::Display;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::keys::{Key, keys};
use crate::maps::{self, Peer};
use crate::measure::{Latencies, watch};
use crate::results::{Against, Case, IDLE, Measured, Target, Verdict};
use crate::told::{Stop, say};

/// A target of a case: of whom, against whom, and what.
pub(super) type Aim = (&'static str, Against, Target);

impl Measured {
    /// A case, and what comes of its targets. Each entrant of the older build is compared with the same of
    /// the present one, target or not.
    pub(super) fn add(&mut self, case: Case, targets: &[Aim]) {
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

    pub(super) fn parameter(&mut self, name: &str, value: impl Display) {
        self.parameters.insert(name.into(), value.to_string());
    }

    /// Leaves something out, aloud.
    pub(super) fn skip(&mut self, what: &str, why: &str) {
        let line = format!("{what}: {why}");
        say(&format!("SKIPPED: {line}"));
        self.skipped.push(line);
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// Maps with the first `n` keys, put by one thread without a capacity given.
pub(super) fn filled<K: Key>(names: &[&str], n: usize) -> Result<Vec<Box<dyn Peer<K>>>, Stop> {
    filled_by(names, n, maps::new)
}

/// The same with maps that `new` makes.
pub(super) fn filled_by<K: Key>(
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
pub(super) fn holds<K>(map: &dyn Peer<K>, name: &str, keys: &[K]) -> Result<(), Stop> {
    match map.get(keys) {
        found if found == keys.len() => Ok(()),
        found => Err(Stop::Fail(format!("{name} has {found} of {} keys", keys.len()))),
    }
}

/// Lets a thread for each order `work` on it, all at once. Says how many million keys were worked on a second, from
/// when the first thread begins to when the last is done, and the sum of what was answered.
pub(super) fn throughput(
    orders: &[Vec<u64>],
    work: impl Fn(&[u64]) -> usize + Sync,
) -> (f64, usize) {
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
pub(super) struct Together {
    pub(super) reads_per_second: f64,
    pub(super) writes_per_second: f64,
    pub(super) latencies: Latencies,
}

/// Lets readers and writers loose on one map for a while. Each gets its own keys.
pub(super) fn together(
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
