#!/usr/bin/env bash
# Claim: tokio-util's `DelayQueue` hands out what is due at the same millisecond in the opposite order of its insertion.
# Different deadlines come in their order, however late the queue is asked, and tokio's own sleeps in the order in which
# they were made. A `reset` puts an item in front of those that waited for the same millisecond.
#
# The guess that was wrong: it is a queue, so equal deadlines are first in, first out; or, if that is not promised, in an
# order that depends on hashing or on the wheel, but not in the reverse.
#
# Why it matters: deadlines of one burst are equal (one TTL, one clock reading, a wheel of milliseconds). If each end
# frees a place or sends a message, the last to come is served first, and with a bound on the work for each turn the
# first may wait for very long.
#
# For our product: entries of one tick end in no promised order. Whoever drove expiry by a DelayQueue and needs an order
# has to sort by a number of his own, there as here.
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
futures-util = { version = "=0.3.32", default-features = false, features = ["std"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "test-util", "time"] }
tokio-util = { version = "=0.7.20", features = ["time"] }
TOML
cat > "$dir/src/main.rs" <<'RUST'
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::process::exit;
use std::time::Duration;
use tokio::time::{advance, sleep};
use tokio_util::time::DelayQueue;

const MS: Duration = Duration::from_millis(1);

/// What a queue hands out, asked when all is over, of items with these delays in ms; `reset` is put off to 10 ms.
async fn queue(delays: &[u32], reset: Option<usize>) -> Vec<usize> {
    let mut queue = DelayQueue::new();
    let keys: Vec<_> = delays.iter().enumerate().map(|(item, &delay)| queue.insert(item, MS * delay)).collect();
    if let Some(item) = reset {
        queue.reset(&keys[item], MS * 10);
    }
    advance(MS * 100_000).await;
    queue.map(|expired| expired.into_inner()).collect().await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let equal = queue(&[10; 5], None).await;
    let reset = queue(&[10, 10, 5, 10], Some(2)).await;
    let different = queue(&[300, 100, 5000, 50, 60_000], None).await;
    let sleeps: FuturesUnordered<_> = (0..5).map(|item| async move { (sleep(MS * 10).await, item).1 }).collect();
    let sleeps: Vec<usize> = sleeps.collect().await;
    println!("tokio-util 0.7.20, tokio 1.54.1: the order in which items numbered by insertion come out");
    println!("expected, equal deadlines:   [0, 1, 2, 3, 4]");
    println!("seen, DelayQueue:            {equal:?}");
    println!("seen, sleeps:                {sleeps:?}");
    println!("seen, DelayQueue, item 2 reset to the others' deadline: {reset:?}");
    println!("seen, DelayQueue, delays of 300, 100, 5000, 50, 60,000: {different:?}");
    if equal != [4, 3, 2, 1, 0] || sleeps != [0, 1, 2, 3, 4] || reset != [2, 3, 1, 0] || different != [3, 1, 0, 2, 4] {
        eprintln!("changed: equal deadlines came out in the reverse order, others and sleeps in theirs");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
