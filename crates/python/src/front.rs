//! What stands in front of the methods that are called most, `get` and `put`.
//!
//! pyo3 has each method called by way of a general function for its arguments and another one that counts how deep the
//! thread is in calls: together 150 instructions, where a whole lookup takes 200. So Python is given a function that
//! answers the calls that most are, positional arguments and a plain key, by [`Store::get_quick`] and
//! [`Store::put_quick`], and hands any other on to pyo3's function as it came: keywords, wrong arguments, other keys,
//! errors. Documentation and signature are pyo3's as well.
//!
//! Why that is sound, with the interpreter's lock and without it:
//!
//! - Python calls a method attached, and only with a `self` of the method's class: the descriptor sees to that, which
//!   Python makes of our definition as of pyo3's. The arguments are the caller's, alive until the call is over.
//! - The classes are frozen, so a shared reference to what `self` holds needs no mark that it is borrowed.
//! - Where pyo3 does not count a thread as attached it puts off the drop of a `Py` until a thread next calls by way of
//!   it. What was displaced is no `Py` when it is given back, by [`calls::give_back`](crate::calls::give_back).
//! - A panic does not unwind into Python, but becomes an exception.
//! - All this is set up when the module is, before a method can be called; then it never changes.
//!
//! [`Store::get_quick`]: crate::store::Store::get_quick
//! [`Store::put_quick`]: crate::store::Store::put_quick

use std::{
    array,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::OnceLock,
};

use pyo3::{
    Borrowed, PyTypeInfo,
    exceptions::{PyKeyError, PySystemError},
    ffi::{self, PyCFunctionFastWithKeywords as Method},
    panic::PanicException,
    prelude::*,
};

use crate::{
    base, key::TakesCalls, key_value_store::KeyValueStore, late::LateStore, ttl_map::TtlMap,
};

/// The methods that pyo3 made: that of `TtlMap`, and that of `KeyValueStore`.
type Behind = [OnceLock<Method>; 2];

static GET: Behind = [const { OnceLock::new() }; 2];
static PUT: Behind = [const { OnceLock::new() }; 2];

type Object = *mut ffi::PyObject;
type Argument<'a, 'py> = Borrowed<'a, 'py, PyAny>;

/// A call of a method of either class, as Python makes it.
struct Call<'py> {
    py: Python<'py>,
    slf: Object,
    first: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
}

impl<'py> Call<'py> {
    /// # Safety
    ///
    /// These are what Python has given the method, and the call is not over as long as this is there.
    #[inline]
    unsafe fn new(
        slf: Object,
        first: *const Object,
        count: ffi::Py_ssize_t,
        names: Object,
    ) -> Self {
        // SAFETY: Python calls methods attached.
        let py = unsafe { Python::assume_attached() };
        Self { py, slf, first, count, names }
    }

    #[inline]
    fn store(&self) -> &LateStore {
        // SAFETY: it is alive.
        let object = unsafe { Borrowed::from_ptr(self.py, self.slf) };
        // SAFETY: both classes extend this one.
        let object = unsafe { object.cast_unchecked::<base::Store>() };
        let store = ptr::from_ref(&object.get().store);
        // SAFETY: the object is alive as long as the call goes on.
        unsafe { &*store }
    }

    /// So many arguments, and one more if it is given; all by their places.
    #[inline]
    fn arguments<const N: usize>(
        &self,
    ) -> Result<([Argument<'_, 'py>; N], Option<Argument<'_, 'py>>), TakesCalls> {
        let count = self.count.cast_unsigned();
        if !self.names.is_null() || (count != N && count != N + 1) {
            return Err(TakesCalls);
        }
        let at = |index| {
            // SAFETY: there are `count` of them.
            let place = unsafe { self.first.add(index) };
            // SAFETY: as above.
            let object = unsafe { *place };
            // SAFETY: it is alive as long as the call goes on.
            unsafe { Borrowed::from_ptr(self.py, object) }
        };
        Ok((array::from_fn(at), (count > N).then(|| at(N))))
    }

    /// Answers it by `quick`; by the method that pyo3 made, where that takes calls.
    #[inline]
    fn answer(
        self,
        behind: &OnceLock<Method>,
        quick: impl FnOnce(&Self) -> Result<Object, TakesCalls>,
    ) -> Object {
        match catch_unwind(AssertUnwindSafe(|| quick(&self))) {
            Ok(Ok(answer)) => answer,
            Ok(Err(TakesCalls)) => self.hand_on(behind),
            Err(_) => {
                // What it is, is written to stderr by now.
                PanicException::new_err("a panic in evanesce").restore(self.py);
                ptr::null_mut()
            }
        }
    }

