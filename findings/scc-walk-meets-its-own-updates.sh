#!/usr/bin/env bash
# Claim: whoever walks scc's `HashIndex` and updates the entry it stands on meets the same key again and again: ten
# keys are shown up to some hundreds of times, with no other thread and no resize. The docs of `iter` allow a second
# visit only while the index is being resized. papaya, flurry and moka show each key once in the same loop.
#
# The guess that was wrong: an update is to one entry, and a walk shows an entry once. (An update puts a new entry
# into another slot of the same bucket, and the walk goes on through the bucket.)
#
# Why it matters: "walk, and renew or count up what is in use" is a usual loop for lifetimes in a map. Here it counts
# up several times, and adds to the lifetime several times.
#
# For our product: the same loop is natural here (`iter`, and `update` or `set_ttl` of each), and each key is seen
# once. Keep a test for it with `update`, `compute`, an insert over, and `set_ttl` of the entry stood on.
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
flurry = "=0.5.2"
moka = { version = "=0.12.16", features = ["sync"] }
papaya = "=0.2.5"
scc = "=3.8.8"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use scc::hash_index::{Entry, HashIndex};
use std::process::exit;

const KEYS: u32 = 10;
/// Far more steps than keys; no walk below comes near.
const STEPS: usize = 1000;

fn main() {
    // So large that ten entries do not make it grow.
    let index = HashIndex::<u32, u32>::with_capacity(4096);
    for key in 0..KEYS {
        index.insert_sync(key, 0).unwrap();
    }
    let capacity = index.capacity();
    let guard = scc::Guard::new();
    let quiet = index.iter(&guard).count();
    let mut scc = 0;
    for (key, _) in index.iter(&guard).take(STEPS) {
        scc += 1;
        if let Entry::Occupied(mut entry) = index.entry_sync(*key) {
            let next = *entry.get() + 1;
            entry.update(next);
        }
    }
    let sum: u32 = index.iter(&guard).map(|(_, value)| *value).sum();
    let resized = index.capacity() != capacity;

    let map = papaya::HashMap::new();
    let pinned = map.pin();
    (0..KEYS).for_each(|key| assert!(pinned.insert(key, 0).is_none()));
    let renew = |(key, _): &(&u32, &u32)| assert!(pinned.update(**key, |n| n + 1).is_some());
    let papaya = pinned.iter().take(STEPS).inspect(renew).count();

    let map = flurry::HashMap::new();
    let pinned = map.pin();
    (0..KEYS).for_each(|key| assert!(pinned.insert(key, 0).is_none()));
    let renew = |(key, n): &(&u32, &u32)| assert!(pinned.insert(**key, **n + 1).is_some());
    let flurry = pinned.iter().take(STEPS).inspect(renew).count();

    let cache = moka::sync::Cache::builder().build();
    (0..KEYS).for_each(|key| cache.insert(key, 0));
    let moka = cache.iter().take(STEPS).inspect(|(key, n)| cache.insert(**key, n + 1)).count();

    println!("{KEYS} keys, one thread; visits of a walk that adds one to each value that it meets");
    println!("expected:      {KEYS}, and the sum of the values {KEYS} afterwards; by its docs for scc too, without a resize");
    println!("scc 3.8.8:     seen {scc}, the sum {sum}; resized: {resized}; a walk without updates: {quiet}");
    println!("papaya 0.2.5:  seen {papaya}");
    println!("flurry 0.5.2:  seen {flurry}");
    println!("moka 0.12.16:  seen {moka}");
    if scc <= KEYS as usize || sum as usize != scc || resized || quiet != KEYS as usize {
        eprintln!("changed: scc no longer shows an entry again that was updated");
        exit(1);
    }
    if [papaya, flurry, moka] != [KEYS as usize; 3] {
        eprintln!("changed: one of the others shows a key more than once");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
