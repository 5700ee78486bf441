//! What `KeyValueStore`, the store of the origin, has of its own.

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyTypeError,
    ffi,
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{
    base::{Store, key_error},
    calls,
    late::LateStore,
    options::{Given, Maybe},
};

/// The base of KeyValueStore.
#[pyclass(frozen, subclass, extends = Store, module = "evanesce._core")]
pub(crate) struct KeyValueStore;

#[pymethods]
impl KeyValueStore {
    #[new]
    #[pyo3(signature = (*_args, **keywords), text_signature = "(*args, **kwargs)")]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        // What else a subclass's constructor takes is for its `__init__`.
        let given = Given::new(keywords)?;
        let base = Store { store: LateStore::new(py, given)? };
        Ok(PyClassInitializer::from(base).add_subclass(Self))
    }

    /// get(key[, default]): returns the value of key; or default, if it is given; or raises KeyError.
    ///
    /// >>> from evanesce import KeyValueStore
    /// >>> store = KeyValueStore()
    /// >>> store.put('foo', 'bar')
    /// 'bar'
    /// >>> store.get('foo'), store.get('other', None)
    /// ('bar', None)
    /// >>> store.get('other')
    /// Traceback (most recent call last):
    ///     ...
    /// KeyError: 'other'
    #[pyo3(signature = (key, default = Maybe::Missing), text_signature = None)]
    fn get(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: Maybe<'_>,
    ) -> PyResult<Py<PyAny>> {
        match (store(slf).get(key)?, default) {
            (Some(value), _) => Ok(value),
            (None, Maybe::Given(default)) => Ok(default.unbind()),
            (None, Maybe::Missing) => Err(key_error(key)),
        }
    }

    /// Puts value in the place of what key has, and returns it.
    ///
    /// duration is in milliseconds, or a timedelta; None stands for the store's default, math.inf for ever. With a
    /// duration of 0 the key is absent at once. Raises TypeError and ValueError for a duration that is none, and
    /// changes nothing then.
    #[pyo3(signature = (key, value, duration = None))]
    fn put<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: Bound<'py, PyAny>,
        duration: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        store(slf).put(key, &value, store(slf).ttl_of(duration)?)?;
        Ok(value)
    }

    /// Removes key; raises KeyError if it is absent.
    fn delete(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        store(slf).delete(key)?.then_some(()).ok_or_else(|| key_error(key))
    }

    /// Puts value if key is absent. Returns the value that key has then: this one, or what was there.
    ///
    /// >>> from evanesce import KeyValueStore
    /// >>> store = KeyValueStore()
    /// >>> store.put_if_absent('foo', 1), store.put_if_absent('foo', 2)
    /// (1, 1)
    #[pyo3(signature = (key, value, duration = None))]
    fn put_if_absent(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        store(slf).put_if_absent(key, value, store(slf).ttl_of(duration)?)
    }

    /// Returns the value of key, after putting what factory(key) returns if it is absent.
    ///
    /// Two threads that miss at once may both call the factory; the value that is stored first stays, and both
    /// return that one. What the factory raises goes to the caller, and nothing is put. A coroutine, which an async
    /// factory returns, is refused with TypeError: see aget_or_put.
    ///
    /// >>> from evanesce import KeyValueStore
    /// >>> store = KeyValueStore()
    /// >>> store.get_or_put('foo', str.upper, duration=1000)
    /// 'FOO'
    #[pyo3(signature = (key, factory, duration = None))]
    fn get_or_put(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        factory: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let ttl = store(slf).ttl_of(duration)?;
        if let Some(value) = store(slf).get(key)? {
            return Ok(value);
        }
        let made = calls::call(factory, key)?;
        refuse_coroutine(&made)?;
        store(slf).put_if_absent(key, &made, ttl)
    }

    // What it holds is the base's.
    #[expect(clippy::unnecessary_wraps, reason = "as asked for")]
    fn __traverse__(&self, _visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }

    fn __clear__(&self) {}
}

fn store<'a>(slf: &'a Bound<'_, KeyValueStore>) -> &'a LateStore {
    &slf.as_super().get().store
}

/// One can be awaited once, so it is no value for many.
#[expect(unsafe_code, reason = "asks for the type of an object")]
fn refuse_coroutine(made: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: it is alive, and the thread attached.
    let is_native = unsafe { ffi::PyCoro_CheckExact(made.as_ptr()) } != 0;
    let is_one = is_native
        || made.get_type().hasattr("__await__")? && {
            let coroutine = made.py().import("collections.abc")?.getattr("Coroutine")?;
            made.is_instance(&coroutine)?
        };
    if !is_one {
        return Ok(());
    }
    // Else Python warns that nobody awaited it.
    made.call_method0("close")?;
    Err(PyTypeError::new_err(
        "the factory returned a coroutine: await aget_or_put for an async factory",
    ))
}
