//! A read-through cache of a bounded size in front of a slow origin that fails at times.
//!
//! It shows what keeps load from an origin, and its failures from the callers ([`cache`] is the part to copy):
//!
//! - [`Builder::max_entries`](evanesce::Builder::max_entries): to take a page in, a full cache gives up another;
//! - single flight, by `try_get_or_load_with`: of all who miss a page at a time one asks the origin;
//! - early refresh, by [`Pinned::get_or_refresh`](evanesce::Pinned::get_or_refresh): a page that is asked for is fetched
//!   anew before its time is over, by one task, and nobody waits for that;
//! - stale on error: if that fails, the old page is served for a grace;
//! - a negative TTL: an origin that has just failed is not asked again at once.
//!
//! The origin is a task with a delay in it. Of each 100 fetches the last 20 fail. Counts differ from run to run.
//!
//! ```text
//! $ cargo run --release -p async-examples --example loader
//! 64 clients, 500 requests each, for 2000 pages; at most 500 are kept
//! requests         32000
//!   hits           18877
//!   stale served    3693
//!   loads           8863
//!   joined           567
//! failed            2055
//! refreshes         5844, of them failed 1149
//! fetches          14707
//! pages kept         491
//! evicted           5928
//! ```

pub(crate) mod cache;

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache::{Cache, Origin, Page, Pages, Times, Unavailable};
use lexopt::Arg;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand_distr::Zipf;
use tokio::task::JoinSet;
use tokio::time::sleep;

const HELP: &str = "\
Sends requests through a read-through cache in front of a slow origin, and prints an account.

Usage: loader [OPTIONS]

  --clients N        how many ask at a time, 1 to 10000 [64]
  --requests N       requests of each, a millisecond apart, 1 to 1000000 [500]
  --pages N          pages of the origin, asked for by a Zipf distribution, 1 to 10000000 [2000]
  --max-entries N    pages that the cache keeps at most, 1 to 10000000 [500]
  --delay MS         what the origin takes to answer, in milliseconds, 0 to 10000 [20]
  --fail N           of each 100 fetches the last N fail, 0 to 100 [20]
  -h, --help         print this

A page is fresh for 200 ms, is refreshed when 100 ms of that are left, and is served for 500 ms more if
the origin gives no other. An error of a load is kept for 50 ms. Exit status: 0, 1 when the work could not be done, 2 when the command line could not
be followed.
";

const TIMES: Times = Times {
    fresh: Duration::from_millis(200),
    early: Duration::from_millis(100),
    grace: Duration::from_millis(500),
    negative: Duration::from_millis(50),
    retry: Duration::from_millis(50),
    patience: Duration::from_secs(1),
};

/// What the command line asks for.
struct Options {
    clients: u64,
    requests: u64,
    pages: u64,
    max_entries: u64,
    delay: u64,
    fail: u64,
}

fn main() -> ExitCode {
    let (status, message) = match parse(lexopt::Parser::from_env()) {
        Ok(options) => match run(options) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Err(misuse) => (2, format!("{misuse} (--help lists the options)")),
    };
    eprintln!("loader: {message}");
    ExitCode::from(status)
}

fn run(options: Option<Options>) -> Result<(), Box<dyn std::error::Error>> {
    let Some(options) = options else {
        return Ok(io::stdout().write_all(HELP.as_bytes())?);
    };
    let origin = SlowOrigin {
        delay: Duration::from_millis(options.delay),
        fail: options.fail,
        fetches: AtomicU64::new(0),
    };
    let cache = Cache::new(Pages::builder(), options.max_entries as usize, TIMES, origin)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    runtime.block_on(ask(&options, &cache))?;
    // Refreshes that are under way end here.
    drop(runtime);
    Ok(write_account(&mut io::stdout(), &options, &cache)?)
}

