//! The sweeper's thread, one for all stores, and when there must be none: at a fork, and at the interpreter's end.
//!
//! The thread sleeps until the next deadline of a store. A write that brings an earlier one wakes it; how it tells,
//! mostly by a look at one word, is [`Sweeping::expect`].

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use evanesce::{Budget, Deadline, Sweeper, TtlMap};
use pyo3::{
    exceptions::{PyImportError, PyRuntimeWarning},
    ffi,
    prelude::*,
    types::PyDict,
};

use crate::{
    calls,
    cell::{self, ObjectCell},
    expired::Expired,
    forks,
    key::Key,
    threads::{self, locked},
};

/// How long one sweep goes on: what a store that is dropped, or a fork, waits for, and the other stores.
const BUDGET: Duration = Duration::from_millis(10);
/// A time that does not come, in nanoseconds.
const NEVER: u64 = u64::MAX;

/// How a store's entries are swept.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// By writes and calls alone.
    NoThread,
    /// By the thread as well, when something is due, and not more often than this.
    WhenDue(Duration),
    /// As often as this: the store's clock is one that a test moves.
    Every(Duration),
}

/// What is swept, and by whom. The thread begins with the first entry that has a deadline.
pub(crate) struct Sweeping {
    pub(crate) map: Arc<TtlMap<Key, ObjectCell, ()>>,
    pub(crate) expired: Arc<Expired>,
    pace: Pace,
    /// The thread comes by before an entry is due that is put from now on with a TTL of as many nanoseconds, or more.
    in_time: AtomicU64,
    visits: Mutex<Visits>,
}

struct Visits {
    sweeper: Option<Sweeper>,
    /// When the thread comes by, by the map's clock; [`NEVER`] while it looks when that is.
    at: u64,
    /// No thread could be had: when to ask for one again.
    ask_again: u64,
    /// How often memory is to be given back yet when nothing is due, after removals: a thread that is pinned at the
    /// time keeps some of it.
    passes: u32,
}

/// See `Visits::passes`. Each comes after twice the time of the one before, so all of them within some seconds.
const PASSES: u32 = 7;

/// How long to go without a thread before asking again for one.
const NO_THREAD_FOR: u64 = 1_000_000_000;

/// Whole nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

impl Sweeping {
    pub(crate) fn new(
        map: TtlMap<Key, ObjectCell, ()>,
        expired: Arc<Expired>,
        pace: Pace,
    ) -> Arc<Self> {
        let in_time = if matches!(pace, Pace::NoThread) { 0 } else { NEVER };
        let visits = Visits { sweeper: None, at: NEVER, ask_again: 0, passes: 0 };
        let (in_time, visits) = (AtomicU64::new(in_time), Mutex::new(visits));
        Arc::new(Self { map: Arc::new(map), expired, pace, in_time, visits })
    }

    /// After an entry has got a TTL: sees to it that the thread comes by when it is due.
    ///
    /// The thread either meets the entry when it looks for the next deadline, or is told of it here. All accesses of
    /// the word are read-modify-writes, so they are in one order. If this one comes before that by which the thread
    /// announces that it looks, it passes the entry on to it (`AcqRel`); if it comes behind, it meets what was
    /// announced.
    #[inline]
    pub(crate) fn expect(self: &Arc<Self>, ttl: Duration) {
        if nanos(ttl) < self.in_time.fetch_or(0, Ordering::AcqRel) {
            self.expect_before(nanos(ttl));
        }
    }

    #[cold]
    fn expect_before(self: &Arc<Self>, ttl: u64) {
        let mut visits = locked(&self.visits);
        let now = self.map.now().as_nanos();
        if visits.sweeper.is_none() {
            if now < visits.ask_again {
                return;
            }
            let Some(sweeper) = self.begin() else {
                visits.ask_again = now.saturating_add(NO_THREAD_FOR);
                return;
            };
            visits.sweeper = Some(sweeper);
        }
        if matches!(self.pace, Pace::Every(_)) {
            self.in_time.swap(0, Ordering::AcqRel);
            return;
        }
        let due = now.saturating_add(ttl);
        if due < visits.at {
            visits.at = due;
            if let Some(sweeper) = &visits.sweeper {
                sweeper.wake_in(Duration::from_nanos(ttl));
            }
        }
        self.in_time.swap(visits.at.saturating_sub(now), Ordering::AcqRel);
    }

