#!/usr/bin/env bash
# Claim: once quanta's upkeep thread has run and its handle was dropped, `Clock::recent` and `Instant::recent` tell the
# time of its last tick, for ever. Before the first start `Instant::recent` tells the exact time, and `Clock::recent`
# stands still. And `with_clock`, which gives a test a clock of its own, holds for `Instant::now` and not for
# `Instant::recent`.
#
# The guess that was wrong: `recent` falls back to the exact time where nobody keeps it, for both and at any time; and a
# test's clock stands for all of quanta's times.
#
# Why it matters: the handle is a value like others. Held by one part of a program, or by a test, it stops the time of
# all others when that part ends: nothing expires any more, no limit is lifted, and nothing fails.
#
# For our product: `TickClock` is shared by its clones, maps hold one, and its word is emptied where no thread keeps it,
# so that readers take the exact time. A `Clock` made of `quanta::Instant::recent` must own the
# handle: the guide says so.
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
quanta = "=0.13.0"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use quanta::{Clock, Instant, Upkeep};
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

const WHILE: Duration = Duration::from_millis(500);

/// Whether `recent` moves within half a second: that of a clock, and that of all.
fn moves() -> (bool, bool) {
    let clock = Clock::new();
    let (of_clock, of_all) = (clock.recent(), Instant::recent());
    sleep(WHILE);
    (clock.recent() > of_clock, Instant::recent() > of_all)
}

fn main() {
    let before = moves();
    let upkeep = Upkeep::new(Duration::from_millis(1)).start().unwrap();
    let during = moves();
    drop(upkeep);
    sleep(WHILE); // its thread ends at its next tick
    let after = moves();
    let (mocked, mock) = Clock::mock();
    mock.increment(Duration::from_secs(5));
    let in_test = quanta::with_clock(&mocked, || (Instant::now() == mocked.now(), Instant::recent() == mocked.now()));
    println!("quanta 0.13.0: does `recent` move, of a clock and of `Instant`; does a test's clock stand for now and recent");
    println!("expected: (true, true) each time");
    println!("seen, before an upkeep thread: {before:?}");
    println!("seen, with one:                {during:?}");
    println!("seen, after its end:           {after:?}");
    println!("seen, in a test with a clock:  {in_test:?}");
    if (before, during, after, in_test) != ((false, true), (true, true), (false, false), (true, false)) {
        eprintln!("changed: `recent` stood still after the thread's end, a clock's also before; only `now` was that of the test");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
