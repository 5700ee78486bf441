//! Calls that may run code of Python's.
//!
//! Before 3.14 Python ends a daemon thread that wants its lock when the interpreter has ended, by unwinding it,
//! and so through frames of Rust's, at whose end the process would abort. Such a thread hangs here instead, as it does
//! from 3.14 on, until the process ends.

use std::{
    cell::{Cell, RefCell},
    ffi::c_int,
    mem, ptr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use pyo3::{ffi, prelude::*};

// As in `pyo3::ffi`, but that they may unwind.
unsafe extern "C-unwind" {
    fn PyObject_Hash(object: *mut ffi::PyObject) -> ffi::Py_hash_t;
    fn PyObject_RichCompareBool(a: *mut ffi::PyObject, b: *mut ffi::PyObject, op: c_int) -> c_int;
    fn PyObject_CallFunctionObjArgs(call: *mut ffi::PyObject, ...) -> *mut ffi::PyObject;
    fn PyObject_CallNoArgs(call: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyErr_WriteUnraisable(object: *mut ffi::PyObject);
    fn Py_DecRef(object: *mut ffi::PyObject);
    fn PyEval_SaveThread() -> *mut ffi::PyThreadState;
    fn PyEval_RestoreThread(state: *mut ffi::PyThreadState);
}

/// Hangs the thread when it is dropped.
struct Hangs;

impl Drop for Hangs {
    fn drop(&mut self) {
        loop {
            thread::park();
        }
    }
}

/// Makes a call; a thread that is unwound in it hangs.
fn or_hang<R>(call: impl FnOnce() -> R) -> R {
    let hangs = Hangs;
    let result = call();
    mem::forget(hangs);
    result
}

/// `hash(object)`.
pub(crate) fn hash(object: &Bound<'_, PyAny>) -> PyResult<isize> {
    // SAFETY: the object is alive, and the thread attached.
    let hash = or_hang(|| unsafe { PyObject_Hash(object.as_ptr()) });
    if hash == -1 { Err(PyErr::fetch(object.py())) } else { Ok(hash) }
}

/// `held == wanted`, as a dict has it.
pub(crate) fn are_equal(held: &Bound<'_, PyAny>, wanted: &Bound<'_, PyAny>) -> PyResult<bool> {
    let _pins = Pins::new();
    // SAFETY: both are alive, and the thread attached.
    let equal =
        or_hang(|| unsafe { PyObject_RichCompareBool(held.as_ptr(), wanted.as_ptr(), ffi::Py_EQ) });
    if equal < 0 { Err(PyErr::fetch(held.py())) } else { Ok(equal != 0) }
}

/// `function(argument)`.
pub(crate) fn call<'py>(
    function: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let (call, end) = (function.as_ptr(), ptr::null_mut::<ffi::PyObject>());
    // SAFETY: both are alive, and the thread attached; a null ends the arguments.
    let result = or_hang(|| unsafe { PyObject_CallFunctionObjArgs(call, argument.as_ptr(), end) });
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), result) }
}

/// `function(a, b, c)`.
pub(crate) fn call_with_three<'py>(
    function: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; 3],
) -> PyResult<Bound<'py, PyAny>> {
    let (call, [a, b, c]) = (function.as_ptr(), arguments.map(Bound::as_ptr));
    let end = ptr::null_mut::<ffi::PyObject>();
    // SAFETY: all are alive, and the thread attached; a null ends the arguments.
    let result = or_hang(|| unsafe { PyObject_CallFunctionObjArgs(call, a, b, c, end) });
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), result) }
}

/// Hands an error that nobody can catch to `sys.unraisablehook`, with the function that raised it.
pub(crate) fn write_unraisable(error: PyErr, function: &Bound<'_, PyAny>) {
    error.restore(function.py());
    // SAFETY: the function is alive, the thread attached, and an error set.
    or_hang(|| unsafe { PyErr_WriteUnraisable(function.as_ptr()) });
}

