#!/usr/bin/env bash
# Claim: while tokio's time is paused, `tokio::time::Instant::now` is the paused clock only on threads inside the
# runtime. On a thread by `std::thread::spawn` the same call reads the real clock. So after `advance` by an hour,
# tasks and `spawn_blocking` see an hour gone, and such a thread sees next to nothing; an instant taken in a task lies
# an hour ahead of it, so `elapsed` there is 0 for a real hour.
#
# The guess that was wrong: the docs of `pause` say that all later calls of `Instant::now` return the saved value, and
# one type has one clock in one program.
#
# Why it matters: a cache whose clock is made of `tokio::time::Instant`, to be tested in paused time, has two clocks
# as soon as a thread of its own works on it. Its tests pass where tasks read, and its sweeper thread never finds a
# thing.
#
# For our product: someone will write `impl Clock` with tokio's `Instant`; a `Sweeper` is such a thread, and the clock
# then goes back from one thread to another, against the contract of `Clock`. The guide should say: in paused time use
# a `ManualClock` and advance both; or hold a `Handle`, and `enter` it in `now`.
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
tokio = { version = "=1.54.1", features = ["rt", "test-util", "time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;
use std::thread;
use std::time::Duration;
use tokio::{runtime, task, time, time::Instant};

const HOUR: Duration = Duration::from_secs(3600);

fn main() {
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (task, blocking, plain, entered, ahead) = runtime.block_on(async {
        let start = Instant::now();
        time::advance(HOUR).await;
        let handle = runtime::Handle::current();
        let now = Instant::now();
        let blocking = task::spawn_blocking(Instant::now).await.unwrap();
        let plain = thread::spawn(Instant::now).join().unwrap();
        let entered = thread::spawn(move || {
            let _inside = handle.enter();
            Instant::now()
        });
        let entered = entered.join().unwrap();
        (now - start, blocking - start, plain - start, entered - start, now.checked_duration_since(plain))
    });
    println!("tokio 1.54.1, time paused and advanced by an hour; how much of it `Instant::now` shows");
    println!("expected: 3600 s everywhere, by the docs of `pause`");
    println!("seen, task: {} s", task.as_secs());
    println!("seen, spawn_blocking: {} s", blocking.as_secs());
    println!("seen, std thread that entered the runtime: {} s", entered.as_secs());
    println!("seen, std thread: {}", if plain < HOUR / 2 { "only the real time that passed" } else { "the hour" });
    if [task, blocking, entered] != [HOUR; 3] {
        eprintln!("changed: a thread inside the runtime does not show the hour exactly");
        exit(1);
    }
    if plain >= HOUR / 2 || ahead.is_none() {
        eprintln!("changed: a plain thread sees the paused clock");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
