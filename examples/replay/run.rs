//! Sends the stream through the map: readers that fill misses, writers that renew and delete keys
//! just served, and a sweeper.

use std::fs;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use evanesce::{Budget, Pinned, Stats, Sweeper, TtlMap};
use hdrhistogram::Histogram;

use crate::Failure;
use crate::options::{Options, Source};
use crate::progress::{Line, Progress};
use crate::stream::{Stream, mix};
use crate::ttl::TtlMix;

type Cache = TtlMap<u64, Value>;
type PinnedCache<'m> = Pinned<'m, u64, Value, std::hash::RandomState>;

const SWEEP_INTERVAL: Duration = Duration::from_millis(5);
const SWEEP_BUDGET: Duration = Duration::from_millis(1);
/// A reader shows one request in so many to the writers.
const SHOWN: usize = 16;
/// One visit of a writer in so many deletes, the others renew.
const DELETES: u64 = 4;
/// How long a writer waits when no reader has shown it a key.
const WRITER_PAUSE: Duration = Duration::from_micros(100);
const LINE_REFRESH: Duration = Duration::from_millis(100);
/// The longest latency told apart from longer ones, in ns.
const LONGEST_LATENCY: u64 = 60_000_000_000;
const LATENCY_DIGITS: u8 = 3;

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) reads: ReaderTally,
    pub(crate) writes: WriterTally,
    /// Taken once all threads had ended.
    pub(crate) stats: Stats,
    /// Values put whose deadline passed before they were replaced, deleted or evicted.
    pub(crate) expired: u64,
    /// What a timed `get` owes to the clock.
    pub(crate) clock_cost: Duration,
    /// Resident memory of the process in bytes, with the map still there; `None` where the
    /// platform does not tell.
    pub(crate) rss: Option<u64>,
}

/// What readers counted.
pub(crate) struct ReaderTally {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) misses_put_before: u64,
    /// Puts that replaced a live value: another reader had filled the same miss.
    replaced: u64,
    pub(crate) latency: Histogram<u64>,
}

/// What writers counted.
#[derive(Default)]
pub(crate) struct WriterTally {
    /// Keys taken from what readers served, found or not.
    visits: u64,
    pub(crate) renewed: u64,
    pub(crate) deleted: u64,
}

/// What the cache keeps: enough to tell whose value it is, and that it is whole.
struct Value {
    key: u64,
    check: u64,
}

/// What all threads of a run share.
struct Shared<'r> {
    cache: &'r Cache,
    stream: &'r Stream,
    /// `None` when values never expire.
    ttls: Option<&'r TtlMix>,
    seed: u64,
    started: Instant,
    /// Whether each key was ever put.
    put_before: Box<[AtomicBool]>,
    /// Each reader's keys just served.
    served: Box<[Served]>,
    /// Set when readers have ended or one has failed.
    stop: AtomicBool,
}

/// Runs `stream` to its end through a fresh map.
pub(crate) fn run(
    options: &Options,
    stream: &Stream,
    ttls: Option<&TtlMix>,
) -> Result<Outcome, Failure> {
    let clock_cost = clock_cost();
    let cache = Arc::new(cache(options.max_entries)?);
    let sweeper = Sweeper::spawn(&cache, SWEEP_INTERVAL, Budget::time(SWEEP_BUDGET))
        .map_err(|error| Failure::Run(format!("cannot start the sweeper: {error}")))?;
    let shared = Shared {
        cache: &cache,
        stream,
        ttls,
        seed: options.seed,
        put_before: (0..stream.key_count()).map(|_| AtomicBool::new(false)).collect(),
        served: (0..options.readers).map(|_| Served::default()).collect(),
        stop: AtomicBool::new(false),
        started: Instant::now(),
    };
    let (reads, writes, elapsed) = thread::scope(|scope| serve(scope, &shared, options))?;
    drop(sweeper);
    let stats = cache.stats();
    let expired = settle(options, ttls, &reads, &writes, &stats)?;
    Ok(Outcome { elapsed, reads, writes, stats, expired, clock_cost, rss: resident_bytes() })
}

/// An empty map that may hold so many entries, or whatever is put.
fn cache(max_entries: Option<usize>) -> Result<Cache, Failure> {
    let builder = match max_entries {
        Some(most) => Cache::builder().max_entries(most),
        None => Cache::builder(),
    };
    builder.build().map_err(|error| Failure::Run(format!("cannot make the map: {error}")))
}

