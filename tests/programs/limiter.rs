//! The rate limiter.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use evanesce::ManualClock;

use crate::examples::limiter::{Counts, Limiter, Verdict};
use crate::samples::{NANOSECOND, SECOND, nearly, on_a_clock, prints_its_sample};

const ADA: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn limiter(limit: u32, window: Duration) -> (Limiter, ManualClock) {
    let (counts, clock) = on_a_clock(Counts::builder());
    (Limiter::new(counts, limit, window), clock)
}

fn refused(retry_after: Duration) -> Verdict {
    Verdict::Refused { retry_after }
}

#[test]
fn a_client_is_refused_past_its_limit_and_told_when_to_come_back() {
    let (limiter, clock) = limiter(2, 10 * SECOND);
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 1 });
    clock.advance(4 * SECOND);
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 0 });
    assert_eq!(limiter.check(ADA), refused(6 * SECOND));
    assert_eq!(limiter.check(BOB), Verdict::Allowed { left: 1 }, "has a window of its own");
}

#[test]
fn a_window_ends_when_it_would_have_however_many_requests_come() {
    let (limiter, clock) = limiter(100, 10 * SECOND);
    for _ in 0..10 {
        assert!(matches!(limiter.check(ADA), Verdict::Allowed { .. }));
        clock.advance(nearly(SECOND));
    }
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 89 });
    clock.advance(10 * NANOSECOND);
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 99 });
}

#[test]
fn refused_requests_do_not_prolong_the_wait() {
    let (limiter, clock) = limiter(1, 10 * SECOND);
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 0 });
    for left in (1..=10).rev() {
        assert_eq!(limiter.check(ADA), refused(left * SECOND));
        clock.advance(SECOND);
    }
    assert_eq!(limiter.check(ADA), Verdict::Allowed { left: 0 });
}

#[test]
fn a_limit_of_none_refuses_all() {
    let (limiter, _) = limiter(0, 10 * SECOND);
    assert_eq!(limiter.check(ADA), refused(Duration::ZERO));
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let (limiter, clock) = limiter(5, 10 * SECOND);
    let _ = (limiter.check(ADA), limiter.check(BOB));
    assert_eq!(limiter.sweep(), (0, 2));
    clock.advance(10 * SECOND);
    assert_eq!(limiter.sweep(), (2, 0));
}

#[test]
fn of_many_threads_requests_as_many_are_allowed_as_the_limit_says() {
    const THREADS: usize = 8;
    for limit in [1, 1000, 4000] {
        let (limiter, clock) = limiter(limit, 10 * SECOND);
        for _window in 0..5 {
            let start = Barrier::new(THREADS);
            let mut lefts: Vec<u32> = thread::scope(|scope| {
                let send = || {
                    start.wait();
                    let verdicts = (0..500).map(|_| limiter.check(ADA));
                    let lefts = verdicts.filter_map(|verdict| match verdict {
                        Verdict::Allowed { left } => Some(left),
                        Verdict::Refused { .. } => None,
                    });
                    lefts.collect::<Vec<u32>>()
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(send)).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            // Each count was given out once: none lost, none twice.
            lefts.sort_unstable();
            assert_eq!(lefts, (0..limit).collect::<Vec<_>>());
            clock.advance(10 * SECOND);
        }
    }
}

#[test]
fn it_prints_what_its_docs_show() {
    prints_its_sample("limiter", include_str!("../../examples/limiter.rs"));
}
