//! T1 and T2: what a reader waits, at worst.
//!
//! A reader asks again as soon as it has its answer, so a long wait counts once, not for all the
//! requests that would have come meanwhile. Each latency includes a reading of the clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::common::{filled, together};
use super::reads::million;
use super::writes::merged;
use crate::keys::{Rng, keys};
use crate::maps::{
    DASHMAP, EVANESCE, EVANESCE_TICKS, Expiring, MOKA, PAPAYA, SCC_INDEX, SCC_MAP, SWEEP_INTERVAL,
    expiring,
};
use crate::measure::{Latencies, watch};
use crate::results::{Against, Case, Curve, IDLE, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The chart of T1.
pub(crate) const EXPIRY: &str = "expiry";
/// The chart of T2.
pub(crate) const CROWD: &str = "crowd";

/// evanesce in the same run, with deadlines that do not come.
const CALM: &str = "evanesce, nothing expires";
/// Equal, for two runs on one machine.
const EQUAL: f64 = 1.05;
/// The slow writer's rest after each insert.
const REST: Duration = Duration::from_micros(100);

/// A window around the instant at which entries expire.
struct Window {
    before: Duration,
    after: Duration,
}

/// T1.
pub(super) fn expiry(run: &Run) -> Result<Results, Stop> {
    const ENTRANTS: [&str; 5] = [EVANESCE, EVANESCE_TICKS, CALM, MOKA, IDLE];
    let n = run.pick(2_000_000, 400_000, 4_000);
    let rounds = run.pick(3, 1, 1);
    let window = Window {
        before: run.pick(1_000, 500, 50).into_millis(),
        after: run.pick(4_000, 2_000, 100).into_millis(),
    };
    let order = Rng::new(1).draws(n, 1 << 20);
    run.expect(rounds * ENTRANTS.len());
    let passes = interleave(run, "mass expiry", &ENTRANTS, rounds, |_, who| {
        let pass = match ENTRANTS[who] {
            IDLE => Ok(idle(&window)),
            CALM => expire(EVANESCE, n, &order, &window, false),
            name => expire(name, n, &order, &window, true),
        };
        pass.map(Some).map_err(|why| Stop::Fail(format!("{}: {why}", ENTRANTS[who])))
    })?;
    let mut measured = Measured::default();
    measured.parameter("entries", n);
    measured.parameter("of which expire at one instant", n / 2);
    measured.parameter("rounds", rounds);
    measured.parameter("window, s before", window.before.as_secs_f64());
    measured.parameter("window, s after", window.after.as_secs_f64());
    measured.note(format!(
        "One reader, uniform over all keys; one writer that inserts a fresh key and then sleeps for \
         {REST:?}; evanesce with a `Sweeper` that makes a full pass every {SWEEP_INTERVAL:?}, beside \
         the default sweeping of writes. `{EVANESCE_TICKS}` judges deadlines by a `TickClock`. `{CALM}` is the same run with deadlines an hour away; equal \
         to it means here: within 5 %.",
    ));
    let moka = (EVANESCE, Against::Peer(MOKA), Target::must(0.1));
    let calm = (EVANESCE, Against::Peer(CALM), Target::aim(EQUAL));
    // The targets are the default clock's; what the other does is told beside them.
    let ticks = (EVANESCE_TICKS, Against::Peer(MOKA), Target::TOLD);
    for (name, share) in PERCENTILES {
        let case = Case::new(name, "ns", &ENTRANTS, &passes, |pass| pass.quantile(share));
        match name {
            "p99.9" => measured.add(case, &[moka, calm, ticks]),
            "p99.99" => measured.add(case, &[moka, ticks]),
            _ => measured.add(case, &[]),
        }
    }
    measured.add(Case::new("longest", "ns", &ENTRANTS, &passes, Latencies::longest), &[]);
    let reads = |pass: &Latencies| pass.count() as f64 / 1e6;
    measured.add(Case::new("reads", "M", &ENTRANTS, &passes, reads), &[]);
    for (entrant, passes) in ENTRANTS.iter().zip(&passes) {
        measured.curves.push(Curve::new(EXPIRY, entrant, merged(passes.iter()).curve()));
    }
    Ok(vec![("T1", measured)])
}

const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p99.999", 0.999_99),
    ("p99.9999", 0.999_999),
];

trait Millis {
    fn into_millis(self) -> Duration;
}

impl Millis for u64 {
    fn into_millis(self) -> Duration {
        Duration::from_millis(self)
    }
}

/// A map, half of it for ever, and the instant at which the rest expires, if it does: after the window begins. A map that
/// was not full by then is made anew, with twice the time.
fn filled_in_time(
    name: &str,
    n: usize,
    window: &Window,
    expires: bool,
) -> (Box<dyn Expiring>, Instant) {
    let (eternal, mortal): (Vec<u64>, Vec<u64>) = (keys(0..n / 2), keys(n / 2..n));
    let mut patience = 4;
    loop {
        let map = expiring(name);
        let start = Instant::now();
        map.put(&eternal, None);
        // The other half may take a while longer.
        let begin = start + start.elapsed() * patience + Duration::from_millis(50);
        let instant = begin + window.before;
        let far = instant + Duration::from_secs(3600);
        map.put(&mortal, Some(if expires { instant } else { far }));
        if let Some(wait) = begin.checked_duration_since(Instant::now()) {
            thread::sleep(wait);
            return (map, instant);
        }
        patience *= 2;
    }
}

