//! What `evanesce.TtlMap`, a mapping, has of its own; the rest is of `collections.abc.MutableMapping`.

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyKeyError,
    prelude::*,
    types::{PyDict, PyIterator, PyList, PyTuple},
};

use crate::{
    calls,
    clock::ManualClock,
    key_value_store::{key_error, like},
    options::{Maybe, Options},
    store::Store,
};

/// The base of TtlMap.
#[pyclass(frozen, subclass, weakref, generic, mapping, module = "evanesce._core")]
pub(crate) struct TtlMap {
    store: Store,
}

#[pymethods]
impl TtlMap {
    #[new]
    #[pyo3(
        signature = (*_args, default_duration = None, clock = None, sweep_interval = Maybe::Missing, **_kwargs)
    )]
    fn new(
        _args: &Bound<'_, PyTuple>,
        default_duration: Option<Bound<'_, PyAny>>,
        clock: Option<Py<ManualClock>>,
        sweep_interval: Maybe<'_>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        // What else a subclass's constructor takes is for its `__init__`.
        let options = Options::new(default_duration.as_ref(), clock, &sweep_interval)?;
        Ok(Self { store: Store::new(options) })
    }

    /// Returns the value of key, or default if it is absent.
    #[pyo3(signature = (key, default = None, /))]
    fn get(
        &self,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.store.get(key)?.or(default))
    }

    /// Puts value in the place of what key has, for duration: milliseconds, or a timedelta; None stands for the
    /// map's default.
    #[pyo3(signature = (key, value, duration = None))]
    fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.store.put(key, value, self.store.ttl_of(duration)?)
    }

    /// Returns the value of key, after putting default if it is absent.
    #[pyo3(signature = (key, default = None, duration = None))]
    fn setdefault<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        duration: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let default = default.unwrap_or_else(|| py.None().into_bound(py));
        self.store.put_if_absent(key, &default, self.store.ttl_of(duration)?)
    }

    /// Removes key and returns its value; or returns default, if it is given; or raises KeyError.
    #[pyo3(signature = (key, default = Maybe::Missing, /), text_signature = "($self, key, default=..., /)")]
    fn pop(&self, key: &Bound<'_, PyAny>, default: Maybe<'_>) -> PyResult<Py<PyAny>> {
        match (self.store.remove(key)?, default) {
            (Some([held, value]), _) => {
                calls::give_back(key.py(), [held]);
                Ok(value)
            }
            (None, Maybe::Given(default)) => Ok(default.unbind()),
            (None, Maybe::Missing) => Err(key_error(key)),
        }
    }

    /// Removes an entry and returns it, as a pair; raises KeyError if there is none.
    fn popitem(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let removed = self.store.remove_any(py).map(|[key, value]| (key, value));
        removed.ok_or_else(|| PyKeyError::new_err("popitem(): the map is empty"))
    }

    /// Returns how many milliseconds key has left, or None if it stays; raises KeyError if it is absent.
    fn ttl(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        self.store.ttl(key)?.ok_or_else(|| key_error(key))
    }

    /// Lets key stay for duration from now, as for put. Returns whether it was there.
    #[pyo3(signature = (key, duration = None))]
    fn touch(&self, key: &Bound<'_, PyAny>, duration: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.store.touch(key, self.store.ttl_of(duration)?)
    }

    /// Removes all entries.
    fn clear(&self, py: Python<'_>) {
        self.store.clear(py);
    }

    /// Clears away all that has expired, and returns how many entries that were.
    fn sweep(&self, py: Python<'_>) -> usize {
        self.store.sweep(py)
    }

    /// Returns the map's figures, as KeyValueStore.stats does.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.store.stats(py)
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.store.get(key)?.ok_or_else(|| key_error(key))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.store.put(key, value, self.store.ttl_of(None)?)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.store.delete(key)?.then_some(()).ok_or_else(|| key_error(key))
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.store.get(key)?.is_some())
    }

    /// The number of entries.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.store.len(py)
    }

    /// Iterates over the keys that are there now.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.store.keys(py))?.try_iter()
    }

    /// The keys and values that are there now, as a list of pairs.
    fn _items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.store.entries(py).into_iter().map(|(key, value, _)| (key, value)))
    }

    /// A map of the same class with the same options and attributes, and no entries.
    fn _like<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        like(slf.as_any(), slf.get().store.options(slf.py())?)
    }

    /// Takes over the entries of another map, each with the time it has left.
    fn _put_all(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        self.store.put_entries(py, other.get().store.entries(py))
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::empty(py), self.store.options(py)?))
    }

    fn __getstate__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        slf.get().store.state(slf.as_any())
    }

    fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyTuple>) -> PyResult<()> {
        slf.get().store.set_state(slf.as_any(), state)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.store.traverse(&visit)
    }

    fn __clear__(&self, py: Python<'_>) {
        self.store.clear(py);
    }
}
