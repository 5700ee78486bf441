//! S3: how long after its deadline a value is dropped, while a million entries a second expire.
//!
//! The values tell it by their `Drop`, whichever thread runs that. One lock guards what they tell; only
//! the sweeping thread and the writer, whose writes sweep too, take it while entries are put.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use evanesce::{Budget, Deadline, Sweeper, TtlMap};

use crate::keys::key;
use crate::maps::{EVANESCE, Hasher, MOKA, RENEW, SWEEP_INTERVAL, hasher};
use crate::measure::Latencies;
use crate::results::{Case, IDLE, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// evanesce whose writes do not sweep.
const ALONE: &str = "evanesce, Sweeper alone";
const MAPS: [&str; 3] = [EVANESCE, ALONE, MOKA];
const ENTRANTS: [&str; 4] = [EVANESCE, ALONE, MOKA, IDLE];

/// Entries that share a deadline, and are put once a millisecond: a million a second.
const AT_ONCE: usize = 1_000;
const PACE: Duration = Duration::from_millis(1);
/// For how long the idle thread sleeps.
const NAP: Duration = Duration::from_millis(1);
/// In what lags are judged, nanoseconds.
const MS: f64 = 1e6;

/// What the values of one pass tell.
struct Lags {
    /// From when deadlines count.
    origin: Instant,
    /// The last deadline that counts: at it the writer ends, and what expires later does so in peace.
    last: u64,
    seen: Mutex<Seen>,
}

struct Seen {
    lags: Latencies,
    /// Values that were dropped before their deadline.
    early: usize,
}

impl Lags {
    /// It lives for ever, since a map may drop values after its own end.
    fn of(time: Duration) -> &'static Self {
        let seen = Mutex::new(Seen { lags: Latencies::new(), early: 0 });
        let last = time.as_nanos() as u64;
        Box::leak(Box::new(Self { origin: Instant::now(), last, seen }))
    }

    /// Nanoseconds since the origin.
    fn at(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.origin).as_nanos() as u64
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, deadline: u64, now: u64) {
        if deadline > self.last {
            return;
        }
        let mut seen = self.seen();
        match now.checked_sub(deadline) {
            Some(lag) => seen.lags.record(Duration::from_nanos(lag)),
            None => seen.early += 1,
        }
    }
}

/// A value that tells when it is dropped.
struct Mortal {
    deadline: u64,
    lags: &'static Lags,
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.lags.record(self.deadline, self.lags.at(Instant::now()));
    }
}

/// A map of such values, which all live equally long.
trait Reclaiming: Send + Sync {
    fn put(&self, keys: &[u64], until: Instant, lags: &'static Lags);
    /// Removes what has expired; nothing, where a thread of the map's own does that.
    fn reap(&self) {}
}

fn reclaiming(name: &str, ttl: Duration) -> Box<dyn Reclaiming> {
    let builder = TtlMap::builder().hasher(hasher());
    match name {
        EVANESCE => Box::new(Swept::of(builder.build().expect("the defaults are in the range"))),
        ALONE => {
            let map = builder.sweep_per_write(0).build();
            Box::new(Swept::of(map.expect("0 is in the range")))
        }
        MOKA => {
            let builder = moka::sync::Cache::<u64, Arc<Mortal>>::builder();
            Box::new(builder.time_to_live(ttl).build_with_hasher(hasher()))
        }
        other => unreachable!("no map that reclaims is called {other}"),
    }
}

struct Swept {
    map: Arc<TtlMap<u64, Mortal, Hasher>>,
    _sweeper: Sweeper,
}

impl Swept {
    fn of(map: TtlMap<u64, Mortal, Hasher>) -> Self {
        let map = Arc::new(map);
        let sweeper = Sweeper::spawn(&map, SWEEP_INTERVAL, Budget::full_pass());
        Self { map, _sweeper: sweeper.expect("the system starts a thread") }
    }
}

impl Reclaiming for Swept {
    fn put(&self, keys: &[u64], until: Instant, lags: &'static Lags) {
        let (until, deadline) = (Deadline::from(until), lags.at(until));
        let mut pinned = self.map.pin();
        for chunk in keys.chunks(RENEW) {
            pinned.repin();
            for key in chunk {
                pinned.insert_with_deadline(*key, Mortal { deadline, lags }, until);
            }
        }
    }
}

/// moka clones a value when it is put: the `Arc` makes these one.
type Moka = moka::sync::Cache<u64, Arc<Mortal>, Hasher>;

impl Reclaiming for Moka {
    fn put(&self, keys: &[u64], until: Instant, lags: &'static Lags) {
        let deadline = lags.at(until);
        for key in keys {
            self.insert(*key, Arc::new(Mortal { deadline, lags }));
        }
    }

