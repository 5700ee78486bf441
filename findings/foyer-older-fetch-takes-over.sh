#!/usr/bin/env bash
# Claim: while `get_or_fetch` of foyer (Rust) fetches, an `insert` of the key wakes those who wait, with the value
# inserted. The fetch goes on, and when it ends its older value takes the place of the inserted one. So the caller of the fetch
# has the new value, and all who ask later get the old. A `remove` after such an insert is undone in the same way.
#
# The guess that was wrong: one of two. Either the last to put wins, and then those who waited get the fetched value, as
# in moka; or a write ends the fetch, and then the fetched value is dropped. That the waiters are handed the written value
# speaks for the second.
#
# Why it matters: "write to the database, then to the cache" leaves the value from before the write in the cache if a
# reader was just fetching, until it is evicted, since there is no TTL here. A test that looks at what the fetch returned
# sees the right value.
#
# For our product: a write during a load wins: those who wait get the loaded value, and the map keeps what was written (the
# guide, "Loading").
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export CARGO_TARGET_DIR="$dir/target"
mkdir "$dir/src"
cat > "$dir/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
foyer-memory = "=0.22.6"
tokio = { version = "=1.54.1", features = ["macros", "rt", "sync", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use foyer_memory::{Cache, CacheBuilder, CacheProperties};
use std::io::Error;
use std::process::exit;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

#[derive(Clone, Copy, PartialEq)]
enum During {
    Nothing,
    Insert,
    InsertAndRemove,
}

/// What the caller of the fetch gets, and what is in the cache when the fetch has ended.
async fn seen(during: During) -> (String, Option<String>) {
    let cache: Cache<u32, String> = CacheBuilder::new(100).build::<CacheProperties>();
    let (begun, has_begun) = oneshot::channel();
    let (let_end, may_end) = oneshot::channel();
    let reader = tokio::spawn({
        let cache = cache.clone();
        async move {
            let fetch = || async move {
                begun.send(()).unwrap();
                may_end.await.unwrap();
                Ok::<_, Error>("fetched".to_owned())
            };
            cache.get_or_fetch(&1, fetch).await.unwrap().value().clone()
        }
    });
    has_begun.await.unwrap();
    if during != During::Nothing {
        cache.insert(1, "written".to_owned());
    }
    if during == During::InsertAndRemove {
        cache.remove(&1);
    }
    let_end.send(()).unwrap();
    let got = reader.await.unwrap();
    for _ in 0..100 {
        sleep(Duration::from_millis(10)).await; // for the fetch to end, which nobody waits for any more
        if cache.get(&1).is_some_and(|entry| entry.value() == "fetched") {
            break;
        }
    }
    (got, cache.get(&1).map(|entry| entry.value().clone()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let nothing = seen(During::Nothing).await;
    let insert = seen(During::Insert).await;
    let remove = seen(During::InsertAndRemove).await;
    println!("foyer-memory 0.22.6: while a fetch runs, another value is put, and removed again or not");
    println!("expected: as who waits is handed what was put, the fetched value is dropped");
    println!("seen, nothing meanwhile: gets {:?}, afterwards {:?}", nothing.0, nothing.1);
    println!("seen, an insert: gets {:?}, afterwards {:?}", insert.0, insert.1);
    println!("seen, an insert and a remove: gets {:?}, afterwards {:?}", remove.0, remove.1);
    let kept = [nothing.1, insert.1, remove.1].map(|value| value.is_some_and(|value| value == "fetched"));
    if [nothing.0, insert.0] != ["fetched", "written"] || kept != [true; 3] {
        eprintln!("changed: the fetched value no longer takes the place of what was put meanwhile");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
