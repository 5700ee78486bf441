#!/usr/bin/env bash
# Claim: what moka's eviction listener is told of an expired entry that is overwritten depends on how its lifetime was
# set. With the builder's `time_to_live` the cause is `Expired`. With a per-entry lifetime, by `expire_after`, the
# cause is `Replaced`, though the same insert asks `expire_after_create` for the new deadline, as for a key that was
# absent. A `remove` of such an entry is told as `Expired` with `time_to_live`, and as `Explicit` with `expire_after`.
#
# The guess that was wrong: the cause is the same with both, since both are an expiration time that has passed.
#
# Why it matters: counters of expired entries, and listeners that free something only if `was_evicted()`, work with
# `time_to_live` and miss entries as soon as lifetimes are per entry.
#
# For our product: here there is one kind of deadline and an end is told once, with the cause at that moment. Say in
# the notes for those who come from moka that `Expired` is also told where an insert meets an expired entry. Keep a
# test with both a default TTL and a TTL of the entry's own.
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
use moka::{notification::RemovalCause, sync::Cache, Expiry};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{process::exit, thread};

const LIFE: Duration = Duration::from_millis(1);

type Log = Arc<Mutex<Vec<String>>>;

struct PerEntry(Log);

impl Expiry<u32, u32> for PerEntry {
    fn expire_after_create(&self, _: &u32, value: &u32, _: Instant) -> Option<Duration> {
        self.0.lock().unwrap().push(format!("create {value}"));
        Some(LIFE)
    }

    fn expire_after_update(&self, _: &u32, value: &u32, _: Instant, _: Option<Duration>) -> Option<Duration> {
        self.0.lock().unwrap().push(format!("update {value}"));
        Some(LIFE)
    }
}

/// What the listener hears when `act` meets an expired entry, and what the `Expiry` was asked.
fn told(per_entry: bool, act: fn(&Cache<u32, u32>)) -> (RemovalCause, Vec<String>) {
    for _ in 0..20 {
        let (causes, asked) = (Arc::new(Mutex::new(vec![])), Log::default());
        let listener = causes.clone();
        let builder = Cache::builder().eviction_listener(move |_, _, cause| listener.lock().unwrap().push(cause));
        let cache = if per_entry {
            builder.expire_after(PerEntry(asked.clone())).build()
        } else {
            builder.time_to_live(LIFE).build()
        };
        cache.insert(1, 1);
        thread::sleep(Duration::from_millis(20)); // or longer
        assert_eq!(cache.get(&1), None, "expired");
        if causes.lock().unwrap().is_empty() {
            act(&cache);
            let first = causes.lock().unwrap()[0];
            let asked = asked.lock().unwrap().clone();
            return (first, asked);
        } // otherwise upkeep was faster: again
    }
    eprintln!("changed: an expired entry is always told of before the next call");
    exit(1);
}

fn main() {
    let insert: fn(&Cache<u32, u32>) = |cache| cache.insert(1, 2);
    let remove: fn(&Cache<u32, u32>) = |cache| assert!(cache.remove(&1).is_some());
    let ((whole_insert, _), (own_insert, asked)) = (told(false, insert), told(true, insert));
    let ((whole_remove, _), (own_remove, _)) = (told(false, remove), told(true, remove));
    println!("moka 0.12.16, the cause told of an entry that had expired");
    println!("expected: Expired each time; the docs say it stands for a passed expiration time");
    println!("overwritten, time_to_live: {whole_insert:?}; expire_after: {own_insert:?}, after the calls {asked:?}");
    println!("removed,     time_to_live: {whole_remove:?}; expire_after: {own_remove:?}");
    let seen = [whole_insert, own_insert, whole_remove, own_remove];
    let known = [RemovalCause::Expired, RemovalCause::Replaced, RemovalCause::Expired, RemovalCause::Explicit];
    if seen != known || asked != ["create 1", "create 2"] {
        eprintln!("changed: the causes were {known:?}, with the new value asked for as created");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
