//! Many readers, many writers, few keys: which keys are stale when all is over, and stay so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::AsyncCommands;

use crate::{
    Run,
    clients::{
        BCast, CacheAio, Client, Failure, FredMoka, MokaByHand, OptIn, PREFIX, RustisGet,
        RustisMget, bare,
    },
    report::{Must, table},
};

const KEYS: u64 = 500;
const CLIENTS: usize = 4;
const READERS: usize = 4; // of each client
const WRITERS: u64 = 9;
/// How long after the last write a key is still given time.
const PATIENCE: Duration = Duration::from_secs(2);

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
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How one kind of client did.
struct Outcome {
    stale: Vec<usize>,
    reads: u64,
    longest_stale: Duration,
}

pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let writes = if run.smoke { 100 } else { 2_000 };
    // A short run does not wait as long for those who stay stale for good.
    let theirs = if run.smoke { PATIENCE / 4 } else { PATIENCE };
    let outcomes = [
        (OptIn::NAME, race::<OptIn>(&run.url, writes, PATIENCE).await?),
        (BCast::NAME, race::<BCast>(&run.url, writes, PATIENCE).await?),
        (MokaByHand::NAME, race::<MokaByHand>(&run.url, writes, theirs).await?),
        (CacheAio::NAME, race::<CacheAio>(&run.url, writes, theirs).await?),
        (FredMoka::NAME, race::<FredMoka>(&run.url, writes, theirs).await?),
        (RustisGet::NAME, race::<RustisGet>(&run.url, writes, theirs).await?),
        (RustisMget::NAME, race::<RustisMget>(&run.url, writes, theirs).await?),
    ];
    println!(
        "\n## The race\n\n{CLIENTS} clients of {READERS} readers, {KEYS} keys, {WRITERS} other clients that write {writes} times \
         each. A key is stale if {PATIENCE:?} after the last write a client still reads an older value.\n"
    );
    let rows: Vec<_> = (outcomes.iter())
        .map(|(name, outcome)| {
            let stale: Vec<_> = outcome.stale.iter().map(usize::to_string).collect();
            vec![
                (*name).to_owned(),
                stale.join(" "),
                format!("{:.2}", outcome.longest_stale.as_secs_f64() * 1e3),
                outcome.reads.to_string(),
            ]
        })
        .collect();
    table(&["", "stale keys, for each client", "longest stale read, ms", "reads"], &rows);
    let stale = outcomes[..2].iter().flat_map(|(_, outcome)| &outcome.stale).sum::<usize>();
    run.musts.push(Must::count("no stale key in our tiers", stale == 0, stale.to_string()));
    Ok(())
}

async fn race<C: Client>(url: &str, writes: u64, patience: Duration) -> Result<Outcome, Failure> {
    let race = Arc::new(Race {
        written: (0..KEYS).map(|_| Written::default()).collect(),
        is_over: AtomicBool::new(false),
        longest_stale: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        start: Instant::now(),
    });
    let mut foreign = bare(url).await?;
    for key in 0..KEYS {
        let () = foreign.set(name(key), 0).await?;
    }
    let (mut clients, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        let client = C::connect(url).await?;
        for _ in 0..READERS {
            readers.push(tokio::spawn(read_on(client.clone(), Arc::clone(&race))));
        }
        clients.push(client);
    }
    // Each writer has keys of its own, so that versions only grow.
    let writing: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_on(writer, writes, url.to_owned(), Arc::clone(&race))))
        .collect();
    for writer in writing {
        writer.await??;
    }
    let last_write = Instant::now();
    race.is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await??;
    }
    // Nobody reads or writes any more: what is not stale now will not be, and there is nothing to wait for.
    let stale = loop {
        let stale = stale(&mut clients, &race).await?;
        if stale.iter().all(|count| *count == 0) || last_write.elapsed() >= patience {
            break stale;
        }
        let left = patience.saturating_sub(last_write.elapsed());
        tokio::time::sleep(left.min(Duration::from_millis(100))).await;
    };
    Ok(Outcome {
        stale,
        reads: race.reads.load(Ordering::SeqCst),
        longest_stale: Duration::from_nanos(race.longest_stale.load(Ordering::SeqCst)),
    })
}

fn name(key: u64) -> String {
    format!("{PREFIX}race:{key}")
}

/// How many keys each client has an older value of than was written last.
async fn stale<C: Client>(clients: &mut [C], race: &Race) -> Result<Vec<usize>, Failure> {
    let mut stale = vec![0; clients.len()];
    for (client, count) in clients.iter_mut().zip(&mut stale) {
        for (key, written) in (0..).zip(&race.written) {
            let last = written.version.load(Ordering::SeqCst);
            *count += usize::from(version(client, key).await? != last);
        }
    }
    Ok(stale)
}

async fn version<C: Client>(client: &mut C, key: u64) -> Result<u64, Failure> {
    let value = client.get(&name(key)).await?.ok_or("a key is gone")?;
    Ok(std::str::from_utf8(C::bytes(&value))?.parse()?)
}

async fn read_on<C: Client>(mut client: C, race: Arc<Race>) -> Result<(), Failure> {
    while !race.is_over.load(Ordering::SeqCst) {
        let key = fastrand::u64(..KEYS);
        let written = &race.written[usize::try_from(key)?];
        let (last, at) =
            (written.version.load(Ordering::SeqCst), written.at.load(Ordering::SeqCst));
        let start = race.now();
        if version(&mut client, key).await? < last {
            race.longest_stale.fetch_max(start.saturating_sub(at), Ordering::SeqCst);
        }
        race.reads.fetch_add(1, Ordering::SeqCst);
        if fastrand::u8(..8) == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn write_on(writer: u64, times: u64, url: String, race: Arc<Race>) -> Result<(), Failure> {
    let mut foreign = bare(&url).await?;
    let own: Vec<_> = (writer..KEYS).step_by(usize::try_from(WRITERS)?).collect();
    for version in 1..=times {
        let key = own[fastrand::usize(..own.len())];
        let () = foreign.set(name(key), version).await?;
        let written = &race.written[usize::try_from(key)?];
        written.at.store(race.now(), Ordering::SeqCst);
        written.version.store(version, Ordering::SeqCst);
    }
    Ok(())
}
