//! A number for each thread, as long as it lives: what it counts under that nobody else counts.

#[cfg(not(evanesce_shuttle))]
use std::cell::Cell;

use crate::sync::{AtomicU64, Ordering};

/// How many threads have one at a time. What is counted for the others is under this number, for all of them.
pub(crate) const NUMBERS: usize = 64;

/// A bit for each number that is taken.
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The lowest number that nobody has; `None` if all are taken.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut taken = self.0.load(Ordering::Relaxed);
        while taken != u64::MAX {
            let number = taken.trailing_ones();
            if planted!(number_taken_twice) {
                self.0.store(taken | 1 << number, Ordering::Relaxed);
                return Some(number as usize);
            }
            // Acquire: what the one before has counted. Pairs with the release in `give_back`.
            let (of, to) = (Ordering::Acquire, Ordering::Relaxed);
            match self.0.compare_exchange_weak(taken, taken | 1 << number, of, to) {
                Ok(_) => return Some(number as usize),
                Err(now) => taken = now,
            }
        }
        None
    }

    /// Lets another have the number.
    pub(crate) fn give_back(&self, number: usize) {
        // Release: what was counted under it.
        self.0.fetch_and(!(1 << number), Ordering::Release);
    }
}

// The threads of a model are one thread of the system, and all have the number 0: a model takes numbers by itself.
#[cfg(not(evanesce_shuttle))]
static OF_ALL: Numbers = Numbers::new();

/// Above all numbers.
#[cfg(not(evanesce_shuttle))]
const UNKNOWN: usize = usize::MAX;

#[cfg(not(evanesce_shuttle))]
thread_local! {
    // Nothing to be dropped: so reading it is one load, and it is there until the thread ends.
    static MINE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static HELD: Held = const { Held };
}

/// The number of this thread, if it is known to have one that is its own.
#[cfg(not(evanesce_shuttle))]
#[inline]
pub(crate) fn own() -> Option<usize> {
    // One comparison, in each hit.
    let mine = MINE.get();
    (mine < NUMBERS).then_some(mine)
}

#[cfg(evanesce_shuttle)]
pub(crate) fn own() -> Option<usize> {
    Some(0)
}

/// The number of this thread; [`NUMBERS`] if all were taken when it first asked.
#[cfg(not(evanesce_shuttle))]
#[cold]
pub(crate) fn own_or_shared() -> usize {
    let mine = MINE.get();
    if mine != UNKNOWN {
        return mine;
    }
    // A thread that ends has nobody to give the number back.
    let can_give_back = HELD.try_with(|_| ()).is_ok();
    let taken = if can_give_back { OF_ALL.take() } else { None };
    let number = taken.unwrap_or(NUMBERS);
    MINE.set(number);
    number
}

#[cfg(evanesce_shuttle)]
pub(crate) fn own_or_shared() -> usize {
    0
}

/// Gives the number back when its thread ends.
#[cfg(not(evanesce_shuttle))]
struct Held;

#[cfg(not(evanesce_shuttle))]
impl Drop for Held {
    fn drop(&mut self) {
        let number = MINE.replace(NUMBERS);
        if number < NUMBERS {
            OF_ALL.give_back(number);
        }
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{Barrier, Mutex},
        thread,
    };

    use super::*;

    #[test]
    fn no_two_threads_have_one_number_and_each_is_given_back() {
        // More rounds than there are numbers.
        for _ in 0..2 {
            let (seen, all_have_one) = (Mutex::new(Vec::new()), Barrier::new(NUMBERS + 8));
            thread::scope(|scope| {
                for _ in 0..NUMBERS + 8 {
                    scope.spawn(|| {
                        seen.lock().unwrap().push(own_or_shared());
                        all_have_one.wait();
                        assert!(seen.lock().unwrap().contains(&own_or_shared()));
                    });
                }
            });
            let seen = seen.into_inner().unwrap();
            let own: Vec<_> = seen.iter().copied().filter(|&number| number < NUMBERS).collect();
            assert_eq!(own.iter().collect::<BTreeSet<_>>().len(), own.len(), "{own:?}");
            // Other tests' threads have some.
            assert!(own.len() > NUMBERS / 2, "{own:?}");
        }
    }
}
