#!/usr/bin/env bash
# Claim: if the destructor of an object that was given to crossbeam-epoch panics, the panic comes out of `pin` in
# whichever thread happens to collect, a mere reader too; and all objects of the same bag (64) that come after it are
# never dropped, not even when the collector goes. The objects need have nothing in common but the thread that retired
# them.
#
# The guess that was wrong: a panic in one deferred call is that call's affair, as with `Vec`, whose other elements are
# dropped all the same; and if it comes out, then at the thread that retired the object.
#
# Why it matters: a thread pool with `catch_unwind` around each task survives such a panic, and now leaks up to 63
# strangers' values (locks, files, counts of references) each time. And a reader that calls nothing of the values'
# unwinds from `pin`.
#
# For our product: what is deferred there is only that a batch has come of age; values are dropped by writes and sweeps,
# each by itself. README, Guarantees, "A panic in your Drop leaves the map usable" rests on that, so no destructor of a
# user's may ever be handed to the collector.
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
use crossbeam_epoch::{Collector, Owned};
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::process::exit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

/// A bag holds that many.
const OBJECTS: usize = 64;
const FAULTY: usize = 10;

struct Counted(Arc<AtomicUsize>, bool);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        assert!(!self.1, "a destructor's own panic");
    }
}

fn main() {
    set_hook(Box::new(|_| ()));
    let count = Arc::new(AtomicUsize::new(0));
    let collector = Collector::new();
    let retire = {
        let (count, collector) = (count.clone(), collector.clone());
        move || {
            let handle = collector.register();
            let guard = handle.pin();
            for index in 0..OBJECTS {
                let object = Owned::new(Counted(count.clone(), index == FAULTY)).into_shared(&guard);
                // SAFETY: it was never shared.
                unsafe { guard.defer_destroy(object) };
            }
        }
    };
    let writer = thread::spawn(retire).join().is_err();

    // A thread that retires nothing, and only pins.
    let reader = collector.register();
    let panics = (0..10_000).filter(|_| catch_unwind(AssertUnwindSafe(|| drop(reader.pin()))).is_err()).count();
    drop(reader);
    drop(collector);

    let dropped = count.load(Ordering::Relaxed);
    println!("crossbeam-epoch 0.9.21: one of {OBJECTS} objects that a thread retired panics as it is dropped");
    println!("expected: {OBJECTS} dropped when all handles are gone, and the reader's pins do not panic");
    println!("seen: {dropped} dropped; panics in the writer: {writer}, in pins of the reader: {panics}");
    if (dropped, writer, panics) != (FAULTY + 1, false, 1) {
        eprintln!("changed: the panic came out of one pin of a stranger, and the rest of the bag was leaked");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
