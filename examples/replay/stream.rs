//! The requests: a recorded trace, or draws from a Zipf distribution. Readers deal them among
//! themselves by one cursor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand_distr::Zipf;

use crate::trace::Trace;

/// How unequal the keys of the drawn stream are; the usual figure for caches.
pub(crate) const ZIPF_EXPONENT: f64 = 0.99;

/// Requests that a reader takes at once, in order.
const DEAL: usize = 64;

/// A stream of requests, each the number of a key.
pub(crate) struct Stream {
    requests: Requests,
    /// Requests dealt so far, rounded up to whole deals.
    cursor: AtomicUsize,
}

enum Requests {
    Trace(Trace),
    Zipf { ranks: Zipf<f64>, keys: u32, duration: Duration, seed: u64 },
}

impl Stream {
    /// The stream of a trace; it ends with the trace.
    pub(crate) fn of_trace(trace: Trace) -> Self {
        Self::new(Requests::Trace(trace))
    }

    /// A stream over `keys` keys; it ends `duration` after its first deal.
    pub(crate) fn zipf(keys: u32, duration: Duration, seed: u64) -> Self {
        let ranks = Zipf::new(f64::from(keys), ZIPF_EXPONENT)
            .expect("the options hold at least one key, and the exponent is a finite constant");
        Self::new(Requests::Zipf { ranks, keys, duration, seed })
    }

    fn new(requests: Requests) -> Self {
        Self { requests, cursor: AtomicUsize::new(0) }
    }

    /// Takes the next requests for the calling reader into `deal`; `false` when there are no more.
    ///
    /// What is at a place of the stream does not depend on who takes it.
    pub(crate) fn deal(&self, started: Instant, deal: &mut Vec<u32>) -> bool {
        let over = match &self.requests {
            Requests::Trace(trace) => self.cursor.load(Ordering::Relaxed) >= trace.requests.len(),
            Requests::Zipf { duration, .. } => started.elapsed() >= *duration,
        };
        if over {
            return false;
        }
        // Relaxed: the cursor only hands out places; the requests themselves never change.
        let first = self.cursor.fetch_add(DEAL, Ordering::Relaxed);
        deal.clear();
        match &self.requests {
            Requests::Trace(trace) => {
                deal.extend(trace.requests.iter().skip(first).take(DEAL));
            }
            Requests::Zipf { ranks, seed, .. } => {
                let mut random = SmallRng::seed_from_u64(mix(*seed).wrapping_add(first as u64));
                deal.extend((0..DEAL).map(|_| rank_to_number(ranks.sample(&mut random))));
            }
        }
        !deal.is_empty()
    }

    /// The key behind a request's number.
    pub(crate) fn key(&self, number: u32) -> u64 {
        match &self.requests {
            Requests::Trace(trace) => trace.keys[number as usize],
            Requests::Zipf { .. } => mix(u64::from(number)),
        }
    }

    /// How many keys there are; their numbers are below this.
    pub(crate) fn key_count(&self) -> usize {
        match &self.requests {
            Requests::Trace(trace) => trace.keys.len(),
            Requests::Zipf { keys, .. } => *keys as usize,
        }
    }

    /// How many requests there will be, where that is known before the run.
    pub(crate) fn request_count(&self) -> Option<usize> {
        match &self.requests {
            Requests::Trace(trace) => Some(trace.requests.len()),
            Requests::Zipf { .. } => None,
        }
    }

    /// How much of the stream is done, and of how much, for a progress bar.
    pub(crate) fn progress(&self, started: Instant) -> (u64, u64) {
        match &self.requests {
            Requests::Trace(trace) => {
                let total = trace.requests.len();
                let done = self.cursor.load(Ordering::Relaxed).min(total);
                (done as u64, total as u64)
            }
            Requests::Zipf { duration, .. } => {
                let done = started.elapsed().min(*duration);
                (in_millis(done), in_millis(*duration))
            }
        }
    }
}

/// Scatters numbers over all of `u64`, each to a different place (`SplitMix64`'s last step).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Ranks are whole numbers from 1 to the count of keys, which fits `u32`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rank_to_number(rank: f64) -> u32 {
    (rank as u32).saturating_sub(1)
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
