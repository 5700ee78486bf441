//! What all threads of the process share: locks, and what is known of the sweeper's thread and of the interpreter's end.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The interpreter is about to end: no thread is started any more.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_SWEEPER: Cell<bool> = const { Cell::new(false) };
}

/// Locks, whatever has panicked under it: what these locks guard is whole between any two steps.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn is_ending() -> bool {
    IS_ENDING.load(Ordering::Acquire)
}

pub(crate) fn note_ending() {
    IS_ENDING.store(true, Ordering::Release);
}

/// Whether this is the sweeper's thread, which alone is not attached when it calls a map.
pub(crate) fn is_sweeper() -> bool {
    IS_SWEEPER.get()
}

pub(crate) fn note_sweeper() {
    IS_SWEEPER.set(true);
}
