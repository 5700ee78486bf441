//! Random schedules of threads that come and go, on the numbers as they are. They run with those of `model.rs`.
//!
//! They show who has which number when, and not what is seen of the counts of the one before: shuttle knows one order of all steps. That hangs on
//! the two orderings in `Numbers`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use shuttle::thread;

use crate::{
    model::explore,
    threads::{NUMBERS, Numbers},
};

/// A thread that begins as another ends takes a number that nobody has, and none stays taken.
#[test]
fn racy_take_vs_give_back() {
    explore(|| {
        let numbers = Arc::new(Numbers::new());
        // Not shuttle's: it decides nothing, so a schedule needs no step for it.
        let held: Arc<[AtomicBool; NUMBERS]> =
            Arc::new(std::array::from_fn(|_| AtomicBool::new(false)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (numbers, held) = (Arc::clone(&numbers), Arc::clone(&held));
                thread::spawn(move || {
                    for _ in 0..2 {
                        let number = numbers.take().expect("three threads");
                        assert!(number < 3, "{number}: a lower one is free");
                        assert!(!held[number].swap(true, Ordering::SeqCst), "two have {number}");
                        thread::yield_now();
                        held[number].store(false, Ordering::SeqCst);
                        numbers.give_back(number);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(numbers.take(), Some(0), "one was not given back");
    });
}

/// Where all numbers but one are taken, one of two threads gets it.
#[test]
fn racy_take_vs_take_of_the_last() {
    explore(|| {
        let numbers = Arc::new(Numbers::new());
        for _ in 1..NUMBERS {
            numbers.take().expect("not the last");
        }
        let other = {
            let numbers = Arc::clone(&numbers);
            thread::spawn(move || numbers.take())
        };
        let taken = [numbers.take(), other.join().unwrap()];
        assert_eq!(taken.iter().flatten().count(), 1, "{taken:?}");
    });
}
