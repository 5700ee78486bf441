//! SWING: memory and entries of maps that fill by day and empty by night, each in a process of its own.

use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::child::alone;
use crate::keys::{key, keys};
use crate::maps::{DASHMAP, EVANESCE, Expiring, MOKA, PAPAYA, SWEEP_INTERVAL, entrants, expiring};
use crate::memory::{MIB, resident, resident_beyond, sampled};
use crate::results::{Case, Curve, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The chart, and the curves of its lower panel.
pub(crate) const CHART: &str = "swings";
pub(crate) const ENTRIES: &str = "swings-entries";

const DAYS: u32 = 3;
/// One of this many entries at noon is a survivor.
const SURVIVES: usize = 20;
/// Keys put between two looks at the clock.
const AT_ONCE: usize = 1 << 10;
/// Answers are checked for one key of this many.
const CHECKED: usize = 64;

/// What happens when, from one dawn to the next; the same for all maps.
#[derive(Clone, Copy)]
struct Day {
    /// Entries at noon, survivors included.
    entries: usize,
    /// Entries come in, at a steady pace.
    morning: Duration,
    /// Nothing happens: from here to dusk.
    noon: Duration,
    /// They expire in the order in which they came, at a steady pace.
    evening: Duration,
    /// Nothing happens.
    night: Duration,
}

impl Day {
    fn of(run: &Run) -> Self {
        let [morning, noon, evening, night] = run
            .pick([4_500, 500, 500, 2_500], [600, 150, 150, 600], [40, 10, 10, 40])
            .map(Duration::from_millis);
        let entries = run.pick(5_000_000, 500_000, 10_000);
        Self { entries, morning, noon, evening, night }
    }

    fn survivors(&self) -> usize {
        self.entries / SURVIVES
    }

    /// Entries that come and go in a day.
    fn mortal(&self) -> usize {
        self.entries - self.survivors()
    }

    fn length(&self) -> Duration {
        self.morning + self.noon + self.evening + self.night
    }

    /// From dawn to when this one of the mortal entries is put.
    fn put(&self, at: usize) -> Duration {
        self.morning.mul_f64(at as f64 / self.mortal() as f64)
    }

    /// From dawn to when the first entries expire.
    fn dusk(&self) -> Duration {
        self.morning + self.noon
    }

    /// From dawn to the deadline of this one of the mortal entries.
    fn deadline(&self, at: usize) -> Duration {
        self.dusk() + self.evening.mul_f64(at as f64 / self.mortal() as f64)
    }
}

/// What a map's process saw.
#[derive(Serialize, Deserialize)]
struct Swings {
    /// Resident bytes before the first dawn: of the survivors alone.
    fresh: f64,
    days: Vec<Seen>,
    /// Seconds, resident bytes, and entries by the map's own count.
    samples: Vec<[f64; 3]>,
}

/// One day.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// Entries that were put before dusk, survivors included.
    entries: f64,
    /// Resident bytes when the night ends.
    bytes: f64,
    /// Entries by the map's own count when the night ends.
    left: f64,
}

impl Swings {
    fn peak(&self) -> f64 {
        self.samples.iter().map(|sample| sample[1]).fold(0.0, f64::max)
    }

    fn least_at_noon(&self) -> f64 {
        self.days.iter().map(|day| day.entries).fold(f64::INFINITY, f64::min)
    }

