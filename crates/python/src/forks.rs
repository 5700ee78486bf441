//! A fork finds no thread in the midst of a wait for the sweeper.
//!
//! Who waits for the sweeper's thread is detached, and may hold its locks at any moment. A child of a fork would find
//! them held for ever. Whoever waits therefore holds a lock of ours, and so does whoever forks. All else that touches
//! those locks is done attached, and no thread is attached beside one that forks: the interpreter's lock sees to it,
//! or, where there is none, Python stops all others first.

use std::{
    cell::RefCell,
    sync::{Mutex, MutexGuard},
};

use crate::{calls, threads::locked};

static WAITING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Held by the thread that forks, from before until after.
    static FORKING: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Makes a call that waits for the sweeper's thread, detached: others may run meanwhile, and stop this one.
pub(crate) fn wait_for_the_sweeper(call: impl FnOnce()) {
    // Between the hooks this thread may end a store.
    let is_forking = FORKING.with_borrow(Option::is_some);
    calls::detached(|| {
        let _waits = (!is_forking).then(|| locked(&WAITING));
        call();
    });
}

/// Before a fork.
pub(crate) fn begin() {
    if FORKING.with_borrow(Option::is_none) {
        let guard = calls::detached(|| locked(&WAITING));
        FORKING.set(Some(guard));
    }
}

/// After it, in parent and child.
pub(crate) fn end() {
    FORKING.take();
}
