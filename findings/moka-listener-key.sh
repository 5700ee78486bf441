#!/usr/bin/env bash
# Claim: when an insert replaces a value in moka, the listener gets the old value together with the NEW key. The old
# key object is dropped and no listener call ever shows it.
#
# The guess that was wrong: the listener gets the pair that leaves the cache. Or, as in std's and in Java's caches,
# the old key stays in the cache and is what the listener gets.
#
# Why it matters: it shows with keys that are equal and not the same, such as a key that carries a file handle, a
# version, or an interned string beside the part that is compared. A listener that frees what hangs on the key frees
# that of the new key, which is in use, and leaks that of the old.
#
# For our product: `insert` replaces the key here as well, and the listener is given the old key with the old value.
# Keep a test with keys that are equal and not the same, and say it in the notes for those who come from moka.
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
moka = { version = "=0.12.16", features = ["sync"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use moka::{ops::compute::Op, sync::Cache};
use std::hash::{Hash, Hasher};
use std::process::exit;
use std::sync::{Arc, Mutex};

/// Equal whatever the tag.
#[derive(Clone, Debug)]
struct Key(u32, &'static str);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

fn main() {
    let told = Arc::new(Mutex::new(vec![]));
    let log = told.clone();
    let cache = Cache::builder()
        .eviction_listener(move |key: Arc<Key>, value: u32, _| log.lock().unwrap().push((key.1, value)))
        .build();
    cache.insert(Key(1, "first"), 1);
    cache.insert(Key(1, "second"), 2);
    cache.entry(Key(1, "third")).and_upsert_with(|_| 3);
    cache.entry(Key(1, "fourth")).and_compute_with(|_| Op::Put(4));
    cache.remove(&Key(1, "asked"));
    let told = told.lock().unwrap().clone();
    println!("moka 0.12.16, one key replaced three times, then removed");
    println!("expected: {:?}", [("first", 1), ("second", 2), ("third", 3), ("fourth", 4)]);
    println!("or, with the first key kept: {:?}", [("first", 1), ("first", 2), ("first", 3), ("first", 4)]);
    println!("seen:     {told:?}");
    if told != [("second", 1), ("third", 2), ("fourth", 3), ("fourth", 4)] {
        eprintln!("changed: the listener no longer gets an old value with the key that replaced its own");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
