//! Many processes that want what nobody has: how often it is loaded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use evanesce_tier::{Load, Tracking};
use futures_util::future::try_join_all;

use crate::{
    Run,
    clients::{Failure, tier},
    passes::median,
    report::{Must, table},
};

const TIERS: usize = 4;
const CALLERS: usize = 50; // of each tier
const LOADER: Duration = Duration::from_millis(50);

pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let rounds = if run.smoke { 2 } else { 15 };
    let lease = Load::new().lease(Duration::from_secs(10));
    let (loads, took) = round(run, "leased", lease, rounds).await?;
    let (without, took_without) = round(run, "plain", Load::new(), rounds).await?;
    println!(
        "\n## A key that nobody has\n\n{TIERS} tiers, {CALLERS} callers of each, a loader of {LOADER:?}, {rounds} keys.\n"
    );
    let row = |name: &str, loads: &[usize], took: f64| {
        let loads = match (loads.iter().min(), loads.iter().max()) {
            (Some(fewest), Some(most)) if fewest != most => format!("{fewest} to {most}"),
            (fewest, _) => fewest.map_or("none".into(), usize::to_string),
        };
        vec![name.to_owned(), loads, format!("{took:.0}")]
    };
    let rows = [row("with a lease", &loads, took), row("without", &without, took_without)];
    table(&["`get_or_load`", "loads a key", "ms until all are served"], &rows);
    run.musts.push(Must::count(
        "one load a key with a lease",
        loads.iter().all(|loads| *loads == 1),
        format!("{} loads of {rounds} keys", loads.iter().sum::<usize>()),
    ));
    Ok(())
}

/// The loads of each key, and the median of what it took to serve all, in milliseconds.
async fn round(
    run: &Run,
    name: &str,
    load: Load,
    rounds: usize,
) -> Result<(Vec<usize>, f64), Failure> {
    let mut tiers = Vec::new();
    for _ in 0..TIERS {
        tiers.push(tier(&run.url, Tracking::OptIn).await?);
    }
    let (mut loads, mut took) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let key = format!("{name}:{round}");
        let count = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let callers = tiers.iter().flat_map(|tier| {
            (0..CALLERS).map(|_| {
                let (tier, key, count) = (tier.clone(), key.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let made = async |_: &str| {
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(LOADER).await;
                        Ok::<_, Failure>(b"loaded".to_vec())
                    };
                    tier.get_or_load(&key, load, made).await
                })
            })
        });
        for value in try_join_all(callers.collect::<Vec<_>>()).await? {
            if *value? != b"loaded" {
                return Err(format!("{key} has another value").into());
            }
        }
        took.push(start.elapsed().as_secs_f64() * 1e3);
        loads.push(count.load(Ordering::Relaxed));
    }
    Ok((loads, median(took)))
}
