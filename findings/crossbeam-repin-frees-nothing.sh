#!/usr/bin/env bash
# Claim: in crossbeam-epoch a thread that keeps one guard and calls `repin` on it again and again never frees anything:
# of 100,000 retired objects none is dropped, though no other thread is pinned. Nor does it by pins within a pin.
# Dropping the guard and pinning anew frees nearly all, and so does `repin_after`, whose closure does nothing.
#
# The guess that was wrong: what holds memory back is an old epoch, `repin` renews the epoch, so a loop with `repin` is
# a loop with a new pin, only cheaper. (It lets others advance. But a thread collects in its 128th outermost `pin`, or
# in `flush`, and `repin` is neither.)
#
# Why it matters: not to hold up reclamation is what `repin` is for, by its docs, so one guard for a long loop with
# `repin` at each turn is how it is used. A process whose only busy thread does this grows for as long as it runs.
#
# For our product: `Pinned::repin` is such a call. What saves it is that each batch is handed over with a `flush`
# (`src/raw/reclaim/limbo.rs`). That line looks like a mere hint for speed and is none; in tests/rungs/reclaim.rs
# `overwrites_under_a_repinned_pin_use_few_slots` holds it.
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
crossbeam-epoch = "=0.9.21"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use crossbeam_epoch::{Collector, Guard, LocalHandle, Owned};
use std::process::exit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

const OBJECTS: usize = 100_000;

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many of the objects that one thread retired have been dropped, where `turn` is called after each.
fn dropped(mut turn: impl FnMut(&LocalHandle, Guard) -> Guard) -> usize {
    let handle = Collector::new().register();
    let count = Arc::new(AtomicUsize::new(0));
    let mut guard = handle.pin();
    for _ in 0..OBJECTS {
        let object = Owned::new(Counted(count.clone())).into_shared(&guard);
        // SAFETY: it was never shared.
        unsafe { guard.defer_destroy(object) };
        guard = turn(&handle, guard);
    }
    count.load(Ordering::Relaxed)
}

fn main() {
    let repin = dropped(|_, mut guard| {
        guard.repin();
        guard
    });
    let nested = dropped(|handle, mut guard| {
        guard.repin();
        drop(handle.pin());
        guard
    });
    let pin = dropped(|handle, guard| {
        drop(guard);
        handle.pin()
    });
    let repin_after = dropped(|_, mut guard| {
        guard.repin_after(|| ());
        guard
    });
    println!("crossbeam-epoch 0.9.21, one thread retires {OBJECTS} objects, alone; how many are dropped meanwhile");
    println!("expected: nearly all, in each way");
    println!("seen, `repin` after each:             {repin}");
    println!("seen, the same and a pin within:      {nested}");
    println!("seen, a new pin after each:           {pin}");
    println!("seen, `repin_after` that does naught: {repin_after}");
    if (repin, nested) != (0, 0) || pin.min(repin_after) < OBJECTS / 2 {
        eprintln!("changed: only the last two freed what was retired");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
