//! A rate limiter: so many requests a client in each window, which begins with its first request.
//!
//! It shows [`Pinned::compute`](evanesce::Pinned::compute): what a client's count becomes hangs on what it is, in
//! one step, so no request is counted twice or not at all, however many threads ask. The window is the entry's
//! time to live: it ends by itself, and an idle client leaves nothing behind. The clock is set by hand here.
//!
//! ```text
//! $ cargo run --release --example limiter
//! a limit of 100 requests in 60 s; 4 threads that send 50 requests each for every client
//!   0 s  192.0.2.1  100 allowed, 100 refused: retry after 60 s
//!  20 s  192.0.2.2  100 allowed, 100 refused: retry after 60 s
//!  59 s  192.0.2.1    0 allowed, 200 refused: retry after 1 s
//!  60 s  192.0.2.1  100 allowed, 100 refused: retry after 60 s
//!  60 s  192.0.2.2    0 allowed, 200 refused: retry after 20 s
//! 120 s  a sweep: 2 clients are forgotten, 0 remain
//! ```

mod usage;

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use evanesce::{Budget, Clock, Compute, ManualClock, Operation, Ttl, TtlMap};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Allowed {
        /// Requests that are left in this window.
        left: u32,
    },
    Refused {
        /// How long the window lasts still. For a header `Retry-After`, round it up.
        retry_after: Duration,
    },
}

/// The requests of each client in its window; a client without one is absent.
pub(crate) type Counts = TtlMap<IpAddr, u32>;

pub(crate) struct Limiter {
    counts: Counts,
    limit: u32,
    window: Duration,
}

impl Limiter {
    pub(crate) fn new(counts: Counts, limit: u32, window: Duration) -> Self {
        Self { counts, limit, window }
    }

    /// Counts a request of `client`, if it may be sent.
    pub(crate) fn check(&self, client: IpAddr) -> Verdict {
        let pinned = self.counts.pin();
        // The closure runs again if another request of this client came between: it must only say what to do.
        let counted = pinned.compute(client, |count| match count {
            // Absent, or the window is over: a new one begins.
            None if self.limit > 0 => Operation::InsertWithTtl(1, self.window),
            // `Insert` keeps the deadline: the window ends when it would have.
            Some(count) if *count < self.limit => Operation::Insert(count + 1),
            // Nothing is written: a flood of refused requests costs reads.
            _ => Operation::Abort,
        });
        match counted {
            Compute::Inserted(count) | Compute::Updated { new: count, .. } => {
                Verdict::Allowed { left: self.limit - count }
            }
            _ => Verdict::Refused {
                // A second look: the window may be over by now, and then there is nothing to wait for.
                retry_after: match pinned.ttl(&client) {
                    Some(Ttl::Remaining(left)) => left,
                    Some(Ttl::Never) | None => Duration::ZERO,
                },
            },
        }
    }

    /// Drops what is over. Each check that writes does a little of it, and a `Sweeper` thread could do the rest.
    pub(crate) fn sweep(&self) -> (usize, usize) {
        (self.counts.sweep(Budget::full_pass()).removed, self.counts.len())
    }
}

fn main() -> ExitCode {
    usage::run("limiter", "A rate limiter: so many requests a client in each window.", demonstrate)
}

fn demonstrate() -> Result<(), evanesce::BuildError> {
    const LIMIT: u32 = 100;
    const WINDOW: Duration = Duration::from_secs(60);
    const THREADS: u32 = 4;
    const EACH: u32 = 50;
    let clock = ManualClock::new();
    let limiter = Limiter::new(Counts::builder().clock(clock.clone()).build()?, LIMIT, WINDOW);
    let (ada, bob) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));

    println!(
        "a limit of {LIMIT} requests in {} s; {THREADS} threads that send {EACH} requests each for every client",
        WINDOW.as_secs()
    );
    let at = |second| {
        let passed = Duration::from_nanos(clock.now());
        clock.advance(Duration::from_secs(second).saturating_sub(passed));
    };
    for (second, client) in [(0, ada), (20, bob), (59, ada), (60, ada), (60, bob)] {
        at(second);
        let send = || (0..EACH).map(|_| limiter.check(client.into())).collect::<Vec<_>>();
        let verdicts: Vec<Verdict> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(send)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        let waits = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Refused { retry_after } => Some(retry_after.as_secs()),
            Verdict::Allowed { .. } => None,
        });
        let (refused, wait) = (waits.clone().count(), waits.max().unwrap_or(0));
        let allowed = verdicts.len() - refused;
        println!(
            "{second:>3} s  {client}  {allowed:>3} allowed, {refused} refused: retry after {wait} s"
        );
    }
    at(120);
    let (removed, remain) = limiter.sweep();
    println!("120 s  a sweep: {removed} clients are forgotten, {remain} remain");
    Ok(())
}