/// Reads the options; `None` for `--help`.
fn parse(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options =
        Options { clients: 64, requests: 500, pages: 2000, max_entries: 500, delay: 20, fail: 20 };
    while let Some(argument) = arguments.next()? {
        let (option, range, place) = match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("clients") => ("--clients", 1..=10_000, &mut options.clients),
            Arg::Long("requests") => ("--requests", 1..=1_000_000, &mut options.requests),
            Arg::Long("pages") => ("--pages", 1..=10_000_000, &mut options.pages),
            Arg::Long("max-entries") => ("--max-entries", 1..=10_000_000, &mut options.max_entries),
            Arg::Long("delay") => ("--delay", 0..=10_000, &mut options.delay),
            Arg::Long("fail") => ("--fail", 0..=100, &mut options.fail),
            other => return Err(other.unexpected()),
        };
        *place = whole(&mut arguments, option, range)?;
    }
    Ok(Some(options))
}

/// Reads an option's value, naming the option and its range when that fails.
fn whole(
    arguments: &mut lexopt::Parser,
    option: &str,
    range: RangeInclusive<u64>,
) -> Result<u64, lexopt::Error> {
    let value = arguments.value()?;
    let text = value.to_string_lossy();
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (least, most) = range.into_inner();
        let text = text.escape_debug();
        format!("{option}: expected a whole number from {least} to {most}, found `{text}`").into()
    })
}

/// Stands for a server that is asked over the network.
struct SlowOrigin {
    delay: Duration,
    fail: u64,
    fetches: AtomicU64,
}

impl Origin for SlowOrigin {
    async fn fetch(&self, page: Page) -> Result<Arc<str>, Unavailable> {
        let number = self.fetches.fetch_add(1, Ordering::Relaxed) % 100;
        sleep(self.delay).await;
        if number >= 100 - self.fail { Err(Unavailable) } else { Ok(text_of(page)) }
    }
}

fn text_of(page: Page) -> Arc<str> {
    format!("<h1>{page}</h1>").into()
}

/// Lets all clients ask, and checks what they get.
async fn ask<O: Origin>(
    options: &Options,
    cache: &Arc<Cache<O>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let popular = Zipf::new(f64::from(options.pages as Page), 0.9)?;
    let mut clients = JoinSet::new();
    for client in 0..options.clients {
        let (cache, requests) = (Arc::clone(cache), options.requests);
        clients.spawn(async move {
            let mut random = SmallRng::seed_from_u64(client);
            for _ in 0..requests {
                let page = drawn(&popular, &mut random);
                if let Ok(text) = cache.get(page).await {
                    assert_eq!(text, text_of(page), "a page of another's");
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client?;
    }
    Ok(())
}

#[expect(clippy::cast_sign_loss, reason = "a rank is 1 at least")]
fn drawn(popular: &Zipf<f64>, random: &mut SmallRng) -> Page {
    popular.sample(random) as Page
}

fn write_account(
    to: &mut impl Write,
    options: &Options,
    cache: &Cache<SlowOrigin>,
) -> io::Result<()> {
    let Options { clients, requests, pages, max_entries, .. } = options;
    writeln!(
        to,
        "{clients} clients, {requests} requests each, for {pages} pages; at most {max_entries} are kept"
    )?;
    let (counts, stats) = (&cache.counts, cache.pages.stats());
    writeln!(to, "requests      {:>8}", counts.requests.get())?;
    writeln!(to, "  hits        {:>8}", counts.hits.get())?;
    writeln!(to, "  stale served{:>8}", counts.stale.get())?;
    writeln!(to, "  loads       {:>8}", counts.loads.get())?;
    writeln!(to, "  joined      {:>8}", counts.joined.get())?;
    writeln!(to, "failed        {:>8}", counts.failed.get())?;
    let (refreshes, failed) = (counts.refreshes.get(), counts.failed_refreshes.get());
    writeln!(to, "refreshes     {refreshes:>8}, of them failed {failed}")?;
    writeln!(to, "fetches       {:>8}", cache.origin.fetches.load(Ordering::Relaxed))?;
    writeln!(to, "pages kept    {:>8}", stats.len)?;
    writeln!(to, "evicted       {:>8}", stats.evicted_total)
}
