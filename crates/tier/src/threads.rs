//! A number for each thread, as long as it lives: what it counts under that nobody else counts.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// How many threads have one at a time. What is counted for the others is under this number, for all of them.
pub(crate) const NUMBERS: usize = 64;

const UNKNOWN: usize = NUMBERS + 1;

/// A bit for each number that is taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Nothing to be dropped: so reading it is one load, and it is there until the thread ends.
    static MINE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static HELD: Held = const { Held };
}

/// The number of this thread; [`NUMBERS`] if all were taken when it first asked.
#[inline]
pub(crate) fn number() -> usize {
    let mine = MINE.get();
    if mine == UNKNOWN { take() } else { mine }
}

#[cold]
fn take() -> usize {
    // A thread that ends has nobody to give the number back.
    let can_give_back = HELD.try_with(|_| ()).is_ok();
    let mut number = NUMBERS;
    if can_give_back {
        // Acquire: what the one before has counted. Pairs with the release in `drop`.
        let take = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            (taken != u64::MAX).then(|| taken | 1 << taken.trailing_ones())
        });
        if let Ok(taken) = take {
            number = taken.trailing_ones() as usize;
        }
    }
    MINE.set(number);
    number
}

/// Gives the number back when its thread ends.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        let number = MINE.replace(NUMBERS);
        if number < NUMBERS {
            // Release: what was counted under it.
            TAKEN.fetch_and(!(1 << number), Ordering::Release);
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
                        seen.lock().unwrap().push(number());
                        all_have_one.wait();
                        assert!(seen.lock().unwrap().contains(&number()));
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
