//! A limit in time for a test that waits for others.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `f` on its own thread and returns its result once the thread has ended; panics when it hangs.
pub(crate) fn within<R: Send + 'static>(
    limit: Duration,
    f: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let worker = thread::Builder::new().name(name);
    let worker = worker.spawn(move || {
        let _done = done; // dropped when `f` returns or unwinds
        f()
    });
    assert!(
        ended.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout),
        "still running after {limit:?}"
    );
    match worker.expect("spawn").join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
