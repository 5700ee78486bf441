//! The command line: what may be asked for, and what is said when it cannot be followed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::Failure;
use crate::report;
use crate::stream::Stream;
use crate::trace::Format;
use crate::ttl::{CLUSTER_4, TtlMix, parse_duration};

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    Replay(Options),
}

/// The shape of a run.
pub(crate) struct Options {
    pub(crate) source: Source,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
    /// `None` when the map may hold whatever is put.
    pub(crate) max_entries: Option<usize>,
    /// `None` when values never expire.
    ttl: Option<Ttl>,
    pub(crate) seed: u64,
    pub(crate) json: bool,
}

/// Where the requests come from.
pub(crate) enum Source {
    Zipf { keys: u32, duration: Duration },
    Trace { path: PathBuf, format: Format },
}

struct Ttl {
    mix: TtlMix,
    /// `None` lets the length of the run decide.
    divisor: Option<f64>,
}

/// The TTLs of a run, and what the ones asked for were divided by.
pub(crate) struct RunTtls {
    pub(crate) mix: TtlMix,
    pub(crate) divisor: f64,
}

const READERS: usize = 2;
const WRITERS: usize = 1;
const MOST_THREADS: usize = 1024;
const KEYS: u32 = 1_000_000;
const MOST_KEYS: u32 = 100_000_000;
const MOST_ENTRIES: usize = MOST_KEYS as usize;
const SEED: u64 = 1;
const DURATION: Duration = Duration::from_secs(10);
const SHORTEST_RUN: Duration = Duration::from_millis(1);
const LONGEST_RUN: Duration = Duration::from_secs(86_400);
/// What a request is taken to last when a trace's TTLs are compressed: on the order of what one
/// costs with two readers in a release build. A guess, so that equal runs use equal TTLs.
const NOMINAL_REQUEST: Duration = Duration::from_nanos(250);
const MEDIANS_PER_RUN: f64 = 10.0;
const MOST_DIVISOR: f64 = 1e12;

const HELP: &str = "\
Replays a request stream through evanesce's TtlMap as a read-through cache.

Usage: replay [OPTIONS]
       replay --trace FILE --format lines|u32be|u64be [OPTIONS]

Reader threads deal the stream among them and get each key; on a miss the value is made from the
key and put with a TTL. Writer threads renew (3 in 4) and delete (1 in 4) keys just served. A
Sweeper runs. Every hit is checked against its key; a wrong one ends the run with status 1. Without
--trace the stream is drawn from a Zipf distribution (exponent 0.99).

Stream:
  --trace FILE         replay FILE instead; .gz and .xz are decompressed; it is held in memory
  --format FORMAT      how FILE holds its keys: lines (one decimal key a line), u32be or u64be
                       (big-endian keys of 4 or 8 bytes, nothing between them)
  --duration TIME      length of the Zipf run, 1ms to 1d [10s]
  --keys N             keys of the Zipf run, 1 to 100000000 [1000000]
  --seed N             seeds the Zipf draws and each key's TTL [1]