/// Runs the threads until the readers are done, and adds up what they counted.
fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'scope>,
    options: &Options,
) -> Result<(ReaderTally, WriterTally, Duration), Failure> {
    // Nothing is sent: the channel hangs up when the last reader has dropped its end.
    let (running, ended) = mpsc::channel::<()>();
    let start = || {
        let readers = (shared.served.iter())
            .map(|served| {
                let running = running.clone();
                let reader = move || {
                    let tally = read(shared, served);
                    drop(running);
                    tally
                };
                spawn(scope, "reader", reader)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let writers = (0..options.writers)
            .map(|_| spawn(scope, "writer", move || write(shared)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Failure>((readers, writers))
    };
    let threads = start();
    drop(running);
    if threads.is_ok() {
        show_progress(shared, options, &ended);
    }
    let elapsed = shared.started.elapsed();
    shared.stop.store(true, Ordering::Relaxed);
    let (reading, writing) = threads?;

    let mut reads = ReaderTally::new();
    for reader in reading {
        reads.add(&join(reader, "reader")??);
    }
    let mut writes = WriterTally::default();
    for writer in writing {
        let tally = join(writer, "writer")?;
        writes.renewed += tally.renewed;
        writes.deleted += tally.deleted;
    }
    Ok((reads, writes, elapsed))
}

/// A reader's life: takes requests, serves hits from the cache, fills misses.
fn read(shared: &Shared<'_>, served: &Served) -> Result<ReaderTally, Failure> {
    let mut tally = ReaderTally::new();
    let mut pinned = shared.cache.pin();
    let mut deal = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) && shared.stream.deal(shared.started, &mut deal) {
        for (turn, &number) in deal.iter().enumerate() {
            if let Err(failure) = request(shared, &pinned, number, &mut tally) {
                shared.stop.store(true, Ordering::Relaxed);
                return Err(failure);
            }
            if turn % SHOWN == 0 {
                served.show(number);
            }
        }
        served.count(&tally);
        pinned.repin();
    }
    Ok(tally)
}

fn request(
    shared: &Shared<'_>,
    pinned: &PinnedCache<'_>,
    number: u32,
    tally: &mut ReaderTally,
) -> Result<(), Failure> {
    let key = shared.stream.key(number);
    let put = &shared.put_before[number as usize];
    // Acquire: pairs with the Release below, so a key seen as put was put before this `get`.
    let was_put = put.load(Ordering::Acquire);

    let asked = Instant::now();
    let found = pinned.get(&key);
    let took = asked.elapsed();

    tally.latency.saturating_record(in_nanos(took));
    if let Some(value) = found {
        tally.hits += 1;
        return value.check_against(key);
    }
    tally.misses += 1;
    tally.misses_put_before += u64::from(was_put);
    let replaced = match shared.ttl(key) {
        Some(ttl) => pinned.insert_with_ttl(key, Value::of(key), ttl),
        None => pinned.insert(key, Value::of(key)),
    };
    tally.replaced += u64::from(replaced.is_some());
    put.store(true, Ordering::Release);
    Ok(())
}

/// A writer's life: renews and deletes what readers have just served.
fn write(shared: &Shared<'_>) -> WriterTally {
    let mut tally = WriterTally::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let visits = tally.visits;
        visit_served(shared, &mut tally);
        if tally.visits == visits {
            thread::sleep(WRITER_PAUSE);
        }
    }
    tally
}

fn visit_served(shared: &Shared<'_>, tally: &mut WriterTally) {
    let pinned = shared.cache.pin();
    for number in shared.served.iter().flat_map(Served::take_all) {
        let key = shared.stream.key(number);
        tally.visits += 1;
        if tally.visits.is_multiple_of(DELETES) {
            tally.deleted += u64::from(pinned.remove(&key).is_some());
        } else {
            let renewed = match shared.ttl(key) {
                Some(ttl) => pinned.set_ttl(&key, ttl),
                None => pinned.update(key, |_| Value::of(key)).is_some(),
            };
            tally.renewed += u64::from(renewed);
        }
    }
}

impl Shared<'_> {
    /// The TTL of a key's values; `None` when none is to be set.
    fn ttl(&self, key: u64) -> Option<Duration> {
        // The upper 53 bits fit `f64` exactly and become a point from 0 up to 1.
        #[expect(clippy::cast_precision_loss)]
        let point = |key: u64| (mix(key ^ mix(self.seed)) >> 11) as f64 / (1_u64 << 53) as f64;
        self.ttls.map(|ttls| ttls.at(point(key)))
    }
}

impl Value {
    fn of(key: u64) -> Self {
        Self { key, check: mix(!key) }
    }

    fn check_against(&self, key: u64) -> Result<(), Failure> {
        if self.key == key && self.check == mix(!key) {
            return Ok(());
        }
        Err(Failure::Run(format!(
            "wrong answer: key {key} was answered with key {} and check {:#x}, which should be {:#x}",
            self.key,
            self.check,
            mix(!key)
        )))
    }
}

/// What one reader shows the others: the keys that it has just served, in a small ring that forgets what no writer
/// takes, and that costs the reader one store; and how far it is.
#[derive(Default)]
#[repr(align(64))]
struct Served {
    ring: [AtomicU32; Served::LENGTH],
    next: AtomicU32,
    requests: AtomicU64,
    hits: AtomicU64,
}

impl Served {
    const LENGTH: usize = 15;

    /// Shows the writers the number of a key. Only the ring's reader calls this.
    fn show(&self, number: u32) {
        // Relaxed: a number stands for itself, nothing is published with it.
        let next = self.next.load(Ordering::Relaxed);
        self.next.store(next.wrapping_add(1), Ordering::Relaxed);
        self.ring[next as usize % Self::LENGTH].store(number.wrapping_add(1), Ordering::Relaxed);
    }

    /// Shows the progress line what the reader has counted so far.
    fn count(&self, tally: &ReaderTally) {
        // Relaxed: as above.
        self.hits.store(tally.hits, Ordering::Relaxed);
        self.requests.store(tally.hits + tally.misses, Ordering::Relaxed);
    }

    /// How many requests its reader has served, and how many of them from the map.
    fn counted(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.hits.load(Ordering::Relaxed))
    }

    /// Takes what is shown; two writers never take the same.
    fn take_all(&self) -> impl Iterator<Item = u32> {
        (self.ring.iter())
            .filter(|place| place.load(Ordering::Relaxed) != 0)
            .filter_map(|place| NonZeroU32::new(place.swap(0, Ordering::Relaxed)))
            .map(|shown| shown.get() - 1)
    }
}

