//! A reference to a Python object that an entry of a map holds, until the map reclaims the entry.
//!
//! It is never taken out while a thread may see it. The map drops a cell when all pins have ended that may have met its
//! entry; so whoever is pinned may count another reference to what a cell holds, whatever other threads do meanwhile.
//!
//! A cell is dropped by the thread that happens to reclaim it, which may not be attached, and in the midst of the map's
//! work, where no code of Python's may run. So its reference goes to a list of that thread's, which whoever called the
//! map empties by [`dropped`].

use std::{
    cell::RefCell,
    mem::ManuallyDrop,
    ptr::NonNull,
    sync::atomic::{AtomicPtr, Ordering},
};

use pyo3::{Borrowed, PyTraverseError, PyVisit, ffi, prelude::*};

/// Holds a reference. The lowest bit is set in the cell of a key whose end is yet to be told of.
pub(crate) struct ObjectCell(AtomicPtr<ffi::PyObject>);

const TO_BE_TOLD: usize = 1;

/// References of cells that were dropped.
#[derive(Default)]
pub(crate) struct Dropped {
    pub(crate) references: Vec<Py<PyAny>>,
    /// Where among them a key is whose end is to be told of. Its value comes next: the map drops one behind the other.
    pub(crate) ends: Vec<usize>,
}

thread_local! {
    static DROPPED: RefCell<Dropped> = const {
        RefCell::new(Dropped { references: Vec::new(), ends: Vec::new() })
    };
}

/// Whether [`dropped`] has any.
#[inline]
pub(crate) fn has_dropped() -> bool {
    DROPPED.with_borrow(|dropped| !dropped.references.is_empty())
}

/// The references of the cells that this thread has dropped since it asked last; mostly none, which costs nothing. To
/// be given back attached, and not pinned. Asked for before code of Python's may run: that may use another store.
#[inline]
pub(crate) fn dropped() -> Dropped {
    DROPPED.with_borrow_mut(|dropped| {
        if dropped.references.is_empty() { Dropped::default() } else { std::mem::take(dropped) }
    })
}

/// Adds to what this thread gives back next.
pub(crate) fn add_dropped(mut references: Vec<Py<PyAny>>) {
    DROPPED.with_borrow_mut(|dropped| dropped.references.append(&mut references));
}

impl ObjectCell {
    pub(crate) fn new(object: Py<PyAny>) -> Self {
        Self(AtomicPtr::new(object.into_ptr()))
    }

    fn pointer(&self) -> NonNull<ffi::PyObject> {
        // Relaxed: the object is the same for all of the cell's life, and came with the cell.
        let pointer = self.0.load(Ordering::Relaxed).map_addr(|address| address & !TO_BE_TOLD);
        // SAFETY: from a `Py`, whose objects are aligned to more than two bytes.
        unsafe { NonNull::new_unchecked(pointer) }
    }

    /// Another reference to what it holds.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.borrow(py).to_owned()
    }

    /// What it holds, not counted: alive as long as the cell is borrowed.
    #[inline]
    pub(crate) fn borrow<'a, 'py>(&'a self, py: Python<'py>) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: the cell's own reference stands for it.
        unsafe { Borrowed::from_ptr(py, self.pointer().as_ptr()) }
    }

    /// Whether it holds this object.
    #[inline]
    pub(crate) fn is(&self, object: &Bound<'_, PyAny>) -> bool {
        self.pointer().as_ptr() == object.as_ptr()
    }

    /// Of a key whose entry has ended: its end is to be told of when the cell is dropped. Called once, by who ended it.
    pub(crate) fn tell_when_dropped(&self) {
        // Relaxed: whoever drops the cell comes behind the end of this thread's pin.
        let pointer = self.pointer().as_ptr().map_addr(|address| address | TO_BE_TOLD);
        self.0.store(pointer, Ordering::Relaxed);
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the cell's own reference stands for it, and it is not dropped here.
        let held = ManuallyDrop::new(unsafe { owned(self.pointer()) });
        visit.call(&*held)
    }
}

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

impl Drop for ObjectCell {
    #[inline]
    fn drop(&mut self) {
        let is_told = self.0.get_mut().addr() & TO_BE_TOLD != 0;
        // A thread that is ending may have no list any more. Then the object stays.
        _ = DROPPED.try_with(|dropped| {
            let mut dropped = dropped.borrow_mut();
            if is_told {
                let index = dropped.references.len();
                dropped.ends.push(index);
            }
            // SAFETY: the cell's own, which is gone with this.
            dropped.references.push(unsafe { owned(self.pointer()) });
        });
    }
}
