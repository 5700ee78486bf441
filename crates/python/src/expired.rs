//! References that the map has dropped, mostly of entries that have expired, until an attached thread gives them back.

use std::{
    ffi::{c_int, c_void},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pyo3::{PyTraverseError, PyVisit, ffi, prelude::*};

use crate::{calls, sweeping};

/// How many references a write gives back; each write sweeps fewer entries than half of it.
const A_FEW: usize = 64;
/// How many the main thread gives back at one go.
const MANY: usize = 10_000;

#[derive(Default)]
pub(crate) struct Expired {
    /// Held for a push, a pop or a traversal, and never over a call into Python.
    references: Mutex<Vec<Py<PyAny>>>,
    /// Whether there are any, as a hint.
    any: AtomicBool,
    /// Whether the main thread has been asked.
    is_asked: AtomicBool,
}

impl Expired {
    /// Takes references. On any thread, attached or not.
    pub(crate) fn add(&self, dropped: Vec<Py<PyAny>>) {
        if dropped.is_empty() {
            return;
        }
        let mut references = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        references.extend(dropped);
        self.any.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Gives a few back, if there are any.
    #[inline]
    pub(crate) fn give_back_some(&self, py: Python<'_>) {
        if self.has_any() {
            self.give_back(py, A_FEW);
        }
    }

    /// Gives all back, and lets other threads run now and then.
    pub(crate) fn give_back_all(&self, py: Python<'_>) {
        while self.has_any() {
            self.give_back(py, calls::AT_ONCE);
            if self.has_any() {
                calls::let_others_run(py);
            }
        }
    }

    /// Gives back as many at most.
    fn give_back(&self, py: Python<'_>, most: usize) {
        let batch: Vec<_> = {
            let mut references = self.references.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = references.len().saturating_sub(most);
            let batch = references.drain(rest..).collect();
            if references.is_empty() {
                self.any.store(false, Ordering::Release);
                // A store that had many at once does not keep their memory.
                references.shrink_to(MANY);
            }
            batch
        };
        calls::give_back(py, batch);
    }

    /// Asks the main thread to give them back: it does so between two of its own steps, before Python 3.12 when it
    /// attaches the next time. From a thread that is not attached.
    pub(crate) fn ask_the_main_thread(self: &Arc<Self>) {
        if sweeping::is_ending() || self.is_asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::into_raw(Arc::clone(self)).cast_mut().cast();
        // SAFETY: may be called from any thread while there is an interpreter; the sweepers stop before it goes
        // (`sweeping`).
        if unsafe { ffi::Py_AddPendingCall(Some(give_back_when_asked), this) } != 0 {
            // Python's list of such calls is full. The next sweep asks again.
            self.is_asked.store(false, Ordering::Release);
            // SAFETY: made by `into_raw` above, and nobody else has it.
            drop(unsafe { Arc::<Self>::from_raw(this.cast()) });
        }
    }

    /// Takes all that wait.
    pub(crate) fn take_all(&self) -> Vec<Py<PyAny>> {
        let mut references = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut references)
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The sweeper is adding to it: then these are as good as referred to from elsewhere.
        let Ok(references) = self.references.try_lock() else { return Ok(()) };
        references.iter().try_for_each(|reference| visit.call(reference))
    }
}

extern "C" fn give_back_when_asked(expired: *mut c_void) -> c_int {
    // SAFETY: made by `into_raw` in `ask_the_main_thread`, for this call.
    let expired = unsafe { Arc::<Expired>::from_raw(expired.cast()) };
    expired.is_asked.store(false, Ordering::Release);
    // SAFETY: Python makes such calls attached, also when it has begun to end, when `attach` would panic.
    let py = unsafe { Python::assume_attached() };
    expired.give_back(py, MANY);
    if expired.has_any() {
        expired.ask_the_main_thread();
    }
    0
}
