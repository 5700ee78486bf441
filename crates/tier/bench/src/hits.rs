//! Reads of what is kept: by the async call of each client, and by reference beside a bare map.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use evanesce::{Builder, TtlMap};
use evanesce_tier::Tracking;
use redis::AsyncCommands;

use crate::{
    Run,
    clients::{
        CacheAio, Client, Failure, FredMoka, MAX_ENTRIES, MokaByHand, NEAR_TTL, OptIn, PREFIX,
        RustisGet, bare, tier,
    },
    passes::{Entrant, Pass, interleaved},
    report::{Must, nanos, table},
};

const KEYS: usize = 1_000;
const VALUE: [u8; 100] = [b'v'; 100];

/// How long a pass takes: the same for slow and fast, so that what interrupts them falls on all alike.
const PASS: Duration = Duration::from_millis(1);

/// The keys, and the order in which all read them.
struct Reads {
    keys: Vec<String>,
    order: Vec<usize>,
    pass: Duration,
}

impl Reads {
    fn of(pass: Duration) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        Self {
            keys: (0..KEYS).map(|n| format!("{PREFIX}{n:04}")).collect(),
            order: (0..20 * KEYS).map(|_| random.usize(..KEYS)).collect(),
            pass,
        }
    }
}

/// Where a pass is in the order, and how long it has taken.
struct Progress<'r> {
    reads: &'r Reads,
    done: usize,
    start: Instant,
}

impl<'r> Progress<'r> {
    const TOGETHER: usize = 500;

    fn of(reads: &'r Reads) -> Self {
        Self { reads, done: 0, start: Instant::now() }
    }

    /// The next keys, if the pass is not over.
    fn next(&mut self) -> Option<impl Iterator<Item = &'r str> + use<'r>> {
        let Reads { keys, order, pass } = self.reads;
        if self.done > 0 && self.start.elapsed() >= *pass {
            return None;
        }
        let first = self.done % order.len();
        self.done += Self::TOGETHER;
        Some(order[first..first + Self::TOGETHER].iter().map(|&n| keys[n].as_str()))
    }

    /// What a read took, in nanoseconds.
    fn per_read(&self) -> f64 {
        self.start.elapsed().as_nanos() as f64 / self.done as f64
    }
}

pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let reads = Arc::new(Reads::of(if run.smoke { Duration::ZERO } else { PASS }));
    let mut foreign = bare(&run.url).await?;
    for key in &reads.keys {
        let () = foreign.set(key, &VALUE[..]).await?;
    }
    let mut entrants = vec![
        client::<OptIn>(&run.url, &reads).await?,
        client::<CacheAio>(&run.url, &reads).await?,
        client::<MokaByHand>(&run.url, &reads).await?,
        client::<FredMoka>(&run.url, &reads).await?,
        client::<RustisGet>(&run.url, &reads).await?,
        view(&run.url, &reads).await?,
        bare_map("a bare map's get: deadlines and a limit, as the tier's", &reads, as_the_tier())?,
        bare_map("and its hits counted, as the tier's", &reads, as_the_tier().record_stats(true))?,
        bare_map("deadlines, no limit", &reads, TtlMap::builder().time_to_live(NEAR_TTL))?,
        bare_map("no deadlines, no limit", &reads, TtlMap::builder())?,
    ];
    interleaved(&mut entrants, if run.smoke { 3 } else { 301 }).await?;
    let took: Vec<f64> = entrants.iter().map(Entrant::median).collect();
    let (ours, cache_aio, view, bare) = (took[0], took[1], took[5], took[6]);
    let (by_await, by_reference) = entrants.split_at(5);
    let rows = |some: &[Entrant], of: f64| -> Vec<_> {
        some.iter()
            .map(|one| {
                let took = one.median();
                vec![one.name.clone(), nanos(took), format!("{:.2}", took / of)]
            })
            .collect()
    };
    println!(
        "\n## A hit\n\n{KEYS} keys, values of 100 bytes, one task. Medians of passes of {PASS:?} that take turns.\n"
    );
    table(&["`get(key).await`", "ns", "of ours"], &rows(by_await, ours));
    println!();
    table(&["by reference", "ns", "of the bare map's"], &rows(by_reference, bare));
    run.musts.extend([
        Must::time("an async hit takes at most 80 ns", ours <= 80.0, nanos(ours)),
        Must::time(
            "it is at least 5 times faster than `cache-aio`'s",
            cache_aio >= 5.0 * ours,
            format!("{:.1} times", cache_aio / ours),
        ),
        Must::time(
            "`view` takes at most 1.1 times a bare map's get",
            view <= 1.1 * bare,
            format!("{:.2} times", view / bare),
        ),
    ]);
    Ok(())
}

async fn client<C: Client>(url: &str, reads: &Arc<Reads>) -> Result<Entrant, Failure> {
    let mut client = C::connect(url).await?;
    for key in &reads.keys {
        let value = client.get(key).await?;
        if value.as_ref().map(C::bytes) != Some(&VALUE[..]) {
            return Err(format!("{}: {key} has another value", C::NAME).into());
        }
    }
    let reads = Arc::clone(reads);
    Ok(Entrant::new(C::NAME, move |_| -> Pass {
        Box::pin(hits(client.clone(), Arc::clone(&reads)))
    }))
}

#[inline(never)] // a name for profilers
async fn hits<C: Client>(mut client: C, reads: Arc<Reads>) -> Result<f64, Failure> {
    let mut progress = Progress::of(&reads);
    while let Some(keys) = progress.next() {
        for key in keys {
            black_box(client.get(key).await?);
        }
    }
    Ok(progress.per_read())
}

async fn view(url: &str, reads: &Arc<Reads>) -> Result<Entrant, Failure> {
    let tier = tier(url, Tracking::OptIn).await?;
    for key in &reads.keys {
        tier.get(key).await?;
    }
    let reads = Arc::clone(reads);
    Ok(Entrant::new("`tier.view(key, f)`", move |_| -> Pass {
        let (tier, reads) = (tier.clone(), Arc::clone(&reads));
        Box::pin(async move {
            let mut progress = Progress::of(&reads);
            while let Some(keys) = progress.next() {
                for key in keys {
                    let first = tier.view(key, |value| value[0]);
                    black_box(first.ok_or("a key is not kept")?);
                }
            }
            Ok(progress.per_read())
        })
    }))
}

fn as_the_tier() -> Builder<Vec<u8>, Arc<Vec<u8>>> {
    TtlMap::builder().time_to_live(NEAR_TTL).max_entries(MAX_ENTRIES)
}

/// A map of `evanesce` with the same keys and values, pinned anew for each get as `view` does.
fn bare_map(
    name: &str,
    reads: &Arc<Reads>,
    options: Builder<Vec<u8>, Arc<Vec<u8>>>,
) -> Result<Entrant, Failure> {
    let map = Arc::new(options.build()?);
    for key in &reads.keys {
        map.insert(key.clone().into_bytes(), Arc::new(VALUE.to_vec()));
    }
    let reads = Arc::clone(reads);
    Ok(Entrant::new(name, move |_| -> Pass {
        let (map, reads) = (Arc::clone(&map), Arc::clone(&reads));
        Box::pin(async move {
            let mut progress = Progress::of(&reads);
            while let Some(keys) = progress.next() {
                for key in keys {
                    let first = map.pin().get(key.as_bytes()).map(|value| value[0]);
                    black_box(first.ok_or("a key is not there")?);
                }
            }
            Ok(progress.per_read())
        })
    }))
}
