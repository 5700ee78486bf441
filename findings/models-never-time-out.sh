#!/usr/bin/env bash
# Claim: neither loom nor shuttle ever lets `Condvar::wait_timeout` time out, be it of a nanosecond. Both run it as
# `wait`. So the branch after a timeout is never run, in no execution and under no schedule; and a model whose waiter
# may legally give up is reported as a deadlock instead.
#
# The guess that was wrong: in a model time is free, so a timeout is one more thing that may happen at any moment, and
# the explorer tries both.
#
# Why it matters: "wait for the one who loads, but not for ever" is where lost wake-ups and late results are dealt
# with, and the race of the timeout against the notification is the hardest of it. Models of such code pass and show
# nothing about it.
#
# For our product: a load with `patience` gives up after a time, and so does a sweeper's timer. A model of either must
# make the giving up an act of its own (a waiter that is dropped), and not lean on `wait_timeout`.
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
loom = "=0.7.3"
shuttle = "=0.9.10"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Waits a nanosecond for a value that another thread sets. What came of it goes to `$waits` and `$timeouts`.
macro_rules! model {
    ($model:ident, $waits:expr, $timeouts:expr) => {{
        use $model::sync::{Arc, Condvar, Mutex};
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let setter = $model::thread::spawn({
            let pair = pair.clone();
            move || {
                *pair.0.lock().unwrap() = true;
                pair.1.notify_one();
            }
        });
        let set = pair.0.lock().unwrap();
        if !*set {
            $waits.fetch_add(1, Ordering::Relaxed);
            let (set, result) = pair.1.wait_timeout(set, Duration::from_nanos(1)).unwrap();
            $timeouts.fetch_add(usize::from(result.timed_out() || !*set), Ordering::Relaxed);
        } else {
            drop(set);
        }
        setter.join().unwrap();
    }};
}

fn main() {
    let counts = Arc::new([const { AtomicUsize::new(0) }; 4]);
    let inner = counts.clone();
    loom::model(move || model!(loom, inner[0], inner[1]));
    let inner = counts.clone();
    shuttle::check_random(move || model!(shuttle, inner[2], inner[3]), 10_000);
    let [loom, loom_out, shuttle, shuttle_out] = std::array::from_fn(|n| counts[n].load(Ordering::Relaxed));
    println!("`wait_timeout` of 1 ns, and a thread that sets the value and notifies; of the waits, how many timed out");
    println!("expected: some in both");
    println!("loom 0.7.3, seen:     {loom_out} of {loom}, in all executions");
    println!("shuttle 0.9.10, seen: {shuttle_out} of {shuttle}, in 10000 random schedules");
    if loom == 0 || shuttle == 0 || (loom_out, shuttle_out) != (0, 0) {
        eprintln!("changed: waits time out in a model");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
