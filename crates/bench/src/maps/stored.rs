//! What a peer without deadlines keeps under a key: the number, or the number with its deadline, as one
//! writes it by hand. Each lookup compares that with the time, which is read
//!
//! * by `Instant::now()`, or
//! * by quanta's `Instant::recent()`, which loads what a thread (`Upkeep`) sets every millisecond, as those
//!   do whom a reading costs too much. (`Clock::recent()` loads the same word, but wants a clock at hand.)

use std::ops::Add;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quanta::{Handle, Upkeep};

use super::HOUR;

/// How often the thread sets the time: as that of `evanesce+ticks`.
const TICK: Duration = Duration::from_millis(1);

/// What is kept for a number.
pub(super) trait Stored: Copy + Send + Sync + 'static {
    fn new(value: u64) -> Self;
    /// The number, if it counts now.
    fn get(self) -> Option<u64>;
}

impl Stored for u64 {
    #[inline(always)]
    fn new(value: u64) -> Self {
        value
    }

    #[inline(always)]
    fn get(self) -> Option<u64> {
        Some(self)
    }
}

impl<T: Time> Stored for (u64, T) {
    #[inline(always)]
    fn new(value: u64) -> Self {
        (value, T::at_insert() + Duration::from_secs(HOUR))
    }

    #[inline(always)]
    fn get(self) -> Option<u64> {
        let (value, until) = self;
        (T::now() < until).then_some(value)
    }
}

/// A point in time, and how the present one is read.
pub(super) trait Time:
    Copy + Ord + Add<Duration, Output = Self> + Send + Sync + 'static
{
    fn now() -> Self;

    /// The same, for those who put a deadline.
    fn at_insert() -> Self {
        Self::now()
    }
}

impl Time for Instant {
    #[inline(always)]
    fn now() -> Self {
        Self::now()
    }
}

impl Time for quanta::Instant {
    #[inline(always)]
    fn now() -> Self {
        Self::recent()
    }

    /// Sees to it that there is the thread: so there is one before any deadline is.
    fn at_insert() -> Self {
        static UPKEEP: OnceLock<Handle> = OnceLock::new();
        UPKEEP.get_or_init(|| Upkeep::new(TICK).start().expect("the system starts a thread"));
        Self::now()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    impl Time for Duration {
        fn now() -> Self {
            NOW.get()
        }
    }

    #[test]
    fn numbers_with_a_deadline_count_until_then() {
        NOW.set(Duration::from_secs(5));
        let stored = <(u64, Duration)>::new(7);
        assert_eq!(stored.get(), Some(7));
        NOW.set(Duration::new(4 + HOUR, 999_999_999));
        assert_eq!(stored.get(), Some(7));
        NOW.set(Duration::from_secs(5 + HOUR));
        assert_eq!(stored.get(), None);
    }

    #[test]
    fn thread_that_sets_the_time_is_there_with_the_first_deadline() {
        let stored = <(u64, quanta::Instant)>::new(7);
        assert_eq!(stored.get(), Some(7));
        let before = quanta::Instant::recent();
        while quanta::Instant::recent() == before {
            std::thread::yield_now();
        }
    }
}