/// Fills a map, half of it for ever, and reads it through the instant at which the rest expires.
fn expire(
    name: &str,
    n: usize,
    order: &[u64],
    window: &Window,
    expires: bool,
) -> Result<Latencies, String> {
    let (map, instant) = filled_in_time(name, n, window, expires);
    let map = &*map;
    let peer = map.peer().ok_or("expected a map that can be read")?;
    let mortal: Vec<u64> = keys(n / 2..n);

    let stop = AtomicBool::new(false);
    let latencies = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut latencies = Latencies::new();
            peer.read_until(order, &stop, &mut latencies);
            latencies
        });
        scope.spawn(|| {
            for key in (n..).map(crate::keys::key) {
                map.put(&[key], None);
                thread::sleep(REST);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        thread::sleep((instant + window.after).saturating_duration_since(Instant::now()));
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("the reader does not panic")
    });
    let left = map.count(&mortal);
    if left == if expires { 0 } else { mortal.len() } {
        Ok(latencies)
    } else {
        Err(format!("{left} of {} that had deadlines are there", mortal.len()))
    }
}

/// What a thread sees in a window of the same length that does nothing but read the clock.
fn idle(window: &Window) -> Latencies {
    let mut latencies = Latencies::new();
    watch(&mut latencies, |time| time >= window.before + window.after);
    latencies
}

/// T2.
pub(super) fn crowd(run: &Run) -> Result<Results, Stop> {
    const MAPS: [&str; 5] = [EVANESCE, PAPAYA, DASHMAP, SCC_MAP, SCC_INDEX];
    const ENTRANTS: [&str; 6] = [EVANESCE, PAPAYA, DASHMAP, SCC_MAP, SCC_INDEX, IDLE];
    const EACH: u64 = 4;
    /// Not a multiple of four, so that the removed keys are others each time round.
    const STEPS: usize = (1 << 19) + 1;
    let n = million(run);
    let rounds = run.pick(5, 1, 1);
    let time = run.pick(3_000, 1_000, 20).into_millis();
    let maps = filled::<u64>(&MAPS, n)?;
    let orders = |seeds: std::ops::Range<u64>| -> Vec<Vec<u64>> {
        seeds.map(|seed| Rng::new(seed).draws(n, STEPS)).collect()
    };
    let (readers, writers) = (orders(0..EACH), orders(EACH..2 * EACH));
    run.expect(rounds * ENTRANTS.len());
    let passes = interleave(run, "crowd", &ENTRANTS, rounds, |_, who| {
        let map = maps.get(who).unwrap_or(&maps[0]);
        Ok(Some(together(ENTRANTS[who], &**map, time, &readers, &writers, true)))
    })?;
    let mut measured = Measured::default();
    measured.parameter("keys", n);
    measured.parameter("readers", EACH);
    measured.parameter("writers", EACH);
    measured.parameter("rounds", rounds);
    measured.parameter("seconds a round", time.as_secs_f64());
    measured.note(
        "Three of four writes put a key, drawn uniformly, there or not; the fourth removes one: about \
         three quarters of the keys are there. With more threads than cores the scheduler's turns are \
         in every curve; the idle thread's, beside as many busy ones, shows them alone.",
    );
    let targets = [DASHMAP, SCC_MAP, SCC_INDEX]
        .map(|peer| (EVANESCE, Against::Peer(peer), Target::must(1.0).and_aim(0.5)));
    for (name, share) in PERCENTILES {
        let case = Case::new(name, "ns", &ENTRANTS, &passes, |pass| pass.latencies.quantile(share));
        measured.add(case, if name == "p99.99" { &targets } else { &[] });
    }
    let case = Case::new("longest", "ns", &ENTRANTS, &passes, |pass| pass.latencies.longest());
    measured.add(case, &[]);
    let (reads, puts) = ("all readers", "all writers");
    let passes_of_maps = &passes[..MAPS.len()];
    let case = Case::new(reads, "M/s", &MAPS, passes_of_maps, |pass| pass.reads_per_second / 1e6);
    measured.add(case, &[]);
    let case = Case::new(puts, "M/s", &MAPS, passes_of_maps, |pass| pass.writes_per_second / 1e6);
    measured.add(case, &[]);
    for (entrant, passes) in ENTRANTS.iter().zip(&passes) {
        let curve = merged(passes.iter().map(|pass| &pass.latencies)).curve();
        measured.curves.push(Curve::new(CROWD, entrant, curve));
    }
    Ok(vec![("T2", measured)])
}