impl ReaderTally {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_LATENCY, LATENCY_DIGITS)
            .expect("the bounds are constants that the histogram accepts");
        Self { hits: 0, misses: 0, misses_put_before: 0, replaced: 0, latency }
    }

    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.misses_put_before += other.misses_put_before;
        self.replaced += other.replaced;
        self.latency.add(&other.latency).expect("both histograms have the same bounds");
    }
}

/// Checks that the map's accounts balance, and returns how many values expired.
///
/// Each miss is a put. A value put is replaced, deleted, evicted, live at the end, or has expired.
fn settle(
    options: &Options,
    ttls: Option<&TtlMix>,
    reads: &ReaderTally,
    writes: &WriterTally,
    stats: &Stats,
) -> Result<u64, Failure> {
    let live = stats.len.saturating_sub(stats.expired_unswept) as u64;
    let evicted = stats.evicted_total;
    let accounted = reads.replaced + writes.deleted + evicted + live;
    let Some(expired) = reads.misses.checked_sub(accounted) else {
        return Err(Failure::Run(format!(
            "wrong answer: {} values were put, but {} replaced, {} deleted, {evicted} evicted and {live} live at \
             the end",
            reads.misses, reads.replaced, writes.deleted
        )));
    };
    if ttls.is_none() && expired > 0 {
        return Err(Failure::Run(format!(
            "wrong answer: {expired} values were lost, though none had a TTL"
        )));
    }
    let most = options.max_entries.unwrap_or(usize::MAX);
    if stats.len > most {
        return Err(Failure::Run(format!(
            "wrong answer: {} entries at the end, of at most {most}",
            stats.len
        )));
    }
    if ttls.is_none() && options.writers == 0 && evicted == 0 && reads.misses_put_before > 0 {
        return Err(Failure::Run(format!(
            "wrong answer: {} misses on keys put before, though nothing deleted or evicted them and \
             none had a TTL",
            reads.misses_put_before
        )));
    }
    Ok(expired)
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    role: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Failure> {
    (thread::Builder::new().name(role.to_owned()))
        .spawn_scoped(scope, work)
        .map_err(|error| Failure::Run(format!("cannot start a {role} thread: {error}")))
}

fn join<T>(thread: ScopedJoinHandle<'_, T>, role: &str) -> Result<T, Failure> {
    (thread.join()).map_err(|_| Failure::Run(format!("a {role} thread panicked")))
}

/// Tells how far the run is until the last reader has ended; where standard error is no terminal, just waits.
fn show_progress(shared: &Shared<'_>, options: &Options, ended: &mpsc::Receiver<()>) {
    let line = Line::on_stderr();
    loop {
        line.show(|columns| progress(shared, options).line(columns));
        if ended.recv_timeout(LINE_REFRESH) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

#[expect(clippy::cast_precision_loss)]
fn progress(shared: &Shared<'_>, options: &Options) -> Progress {
    let elapsed = shared.started.elapsed();
    let (done, total) = shared.stream.progress(shared.started);
    let position = match options.source {
        Source::Zipf { duration, .. } => format!("{:.0?} of {duration:?}", elapsed.min(duration)),
        Source::Trace { .. } => format!("{done} of {total}"),
    };
    let (requests, hits) = shared
        .served
        .iter()
        .map(Served::counted)
        .fold((0, 0), |sum, reader| (sum.0 + reader.0, sum.1 + reader.1));
    Progress { share: done as f64 / total.max(1) as f64, position, elapsed, requests, hits }
}

/// The median time between two readings of the clock with nothing between them.
fn clock_cost() -> Duration {
    let mut readings: Vec<Duration> = (0..10_001).map(|_| Instant::now().elapsed()).collect();
    readings.sort_unstable();
    readings[readings.len() / 2]
}

fn in_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn resident_bytes() -> Option<u64> {
    // Not `statm`, which counts in pages: std does not tell their size.
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
