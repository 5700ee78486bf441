//! The sweeper's threads, and when there must be none: at a fork, and at the interpreter's end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use evanesce::{Budget, Sweeper, TtlMap};
use pyo3::{
    exceptions::{PyImportError, PyRuntimeError, PyRuntimeWarning},
    ffi,
    prelude::*,
    types::PyDict,
};

use crate::{calls, cell::ObjectCell, expired::Expired, key::Key};

/// How long one sweep goes on: what a store that is dropped, or a fork, waits for at most.
const BUDGET: Duration = Duration::from_millis(10);

/// What is swept, and by whom. Its own thread is begun with the first entry that has a deadline.
pub(crate) struct Sweeping {
    pub(crate) map: Arc<TtlMap<Key, ObjectCell, ()>>,
    pub(crate) expired: Arc<Expired>,
    interval: Option<Duration>,
    thread: Mutex<Option<Sweeper>>,
    has_begun: AtomicBool,
}

pub(crate) fn is_ending() -> bool {
    IS_ENDING.load(Ordering::Acquire)
}

/// Those that have begun, by their addresses.
static BEGUN: Mutex<BTreeMap<usize, Weak<Sweeping>>> = Mutex::new(BTreeMap::new());
/// The interpreter is about to end: no thread is started any more.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// The process is about to fork: none is started until it has.
static IS_FORKING: AtomicBool = AtomicBool::new(false);

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sweeping {
    pub(crate) fn new(
        map: TtlMap<Key, ObjectCell, ()>,
        expired: Arc<Expired>,
        interval: Option<Duration>,
    ) -> Arc<Self> {
        let (map, thread, has_begun) = (Arc::new(map), Mutex::new(None), AtomicBool::new(false));
        Arc::new(Self { map, expired, interval, thread, has_begun })
    }

    /// Begins, if it is to and has not.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it.
    #[inline]
    pub(crate) fn begin(self: &Arc<Self>) -> PyResult<()> {
        if self.interval.is_none() || self.has_begun.load(Ordering::Acquire) {
            return Ok(());
        }
        self.start_thread()?;
        locked(&BEGUN).insert(Arc::as_ptr(self).addr(), Arc::downgrade(self));
        self.has_begun.store(true, Ordering::Release);
        Ok(())
    }

    fn start_thread(&self) -> PyResult<()> {
        let may_start = !is_ending() && !IS_FORKING.load(Ordering::Acquire);
        let Some(interval) = self.interval.filter(|_| may_start) else { return Ok(()) };
        let expired = Arc::clone(&self.expired);
        let sweeper = Sweeper::spawn_with(&self.map, interval, Budget::time(BUDGET), move |_| {
            if expired.has_any() {
                expired.ask_the_main_thread();
            }
        });
        let sweeper = sweeper.map_err(|error| {
            PyRuntimeError::new_err(format!(
                "no thread for the sweeper: {error}; sweep_interval=None does without"
            ))
        })?;
        *locked(&self.thread) = Some(sweeper);
        Ok(())
    }

    /// Stops the thread and waits for its end. It is never attached, so one who is may wait for it.
    pub(crate) fn stop(&self) {
        let thread = locked(&self.thread).take();
        drop(thread);
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.stop();
        if self.has_begun.load(Ordering::Acquire) {
            locked(&BEGUN).remove(&std::ptr::from_ref(self).addr());
        }
    }
}

fn for_each(f: impl Fn(&Sweeping)) {
    // Not under the lock: the last owner of one takes it.
    let all: Vec<_> = locked(&BEGUN).values().filter_map(Weak::upgrade).collect();
    for sweeping in all {
        f(&sweeping);
    }
}

/// Before a fork: the child would have no such thread, but whatever it held at that moment.
#[pyfunction]
fn stop_all() {
    IS_FORKING.store(true, Ordering::Release);
    for_each(Sweeping::stop);
}

/// After it, in the child.
#[pyfunction]
fn start_all_in_child(py: Python<'_>) -> PyResult<()> {
    start_all();
    if calls::forget_others() {
        let warned = c"a thread that is gone was in an __eq__ that a store of evanesce had called: in this process \
            no store can use the memory of its entries again";
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), warned, 1)?;
    }
    Ok(())
}

/// After it, in the parent.
#[pyfunction]
fn start_all() {
    IS_FORKING.store(false, Ordering::Release);
    // Where the system has no thread writes sweep all the same.
    for_each(|sweeping| _ = sweeping.start_thread());
}

/// At the interpreter's end.
#[pyfunction]
fn stop_for_ever() {
    IS_ENDING.store(true, Ordering::Release);
    for_each(Sweeping::stop);
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
        hooks.set_item("before", wrap_pyfunction!(stop_all, py)?)?;
        hooks.set_item("after_in_parent", wrap_pyfunction!(start_all, py)?)?;
        hooks.set_item("after_in_child", wrap_pyfunction!(start_all_in_child, py)?)?;
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}
