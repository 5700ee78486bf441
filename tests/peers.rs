//! What the tests of papaya, flurry, folly, liburcu and moka check and ours did not yet: their ideas and bounds,
//! in our words. `PEERS.md` lists all their tests and where each is covered.
//!
//! `EVANESCE_PEERS_SCALE` (default 1) multiplies entries, rounds and threads, each up to the peer's own number:
//! at 64 all are reached by optimised builds, but for the few that `PEERS.md` names. That takes hours, and a test more than the 300
//! seconds after which it counts as hung: set `EVANESCE_TEST_LIMIT`. `EVANESCE_SEED` repeats the random choices.

use evanesce_testkit as common;

#[path = "peers/flurry.rs"]
mod flurry;
#[path = "peers/folly.rs"]
mod folly;
#[path = "peers/liburcu.rs"]
mod liburcu;
#[path = "peers/moka.rs"]
mod moka;
#[path = "peers/papaya.rs"]
mod papaya;

use common::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// `small` times the scale, but not more than the `peer` has.
fn scaled(small: u64, peer: u64) -> u64 {
    let scale = std::env::var("EVANESCE_PEERS_SCALE")
        .map_or(1, |text| text.parse().expect("EVANESCE_PEERS_SCALE is a number"));
    small.saturating_mul(scale).min(peer)
}

/// Runs `work` with the numbers below `threads` on threads that begin together; returns what they return.
fn together<R: Send + 'static>(
    threads: u64,
    work: impl Fn(u64) -> R + Send + Sync + 'static,
) -> Vec<R> {
    let shared = Arc::new((AtomicU64::new(0), work));
    let started: Vec<_> = (0..threads)
        .map(|me| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (ready, work) = &*shared;
                ready.fetch_add(1, Ordering::AcqRel);
                while ready.load(Ordering::Acquire) < threads {
                    thread::yield_now();
                }
                work(me)
            })
        })
        .collect();
    started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

/// Raised by the last of `writers` threads to end; readers go on until then.
struct Finish(AtomicU64, AtomicBool);

impl Finish {
    fn of(writers: u64) -> Self {
        Self(AtomicU64::new(writers), AtomicBool::new(false))
    }

    /// A writer ends, by panic too, when this is dropped.
    fn writer(&self) -> Writer<'_> {
        Writer(self)
    }

    fn is_near(&self) -> bool {
        self.1.load(Ordering::Acquire)
    }
}

struct Writer<'a>(&'a Finish);

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.0.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.1.store(true, Ordering::Release);
        }
    }
}

/// The numbers below `keys`, `times` over, in an order of the generator's.
fn shuffled(keys: u64, times: u64, rng: &mut Rng) -> Vec<u64> {
    let mut all: Vec<u64> = (0..times).flat_map(|_| 0..keys).collect();
    for i in (1..all.len()).rev() {
        all.swap(i, rng.below(i as u64 + 1) as usize);
    }
    all
}
