//! M1 and M2: the memory of maps, each in a process of its own.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::Aim;
use super::reads::million;
use crate::child::alone;
use crate::keys::{Key, key};
use crate::maps::{
    self, DASHMAP, EVANESCE, EVANESCE_TTL, Expiring, MOKA, PAPAYA, QUICK_CACHE, RW_LOCK, SCC_INDEX,
    SCC_MAP, STD, entrants, expiring,
};
use crate::memory::{MIB, resident, resident_beyond, sampled};
use crate::results::{Against, Case, Curve, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

/// The charts of M2.
pub(crate) const SCATTERED: &str = "memory";
pub(crate) const TOGETHER: &str = "memory-cohorts";

/// M1.
pub(super) fn entries(run: &Run) -> Result<Results, Stop> {
    type Quantity = fn(&Entries) -> f64;
    let entrants = entrants(&[
        EVANESCE_TTL,
        EVANESCE,
        PAPAYA,
        DASHMAP,
        SCC_MAP,
        SCC_INDEX,
        QUICK_CACHE,
        MOKA,
        RW_LOCK,
        STD,
    ]);
    let rounds = run.pick(3, 1, 1);
    resident()?; // or there is nothing to measure
    run.expect(rounds * entrants.len());
    let passes = interleave(run, "memory", &entrants, rounds, |_, who| {
        alone::<Entries>(run, "M1", entrants[who]).map(Some)
    })?;
    let mut measured = Measured::default();
    measured.parameter("entries", million(run));
    measured.parameter("rounds", rounds);
    measured.note(
        "Resident bytes beyond those before the map was made, no capacity given, each map in a process \
         of its own; `evanesce+ttl` has a deadline on each entry. The average is that of looks at equal \
         steps while as many entries again are put.",
    );
    measured.parameter("steps of the doubling", STEPS);
    let targets = [
        (EVANESCE_TTL, Against::Peer(PAPAYA), Target::must(1.0).and_aim(0.85)),
        (EVANESCE_TTL, Against::Peer(DASHMAP), Target::aim(1.0)),
    ];
    let cases: [(&str, Quantity, &[Aim]); 2] = [
        ("an entry, 1M", |bytes| bytes.each, &targets),
        ("an entry, average from 1M to 2M", |bytes| bytes.average, &[]),
    ];
    for (name, quantity, targets) in cases {
        let case = Case::new(name, "bytes", &entrants, &passes, quantity);
        let rounds = case.of(EVANESCE_TTL).map_or(&[][..], |figures| &figures.rounds);
        let limit = Target::must(43.0).and_aim(40.0);
        let verdict = limit.judge(name, EVANESCE_TTL, "the limit", "bytes", rounds);
        measured.verdicts.push(verdict);
        measured.add(case, targets);
    }
    Ok(vec![("M1", measured)])
}

/// At how many sizes memory is looked at while a map doubles.
const STEPS: usize = 16;

/// What a map's process saw: bytes an entry.
#[derive(Serialize, Deserialize)]
struct Entries {
    each: f64,
    /// Over a doubling.
    average: f64,
}

/// M1, one map.
pub(super) fn entries_alone(run: &Run, name: &str) -> Result<Value, Stop> {
    const AT_ONCE: usize = 1 << 12;
    let n = million(run);
    let mut keys = vec![1; AT_ONCE]; // not zero, so that its pages are touched before
    let before = resident()?;
    let map = maps::new::<u64>(name);
    // Puts those of a range, with which the map has all below its end; answers bytes an entry.
    let mut grow = |range: Range<usize>| {
        for start in range.clone().step_by(AT_ONCE) {
            let count = AT_ONCE.min(range.end - start);
            for (key, i) in keys[..count].iter_mut().zip(start..) {
                *key = u64::nth(i);
            }
            map.insert(&keys[..count]);
        }
        Ok(resident_beyond(before)? / range.end as f64)
    };
    let each = grow(0..n)?;
    let end = |step: usize| n + n * step / STEPS;
    let seen = (0..STEPS).map(|step| grow(end(step)..end(step + 1)));
    let average = seen.sum::<Result<f64, Stop>>()? / STEPS as f64;
    if map.get(&[key(0), key(n - 1), key(2 * n - 1)]) == 3 {
        serde_json::to_value(Entries { each, average }).map_err(|why| Stop::Fail(why.to_string()))
    } else {
        Err(Stop::Fail("entries are missing".into()))
    }
}

/// One of this many entries survives.
const SURVIVES: usize = 20;

/// What a map's process saw.
#[derive(Serialize, Deserialize)]
struct Footprint {
    /// Resident bytes at the end.
    bytes: f64,
    /// Seconds that it took to put the entries.
    filling: f64,
    /// Seconds from the mass expiry, and resident bytes.
    curve: Vec<[f64; 2]>,
}

/// M2.
pub(super) fn survivors(run: &Run) -> Result<Results, Stop> {
    const ENTRANTS: [&str; 4] = [EVANESCE, MOKA, PAPAYA, DASHMAP];
    /// moka takes several times as long as the others.
    const ROUNDS_OF_MOKA: usize = 1;
    let rounds = run.pick(3, 1, 1);
    resident()?;
    let mut measured = Measured::default();
    measured.parameter("entries", all(run));
    measured.parameter("survivors", all(run) / SURVIVES);
    measured.parameter("rounds", rounds);
    measured.parameter("rounds of moka", ROUNDS_OF_MOKA.min(rounds));
    measured.note(
        "`together`: the survivors were put last, as where the old expire and the young live on; \
         `scattered`: every twentieth in the order of the inserts survives, so that hardly a page is \
         without one. evanesce with its `Sweeper`; moka's `run_pending_tasks`, papaya's `retain`, \
         dashmap's `retain` and `shrink_to_fit` are called every 100 ms.",
    );
    run.expect(3 * rounds * ENTRANTS.len());
    let part = |what: &str, ahead: &dyn Fn(&str) -> f64| {
        interleave(run, what, &ENTRANTS, rounds, |round, who| {
            let name = ENTRANTS[who];
            if name == MOKA && round >= ROUNDS_OF_MOKA {
                return Ok(None);
            }
            // A map that was too slow for its deadlines gets a fresh process, and twice the time.
            let mut seconds = ahead(name);
            loop {
                let part = format!("{what} {seconds} {name}");
                match alone::<Option<Footprint>>(run, "M2", &part)? {
                    None => seconds *= 2.0,
                    footprint => return Ok(footprint),
                }
            }
        })
    };
    let fresh = part("fresh", &|_| 0.0)?;
    // Deadlines must lie ahead of the last insert: three times as far as the fresh map's pace says.
    let ahead = |name: &str| {
        let at = ENTRANTS.iter().position(|entrant| *entrant == name);
        let paces = at.map_or(&[][..], |at| &fresh[at]).iter().map(|fresh| fresh.filling);
        0.1 + 3.0 * SURVIVES as f64 * paces.fold(0.0, f64::max)
    };
    let name = "a fresh map of the survivors";
    measured.add(Case::new(name, "MiB", &ENTRANTS, &fresh, |map| map.bytes / MIB), &[]);
    for (what, chart) in [("together", TOGETHER), ("scattered", SCATTERED)] {
        let after = part(what, &ahead)?;
        let name = format!("after, {what}");
        measured.add(Case::new(name, "MiB", &ENTRANTS, &after, |map| map.bytes / MIB), &[]);
        let shares: Vec<Vec<f64>> = (after.iter().zip(&fresh))
            .map(|(after, fresh)| {
                after.iter().zip(fresh).map(|(after, fresh)| after.bytes / fresh.bytes).collect()
            })
            .collect();
        let name = format!("after over fresh, {what}");
        let target = Target::must(2.0).and_aim(1.3);
        let against = "a fresh map";
        measured.verdicts.push(target.judge(&name, EVANESCE, against, "times", &shares[0]));
        measured.add(Case::new(name, "times", &ENTRANTS, &shares, |share| *share), &[]);
        for (entrant, after) in ENTRANTS.iter().zip(after) {
            let curve = after.into_iter().next().map_or(Vec::new(), |first| first.curve);
            measured.curves.push(Curve::new(chart, entrant, curve));
        }
    }
    Ok(vec![("M2", measured)])
}

fn all(run: &Run) -> usize {
    run.pick(5_000_000, 500_000, 10_000)
}

/// M2, one map. No figures if it was not full before its entries expired.
pub(super) fn survivors_alone(run: &Run, part: &str) -> Result<Value, Stop> {
    const SAMPLES: Duration = Duration::from_millis(50);
    const REAP: Duration = Duration::from_millis(100);
    let parts: Vec<&str> = part.splitn(3, ' ').collect();
    let &[what, ahead, name] = parts.as_slice() else {
        return Err(Stop::Fail(format!("expected an order, seconds and a map, found `{part}`")));
    };
    let ahead = ahead.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let ahead = ahead.ok_or_else(|| Stop::Fail(format!("expected seconds in `{part}`")))?;
    let n = all(run);
    let settling = Duration::from_millis(run.pick(4_000, 2_000, 100));
    let survives = |i: usize| match what {
        "together" => i >= n - n / SURVIVES,
        _ => i.is_multiple_of(SURVIVES),
    };
    let before = resident()?;
    let map = expiring(name);
    let start = Instant::now();
    let instant = start + ahead;
    let look = || resident_beyond(before);
    let (filled, samples) = sampled(SAMPLES, look, || {
        if what == "fresh" {
            (0..n).filter(|i| survives(*i)).for_each(|i| map.put(&[key(i)], None));
            let filling = start.elapsed();
            thread::sleep(settling);
            return Some(filling);
        }
        if !fill(&*map, n, survives, instant) {
            return None;
        }
        let filling = start.elapsed();
        thread::sleep(instant.saturating_duration_since(Instant::now()));
        while instant.elapsed() < settling {
            map.reap();
            thread::sleep(REAP);
        }
        Some(filling)
    });
    let Some(filling) = filled.map(|filling| filling.as_secs_f64()) else {
        return Ok(Value::Null);
    };
    let bytes = resident_beyond(before)?;
    let left = (0..n).filter(|i| map.count(&[key(*i)]) == 1).count();
    if left != n / SURVIVES {
        return Err(Stop::Fail(format!("{left} survive, not {}", n / SURVIVES)));
    }
    let since = |time: Instant| match time.checked_duration_since(instant) {
        Some(after) => after.as_secs_f64(),
        None => -(instant - time).as_secs_f64(),
    };
    // Some maps were full long before, since all get the same room for slow inserts.
    let shown = |point: &[f64; 2]| what == "fresh" || point[0] >= -settling.as_secs_f64() / 2.0;
    let curve =
        samples.into_iter().map(|(time, bytes)| [since(time), bytes]).filter(shown).collect();
    serde_json::to_value(Footprint { bytes, filling, curve })
        .map_err(|why| Stop::Fail(why.to_string()))
}

/// Puts all entries; those that do not survive expire at `instant`. Says whether it was done before that, and stops if not.
fn fill(map: &dyn Expiring, n: usize, survives: impl Fn(usize) -> bool, instant: Instant) -> bool {
    const AT_ONCE: usize = 1 << 12;
    (0..n).step_by(AT_ONCE).all(|start| {
        for i in start..n.min(start + AT_ONCE) {
            map.put(&[key(i)], (!survives(i)).then_some(instant));
        }
        Instant::now() < instant
    })
}
