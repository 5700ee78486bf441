//! References that the map has dropped, mostly of entries that have expired, until an attached thread gives them back.

use std::{
    ffi::{c_int, c_void},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use evanesce::RemovalCause;
use pyo3::{PyTraverseError, PyVisit, ffi, prelude::*};

use crate::{
    calls,
    cell::{Dropped, ObjectCell},
    key::Key,
    listener::Listener,
    threads::{self, locked},
};

/// How many references a write gives back; each write sweeps fewer entries than half of it.
const A_FEW: usize = 64;
/// How many the main thread gives back at one go.
const MANY: usize = 10_000;

#[derive(Default)]
pub(crate) struct Expired {
    /// Held for a push, a pop or a traversal, and never over a call into Python.
    references: Mutex<Vec<Py<PyAny>>>,
    /// Who is told of the ends first, if there is someone.
    listener: Option<Listener>,
    /// Whether there are any, as a hint.
    any: AtomicBool,
    /// Whether the main thread has been asked.
    is_asked: AtomicBool,
}

impl Expired {
    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self { listener, ..Self::default() }
    }

    /// Notes that an entry has ended, if someone is to be told. By the thread that ended it, pinned.
    pub(crate) fn note_end(&self, key: &Key, value: &ObjectCell, cause: RemovalCause) {
        let Some(listener) = &self.listener else { return };
        if threads::is_sweeper() {
            // It may count no reference: the entry's own come with the end of the cells.
            return key.object.tell_when_dropped();
        }
        // SAFETY: all threads that call a map are attached, but for the sweeper's.
        let py = unsafe { Python::assume_attached() };
        listener.note(key.object.get(py).unbind(), value.get(py).unbind(), cause);
        self.any.store(true, Ordering::Release);
    }

    /// Takes references. On any thread, attached or not.
    pub(crate) fn add(&self, dropped: Dropped) {
        let references = self.take_ends(dropped);
        if references.is_empty() {
            return;
        }
        locked(&self.references).extend(references);
        self.any.store(true, Ordering::Release);
    }

    /// Notes the ends that the sweeper's thread has left to be told of; returns the other references.
    pub(crate) fn take_ends(&self, Dropped { references, ends }: Dropped) -> Vec<Py<PyAny>> {
        let Some(listener) = self.listener.as_ref().filter(|_| !ends.is_empty()) else {
            return references;
        };
        let (mut others, mut ends) = (Vec::new(), ends.into_iter().peekable());
        let mut references = references.into_iter().enumerate();
        while let Some((index, reference)) = references.next() {
            let value = ends.next_if_eq(&index).and_then(|_| references.next());
            match value {
                Some((_, value)) => listener.note(reference, value, RemovalCause::Expired),
                None => others.push(reference),
            }
        }
        self.any.store(true, Ordering::Release);
        others
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
        while self.has_any() && self.give_back(py, calls::AT_ONCE) {
            if self.has_any() {
                calls::let_others_run(py);
            }
        }
    }

    /// Tells of what has ended, and gives back as many at most; false if what waits to be told of is for a later call.
    fn give_back(&self, py: Python<'_>, most: usize) -> bool {
        let batch: Vec<_> = {
            let mut references = locked(&self.references);
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
        let is_told = self.listener.as_ref().is_none_or(|listener| listener.tell(py));
        if !is_told {
            self.any.store(true, Ordering::Release);
        }
        is_told
    }

    /// Asks the main thread to give them back: it does so between two of its own steps, before Python 3.12 when it
    /// attaches the next time. From a thread that is not attached.
    pub(crate) fn ask_the_main_thread(self: &Arc<Self>) {
        if threads::is_ending() || self.is_asked.swap(true, Ordering::AcqRel) {
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
        let mut references = locked(&self.references);
        self.any.store(false, Ordering::Release);
        let told = self.listener.iter().flat_map(Listener::take_all);
        std::mem::take(&mut *references).into_iter().chain(told).collect()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The sweeper is adding to it: then these are as good as referred to from elsewhere.
        let Ok(references) = self.references.try_lock() else { return Ok(()) };
        references.iter().try_for_each(|reference| visit.call(reference))?;
        self.listener.as_ref().map_or(Ok(()), |listener| listener.visit(visit))
    }
}

extern "C" fn give_back_when_asked(expired: *mut c_void) -> c_int {
    // SAFETY: made by `into_raw` in `ask_the_main_thread`, for this call.
    let expired = unsafe { Arc::<Expired>::from_raw(expired.cast()) };
    expired.is_asked.store(false, Ordering::Release);
    // SAFETY: Python makes such calls attached, also when it has begun to end, when `attach` would panic.
    let py = unsafe { Python::assume_attached() };
    if expired.give_back(py, MANY) && expired.has_any() {
        expired.ask_the_main_thread();
    }
    0
}
