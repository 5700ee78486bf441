#!/usr/bin/env bash
# Claim: stretto adds the bytes of its own bookkeeping to each entry's cost. A cache with a maximum cost of 100, filled
# with 50 entries of cost 1, keeps one of them. And the maximum is asked only of new keys: a key that is there can be
# given a value of twice the whole cache's cost, and stays.
#
# The guess that was wrong: cost is the caller's unit, so that cost 1 each makes the maximum a number of entries, and
# nothing that is dearer than the cache can be in it. (`set_ignore_internal_cost(true)` makes it the caller's unit.)
#
# Why it matters: a cache that was meant for 10,000 entries has room for some 180, and shows only a bad hit ratio. With
# costs in bytes the addition is welcome; with any other unit it is most of the sum.
#
# For our product: a weight is what the weigher says and nothing else, and one above the maximum is refused for old keys
# as for new ones; both are in tests/answers/bound.rs's ground. Who benchmarks stretto beside us must set the option.
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
stretto = "=0.8.4"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;
use stretto::Cache;

const MAX_COST: i64 = 100;

/// How many of 50 entries of cost 1 are kept, and whether a value of twice the maximum is, for an old and a new key.
fn kept(ignore_internal_cost: bool) -> (usize, bool, bool) {
    let builder = Cache::<u32, u32>::builder(1000, MAX_COST).set_ignore_internal_cost(ignore_internal_cost);
    let cache = builder.finalize().unwrap();
    for key in 0..50 {
        cache.insert(key, 0, 1);
        cache.wait().unwrap();
    }
    let is_in = |key: &u32| cache.get(key).is_some();
    let kept: Vec<u32> = (0..50).filter(is_in).collect();
    cache.insert(kept[0], 1, MAX_COST * 2);
    cache.wait().unwrap();
    cache.insert(99, 1, MAX_COST * 2);
    cache.wait().unwrap();
    let old = cache.get(&kept[0]).is_some_and(|value| *value.value() == 1);
    (kept.len(), old, is_in(&99))
}

fn main() {
    let (default, ignoring) = (kept(false), kept(true));
    println!("stretto 0.8.4, a maximum cost of {MAX_COST}: how many of 50 entries of cost 1 are kept; and whether a");
    println!("value of twice the maximum is, for a key that is there, and for a new one");
    println!("expected:                                   (50, false, false)");
    println!("seen:                                       {default:?}");
    println!("seen, with set_ignore_internal_cost(true):  {ignoring:?}");
    if default != (1, true, false) || ignoring != (50, true, false) {
        eprintln!("changed: one was kept by default, 50 with the option; a too dear value only for an old key");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