    fn most_left(&self) -> f64 {
        self.days.iter().map(|day| day.left).fold(0.0, f64::max)
    }
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    /// Of the samples, one in this many is drawn.
    const DRAWN: usize = 2;
    let entrants = entrants(&[EVANESCE, MOKA, PAPAYA, DASHMAP]);
    let day = Day::of(run);
    resident()?; // or there is nothing to measure
    run.expect(entrants.len());
    let passes = interleave(run, "swings", &entrants, 1, |_, who| {
        alone::<Swings>(run, "SWING", entrants[who]).map(Some)
    })?;
    let mut measured = Measured::default();
    measured.parameter("entries at noon", day.entries);
    measured.parameter("survivors", day.survivors());
    measured.parameter("days", DAYS);
    for (name, time) in [
        ("morning, s", day.morning),
        ("noon, s", day.noon),
        ("evening, s", day.evening),
        ("night, s", day.night),
    ] {
        measured.parameter(name, time.as_secs_f64());
    }
    measured.note(format!(
        "The survivors are put first, together, and live through all days: memory is that of a fresh \
         map of them before the first dawn. In each morning one thread puts fresh keys at a steady pace, \
         each with a deadline in the evening, where they expire in the same order; nothing is written from \
         noon to the next dawn. The hours are the same for all: who cannot keep the pace puts what it can \
         before dusk, and has fewer entries at noon. evanesce with its `Sweeper` (a full pass every \
         {SWEEP_INTERVAL:?}), beside the default sweeping of writes, and nothing else; a thread calls \
         moka's `run_pending_tasks`, papaya's `retain`, dashmap's `retain` and `shrink_to_fit` and then \
         rests as long, day and night. `entries left` counts, by the map's own count, survivors and what \
         has expired but was not removed. The three nights are the figures of `night over fresh`; its \
         limits are those of M2. Part of what dashmap frees stays with glibc's allocator, which raises its \
         threshold for giving back as it goes: with `MALLOC_MMAP_THRESHOLD_=131072` in the environment \
         dashmap's nights are those of a fresh map; papaya's and evanesce's stay what they are.",
    ));
    let case = |name: &str, unit: &str, quantity: &dyn Fn(&Swings) -> f64| {
        Case::new(name, unit, &entrants, &passes, quantity)
    };
    measured.add(
        case("entries at noon, least", "M", &|map| map.least_at_noon() / 1e6).only_told(),
        &[],
    );
    measured.add(case("a fresh map of the survivors", "MiB", &|map| map.fresh / MIB), &[]);
    measured.add(case("peak", "MiB", &|map| map.peak() / MIB), &[]);
    for at in 0..DAYS as usize {
        let name = format!("night {}", at + 1);
        measured.add(case(&name, "MiB", &|map| map.days[at].bytes / MIB), &[]);
    }
    let shares: Vec<Vec<f64>> = (passes.iter().flatten())
        .map(|map| map.days.iter().map(|day| day.bytes / map.fresh).collect())
        .collect();
    let name = "night over fresh";
    let target = Target::must(2.0).and_aim(1.3);
    measured.verdicts.push(target.judge(name, EVANESCE, "a fresh map", "times", &shares[0]));
    measured.add(Case::new(name, "times", &entrants, &shares, |share| *share), &[]);
    measured.add(
        case("entries left at a night's end, most", "M", &|map| map.most_left() / 1e6).only_told(),
        &[],
    );
    for (entrant, map) in entrants.iter().zip(passes.iter().flatten()) {
        for (chart, quantity) in [(CHART, 1), (ENTRIES, 2)] {
            let drawn = map.samples.iter().step_by(DRAWN);
            let points = drawn.map(|sample| [sample[0], sample[quantity]]).collect();
            measured.curves.push(Curve::new(chart, entrant, points));
        }
    }
    Ok(vec![("SWING", measured)])
}

/// One map.
pub(super) fn measure_alone(run: &Run, name: &str) -> Result<Value, Stop> {
    let samples = Duration::from_millis(run.pick(50, 20, 5));
    let day = Day::of(run);
    let before = resident()?;
    let map = expiring(name);
    let start = Instant::now();
    let look = || Ok((resident_beyond(before)?, map.entries() as f64));
    let (seen, samples) = reaped(&*map, || sampled(samples, look, || live(&*map, &day, before)));
    let (fresh, days) = seen?;
    let sample =
        |(time, (bytes, entries)): (Instant, _)| [(time - start).as_secs_f64(), bytes, entries];
    let nothing = [0.0; 3]; // before the map was made
    let samples = iter::once(nothing).chain(samples.into_iter().map(sample)).collect();
    let survivors = keys::<u64>(0..day.survivors());
    let left = map.count(&survivors);
    if left != survivors.len() {
        return Err(Stop::Fail(format!("{left} of {} survive", survivors.len())));
    }
    serde_json::to_value(Swings { fresh, days, samples }).map_err(|why| Stop::Fail(why.to_string()))
}