/// `function()`.
pub(crate) fn call_without_arguments<'py>(
    py: Python<'py>,
    function: &Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = function.as_ptr();
    // SAFETY: it is alive, and the thread attached.
    let result = or_hang(|| unsafe { PyObject_CallNoArgs(call) });
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, result) }
}

/// Makes a call while the thread, which is attached, is not. It must not touch an object of Python's.
pub(crate) fn detached<R>(call: impl FnOnce() -> R) -> R {
    or_hang(|| {
        // SAFETY: the thread is attached.
        let state = unsafe { PyEval_SaveThread() };
        let result = call();
        // SAFETY: the state that this thread had just now.
        unsafe { PyEval_RestoreThread(state) };
        result
    })
}

/// Detaches for a moment, so that a thread that waits for the interpreter's lock gets its turn; and one that has to
/// stop all others, where there is no lock.
pub(crate) fn let_others_run(_py: Python<'_>) {
    detached(|| ());
}

/// How many references, or entries, are worked at before others may run: a millisecond or so.
pub(crate) const AT_ONCE: usize = 4096;

/// As [`give_back`], and lets others run now and then. Not from a `drop`.
pub(crate) fn give_back_many(py: Python<'_>, mut references: Vec<Py<PyAny>>) {
    while !references.is_empty() {
        let rest = references.len().saturating_sub(AT_ONCE);
        give_back(py, references.drain(rest..));
        if rest > 0 {
            let_others_run(py);
        }
    }
}

/// Gives references back, which runs the `__del__` of what nobody else refers to. The thread must not be pinned.
pub(crate) fn give_back(_py: Python<'_>, references: impl IntoIterator<Item = Py<PyAny>>) {
    for reference in references {
        let object = reference.into_ptr();
        // SAFETY: the reference was `reference`'s, and the thread is attached.
        or_hang(|| unsafe { Py_DecRef(object) });
    }
}

/// How deep calls of [`give_back_nested`] may lie in one another: each ends a store within the end of a store, on one
/// stack.
const DEEPEST: usize = 100;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// What would lie deeper.
    static PUT_OFF: RefCell<Vec<Py<PyAny>>> = const { RefCell::new(Vec::new()) };
}

/// As [`give_back`], from a `drop`, which has no token of its thread's being attached, but is. What lies too deep is
/// given back by the outermost call.
pub(crate) fn give_back_nested(references: Vec<Py<PyAny>>) {
    if DEPTH.get() == DEEPEST {
        PUT_OFF.with_borrow_mut(|put_off| put_off.extend(references));
        return;
    }
    // SAFETY: those that drop are attached: a method's locals, and an object of Python's that ends.
    let py = unsafe { Python::assume_attached() };
    DEPTH.set(DEPTH.get() + 1);
    give_back(py, references);
    while DEPTH.get() == 1
        && let Some(reference) = PUT_OFF.with_borrow_mut(Vec::pop)
    {
        give_back(py, [reference]);
    }
    DEPTH.set(DEPTH.get() - 1);
}

/// Threads that are pinned and may let go of the interpreter's lock: in comparisons, and in walks over a store. They do
/// not come back if another one forks meanwhile.
static PINNED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How often this thread is one of them: a comparison may lead to another.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// That this thread is pinned, and may let go of the lock.
pub(crate) struct Pins;

impl Pins {
    pub(crate) fn new() -> Self {
        PINNED.fetch_add(1, Ordering::Relaxed);
        OWN.set(OWN.get() + 1);
        Self
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        PINNED.fetch_sub(1, Ordering::Relaxed);
        OWN.set(OWN.get() - 1);
    }
}

/// Forgets the pins of threads that are gone, in the child of a fork; whether there were any.
pub(crate) fn forget_others() -> bool {
    PINNED.swap(OWN.get(), Ordering::Relaxed) != OWN.get()
}