    fn reap(&self) {
        self.run_pending_tasks();
    }
}

/// What one pass saw.
struct Pass {
    lags: Latencies,
    /// How much later than it should the idle thread awoke.
    pauses: Latencies,
    /// Entries that expired in a second, once they did.
    rate: f64,
    /// Values that were dropped, of those whose deadlines count.
    dropped: f64,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let rounds = run.pick(3, 1, 1);
    let time = Duration::from_millis(run.pick(6_000, 2_500, 200));
    let ttl = Duration::from_millis(run.pick(750, 500, 40));
    run.expect(rounds * MAPS.len());
    let passes = interleave(run, "reclaim lag", &MAPS, rounds, |_, who| {
        let pass = expire(MAPS[who], time, ttl);
        pass.map(Some).map_err(|why| Stop::Fail(format!("{}: {why}", MAPS[who])))
    })?;
    let mut measured = Measured::default();
    measured.parameter("entries put a second", AT_ONCE as u128 * 1_000 / PACE.as_millis());
    measured.parameter("time to live, s", ttl.as_secs_f64());
    measured.parameter("seconds a round", time.as_secs_f64());
    measured.parameter("rounds", rounds);
    measured.note(format!(
        "From an entry's deadline to the `Drop` of its value. One thread puts {AT_ONCE} fresh keys every \
         {PACE:?}, or as fast as it can. evanesce with a `Sweeper` that makes a full pass and rests for \
         {SWEEP_INTERVAL:?}, beside the default sweeping of writes; `{ALONE}` is without that. moka's \
         `run_pending_tasks` is called by a thread that rests as long; its writers do some of it, too. \
         The limit is twice the interval. The idle thread sleeps for {NAP:?} over and over while evanesce \
         is measured: its figures are how much later than that it awoke.",
    ));
    let lags = |share: &dyn Fn(&Latencies) -> f64| -> Vec<Vec<f64>> {
        let maps = passes.iter().map(|all| all.iter().map(|pass| share(&pass.lags)).collect());
        maps.chain([passes[0].iter().map(|pass| share(&pass.pauses)).collect()]).collect()
    };
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let figures = lags(&|lags| lags.quantile(share));
        if name == "p99.9" {
            let limit = 2.0 * SWEEP_INTERVAL.as_nanos() as f64 / MS;
            for (who, us) in [EVANESCE, ALONE].into_iter().enumerate() {
                let figures: Vec<f64> = figures[who].iter().map(|nanos| nanos / MS).collect();
                let verdict = Target::must(limit).judge(name, us, "the limit", "ms", &figures);
                measured.verdicts.push(verdict);
            }
        }
        measured.add(Case::new(name, "ns", &ENTRANTS, &figures, |nanos| *nanos), &[]);
    }
    let longest = lags(&Latencies::longest);
    measured.add(Case::new("longest", "ns", &ENTRANTS, &longest, |nanos| *nanos), &[]);
    let told = |name: &str, unit: &str, quantity: fn(&Pass) -> f64| {
        Case::new(name, unit, &MAPS, &passes, quantity).only_told()
    };
    measured
        .add(told("longest of the idle thread beside it", "ns", |pass| pass.pauses.longest()), &[]);
    measured.add(told("entries that expired", "M/s", |pass| pass.rate / 1e6), &[]);
    measured.add(told("of which were dropped", "%", |pass| pass.dropped * 100.0), &[]);
    Ok(vec![("S3", measured)])
}