/// Runs `work` while a thread reaps, where the map has none that does.
fn reaped<T>(map: &dyn Expiring, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(map.reaps_itself());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                map.reap();
                thread::sleep(SWEEP_INTERVAL);
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// All days of a map, and the bytes before them.
fn live(map: &dyn Expiring, day: &Day, before: usize) -> Result<(f64, Vec<Seen>), Stop> {
    /// Until memory is what it is with the survivors alone.
    const SETTLING: Duration = Duration::from_millis(300);
    let far = Instant::now() + Duration::from_secs(3600);
    put(map, 0..day.survivors(), |_| Some(far));
    thread::sleep(SETTLING);
    let fresh = resident_beyond(before)?;
    let dawn = Instant::now();
    let days = (0..DAYS).map(|at| {
        let first = day.survivors() + at as usize * day.mortal();
        live_a_day(map, day, before, dawn + day.length() * at, first)
    });
    Ok((fresh, days.collect::<Result<_, Stop>>()?))
}

/// One day; the mortal entries' keys are those from `first` on.
fn live_a_day(
    map: &dyn Expiring,
    day: &Day,
    before: usize,
    dawn: Instant,
    first: usize,
) -> Result<Seen, Stop> {
    let dusk = dawn + day.dusk();
    let count = put(map, first..first + day.mortal(), |at| {
        sleep_until(dawn + day.put(at - first));
        (Instant::now() < dusk).then(|| dawn + day.deadline(at - first))
    });
    let checked: Vec<u64> = (first..first + count).step_by(CHECKED).map(key).collect();
    let there = map.count(&checked);
    // Those of a late check may have expired.
    if there != checked.len() && Instant::now() < dusk {
        return Err(Stop::Fail(format!("{there} of {} are there at noon", checked.len())));
    }
    sleep_until(dawn + day.length());
    let (bytes, left) = (resident_beyond(before)?, map.entries() as f64);
    match map.count(&checked) {
        0 => Ok(Seen { entries: (day.survivors() + count) as f64, bytes, left }),
        there => Err(Stop::Fail(format!("{there} of {} are there at night", checked.len()))),
    }
}

/// Puts the keys of a range until `deadline`, which is asked for some at once, has none for them;
/// says how many were put.
fn put(
    map: &dyn Expiring,
    range: std::ops::Range<usize>,
    deadline: impl Fn(usize) -> Option<Instant>,
) -> usize {
    let mut keys = [0; AT_ONCE];
    for start in range.clone().step_by(AT_ONCE) {
        let Some(until) = deadline(start) else { return start - range.start };
        let keys = &mut keys[..AT_ONCE.min(range.end - start)];
        for (place, i) in keys.iter_mut().zip(start..) {
            *place = key(i);
        }
        map.put(keys, Some(until));
    }
    range.len()
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day {
        entries: 4_000,
        morning: Duration::from_secs(4),
        noon: Duration::from_secs(1),
        evening: Duration::from_secs(2),
        night: Duration::from_secs(3),
    };

    #[test]
    fn entries_expire_in_the_evening_in_their_order() {
        assert_eq!((DAY.survivors(), DAY.mortal()), (200, 3_800));
        assert_eq!((DAY.put(0), DAY.put(1_900)), (Duration::ZERO, Duration::from_secs(2)));
        assert_eq!((DAY.deadline(0), DAY.deadline(1_900)), (DAY.dusk(), Duration::from_secs(6)));
        assert!(DAY.deadline(3_799) + DAY.night < DAY.length());
    }

    #[test]
    fn keys_are_put_until_there_is_no_deadline() {
        let map = expiring(EVANESCE);
        let far = Instant::now() + Duration::from_secs(3600);
        let range = 100..100 + 3 * AT_ONCE + 1;
        let late = range.start + 2 * AT_ONCE;
        assert_eq!(put(&*map, range.clone(), |at| (at < late).then_some(far)), 2 * AT_ONCE);
        assert_eq!(map.entries(), 2 * AT_ONCE);
        assert_eq!(put(&*map, range.clone(), |_| Some(far)), range.len());
        assert_eq!(map.count(&keys::<u64>(range.clone())), range.len());
    }
}