    #[cold]
    fn hand_on(self, behind: &OnceLock<Method>) -> Object {
        // Set before the method that is in front was made.
        let Some(behind) = behind.get() else { unreachable!() };
        // SAFETY: it is of the same class, and gets what this method got.
        unsafe { behind(self.slf, self.first, self.count, self.names) }
    }
}

/// `get(key[, default])`. That of `KeyValueStore`, the origin's, raises `KeyError` for what is absent.
unsafe extern "C" fn get<const IS_ORIGINS: bool>(
    slf: Object,
    first: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as Python calls it.
    let call = unsafe { Call::new(slf, first, count, names) };
    call.answer(&GET[usize::from(IS_ORIGINS)], |call| {
        let ([key], default) = call.arguments()?;
        Ok(match (call.store().get_quick(&key)?, default) {
            (Some(value), _) => value.into_ptr(),
            (None, Some(default)) => default.to_owned().into_ptr(),
            (None, None) if IS_ORIGINS => raise_key_error(&key),
            (None, None) => call.py.None().into_ptr(),
        })
    })
}

/// `put(key, value[, duration])`. That of `KeyValueStore` returns the value.
unsafe extern "C" fn put<const IS_ORIGINS: bool>(
    slf: Object,
    first: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as Python calls it.
    let call = unsafe { Call::new(slf, first, count, names) };
    call.answer(&PUT[usize::from(IS_ORIGINS)], |call| {
        let ([key, value], duration) = call.arguments()?;
        let duration = duration.as_deref().filter(|duration| !duration.is_none());
        call.store().put_quick(&key, &value, duration)?;
        Ok(if IS_ORIGINS { value.to_owned().into_ptr() } else { call.py.None().into_ptr() })
    })
}

/// A plain key stands for itself as the one argument of the exception: it is no tuple.
fn raise_key_error(key: &Bound<'_, PyAny>) -> Object {
    let error = PyKeyError::type_object_raw(key.py()).cast();
    // SAFETY: both are alive.
    unsafe { ffi::PyErr_SetObject(error, key.as_ptr()) };
    ptr::null_mut()
}

pub(crate) fn put_in_front(py: Python<'_>) -> PyResult<()> {
    let [get_of_map, get_of_store] = &GET;
    let [put_of_map, put_of_store] = &PUT;
    replace::<TtlMap>(py, "get", get::<false>, get_of_map)?;
    replace::<TtlMap>(py, "put", put::<false>, put_of_map)?;
    replace::<KeyValueStore>(py, "get", get::<true>, get_of_store)?;
    replace::<KeyValueStore>(py, "put", put::<true>, put_of_store)
}

/// Puts a method in front of that of the same name, which is left `behind`.
fn replace<C: PyTypeInfo>(
    py: Python<'_>,
    name: &str,
    method: Method,
    behind: &OnceLock<Method>,
) -> PyResult<()> {
    let class = py.get_type::<C>();
    let made = class.getattr(name)?;
    if made.get_type_ptr() != &raw mut ffi::PyMethodDescr_Type {
        return Err(PySystemError::new_err("a method of pyo3's is of another type"));
    }
    let made: *mut ffi::PyMethodDescrObject = made.as_ptr().cast();
    // SAFETY: an object of that type is one of this structure, and alive.
    let definition = unsafe { (*made).d_method };
    // SAFETY: of a class that is there for ever, as its methods' definitions are.
    let definition = unsafe { *definition };
    if definition.ml_flags != ffi::METH_FASTCALL | ffi::METH_KEYWORDS {
        return Err(PySystemError::new_err("a method of pyo3's is called in another way"));
    }
    // SAFETY: the flags tell which function it is.
    let found = unsafe { definition.ml_meth.PyCFunctionFastWithKeywords };
    if behind.set(found).is_err() {
        // The module is made once more, in the same process.
        return Ok(());
    }
    let ml_meth = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: method };
    let definition = Box::leak(Box::new(ffi::PyMethodDef { ml_meth, ..definition }));
    // SAFETY: the definition is there for ever, and the class is alive.
    let method = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
    // SAFETY: a new reference, or null with an error set.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, method) }?;
    class.setattr(name, method)
}
