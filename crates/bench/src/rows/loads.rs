//! L1: what a request costs that may have to load, or to wait for another's load.
//!
//! Processor time, not time: who waits well uses none. A waiter that spins shows here.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cpu_time::ThreadTime;

use crate::keys::{Rng, keys};
use crate::maps::{EVANESCE, Loading, MOKA, QUICK_CACHE, loading};
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

const ENTRANTS: [&str; 3] = [EVANESCE, QUICK_CACHE, MOKA];
/// Threads that ask for the same keys at a time.
const CROWD: usize = 8;
/// How long the loader of the crowd sleeps.
const ORIGIN: Duration = Duration::from_micros(200);

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let n = run.pick(100_000, 100_000, 1_000);
    let count = run.pick(1 << 20, 1 << 18, 1 << 10);
    let crowded = run.pick(2_000, 500, 20);
    let rounds = run.pick(7, 1, 1);
    let mut measured = Measured::default();
    measured.parameter("keys of hits and of loads", n);
    measured.parameter("hits a pass", count);
    measured.parameter("keys of the crowd", crowded);
    measured.parameter("threads of the crowd", CROWD);
    measured.parameter("rounds", rounds);
    measured.note(format!(
        "Processor time of all threads that ask, for each request. Hit: the key is there. Load: it is not, and nobody \
         else asks. Crowd: {CROWD} threads ask for the same fresh keys in the same order, and whoever loads sleeps for \
         {ORIGIN:?} as a slow origin would let it. A pass in which a key is loaded twice fails the row.",
    ));
    run.expect(3 * rounds * ENTRANTS.len());
    let present = keys(0..n);
    let instant = Loader::new(Duration::ZERO);

    let maps = ENTRANTS.map(|name| {
        let map = loading(name);
        instant.ask(&*map, &[&present]);
        map
    });
    let order = Rng::new(1).draws(n, count);
    let passes = interleave(run, "hit", &ENTRANTS, rounds, |_, who| {
        instant.spent(ENTRANTS[who], &*maps[who], &[&order], 0).map(Some)
    })?;
    drop(maps);
    measured.add(Case::new("hit", "ns", &ENTRANTS, &passes, |ns| *ns), &TARGETS);

    let passes = interleave(run, "load", &ENTRANTS, rounds, |_, who| {
        let map = loading(ENTRANTS[who]);
        instant.spent(ENTRANTS[who], &*map, &[&present], n).map(Some)
    })?;
    measured.add(Case::new("load", "ns", &ENTRANTS, &passes, |ns| *ns), &TARGETS);

    let slow = Loader::new(ORIGIN);
    let fresh: &[u64] = &present[..crowded];
    let passes = interleave(run, "crowd", &ENTRANTS, rounds, |_, who| {
        let map = loading(ENTRANTS[who]);
        slow.spent(ENTRANTS[who], &*map, &[fresh; CROWD], crowded).map(Some)
    })?;
    measured.add(Case::new("crowd", "ns", &ENTRANTS, &passes, |ns| *ns), &TARGETS);
    Ok(vec![("L1", measured)])
}

const TARGETS: [super::common::Aim; 2] = [
    (EVANESCE, Against::Peer(QUICK_CACHE), Target::TOLD),
    (EVANESCE, Against::Peer(MOKA), Target::TOLD),
];

/// What is asked for what is not there; it counts how often.
struct Loader {
    takes: Duration,
    loads: AtomicUsize,
}

impl Loader {
    fn new(takes: Duration) -> Self {
        Self { takes, loads: AtomicUsize::new(0) }
    }

    /// The processor time of a request, in nanoseconds, if so many are loads.
    fn spent(
        &self,
        name: &str,
        map: &dyn Loading,
        orders: &[&[u64]],
        loads: usize,
    ) -> Result<f64, Stop> {
        self.loads.store(0, Ordering::Relaxed);
        let spent = self.ask(map, orders);
        let requests: usize = orders.iter().map(|order| order.len()).sum();
        match self.loads.load(Ordering::Relaxed) {
            seen if seen == loads => Ok(spent.as_secs_f64() * 1e9 / requests as f64),
            seen => Err(Stop::Fail(format!("{name} loaded {seen} times, not {loads}"))),
        }
    }

    /// Lets a thread for each order ask; says how much processor time all took.
    fn ask(&self, map: &dyn Loading, orders: &[&[u64]]) -> Duration {
        let load = |key: u64| {
            self.loads.fetch_add(1, Ordering::Relaxed);
            if !self.takes.is_zero() {
                thread::sleep(self.takes);
            }
            !key
        };
        let ready = Barrier::new(orders.len());
        let one = |order: &[u64]| {
            ready.wait();
            let start = ThreadTime::now();
            map.ask(order, &load);
            start.elapsed()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = orders.iter().map(|order| scope.spawn(|| one(order))).collect();
            threads.into_iter().map(|thread| thread.join().expect("an asker panicked")).sum()
        })
    }
}
