//! Keys: hashed once, compared as a dict compares them.

use std::ptr;

use evanesce::Pinned;
use pyo3::{
    Borrowed,
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString},
};

use crate::{calls, cell::ObjectCell, strings::Hashed};

/// That it takes a call of Python's code to go on; nothing has happened.
pub(crate) struct TakesCalls;

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
        match Self::plain(object) {
            Ok(wanted) => Ok(wanted),
            Err(TakesCalls) => Self::ask(object),
        }
    }

    /// A plain one, whose hash takes no call of Python's code.
    #[inline]
    pub(crate) fn plain(object: &'a Bound<'py, PyAny>) -> Result<Self, TakesCalls> {
        let hash = match Hashed::new(object.as_borrowed()) {
            Some(string) => string.hash,
            // What fails here, for want of memory, fails again in `ask`.
            None if is_plain(object) => object.hash().map_err(|_| TakesCalls)?,
            None => return Err(TakesCalls),
        };
        Ok(Self { object, hash, is_plain: true })
    }

    #[inline(never)]
    fn ask(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(Self { object, hash: calls::hash(object)?, is_plain: is_plain(object) })
    }

    /// A key that another store holds, whose hash is known.
    pub(crate) fn of_hash(object: &'a Bound<'py, PyAny>, hash: isize) -> Self {
        Self { object, hash, is_plain: is_plain(object) }
    }

    /// The hash for the map.
    pub(crate) fn mixed(&self) -> u64 {
        mixed(self.hash)
    }

    /// Tells whether a key that is met under `pin` is this one: the same object, or an equal one of the same hash.
    ///
    /// An object that Python's code found equal is not asked about again, by one call of the map. Such a comparison may
    /// put a value over the entry that it is asked about, and the call comes back to that key: it would be asked for
    /// ever.
    ///
    /// # Errors
    ///
    /// What an `__eq__` raises.
    pub(crate) fn matches<'p>(
        &'p self,
        _pin: &'p Pin<'_>,
    ) -> impl FnMut(&Key) -> PyResult<bool> + use<'p, 'py> {
        // The pin keeps it alive, so its address is no other's.
        let mut equal = ptr::null_mut();
        move |met| {
            if met.object.is(self.object) {
                return Ok(true);
            }
            if met.hash != self.hash {
                return Ok(false);
            }
            let object = met.object.borrow(self.object.py());
            if let Some(is_equal) = self.equals_plain(object) {
                return Ok(is_equal);
            }
            if object.as_ptr() == equal {
                return Ok(true);
            }
            // A counted reference, so that the collector of cycles leaves it alone meanwhile. It is not the last one
            // when it goes: the cell has its own.
            let object = object.to_owned();
            let is_equal = calls::are_equal(&object, self.object)?;
            if is_equal {
                equal = object.as_ptr();
            }
            Ok(is_equal)
        }
    }

    /// As [`Self::matches`], of a plain one, as far as it takes no call of Python's code.
    #[inline]
    pub(crate) fn matches_plain(&self) -> impl FnMut(&Key) -> Result<bool, TakesCalls> {
        move |met| {
            if met.object.is(self.object) {
                return Ok(true);
            }
            if met.hash != self.hash {
                return Ok(false);
            }
            self.equals_plain(met.object.borrow(self.object.py())).ok_or(TakesCalls)
        }
    }

    /// Whether a held key of the same hash is this one; `None` if that takes a call of Python's code.
    #[inline]
    fn equals_plain(&self, held: Borrowed<'_, 'py, PyAny>) -> Option<bool> {
        if let Some((held, wanted)) = Hashed::new(held).zip(Hashed::new(self.object.as_borrowed()))
        {
            return Some(held.equals(wanted));
        }
        if self.is_plain && is_plain(&held) { held.eq(self.object).ok() } else { None }
    }
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

/// Whether it shows at most in the use of memory when this object is let go: a small one that runs no code then.
#[inline]
pub(crate) fn is_quiet(object: &Bound<'_, PyAny>) -> bool {
    const SMALL: usize = 4096;
    if let Ok(text) = object.cast_exact::<PyString>() {
        return text.len().is_ok_and(|len| len <= SMALL);
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return bytes.as_bytes().len() <= SMALL;
    }
    object.is_none()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyInt>()
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

    /// Another one of the same object.
    pub(crate) fn again(&self, py: Python<'_>) -> Self {
        Self { hash: self.hash, object: ObjectCell::new(self.object.get(py).unbind()) }
    }

    /// The hash for the map.
    pub(crate) fn mixed(&self) -> u64 {
        mixed(self.hash)
    }
}

/// A store's map, pinned.
pub(crate) type Pin<'s> = Pinned<'s, Key, ObjectCell, ()>;