Run:
  --readers N          reader threads, 1 to 1024 [2]
  --writers N          writer threads, 0 to 1024 [1]
  --max-entries N      how many entries the map may hold, 1 to 100000000: to take one more it gives
                       up another, by how often and how lately they were used [as many as are put]
  --ttl none|MIX       TTLs of the values put, as 60s:0.39,300s:0.24,1h:0.13 (commas or spaces;
                       units ns us ms s m h d). Weights that sum to more than 1 are divided by
                       their sum; what they lack to 1 never expires. A TTL alone weighs 1. A key
                       has the same TTL at each put and renewal. With none, no TTL is set, and
                       writers replace a value where they would renew it.
                       [60s:0.39 300s:0.24 1h:0.13 600s:0.12 4h:0.09, that is cluster 4 of
                       Twitter's caches (OSDI 2020), whose last 0.03 never expires]
  --ttl-divisor N      divide the TTLs by N, above 0 and up to 1e12, or `auto`: so that their
                       median is a tenth of the run, where it is longer; the run being --duration,
                       or 250ns a request for a trace [auto]; 1 takes them as they are

Output:
  --json               print the closing figures as one JSON object on one line
  -h, --help           print this

The closing figures, by their names in --json (null where the platform does not tell):
";

const HELP_END: &str = "
A `get` is timed by two readings of std's Instant, so its latency includes what the clock costs
(clock_ns). Latencies have three significant digits. RSS is the whole process: the stream, the
histograms and one byte a key stand in it beside the map. Where standard error is a terminal, a line
there tells how far the run is, with requests a second and the hit ratio so far. Exit status: 0 when
the stream was served, 1 when the trace could not be read or an answer was wrong, 2 when the command
line could not be followed.
";

/// The text of `--help`.
pub(crate) fn help() -> String {
    [HELP, &report::names(), HELP_END].concat()
}

/// Reads the process's arguments.
pub(crate) fn from_command_line() -> Result<Command, Failure> {
    parse(lexopt::Parser::from_env()).map_err(|error| Failure::Usage(error.to_string()))
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut trace, mut format) = (None, None);
    let (mut duration, mut keys) = (None, None);
    let (mut readers, mut writers, mut max_entries) = (READERS, WRITERS, None);
    let (mut seed, mut json) = (SEED, false);
    let (mut mix, mut divisor) = (Some(TtlMix::parse(CLUSTER_4)?), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("json") => json = true,
            Long("trace") => trace = Some(PathBuf::from(arguments.value()?)),
            Long("format") => format = Some(value(&mut arguments, "--format", parse_format)?),
            Long("duration") => {
                let run = |text: &str| parse_duration(text, SHORTEST_RUN, LONGEST_RUN);
                duration = Some(value(&mut arguments, "--duration", run)?);
            }
            Long("keys") => keys = Some(value(&mut arguments, "--keys", whole(1..=MOST_KEYS))?),
            Long("seed") => seed = value(&mut arguments, "--seed", whole(0..=u64::MAX))?,
            Long("readers") => {
                readers = value(&mut arguments, "--readers", whole(1..=MOST_THREADS))?;
            }
            Long("writers") => {
                writers = value(&mut arguments, "--writers", whole(0..=MOST_THREADS))?;
            }
            Long("max-entries") => {
                max_entries =
                    Some(value(&mut arguments, "--max-entries", whole(1..=MOST_ENTRIES))?);
            }
            Long("ttl") => mix = value(&mut arguments, "--ttl", parse_ttl)?,
            Long("ttl-divisor") => {
                divisor = Some(value(&mut arguments, "--ttl-divisor", parse_divisor)?);
            }
            other => return Err(other.unexpected()),
        }
    }
    let source = match (trace, format) {
        (Some(path), Some(format)) if duration.is_none() && keys.is_none() => {
            Source::Trace { path, format }
        }
        (Some(_), Some(_)) => Err("--duration and --keys shape the Zipf run; --trace has none")?,
        (Some(_), None) => Err("--trace needs --format lines, u32be or u64be beside it")?,
        (None, Some(_)) => Err("--format needs --trace FILE beside it")?,
        (None, None) => {
            Source::Zipf { keys: keys.unwrap_or(KEYS), duration: duration.unwrap_or(DURATION) }
        }
    };
    if mix.is_none() && divisor.is_some() {
        Err("--ttl-divisor has nothing to divide with --ttl none")?;
    }
    Ok(Command::Replay(Options {
        source,
        readers,
        writers,
        max_entries,
        ttl: mix.map(|mix| Ttl { mix, divisor: divisor.flatten() }),
        seed,
        json,
    }))
}

impl Options {
    /// The TTLs for a run over `stream`, divided as asked; `None` when values never expire.
    pub(crate) fn ttls_for(&self, stream: &Stream) -> Option<RunTtls> {
        let ttl = self.ttl.as_ref()?;
        let run = match &self.source {
            Source::Zipf { duration, .. } => duration.as_secs_f64(),
            Source::Trace { .. } => {
                let requests = u32::try_from(stream.request_count()?).unwrap_or(u32::MAX);
                NOMINAL_REQUEST.as_secs_f64() * f64::from(requests)
            }
        };
        let divisor = ttl.divisor.unwrap_or_else(|| {
            let median = ttl.mix.median().as_secs_f64();
            (median * MEDIANS_PER_RUN / run).max(1.0)
        });
        Some(RunTtls { mix: ttl.mix.divided_by(divisor), divisor })
    }
}

/// Reads an option's value, naming the option when that fails.
fn value<T>(
    arguments: &mut lexopt::Parser,
    option: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, lexopt::Error> {
    let value = arguments.value()?;
    Ok(parse(&value.to_string_lossy()).map_err(|why| format!("{option}: {why}"))?)
}

fn whole<N: FromStr + PartialOrd + Display>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> {
    move |text| {
        (text.parse().ok()).filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("expected a whole number from {least} to {most}, found `{text}`")
        })
    }
}

fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "lines" => Ok(Format::Lines),
        "u32be" => Ok(Format::U32Be),
        "u64be" => Ok(Format::U64Be),
        _ => Err(format!("expected lines, u32be or u64be, found `{text}`")),
    }
}

fn parse_ttl(text: &str) -> Result<Option<TtlMix>, String> {
    match text {
        "none" => Ok(None),
        mix => TtlMix::parse(mix).map(Some),
    }
}

fn parse_divisor(text: &str) -> Result<Option<f64>, String> {
    match (text, text.parse::<f64>()) {
        ("auto", _) => Ok(None),
        (_, Ok(divisor)) if divisor > 0.0 && divisor <= MOST_DIVISOR => Ok(Some(divisor)),
        _ => Err(format!(
            "expected `auto` or a number above 0 and up to {MOST_DIVISOR:e}, found `{text}`"
        )),
    }
}
