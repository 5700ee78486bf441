//! A reference to a Python object that is taken out once, by a thread that need not be attached.

use std::{
    mem::ManuallyDrop,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicPtr, Ordering},
};

use pyo3::{PyTraverseError, PyVisit, ffi, prelude::*};

/// Holds a reference, or none any more.
pub(crate) struct ObjectCell(AtomicPtr<ffi::PyObject>);

/// A counted reference from its pointer.
///
/// # Safety
///
/// The pointer stands for a counted reference, which becomes the result's.
unsafe fn owned(pointer: NonNull<ffi::PyObject>) -> Py<PyAny> {
    // SAFETY: `Py` is a transparent `NonNull` that owns a reference. (Its own constructors ask for an attached
    // thread, which only counting needs.)
    unsafe { std::mem::transmute::<NonNull<ffi::PyObject>, Py<PyAny>>(pointer) }
}

impl ObjectCell {
    pub(crate) fn new(object: Py<PyAny>) -> Self {
        Self(AtomicPtr::new(object.into_ptr()))
    }

    /// The reference; the caller gives it back when attached, and not pinned.
    pub(crate) fn take(&self) -> Option<Py<PyAny>> {
        self.replace(null_mut())
    }

    /// Puts another in, and returns what was there.
    pub(crate) fn swap(&self, object: Py<PyAny>) -> Option<Py<PyAny>> {
        self.replace(object.into_ptr())
    }

    fn replace(&self, pointer: *mut ffi::PyObject) -> Option<Py<PyAny>> {
        // AcqRel: hands on what happened to the object before it was put in, to whoever takes it out.
        let old = NonNull::new(self.0.swap(pointer, Ordering::AcqRel));
        // SAFETY: the swap gave this call alone the reference that the cell held.
        old.map(|old| unsafe { owned(old) })
    }

    /// Another reference to what it holds.
    pub(crate) fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.held().map(|object| Py::clone_ref(&object, py))
    }

    /// Has the processor fetch the object's memory. For an attached thread.
    pub(crate) fn touch(&self) {
        if let Some(object) = self.held() {
            // SAFETY: the object is alive for as long as this thread is attached.
            std::hint::black_box(unsafe { ffi::Py_TYPE(object.as_ptr()) });
        }
    }

    /// Whether it holds this object.
    pub(crate) fn is(&self, object: &Bound<'_, PyAny>) -> bool {
        self.0.load(Ordering::Relaxed) == object.as_ptr()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.held() {
            Some(object) => visit.call(&*object),
            None => Ok(()),
        }
    }

    /// What it holds, not counted. It is good until this thread detaches: who takes it out meanwhile gives it back
    /// attached. (Called in `get`, `touch` and `visit` alone, of which this is true: they are attached throughout.)
    fn held(&self) -> Option<ManuallyDrop<Py<PyAny>>> {
        // Acquire: pairs with the AcqRel of who put it in.
        let pointer = NonNull::new(self.0.load(Ordering::Acquire));
        // SAFETY: the cell's own reference stands for it, and it is not dropped here.
        pointer.map(|pointer| ManuallyDrop::new(unsafe { owned(pointer) }))
    }
}

impl Drop for ObjectCell {
    /// Of a cell that has not come into a map, attached: the caller has a reference of its own to the object. All
    /// others are empty. (If one is not, pyo3 keeps the reference for the next thread that attaches.)
    fn drop(&mut self) {
        drop(self.take());
    }
}
