//! A reference to a Python object that an entry of a map holds, until the map reclaims the entry.
//!
//! It is never taken out while a thread may see it. The map drops a cell when all pins have ended that may have met its
//! entry; so whoever is pinned may count another reference to what a cell holds, whatever other threads do meanwhile.
//!
//! A cell is dropped by the thread that happens to reclaim it, which may not be attached, and in the midst of the map's
//! work, where no code of Python's may run. So its reference goes to a list of that thread's, which whoever called the
//! map empties by [`dropped`].

use std::{cell::RefCell, mem::ManuallyDrop};

use pyo3::{Borrowed, PyTraverseError, PyVisit, prelude::*};

/// Holds a reference.
pub(crate) struct ObjectCell(ManuallyDrop<Py<PyAny>>);

thread_local! {
    static DROPPED: RefCell<Vec<Py<PyAny>>> = const { RefCell::new(Vec::new()) };
}

/// The references of the cells that this thread has dropped since it asked last. Mostly none, which costs nothing. To be
/// given back attached, and not pinned.
#[inline]
pub(crate) fn dropped() -> Vec<Py<PyAny>> {
    DROPPED.with_borrow_mut(std::mem::take)
}

/// Adds to what this thread gives back next.
pub(crate) fn add_dropped(mut references: Vec<Py<PyAny>>) {
    DROPPED.with_borrow_mut(|dropped| dropped.append(&mut references));
}

impl ObjectCell {
    pub(crate) fn new(object: Py<PyAny>) -> Self {
        Self(ManuallyDrop::new(object))
    }

    /// Another reference to what it holds.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.borrow(py).to_owned()
    }

    /// What it holds, not counted: alive as long as the cell is borrowed.
    #[inline]
    pub(crate) fn borrow<'a, 'py>(&'a self, py: Python<'py>) -> Borrowed<'a, 'py, PyAny> {
        self.0.bind_borrowed(py)
    }

    /// Whether it holds this object.
    #[inline]
    pub(crate) fn is(&self, object: &Bound<'_, PyAny>) -> bool {
        self.0.as_ptr() == object.as_ptr()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&*self.0)
    }
}

impl Drop for ObjectCell {
    #[inline]
    fn drop(&mut self) {
        // A thread that is ending may have no list any more. Then the object stays.
        _ = DROPPED.try_with(|dropped| {
            // SAFETY: taken once, here, as this runs once at most.
            let object = unsafe { ManuallyDrop::take(&mut self.0) };
            dropped.borrow_mut().push(object);
        });
    }
}
