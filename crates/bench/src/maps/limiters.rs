//! Rate limiters: so many requests a client in a window that begins with its first.
//!
//! * evanesce: `compute`, as in its example `limiter`; the window is the entry's time to live. `+ticks` judges it
//!   by a `TickClock`.
//! * dashmap: the count and the end of its window under `entry`, as one writes it by hand, with `Instant::now()`;
//!   `+ticks` with quanta's word.
//! * governor: its keyed limiter over a dashmap, with its default clock. It keeps no window but lets a token drip
//!   in (GCRA): as many a window, and as many at once.
//!
//! evanesce's writes sweep what is over; the others keep it.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use ::evanesce::{Compute, Operation};
use dashmap::DashMap;
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::evanesce::entrants::Shared;
use super::stored::Time;
use super::{
    DASHMAP, DASHMAP_TICKS, EVANESCE, EVANESCE_TICKS, GOVERNOR, Hasher, RENEW, evanesce, hasher,
};

/// What may be asked whether a client's request is allowed.
pub(crate) trait Limiter: Send + Sync {
    /// Decides a request of each of these; says how many are allowed.
    fn decide(&self, clients: &[u64]) -> usize;
}

/// A limiter that has seen nobody.
pub(crate) fn limiter(name: &str, limit: NonZeroU32, window: Duration) -> Box<dyn Limiter> {
    let ours = |map| Box::new(Counts { map, limit: limit.get().into(), window });
    match name {
        EVANESCE => ours(evanesce::entrants::fresh()),
        EVANESCE_TICKS => ours(evanesce::ticking()),
        DASHMAP => Box::new(Windows::<Instant>::new(limit, window)),
        DASHMAP_TICKS => Box::new(Windows::<quanta::Instant>::new(limit, window)),
        GOVERNOR => {
            let period = window / limit.get();
            let quota = Quota::with_period(period).expect("a token comes in no less than 1 ns");
            let quota = quota.allow_burst(limit);
            Box::new(Governor::dashmap_with_hasher(quota, hasher()))
        }
        other => unreachable!("no limiter is called {other}"),
    }
}

struct Counts {
    map: Shared<u64>,
    limit: u64,
    window: Duration,
}

impl Limiter for Counts {
    fn decide(&self, clients: &[u64]) -> usize {
        let (limit, window) = (self.limit, self.window);
        let mut pinned = self.map.pin();
        let mut allowed = 0;
        for chunk in clients.chunks(RENEW) {
            pinned.repin();
            for client in chunk {
                let counted = pinned.compute(*black_box(client), |count| match count {
                    None => Operation::InsertWithTtl(1, window),
                    Some(count) if *count < limit => Operation::Insert(count + 1),
                    Some(_) => Operation::Abort,
                });
                let counted = matches!(counted, Compute::Inserted(_) | Compute::Updated { .. });
                allowed += usize::from(black_box(counted));
            }
        }
        allowed
    }
}

struct Windows<T> {
    map: DashMap<u64, Window<T>, Hasher>,
    limit: u64,
    window: Duration,
}

struct Window<T> {
    count: u64,
    until: T,
}

impl<T: Time> Windows<T> {
    fn new(limit: NonZeroU32, window: Duration) -> Self {
        T::at_insert(); // starts what sets the time, if something does
        Self { map: DashMap::with_hasher(hasher()), limit: limit.get().into(), window }
    }
}

impl<T: Time> Limiter for Windows<T> {
    fn decide(&self, clients: &[u64]) -> usize {
        let mut allowed = 0;
        for client in clients {
            let now = T::now();
            let fresh = || Window { count: 0, until: now + self.window };
            let mut window = self.map.entry(*black_box(client)).or_insert_with(fresh);
            if now >= window.until {
                *window = fresh();
            }
            let counted = window.count < self.limit;
            window.count += u64::from(counted);
            allowed += usize::from(black_box(counted));
        }
        allowed
    }
}

type Governor = RateLimiter<u64, DashMapStateStore<u64, Hasher>, DefaultClock>;

impl Limiter for Governor {
    fn decide(&self, clients: &[u64]) -> usize {
        let is_allowed = |client: &&u64| black_box(self.check_key(black_box(client)).is_ok());
        clients.iter().filter(is_allowed).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 5] = [EVANESCE, EVANESCE_TICKS, DASHMAP, DASHMAP_TICKS, GOVERNOR];

    #[test]
    fn every_limiter_allows_each_client_its_limit() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let clients: Vec<u64> = [7, 8, 9].repeat(20);
        for name in ALL {
            let limiter = limiter(name, NonZeroU32::new(5).expect("it is not 0"), HOUR);
            assert_eq!(limiter.decide(&clients[..9]), 9, "{name}");
            assert_eq!(limiter.decide(&clients), 6, "{name}");
            assert_eq!(limiter.decide(&clients), 0, "{name}");
        }
    }

    #[test]
    fn every_limiter_allows_more_when_the_window_is_over() {
        for name in ALL {
            let window = Duration::from_millis(1);
            let limiter = limiter(name, NonZeroU32::MIN, window);
            assert_eq!(limiter.decide(&[7]), 1, "{name}");
            while limiter.decide(&[7]) == 0 {
                std::thread::yield_now();
            }
        }
    }
}
