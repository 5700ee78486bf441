#!/usr/bin/env bash
# Claim: quick_cache calls `Lifecycle::on_evict` with each value that an insert or a `replace` puts another in the
# place of, in a cache that is nearly empty. No argument tells it from an eviction. What leaves by `remove`, `retain`
# or `clear` is told to nobody.
#
# The guess that was wrong: the hook is for evictions, as its docs say in one line ("evicted" there means evicted).
# The hook beside it, `before_evict`, says in so many words that replacing a value does not call it, and the two seem
# a pair.
#
# Why it matters: a count of evictions by this hook grows with each update, so a cache that is updated much looks too
# small. A hook that deletes a file named by the key deletes that of the value just written.
#
# For our product: the causes are told apart here, and removals are told too. The table in the README says "evictions,
# no cause" of quick_cache; it should say "evictions and replacements, no cause; no removals".
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
quick_cache = "=0.7.0"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use quick_cache::{sync::Cache, Lifecycle, OptionsBuilder, UnitWeighter};
use std::hash::RandomState;
use std::mem::take;
use std::process::exit;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Hooks(Arc<Mutex<Vec<String>>>);

impl Lifecycle<u32, u32> for Hooks {
    type RequestState = ();

    fn before_evict(&self, _: &mut (), key: &u32, value: &mut u32) {
        self.0.lock().unwrap().push(format!("before_evict({key}, {value})"));
    }

    fn on_evict(&self, _: &mut (), key: u32, value: u32) {
        self.0.lock().unwrap().push(format!("on_evict({key}, {value})"));
    }
}

fn main() {
    let hooks = Hooks::default();
    let options = OptionsBuilder::new().estimated_items_capacity(1000).weight_capacity(1000).shards(1).build().unwrap();
    let cache = Cache::with_options(options, UnitWeighter, RandomState::new(), hooks.clone());
    let mut seen = vec![];
    let mut step = |what: &str, act: &dyn Fn()| {
        act();
        seen.push((what.to_owned(), take(&mut *hooks.0.lock().unwrap())));
    };
    step("insert of a new key", &|| cache.insert(1, 10));
    step("insert over it", &|| cache.insert(1, 11));
    step("replace", &|| cache.replace(1, 12, false).unwrap());
    step("remove", &|| assert!(cache.remove(&1).is_some()));
    cache.insert(2, 20);
    step("retain of nothing", &|| cache.retain(|_, _| false));
    cache.insert(3, 30);
    step("clear", &|| cache.clear());
    println!("quick_cache 0.7.0, room for 1000 entries, one in it");
    println!("expected: no call of a hook, since nothing has to be evicted");
    for (what, calls) in &seen {
        println!("seen at {what}: {calls:?}");
    }
    let calls: Vec<_> = seen.into_iter().flat_map(|(_, calls)| calls).collect();
    if calls != ["on_evict(1, 10)", "on_evict(1, 11)"] {
        eprintln!("changed: on_evict is no longer called for the two replaced values, and for nothing else");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
