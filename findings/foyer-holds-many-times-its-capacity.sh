#!/usr/bin/env bash
# Claim: foyer's cache in memory (Rust) keeps an entry that is heavier than the share of its shard, after it has thrown out all
# else from there. Each of the 8 shards, the default, may hold such a one. So a cache with a capacity of 800 holds 8
# entries of 500, five times what it may, at rest and for as long as nothing else comes. One of 5,000 is kept as well.
#
# The guess that was wrong: an entry that is heavier than the cache is refused or dropped at once, as in moka, and what is held is
# at most the capacity, or little more for a moment. 500 of 800 fits, so there seems to be nothing to refuse.
#
# Why it matters: a capacity in bytes is there to keep the process within its memory, and it is by the large values that
# one gets past it. A value that is as large as an eighth of the cache costs the eighth it falls into, warm entries
# and all; with more shards, set for more cores, that limit comes down.
#
# For our product: `max_weight` is of the whole map, a write that passes it ends others before it returns, and an entry that
# alone weighs more is refused by a panic; `weigh` tells beforehand (the guide, "A maximum size").
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
TOML
cat > "$dir/src/main.rs" <<'RUST'
use foyer_memory::{Cache, CacheBuilder, CacheProperties};
use std::process::exit;

const CAPACITY: usize = 800;
const KEYS: u32 = 200;

/// What is held, in entries and by weight, after that many keys were put, each of this weight.
fn held(keys: u32, weight: usize) -> (usize, usize) {
    let cache: Cache<u32, usize> =
        CacheBuilder::new(CAPACITY).with_weighter(|_, weight: &usize| *weight).build::<CacheProperties>();
    for key in 0..keys {
        cache.insert(key, weight);
    }
    ((0..keys).filter(|key| cache.contains(key)).count(), cache.usage())
}

fn main() {
    let seen = [(KEYS, 20), (KEYS, 500), (1, 5_000)].map(|(keys, weight)| (keys, weight, held(keys, weight)));
    println!("foyer-memory 0.22.6, a capacity of {CAPACITY}, the default of 8 shards");
    println!("expected: what is held weighs {CAPACITY} at most");
    for (keys, weight, (entries, usage)) in seen {
        println!("seen after {keys} of weight {weight}: {entries} are held, which weigh {usage}");
    }
    let [light, heavy, giant] = seen.map(|(_, _, (_, usage))| usage);
    if !(light <= CAPACITY && heavy >= 4 * CAPACITY && giant == 5_000) {
        eprintln!("changed: what is held no longer passes the capacity by much, or light entries do so as well");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
