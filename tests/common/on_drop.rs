//! Values whose drop does something. One type for all tests that have such, since a map of each is generated apart.

use std::{mem, process};

/// Runs a closure when it is dropped. Whoever drops one twice ends the process: a panic might be caught.
pub struct OnDrop(State);

enum State {
    Idle,
    Armed(Box<dyn FnOnce() + Send + Sync>),
    Dropped,
}

impl OnDrop {
    /// One whose drop does nothing.
    pub const IDLE: Self = Self(State::Idle);

    pub fn new(f: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(State::Armed(Box::new(f)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        match mem::replace(&mut self.0, State::Dropped) {
            State::Idle => {}
            State::Armed(f) => f(),
            State::Dropped => {
                eprintln!("a value was dropped twice");
                process::abort();
            }
        }
    }
}
