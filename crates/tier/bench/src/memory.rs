//! What tracking costs the server.

use std::{collections::HashMap, time::Duration};

use evanesce_tier::{Bytes, Tier, Tracking};
use redis::{aio::MultiplexedConnection, cmd, pipe};

use crate::{
    Run,
    clients::{Failure, PATIENCE, bare},
    report::table,
};

const VALUE: [u8; 100] = [b'v'; 100];
/// Keys that are read together.
const TOGETHER: usize = 500;

/// What `INFO` says.
struct Info {
    used_memory: i64,
    tracked_keys: i64,
}

pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let keys = if run.smoke { 2_000 } else { 100_000 };
    let mut foreign = bare(&run.url).await?;
    let mut rows = Vec::new();
    for (keys_are, key) in [("numbers in a row", in_a_row as Key), ("random identifiers", random)] {
        for (name, tiers, by_prefix) in [
            ("by key, 1 process", 1, false),
            ("by key, 4 processes", 4, false),
            ("by prefix, 1 process", 1, true),
        ] {
            cmd("FLUSHALL").exec_async(&mut foreign).await?;
            fill(&mut foreign, keys, key).await?;
            let mut connected = Vec::new();
            for _ in 0..tiers {
                connected.push(connect(&run.url, by_prefix).await?);
            }
            let before = settled(&mut foreign).await?;
            for tier in &connected {
                read(tier, keys, key).await?;
            }
            let after = settled(&mut foreign).await?;
            let bytes = (after.used_memory - before.used_memory) as f64 / keys as f64;
            rows.push(vec![
                format!("{name}, keys are {keys_are}"),
                after.tracked_keys.to_string(),
                format!("{bytes:.0}"),
            ]);
        }
    }
    println!(
        "\n## What tracking costs the server\n\n{keys} keys, read by each process; `used_memory` after less before.\n"
    );
    table(&["", "tracked keys", "bytes a key"], &rows);
    Ok(())
}

/// A tier of one process, whose connection has its buffers.
async fn connect(url: &str, by_prefix: bool) -> Result<Tier<str, Vec<u8>>, Failure> {
    let options = Tier::builder(url).codec(Bytes).prefix("track:");
    let tracking =
        if by_prefix { Tracking::Prefixes(vec![b"track:".into()]) } else { Tracking::OptIn };
    let options = options.heartbeat(Duration::from_secs(1), PATIENCE).request_timeout(PATIENCE);
    let tier = options.tracking(tracking).connect().await?;
    // Keys that are not counted, as many as are read together: the largest answer.
    let warm: Vec<_> = (0..TOGETHER).map(|n| format!("w{n}")).collect();
    tier.get_many(warm.iter().map(String::as_str)).await?;
    Ok(tier)
}

/// The name of a key by its number, without the prefix.
type Key = fn(usize) -> String;

/// 20 bytes with the prefix. Each shares most of it with the next, and the server's table keeps that once.
fn in_a_row(n: usize) -> String {
    format!("{n:014}")
}

/// 38 bytes with the prefix, as of sessions.
fn random(n: usize) -> String {
    format!("{:032x}", fastrand::Rng::with_seed(n as u64).u128(..))
}

async fn fill(foreign: &mut MultiplexedConnection, keys: usize, key: Key) -> Result<(), Failure> {
    for first in (0..keys).step_by(TOGETHER) {
        let mut sets = pipe();
        for n in first..keys.min(first + TOGETHER) {
            sets.set(format!("track:{}", key(n)), &VALUE[..]).ignore();
        }
        sets.exec_async(foreign).await?;
    }
    Ok(())
}

async fn read(tier: &Tier<str, Vec<u8>>, keys: usize, key: Key) -> Result<(), Failure> {
    for first in (0..keys).step_by(TOGETHER) {
        let names: Vec<_> = (first..keys.min(first + TOGETHER)).map(key).collect();
        let values = tier.get_many(names.iter().map(String::as_str)).await?;
        if values.iter().any(Option::is_none) {
            return Err("a key is gone".into());
        }
    }
    Ok(())
}

/// What `INFO` says when it does so twice in a row: tables are moved and buffers freed in the background.
async fn settled(foreign: &mut MultiplexedConnection) -> Result<Info, Failure> {
    let mut last = info(foreign).await?;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let next = info(foreign).await?;
        if (next.used_memory - last.used_memory).abs() < 4096 {
            return Ok(next);
        }
        last = next;
    }
    Err("the server's memory does not settle".into())
}

async fn info(foreign: &mut MultiplexedConnection) -> Result<Info, Failure> {
    let said: String = cmd("INFO").query_async(foreign).await?;
    let fields: HashMap<_, _> = said.lines().filter_map(|line| line.split_once(':')).collect();
    let number = |name: &str| -> Result<i64, Failure> {
        let value = fields.get(name).ok_or_else(|| format!("INFO says no {name}"))?;
        Ok(value.trim().parse()?)
    };
    Ok(Info { used_memory: number("used_memory")?, tracked_keys: number("tracking_total_keys")? })
}
