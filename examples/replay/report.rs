//! The closing figures, as a table or as one line of JSON.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use crate::options::{Options, RunTtls, Source};
use crate::run::Outcome;
use crate::stream::{Stream, ZIPF_EXPONENT};

/// What the figures are computed from.
pub(crate) struct Closing<'r> {
    pub(crate) options: &'r Options,
    pub(crate) stream: &'r Stream,
    /// `None` when values never expire.
    pub(crate) ttls: Option<&'r RunTtls>,
    pub(crate) outcome: &'r Outcome,
}

/// One closing figure.
struct Figure {
    /// Its name in JSON, which carries the unit.
    name: &'static str,
    /// Its name in the table.
    label: &'static str,
    meaning: &'static str,
    amount: fn(&Closing<'_>) -> Amount,
}

/// A figure's value. The table shows it with its unit, JSON as a bare number.
enum Amount {
    Count(u64),
    Bytes(u64),
    Time(Duration),
    Factor(f64),
    /// A part of all. JSON has it from 0 to 1.
    Share(f64),
    /// JSON's null.
    Unknown,
}

use Amount::{Bytes, Count, Factor, Share, Time, Unknown};

#[rustfmt::skip] // One figure a line or two reads as the table that it is.
const FIGURES: [Figure; 31] = [
    figure("requests", "requests", "keys asked for",
        |run| Count(run.requests())),
    figure("hits", "hits", "requests answered from the map",
        |run| Count(run.outcome.reads.hits)),
    figure("misses", "misses", "requests whose value was made and put",
        |run| Count(run.outcome.reads.misses)),
    figure("hit_ratio", "hit ratio", "hits / requests; null if there was none",
        |run| run.hit_ratio().map_or(Unknown, Share)),
    figure("misses_put_before", "misses on keys put before",
        "misses on keys put earlier in the run, gone since",
        |run| Count(run.outcome.reads.misses_put_before)),
    figure("elapsed_ns", "elapsed", "length of the run",
        |run| Time(run.outcome.elapsed)),
    figure("requests_per_s", "requests/s", "requests / elapsed; drawing the Zipf stream counts",
        |run| Count(run.requests_per_second())),
    figure("get_p50_ns", "get p50", "latency of get: half of them took no longer",
        |run| run.latency(0.5)),
    figure("get_p99_ns", "get p99", "99 % took no longer",
        |run| run.latency(0.99)),
    figure("get_p999_ns", "get p99.9", "99.9 % took no longer",
        |run| run.latency(0.999)),
    figure("get_p9999_ns", "get p99.99", "99.99 % took no longer",
        |run| run.latency(0.9999)),
    figure("get_max_ns", "get max", "the longest",
        |run| run.latency(1.0)),
    figure("clock_ns", "of which the clock", "median time between two readings of the clock",
        |run| Time(run.outcome.clock_cost)),
    figure("entries", "entries", "entries at the end, expired and not yet swept included",
        |run| Count(run.outcome.stats.len as u64)),
    figure("expired_unswept", "of which expired", "of these, the expired",
        |run| Count(run.outcome.stats.expired_unswept as u64)),
    figure("pending_reclaim", "pending reclaim", "entries removed, their memory not yet reclaimed",
        |run| Count(run.outcome.stats.pending_reclaim as u64)),
    figure("bytes_allocated", "bytes", "bytes that the map holds",
        |run| Bytes(run.outcome.stats.bytes_allocated as u64)),
    figure("rss_bytes", "RSS", "resident memory of the whole process",
        |run| run.outcome.rss.map_or(Unknown, Bytes)),
    figure("evicted", "evicted", "entries that had to go since the map was full",
        |run| Count(run.outcome.stats.evicted_total)),
    figure("expired", "expired", "values put that expired before anything else ended them",
        |run| Count(run.outcome.expired)),
    figure("swept", "swept", "expired entries that were swept",
        |run| Count(run.outcome.stats.swept_total)),
    figure("max_lag_ns", "largest lag", "the longest that one outstayed its deadline till swept",
        |run| Time(run.outcome.stats.max_lag)),
    figure("renewed", "renewed", "keys renewed by writers",
        |run| Count(run.outcome.writes.renewed)),
    figure("deleted", "deleted", "keys deleted by writers",
        |run| Count(run.outcome.writes.deleted)),
    figure("keys", "keys of the stream", "distinct keys that the stream has (--keys)",
        |run| Count(run.stream.key_count() as u64)),
    figure("readers", "readers", "reader threads",
        |run| Count(run.options.readers as u64)),
    figure("writers", "writers", "writer threads",
        |run| Count(run.options.writers as u64)),
    figure("max_entries", "entries at most", "what --max-entries says; null without it",
        |run| run.options.max_entries.map_or(Unknown, |most| Count(most as u64))),
    figure("seed", "seed", "seed of the Zipf draws and the keys' TTLs",
        |run| Count(run.options.seed)),
    figure("ttl_divisor", "TTL divisor", "what the TTLs were divided by; null with --ttl none",
        |run| run.ttls.map_or(Unknown, |ttls| Factor(ttls.divisor))),
    figure("ttl_median_ns", "TTL median", "median of the divided TTLs; null with --ttl none",
        |run| run.ttls.map_or(Unknown, |ttls| Time(ttls.mix.median()))),
];

const fn figure(
    name: &'static str,
    label: &'static str,
    meaning: &'static str,
    amount: fn(&Closing<'_>) -> Amount,
) -> Figure {
    Figure { name, label, meaning, amount }
}

/// The figures' names in JSON with their meanings, a line each.
pub(crate) fn names() -> String {
    FIGURES.iter().fold(String::new(), |mut lines, figure| {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "  {:<20} {}", figure.name, figure.meaning);
        lines
    })
}

impl Closing<'_> {
    /// Writes the figures as one JSON object on one line.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let members = FIGURES.each_ref().map(|figure| {
            // Names are plain words and numbers are finite, so nothing needs escaping.
            format!("\"{}\":{}", figure.name, (figure.amount)(self).in_json())
        });
        writeln!(out, "{{{}}}", members.join(","))
    }

    /// Writes what was replayed and how, then the figures, one a line.
    pub(crate) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "stream  {}", self.source())?;
        match self.ttls {
            Some(RunTtls { mix, divisor }) => {
                writeln!(out, "ttl     {mix}")?;
                writeln!(
                    out,
                    "        (TTLs divided by {}, shares adding up to 1)",
                    Factor(*divisor)
                )?;
            }
            None => writeln!(out, "ttl     none")?,
        }
        writeln!(out)?;
        for figure in &FIGURES {
            writeln!(out, "{:<26} {:>16}", figure.label, (figure.amount)(self).to_string())?;
        }
        Ok(())
    }

    fn source(&self) -> String {
        match &self.options.source {
            Source::Trace { path, .. } => path.display().to_string(),
            Source::Zipf { duration, .. } => format!("Zipf {ZIPF_EXPONENT} for {duration:?}"),
        }
    }

    fn requests(&self) -> u64 {
        self.outcome.reads.hits + self.outcome.reads.misses
    }

    /// Counts of requests are far below 2^52.
    #[expect(clippy::cast_precision_loss)]
    fn hit_ratio(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0).then(|| self.outcome.reads.hits as f64 / requests as f64)
    }

    fn requests_per_second(&self) -> u64 {
        let requests = u128::from(self.requests());
        let nanos = self.outcome.elapsed.as_nanos().max(1);
        u64::try_from(requests * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    fn latency(&self, quantile: f64) -> Amount {
        let latency = &self.outcome.reads.latency;
        Time(Duration::from_nanos(latency.value_at_quantile(quantile)))
    }
}

impl Amount {
    fn in_json(&self) -> String {
        match self {
            Count(number) | Bytes(number) => number.to_string(),
            Time(time) => time.as_nanos().to_string(),
            Factor(number) | Share(number) => number.to_string(),
            Unknown => "null".to_owned(),
        }
    }
}

/// Writes the amount for people.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count(number) => write!(out, "{}", grouped(*number)),
            Bytes(number) => write!(out, "{} B", grouped(*number)),
            Time(time) if *time < Duration::from_micros(1) => write!(out, "{time:?}"),
            Time(time) => write!(out, "{time:.2?}"),
            Factor(factor) => write!(out, "{}", (factor * 1_000.0).round() / 1_000.0),
            Share(share) => write!(out, "{:.2} %", share * 100.0),
            Unknown => write!(out, "unknown"),
        }
    }
}

/// Writes a number with a comma between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
