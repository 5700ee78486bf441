#!/usr/bin/env bash
# Claim: papaya (Rust) and cachebox (Python) both say of `insert` that where the key is present the value is updated
# and the key is not. Both store the new key.
#
# The guess that was wrong: the sentence, which std has too, is true of them as it is of std, dashmap, scc and dict.
#
# Why it matters: it shows with keys that are equal and not the same: 1, 1.0 and True in Python, a case-insensitive
# name, a key that carries more than it compares. What such a map lists then is the last spelling, not the first.
#
# For our product: `TtlMap::insert` replaces the key and says so; the Python class keeps the first key, as dict does,
# and says so. The notes on moving name DashMap and std as keeping it; beside them it should say that papaya replaces
# it, whatever its docs promise, so that nobody who comes from papaya looks for a difference there.
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
dashmap = "=6.2.1"
papaya = "=0.2.5"
scc = "=3.8.8"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::hash::{Hash, Hasher};
use std::process::exit;

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
    let map = papaya::HashMap::new();
    let pinned = map.pin();
    pinned.insert(Key(1, "old"), 1);
    pinned.insert(Key(1, "new"), 2);
    let papaya = pinned.keys().next().unwrap().1;
    pinned.update(Key(1, "newer"), |value| value + 1);
    let updated = pinned.keys().next().unwrap().1;

    let map = dashmap::DashMap::new();
    map.insert(Key(1, "old"), 1);
    map.insert(Key(1, "new"), 2);
    let dashmap = map.iter().next().unwrap().key().1;

    let map = scc::HashMap::new();
    map.upsert_sync(Key(1, "old"), 1);
    map.upsert_sync(Key(1, "new"), 2);
    let mut scc = "none";
    map.iter_sync(|key, _| {
        scc = key.1;
        true
    });

    println!("which key is stored after an insert over an equal one");
    println!("papaya 0.2.5, expected:       old, by the docs of `insert`");
    println!("papaya 0.2.5, seen:           {papaya}, and after `update` {updated}");
    println!("dashmap 6.2.1, scc 3.8.8:     {dashmap}, {scc}");
    if (papaya, updated, dashmap, scc) != ("new", "newer", "old", "old") {
        eprintln!("changed: papaya replaced the key, dashmap and scc kept it");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cachebox==6.2.10 cachetools==8.0.2
"$dir/venv/bin/python" - <<'PYTHON'
import sys

import cachebox
import cachetools

MAPS = {
    "dict": {},
    "cachetools 8.0.2 LRUCache": cachetools.LRUCache(9),
    "cachetools 8.0.2 TTLCache": cachetools.TTLCache(9, 1000),
    "cachebox 6.2.10 LRUCache": cachebox.LRUCache(9),
    "cachebox 6.2.10 TTLCache": cachebox.TTLCache(9, 1000),
    "cachebox 6.2.10 VTTLCache": cachebox.VTTLCache(9),
}
seen = {}
for name, cache in MAPS.items():
    cache[1] = "first"
    cache[True] = "second"
    seen[name] = list(cache.keys())
    expected = "[1], by the docs of `insert`" if "cachebox" in name else "[1]"
    print(f"{name}, 1 and then True, expected: {expected}; seen: {seen[name]}")

# 1 == True, so the lists are compared by their types.
kept = {name: type(keys[0]) is int for name, keys in seen.items()}
if any(kept[name] == ("cachebox" in name) for name in kept):
    sys.exit("changed: cachebox stored the new key, dict and cachetools kept the old one")
PYTHON