    /// `None` if the system has no thread for it; then writes sweep all the same.
    fn begin(self: &Arc<Self>) -> Option<Sweeper> {
        let (Pace::WhenDue(interval) | Pace::Every(interval)) = self.pace else { return None };
        let swept = Arc::downgrade(self);
        Sweeper::shared().add_timer(interval, move || Self::visit(&swept)).ok()
    }

    /// On the thread, which is never attached: sweeps, and tells when to come again; or `None`: when there is
    /// something.
    fn visit(swept: &Weak<Self>) -> Option<Duration> {
        threads::note_sweeper();
        let this = swept.upgrade()?;
        let swept = this.map.sweep(Budget::time(BUDGET));
        this.hand_over();
        let interval = match this.pace {
            Pace::NoThread => return None,
            Pace::WhenDue(interval) => interval,
            Pace::Every(interval) => return Some(interval),
        };
        let is_pause = swept.removed == 0;
        let passes = {
            let mut visits = locked(&this.visits);
            visits.at = NEVER;
            this.in_time.swap(NEVER, Ordering::AcqRel);
            visits.passes = if is_pause { visits.passes.saturating_sub(1) } else { PASSES + 1 };
            visits.passes
        };
        if is_pause && passes > 0 {
            // What is free goes back to the system.
            this.map.sweep(Budget::full_pass());
            if this.map.is_empty() {
                this.map.shrink_to_fit();
            }
            this.hand_over();
        }
        let next = this.map.next_deadline().map(Deadline::as_nanos);
        let mut visits = locked(&this.visits);
        let now = this.map.now().as_nanos();
        // It is not called before the interval is over. After removals it comes again, for memory.
        let after = |intervals| now.saturating_add(nanos(interval).saturating_mul(intervals));
        let next = next.map(|at| at.max(after(1)));
        let pass = (passes > 1).then(|| after(1 << (PASSES + 1 - passes)));
        let next = [next, pass].into_iter().flatten().min();
        visits.at = visits.at.min(next.unwrap_or(NEVER));
        this.in_time.swap(visits.at.saturating_sub(now), Ordering::AcqRel);
        next.map(|at| Duration::from_nanos(at - now))
    }

    /// On the thread: leaves what the map has dropped to threads that are attached.
    fn hand_over(&self) {
        self.expired.add(cell::dropped());
        if self.expired.has_any() {
            self.expired.ask_the_main_thread();
        }
    }

    /// Takes it off the thread, and waits for the end of a sweep that goes on.
    pub(crate) fn stop(&self) {
        let sweeper = locked(&self.visits).sweeper.take();
        if let Some(sweeper) = sweeper {
            forks::wait_for_the_sweeper(|| drop(sweeper));
        }
    }
}

/// Before a fork: the child would not have the thread, but whatever it held at that moment.
#[pyfunction]
fn stop_sweeping() {
    forks::begin();
    calls::detached(|| Sweeper::shared().stop());
}

/// After it, in the child.
#[pyfunction]
fn go_on_in_child(py: Python<'_>) -> PyResult<()> {
    go_on();
    if calls::forget_others() {
        let warned = c"a thread that is gone was in a walk over a store of evanesce, or in an __eq__ that one had \
            called: in this process no store can use the memory of its entries again";
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), warned, 1)?;
    }
    Ok(())
}

/// After it, in the parent.
#[pyfunction]
fn go_on() {
    // Where the system has no thread writes sweep all the same.
    let _ = Sweeper::shared().start();
    forks::end();
}

/// At the interpreter's end.
#[pyfunction]
fn stop_for_ever() {
    threads::note_ending();
    forks::wait_for_the_sweeper(|| Sweeper::shared().stop());
}

/// Sweepers, and the calls that they ask the main thread for, are the process's and not an interpreter's.
pub(crate) fn refuse_subinterpreters() -> PyResult<()> {
    // SAFETY: attached, as who initialises a module is.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: as above; it is this thread's.
    if unsafe { ffi::PyInterpreterState_GetID(interpreter) } == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err("evanesce is for the main interpreter, and not for subinterpreters"))
}

/// Has Python call the four.
pub(crate) fn watch_the_process(py: Python<'_>) -> PyResult<()> {
    let at_exit = wrap_pyfunction!(stop_for_ever, py)?;
    py.import("atexit")?.call_method1("register", (at_exit,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let hooks = PyDict::new(py);
        hooks.set_item("before", wrap_pyfunction!(stop_sweeping, py)?)?;
        hooks.set_item("after_in_parent", wrap_pyfunction!(go_on, py)?)?;
        hooks.set_item("after_in_child", wrap_pyfunction!(go_on_in_child, py)?)?;
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}
