//! Keys: hashed once, compared as a dict compares them.

use std::sync::atomic::{AtomicIsize, Ordering};

use evanesce::Pinned;
use pyo3::{
    ffi,
    prelude::*,
    types::{PyBytes, PyInt, PyString},
};

use crate::{calls, cell::ObjectCell};

/// References that are given back when the thread is not pinned any more. Mostly none, which costs nothing.
#[derive(Default)]
pub(crate) struct Kept(Option<Vec<Py<PyAny>>>);

impl Kept {
    pub(crate) fn keep(&mut self, references: impl IntoIterator<Item = Py<PyAny>>) {
        self.0.get_or_insert_default().extend(references);
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        if let Some(kept) = self.0.take() {
            calls::give_back_nested(kept);
        }
    }
}

/// A key that is looked for.
pub(crate) struct Wanted<'a, 'py> {
    pub(crate) object: &'a Bound<'py, PyAny>,
    hash: isize,
    is_plain: bool,
}

impl<'a, 'py> Wanted<'a, 'py> {
    /// # Errors
    ///
    /// `TypeError` if the object has no hash, and what its `__hash__` raises.
    #[inline]
    pub(crate) fn new(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        match kept_hash(object) {
            Some(hash) => Ok(Self { object, hash, is_plain: true }),
            None => Self::ask(object),
        }
    }

    #[inline(never)]
    fn ask(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let is_plain = is_plain(object);
        let hash = if is_plain { object.hash() } else { calls::hash(object) }?;
        Ok(Self { object, hash, is_plain })
    }

    /// A key that another store holds, whose hash is known.
    pub(crate) fn of_hash(object: &'a Bound<'py, PyAny>, hash: isize) -> Self {
        Self { object, hash, is_plain: is_plain(object) }
    }

    /// The hash for the map.
    pub(crate) fn mixed(&self) -> u64 {
        mixed(self.hash)
    }

    /// Whether `met` is this key: the same object, or an equal one of the same hash.
    ///
    /// `kept` takes the reference that a comparison was made with.
    ///
    /// # Errors
    ///
    /// What an `__eq__` raises.
    pub(crate) fn is(&self, met: &Key, kept: &mut Kept) -> PyResult<bool> {
        if met.object.is(self.object) {
            return Ok(true);
        }
        if met.hash != self.hash {
            return Ok(false);
        }
        // Empty: the entry is over.
        let Some(object) = met.object.get(self.object.py()) else { return Ok(false) };
        let object = object.into_bound(self.object.py());
        if self.is_plain && is_plain(&object) {
            return object.eq(self.object);
        }
        let is_equal = calls::are_equal(&object, self.object);
        // Code of Python's has run, and this may be the last reference by now.
        kept.keep([object.unbind()]);
        is_equal
    }
}

/// The hash of a string that has been hashed before: Python keeps it in the string.
#[inline]
#[expect(unsafe_code, reason = "reads a field of an object of Python's")]
fn kept_hash(object: &Bound<'_, PyAny>) -> Option<isize> {
    if !object.is_exact_instance_of::<PyString>() {
        return None;
    }
    let string: *mut ffi::PyASCIIObject = object.as_ptr().cast();
    // SAFETY: it is a string, alive, and each begins so.
    let place = unsafe { &raw mut (*string).hash };
    // SAFETY: as above; the word is aligned, and other threads only access it whole.
    let hash = unsafe { AtomicIsize::from_ptr(place) }.load(Ordering::Relaxed);
    (hash != -1).then_some(hash)
}

/// The hash for the map. Python's own leaves integers as they are, and floats with zeros below: each bit of it is
/// spread over all, by the finalizer of `SplitMix64` (Steele, Lea and Flood 2014).
#[expect(clippy::cast_sign_loss, reason = "64 bits, whatever they mean")]
fn mixed(hash: isize) -> u64 {
    let mut z = hash as u64;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether comparing this with its like runs no code of Python's.
pub(crate) fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyBytes>()
}

/// A key that is held.
pub(crate) struct Key {
    pub(crate) hash: isize,
    pub(crate) object: ObjectCell,
}

impl Key {
    pub(crate) fn new(wanted: &Wanted<'_, '_>) -> Self {
        Self { hash: wanted.hash, object: ObjectCell::new(wanted.object.clone().unbind()) }
    }

    /// The hash for the map.
    pub(crate) fn mixed(&self) -> u64 {
        mixed(self.hash)
    }

    /// The same object, for another entry; `None` if this one has ended.
    pub(crate) fn again(&self, py: Python<'_>) -> Option<Self> {
        Some(Self { hash: self.hash, object: ObjectCell::new(self.object.get(py)?) })
    }
}

/// A store's map, pinned.
pub(crate) type Pin<'s> = Pinned<'s, Key, ObjectCell, ()>;
