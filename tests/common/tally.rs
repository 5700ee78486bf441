//! Counts what is created and dropped, exactly once each, and never during a read.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local!(static READING: Cell<bool> = const { Cell::new(false) });

/// Runs a read; a [`Token`] dropped by this thread meanwhile is a fault of its tally.
pub fn reading<R>(read: impl FnOnce() -> R) -> R {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            READING.set(self.0);
        }
    }
    let _reset = Reset(READING.replace(true));
    read()
}

#[derive(Default)]
struct Book {
    /// By token number: is it alive?
    alive: Vec<bool>,
    dropped: usize,
    faults: Vec<String>,
}

/// The book in which a group of tokens is kept. Clones share it.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Book>>);

impl Tally {
    pub fn new() -> Self {
        Self::default()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn token(&self) -> Token {
        let mut book = self.book();
        let number = book.alive.len();
        book.alive.push(true);
        drop(book);
        Token { number, tally: self.clone() }
    }

    pub fn is_alive(&self, number: usize) -> bool {
        self.book().alive[number]
    }

    /// How many tokens are alive; panics when one was dropped twice or during a read.
    pub fn alive(&self) -> usize {
        let book = self.book();
        assert!(book.faults.is_empty(), "{:?}", book.faults);
        book.alive.len() - book.dropped
    }

    /// Asserts that each token was dropped exactly once, and none during a read.
    pub fn assert_all_dropped(&self) {
        assert_eq!(self.alive(), 0, "leaked");
    }
}

/// Something whose drop is counted.
pub struct Token {
    number: usize,
    tally: Tally,
}

impl Token {
    pub fn number(&self) -> usize {
        self.number
    }
}

impl Clone for Token {
    /// A token of its own in the same tally.
    fn clone(&self) -> Self {
        self.tally.token()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let number = self.number;
        let mut book = self.tally.book();
        if std::mem::replace(&mut book.alive[number], false) {
            book.dropped += 1;
        } else {
            book.faults.push(format!("token {number} dropped twice"));
        }
        if READING.try_with(Cell::get) == Ok(true) {
            book.faults.push(format!("token {number} dropped during a read"));
        }
    }
}
