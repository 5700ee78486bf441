#!/usr/bin/env bash
# Claim: in ttl_cache (Rust) `iter().rev()` ends at the first expired entry it meets, and leaves out the live ones that were
# put before it. One entry with a short TTL, put last, hides the whole cache from a walk backwards. Forwards all are met.
#
# The guess that was wrong: `rev` gives what the walk forwards gives, in reverse. `iter` clears away what has expired
# as it begins, so there seems nothing left to stop at; but it clears from the oldest on, and stops at the first live one.
#
# Why it matters: "the newest ten" are asked for backwards, and each entry has a TTL of its own here, which is what the
# crate is for. The answer is short or empty now and then, and right again once the short entry is overwritten.
#
# For our product: a walk has no direction. It passes over what has expired, and meets each entry that is there
# throughout once (`Pinned::iter`).
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
use std::thread::sleep;
use std::time::Duration;
use ttl_cache::TtlCache;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);

/// The keys met forwards and backwards, once the entry put as the nth has expired.
fn met(short: usize) -> (Vec<usize>, Vec<usize>) {
    let mut cache = TtlCache::new(10);
    for key in 0..5 {
        cache.insert(key, (), if key == short { SHORT } else { HOUR });
    }
    sleep(SHORT * 10);
    let forwards = cache.iter().map(|(key, ())| *key).collect();
    (forwards, cache.iter().rev().map(|(key, ())| *key).collect())
}

fn main() {
    let seen = [0, 2, 4].map(|short| (short, met(short)));
    println!("ttl_cache 0.5.1: five entries, 0 to 4 in the order in which they were put, one of which has expired");
    println!("expected: four entries, backwards in the reverse order");
    for (short, (forwards, backwards)) in &seen {
        println!("seen if {short} has expired: forwards {forwards:?}, backwards {backwards:?}");
    }
    let backwards = seen.map(|(_, (forwards, backwards))| (forwards.len(), backwards));
    if backwards != [(4, vec![4, 3, 2, 1]), (4, vec![4, 3]), (4, vec![])] {
        eprintln!("changed: a walk backwards no longer ends at what has expired");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
