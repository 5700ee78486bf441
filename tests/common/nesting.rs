//! How deep calls of user code nest.

use super::exclusive;
use std::cell::Cell;
use std::thread;

/// A stack that a few nested calls fit on, and a hundred do not.
const STACK: usize = 256 << 10;

/// Runs `test` alone, on a small stack: a recursion without end overflows it soon.
pub fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    exclusive(|| {
        let thread = thread::Builder::new().stack_size(STACK).spawn(test);
        thread.expect("spawn").join().expect("no panic");
    });
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static DEEPEST: Cell<usize> = const { Cell::new(0) };
}

/// Runs `f`, and notes how deep such calls of this thread nest.
pub fn counted(f: impl FnOnce()) {
    struct Level;
    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    DEEPEST.set(DEEPEST.get().max(DEPTH.get()));
    let _level = Level;
    f();
}

/// The deepest nesting since this was last asked.
pub fn deepest() -> usize {
    DEEPEST.take()
}
