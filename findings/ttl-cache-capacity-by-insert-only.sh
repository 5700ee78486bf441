#!/usr/bin/env bash
# Claim: the capacity of ttl_cache (Rust) is held by `insert`, and not by its entry API. A cache of 3 that is filled by
# `entry(..)` holds all 100 entries that are put so. Each later `insert` into it removes just one, so the size never comes
# back by itself. `set_capacity` with the number that `capacity` gives does bring it back.
#
# The guess that was wrong: a capacity is held whichever way an entry is put. The docs say that a cache can hold at
# most `capacity` items, and name no call that is exempt.
#
# Why it matters: `entry` is the natural call for "get, or fetch and put", and expired entries are not removed by
# reads here either, so a cache that is only used in this way grows with each new key. One that mixes the two calls
# stands still at whatever size the first one left.
#
# For our product: `max_entries` holds for every call that puts an entry, and before that call returns (the guide, "A
# maximum size").
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
ttl_cache = "=0.5.1"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;
use std::time::Duration;
use ttl_cache::{Entry, TtlCache};

const HOUR: Duration = Duration::from_secs(3600);
const CAPACITY: usize = 3;
const KEYS: u32 = 100;

fn filled(by_entry: bool) -> TtlCache<u32, ()> {
    let mut cache = TtlCache::new(CAPACITY);
    for key in 0..KEYS {
        if by_entry {
            if let Entry::Vacant(vacant) = cache.entry(key) {
                vacant.insert((), HOUR);
            }
        } else {
            cache.insert(key, (), HOUR);
        }
    }
    cache
}

fn main() {
    let by_insert = filled(false).iter().count();
    let mut cache = filled(true);
    let by_entry = cache.iter().count();
    for key in 0..10 {
        cache.insert(KEYS + key, (), HOUR);
    }
    let later = cache.iter().count();
    cache.set_capacity(cache.capacity());
    let set_again = cache.iter().count();
    println!("ttl_cache 0.5.1, a capacity of {CAPACITY}: {KEYS} keys are put");
    println!("expected: {CAPACITY} entries, whatever call puts them");
    println!("seen by insert: {by_insert} entries");
    println!("seen by entry: {by_entry} entries, and {later} after 10 inserts more");
    println!("seen after set_capacity(capacity()): {set_again} entries");
    if (by_insert, by_entry, later, set_again) != (CAPACITY, KEYS as usize, KEYS as usize, CAPACITY) {
        eprintln!("changed: the capacity holds for entries put by the entry API, or comes back later");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
