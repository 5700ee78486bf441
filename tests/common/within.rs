//! A limit in time for a test that waits for others.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Runs `f` on its own thread and returns its result once the thread has ended; panics when it hangs.
pub fn within<R: Send + 'static>(limit: Duration, f: impl FnOnce() -> R + Send + 'static) -> R {
    let result = Arc::new(Mutex::new(None));
    let to_fill = Arc::clone(&result);
    run_within(limit, Box::new(move || *to_fill.lock().expect("no panic") = Some(f())));
    result.lock().expect("no panic").take().expect("it returned")
}

/// The same without a result. By a box, since a spawn of its own type for each test is a tenth of what all tests take to
/// build.
fn run_within(limit: Duration, f: Box<dyn FnOnce() + Send>) {
    let (done, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let worker = thread::Builder::new().name(name);
    let worker = worker.spawn(move || {
        let _done = done; // dropped when `f` returns or unwinds
        f();
    });
    assert!(
        ended.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout),
        "still running after {limit:?}"
    );
    if let Err(panic) = worker.expect("spawn").join() {
        std::panic::resume_unwind(panic);
    }
}
