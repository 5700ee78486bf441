//! The rows: what each is called, how long it takes, and what measures it.

mod bounds;
mod common;
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

use std::time::Duration;

use serde_json::Value;

use crate::settings::Mode;
use crate::told::{Results, Run, Stop, no_parts};

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
