//! What is read of a string of Python's where it lies, without a call.

use std::{
    slice,
    sync::atomic::{AtomicIsize, Ordering},
};

use pyo3::{Borrowed, ffi, prelude::*, types::PyString};

/// A string whose hash Python keeps in it, since it was asked for. It is of its last form then (before 3.12 one may be
/// made in an older form, which the first question for the hash ends), and never changes any more.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'a, 'py> {
    object: Borrowed<'a, 'py, PyAny>,
    pub(crate) hash: isize,
}

impl<'a, 'py> Hashed<'a, 'py> {
    /// `None` of what is not exactly a string, and of one that has not been hashed.
    #[inline]
    pub(crate) fn new(object: Borrowed<'a, 'py, PyAny>) -> Option<Self> {
        if !object.is_exact_instance_of::<PyString>() {
            return None;
        }
        let string: *mut ffi::PyASCIIObject = object.as_ptr().cast();
        // SAFETY: it is a string, alive, and each begins so.
        let place = unsafe { &raw mut (*string).hash };
        // SAFETY: as above; the word is aligned, and other threads only access it whole.
        let hash = unsafe { AtomicIsize::from_ptr(place) }.load(Ordering::Relaxed);
        (hash != -1).then_some(Self { object, hash })
    }

    /// Whether both have the same characters.
    #[inline]
    pub(crate) fn equals(self, other: Self) -> bool {
        self.hash == other.hash && self.kind() == other.kind() && self.bytes() == other.bytes()
    }

    /// The number of bytes of a character: the fewest that do for all of the string's.
    #[inline]
    fn kind(self) -> usize {
        // SAFETY: it is a string of its last form, and alive.
        unsafe { ffi::PyUnicode_KIND(self.object.as_ptr()) as usize }
    }

    #[inline]
    fn bytes(self) -> &'a [u8] {
        // SAFETY: it is a string of its last form, and alive.
        let characters = unsafe { ffi::PyUnicode_GET_LENGTH(self.object.as_ptr()) }.unsigned_abs();
        // SAFETY: as above.
        let bytes = unsafe { ffi::PyUnicode_DATA(self.object.as_ptr()) };
        // SAFETY: so many characters, of so many bytes, are there, which never change, and as long as the object.
        unsafe { slice::from_raw_parts(bytes.cast(), characters * self.kind()) }
    }
}
