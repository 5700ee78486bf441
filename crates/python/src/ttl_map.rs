//! What `evanesce.TtlMap`, a mapping, has of its own; the rest is of `collections.abc.MutableMapping`.

use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{base::Store, late::LateStore, options::Given};

/// The base of TtlMap.
#[pyclass(frozen, subclass, extends = Store, module = "evanesce._core")]
pub(crate) struct TtlMap;

#[pymethods]
impl TtlMap {
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

    /// Returns the value of key, or default if it is absent.
    #[pyo3(signature = (key, default = None, /))]
    fn get(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        Ok(store(slf).get(key)?.or(default))
    }

    /// Puts value in the place of what key has, for duration: milliseconds, or a timedelta; None stands for the
    /// map's default, math.inf for ever.
    #[pyo3(signature = (key, value, duration = None))]
    fn put(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        store(slf).put(key, value, store(slf).ttl_of(duration)?)
    }

    /// Returns the value of key, after putting default if it is absent.
    #[pyo3(signature = (key, default = None, duration = None))]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        duration: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let default = default.unwrap_or_else(|| slf.py().None().into_bound(slf.py()));
        store(slf).put_if_absent(key, &default, store(slf).ttl_of(duration)?)
    }

    // What it holds is the base's.
    #[expect(clippy::unnecessary_wraps, reason = "as asked for")]
    fn __traverse__(&self, _visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }

    fn __clear__(&self) {}
}

fn store<'a>(slf: &'a Bound<'_, TtlMap>) -> &'a LateStore {
    &slf.as_super().get().store
}
