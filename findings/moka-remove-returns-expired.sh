#!/usr/bin/env bash
# Claim: in moka, `remove` returns the value of an entry that has expired. A `get` of the same key has just said that
# nothing is there. `and_compute_with` does both in one call: its closure is shown no entry, and if it then asks for a
# removal, the result is `Removed` with the expired value.
#
# The guess that was wrong: what `get` does not see, `remove` does not return, so `remove` gives `None`, and the
# closure that was shown `None` gets `StillNone`.
#
# Why it matters: code that takes what is there by `remove` is handed a stale value, for as long as moka's upkeep has not
# come by. Whoever moves from such a library may have a check of the time in the value, which is then needed no more;
# whoever moves to it needs one.
#
# For our product: an expired entry is absent for every operation, `remove` and `compute` too. Say so beside the two
# calls in the table of moka, and keep a test for it (also of `compute` that asks for a removal).
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
use moka::{ops::compute::{CompResult, Op}, sync::Cache};
use std::{process::exit, thread, time::Duration};

/// A cache with one entry that has expired. Its upkeep has had no call in which to find that out.
fn expired() -> Cache<&'static str, u32> {
    let cache = Cache::builder().time_to_live(Duration::from_millis(1)).build();
    cache.insert("key", 7);
    thread::sleep(Duration::from_millis(20)); // or longer
    cache
}

fn main() {
    // Upkeep may run in any call once enough time has gone by, so that one try may miss what another sees.
    let (mut removed, mut computed) = (None, None);
    for _ in 0..20 {
        let cache = expired();
        assert_eq!(cache.get("key"), None, "expired, so not readable");
        removed = removed.or(cache.remove("key"));

        let cache = expired();
        let mut shown = Some(0);
        let result = cache.entry("key").and_compute_with(|entry| {
            shown = entry.map(|entry| entry.into_value());
            Op::Remove
        });
        assert_eq!(shown, None, "expired, so the closure is shown nothing");
        if let CompResult::Removed(entry) = result {
            computed = computed.or(Some(entry.into_value()));
        }
    }
    println!("moka 0.12.16, an entry of value 7 whose time to live is over");
    println!("`get`:                           None");
    println!("`remove`, expected:              None, since the docs speak of the cached value, and `get` finds none");
    println!("`remove`, seen:                  {removed:?}");
    println!("removal by `and_compute_with`:   the closure is shown None");
    println!("its result, expected:            StillNone, which the docs name for an entry that did not exist");
    println!("its result, seen:                Removed with {computed:?}");
    if (removed, computed) != (Some(7), Some(7)) {
        eprintln!("changed: the expired value is no longer handed out by both calls");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
