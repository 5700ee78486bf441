#!/usr/bin/env bash
# Claim: crossbeam-skiplist's `SkipMap::insert` over a key that is there takes the old entry out first and puts the new
# one in later. Between the two the map has no such key: a reader that meets that moment gets `None` for a key that was
# put once and only ever overwritten, and `len` is one less.
#
# The guess that was wrong: an overwrite in a lock-free map is one step. A reader sees the old value or the new one, as
# in DashMap, papaya, scc and `std`'s maps behind a lock. (The docs say that the old entry "will be removed before", which
# reads as a note about drops.)
#
# Why it matters: with one thread that overwrites and one that reads, a good part of all reads found nothing. Whoever
# takes `None` for "load it", "not logged in" or "free" does so under every update. There is no other call that replaces.
#
# To show it without a race, the key's `Ord` looks into the map while `insert` looks for the place of the new entry.
#
# For our product: an overwrite is one step for a reader, who sees the old value or the new one (tests/presence.rs). Who
# comes from SkipMap may drop the retry, and its order.
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
crossbeam-skiplist = "=0.1.3"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use crossbeam_skiplist::SkipMap;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::process::exit;
use std::sync::OnceLock;

static MAP: OnceLock<SkipMap<Key, u32>> = OnceLock::new();

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    /// The value of key 7 and the map's length, as seen from within an insert; each sight once.
    static SEEN: RefCell<Vec<(Option<u32>, usize)>> = const { RefCell::new(Vec::new()) };
}

#[derive(PartialEq, Eq)]
struct Key(u32);

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        if WATCHING.replace(false) {
            let map = MAP.get().unwrap();
            let sight = (map.get(&Key(7)).map(|entry| *entry.value()), map.len());
            SEEN.with_borrow_mut(|seen| {
                if seen.last() != Some(&sight) {
                    seen.push(sight);
                }
            });
            WATCHING.set(true);
        }
        self.0.cmp(&other.0)
    }
}

fn main() {
    let map = MAP.get_or_init(SkipMap::new);
    for key in [3, 7, 9] {
        map.insert(Key(key), 0);
    }
    WATCHING.set(true);
    map.insert(Key(7), 1);
    WATCHING.set(false);
    let seen = SEEN.take();
    let after = (map.get(&Key(7)).map(|entry| *entry.value()), map.len());
    println!("crossbeam-skiplist 0.1.3: three keys, one of which is overwritten; its value and the length during that");
    println!("expected: [(Some(0), 3)], perhaps and (Some(1), 3)");
    println!("seen:     {seen:?}, and afterwards {after:?}");
    if seen != [(Some(0), 3), (None, 2)] || after != (Some(1), 3) {
        eprintln!("changed: the key was there, then absent, and then there again");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
