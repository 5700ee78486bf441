//! Many readers, many writers, few keys: how many keys are stale when all is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::{Place, Text, catch_up, read, rows, say};

rows! { "race: stale keys of 500, for each of 4 tiers": race }

const KEYS: u64 = 500;
const TIERS: usize = 4;
const WRITERS: u64 = 9;
const WRITES: u64 = 1_000; // each

/// What was written of a key, and when it was acknowledged, in nanoseconds.
#[derive(Default)]
struct Written {
    version: AtomicU64,
    at: AtomicU64,
}

struct Race {
    written: Vec<Written>,
    is_over: AtomicBool,
    longest_stale: AtomicU64,
    reads: AtomicU64,
    start: Instant,
}

impl Race {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap()
    }
}

async fn race(place: Arc<Place>) -> String {
    let race = Arc::new(Race {
        written: (0..KEYS).map(|_| Written::default()).collect(),
        is_over: AtomicBool::new(false),
        longest_stale: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        start: Instant::now(),
    });
    let mut foreign = place.foreign().await;
    for key in 0..KEYS {
        say::<()>(&mut foreign, &format!("SET t:{key} 0")).await;
    }
    let mut tiers = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..TIERS {
        let tier = place.tier().await;
        for _ in 0..4 {
            readers.push(tokio::spawn(read_on(tier.clone(), Arc::clone(&race))));
        }
        tiers.push(tier);
    }
    // Six other clients, and three who write through a tier. Each has keys of its own, so that versions only grow.
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (place, race, tier) = (Arc::clone(&place), Arc::clone(&race), tiers[0].clone());
        writers.push(tokio::spawn(write_on(writer, place, tier, race)));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    race.is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let mut stale = Vec::new();
    for tier in &tiers {
        catch_up(tier).await;
        let mut count = 0;
        for key in 0..KEYS {
            let now = say::<String>(&mut foreign, &format!("GET t:{key}")).await;
            count += usize::from(read(tier, &key.to_string()).await != Some(now));
        }
        stale.push(count);
    }
    let refused: u64 = tiers.iter().map(|tier| tier.stats().refused_fills).sum();
    assert_eq!(stale, [0; TIERS], "stale for good, with {refused} fills refused");
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let longest = race.longest_stale.load(Ordering::SeqCst) as f64 / 1e6;
    let reads = race.reads.load(Ordering::SeqCst);
    format!("0 0 0 0 ({reads} reads, {refused} fills refused, longest stale {longest:.1} ms)")
}

async fn read_on(tier: Text, race: Arc<Race>) {
    while !race.is_over.load(Ordering::SeqCst) {
        let key = fastrand::u64(..KEYS);
        let written = &race.written[usize::try_from(key).unwrap()];
        let (version, at) =
            (written.version.load(Ordering::SeqCst), written.at.load(Ordering::SeqCst));
        let start = race.now();
        let found: u64 = read(&tier, &key.to_string()).await.unwrap().parse().unwrap();
        if found < version {
            race.longest_stale.fetch_max(start.saturating_sub(at), Ordering::SeqCst);
        }
        race.reads.fetch_add(1, Ordering::SeqCst);
        if fastrand::u8(..8) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn write_on(writer: u64, place: Arc<Place>, tier: Text, race: Arc<Race>) {
    let mut foreign = place.foreign().await;
    for version in 1..=WRITES {
        let key = fastrand::u64(..KEYS) / WRITERS * WRITERS + writer;
        if key >= KEYS {
            continue;
        }
        if writer.is_multiple_of(3) {
            tier.put(&key.to_string(), &version.to_string(), None).await.unwrap();
        } else {
            say::<()>(&mut foreign, &format!("SET t:{key} {version}")).await;
        }
        let written = &race.written[usize::try_from(key).unwrap()];
        written.at.store(race.now(), Ordering::SeqCst);
        written.version.store(version, Ordering::SeqCst);
    }
}