/// Puts entries for a while, and waits for the end of those that expire in it.
fn expire(name: &str, time: Duration, ttl: Duration) -> Result<Pass, String> {
    /// How long that may take.
    const PATIENCE: Duration = Duration::from_secs(2);
    let map = reclaiming(name, ttl);
    let lags = Lags::of(time);
    let end = lags.origin + time;
    let done = AtomicBool::new(false);
    let (expected, pauses) = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                map.reap();
                thread::sleep(SWEEP_INTERVAL);
            }
        });
        let writer = scope.spawn(|| write(&*map, lags, ttl, end));
        thread::sleep(ttl);
        let pauses = nap(end);
        let expected = writer.join().expect("the writer does not panic");
        let waits = || lags.seen().lags.count() < expected && end.elapsed() < PATIENCE;
        while waits() {
            thread::sleep(PACE);
        }
        done.store(true, Ordering::Relaxed);
        (expected, pauses)
    });
    drop(map); // and with it what is still there
    let seen = lags.seen();
    let dropped = seen.lags.count();
    if seen.early > 0 {
        return Err(format!("{} values were dropped before their deadlines", seen.early));
    }
    // moka leaves some to a collector of its own, which may have them for ever.
    if dropped > expected || dropped < expected && name != MOKA {
        return Err(format!("{dropped} of {expected} values were dropped"));
    }
    Ok(Pass {
        lags: seen.lags.clone(),
        pauses,
        rate: expected as f64 / time.saturating_sub(ttl).as_secs_f64(),
        dropped: dropped as f64 / expected as f64,
    })
}

/// Puts entries until `end`; says how many of them expire by then.
fn write(map: &dyn Reclaiming, lags: &'static Lags, ttl: Duration, end: Instant) -> u64 {
    let mut expire = 0;
    let mut keys = [0; AT_ONCE];
    for batch in 0.. {
        let due = lags.origin + PACE * batch;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        if now >= end {
            break;
        }
        for (place, i) in keys.iter_mut().zip(batch as usize * AT_ONCE..) {
            *place = key(i);
        }
        let until = now + ttl;
        map.put(&keys, until, lags);
        expire += if until <= end { AT_ONCE as u64 } else { 0 };
    }
    expire
}

/// How much later than it should this thread awakes, until `end`.
fn nap(end: Instant) -> Latencies {
    let mut pauses = Latencies::new();
    let mut last = Instant::now();
    while last < end {
        thread::sleep(NAP);
        let now = Instant::now();
        pauses.record((now - last).saturating_sub(NAP));
        last = now;
    }
    pauses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lags: &Lags) -> (u64, usize) {
        let seen = lags.seen();
        (seen.lags.count(), seen.early)
    }

    #[test]
    fn values_tell_their_lag_once_and_only_when_it_counts() {
        let lags = Lags::of(Duration::from_nanos(100));
        lags.record(90, 95);
        lags.record(100, 300);
        lags.record(101, 300);
        assert_eq!(told(lags), (2, 0));
        lags.record(50, 49);
        assert_eq!(told(lags), (2, 1));
    }

    #[test]
    fn every_map_drops_each_value_once() {
        for name in MAPS {
            let map = reclaiming(name, Duration::from_secs(3600));
            let lags = Lags::of(Duration::from_secs(3600));
            map.put(&[1, 2, 3], lags.origin, lags);
            assert_eq!(told(lags), (0, 0), "{name}");
            drop(map);
            assert_eq!(told(lags), (3, 0), "{name}");
        }
    }
}
