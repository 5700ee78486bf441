//! `KeyValueStore`, the store of the origin.

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyKeyError, PyTypeError},
    prelude::*,
    types::{PyDict, PyIterator, PyList, PyTuple, PyType},
};

use crate::{
    calls,
    clock::ManualClock,
    options::{Maybe, Options},
    store::Store,
};

/// `KeyError(key)`, as a dict raises it.
pub(crate) fn key_error(key: &Bound<'_, PyAny>) -> PyErr {
    // In a tuple of its own: a key that is a tuple would else become the arguments.
    PyKeyError::new_err((key.clone().unbind(),))
}

/// Whether a class has no `__init__` of its own, for which arguments could be.
fn has_no_init(cls: &Bound<'_, PyType>) -> PyResult<bool> {
    let objects = cls.py().get_type::<PyAny>().getattr("__init__")?;
    Ok(cls.getattr("__init__")?.is(&objects))
}

/// An object of the same class, made with these options and without its `__init__`, with the same attributes.
pub(crate) fn like<'py>(
    object: &Bound<'py, PyAny>,
    options: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let cls = object.get_type();
    let made = cls.getattr("__new__")?.call((&cls,), Some(&options))?;
    if let Some(attributes) = object.getattr_opt("__dict__")? {
        made.getattr("__dict__")?.call_method1("update", (attributes,))?;
    }
    Ok(made)
}

/// A store of keys and values in memory, whose entries can expire; for many threads at once.
///
/// A key is what a dict takes. An entry stays until it is deleted, or for so many milliseconds as it was put with;
/// then it is gone for every method. Threads never wait for each other but for the interpreter's own lock.
///
/// default_duration
///     How long entries stay that are put without a duration: milliseconds, or a timedelta. None: until deleted.
/// clock
///     A ManualClock, for tests. None: the system's clock, which no one can set.
/// sweep_interval
///     How often a thread of the store's own clears away what has expired: milliseconds, or a timedelta; 100 if
///     it is not given. The thread begins with the first entry that has a duration. None: no thread; then puts and
///     deletes clear a little, and sweep() all. With a ManualClock no thread is the default.
///
/// >>> from evanesce import KeyValueStore
/// >>> store = KeyValueStore()
/// >>> store.put('foo', 'bar')
/// 'bar'
/// >>> store.get('foo')
/// 'bar'
/// >>> store.put('foo', 'bar', duration=5)
/// 'bar'
/// >>> import time; time.sleep(.005)
/// >>> store.get('foo')
/// Traceback (most recent call last):
///     ...
/// KeyError: 'foo'
#[pyclass(frozen, subclass, weakref, generic, mapping, module = "evanesce")]
pub(crate) struct KeyValueStore {
    store: Store,
}

#[pymethods]
impl KeyValueStore {
    #[new]
    #[classmethod]
    #[pyo3(
        signature = (*args, default_duration = None, clock = None, sweep_interval = Maybe::Missing, **kwargs),
        text_signature = "(*, default_duration=None, clock=None, sweep_interval=100)"
    )]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        default_duration: Option<Bound<'_, PyAny>>,
        clock: Option<Py<ManualClock>>,
        sweep_interval: Maybe<'_>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        // What else a subclass's constructor takes is for its `__init__`.
        let unknown = kwargs.and_then(|kwargs| kwargs.keys().iter().next());
        if (unknown.is_some() || !args.is_empty()) && has_no_init(cls)? {
            let message = match unknown {
                Some(name) => format!("{}() has no argument {}", cls.name()?, name.repr()?),
                None => format!("{}() takes its arguments by name", cls.name()?),
            };
            return Err(PyTypeError::new_err(message));
        }
        let options = Options::new(default_duration.as_ref(), clock, &sweep_interval)?;
        Ok(Self { store: Store::new(options) })
    }

    /// Returns the value of key; or default, if it is given; or raises KeyError.
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
    #[pyo3(signature = (key, default = Maybe::Missing), text_signature = "($self, key, default=...)")]
    fn get(&self, key: &Bound<'_, PyAny>, default: Maybe<'_>) -> PyResult<Py<PyAny>> {
        match (self.store.get(key)?, default) {
            (Some(value), _) => Ok(value),
            (None, Maybe::Given(default)) => Ok(default.unbind()),
            (None, Maybe::Missing) => Err(key_error(key)),
        }
    }

    /// Puts value in the place of what key has, and returns it.
    ///
    /// duration is in milliseconds, or a timedelta; None stands for the store's default. With a duration of 0 the
    /// key is absent at once. Raises TypeError and ValueError for a duration that is none, and changes nothing then.
    #[pyo3(signature = (key, value, duration = None))]
    fn put<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        value: Bound<'py, PyAny>,
        duration: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.store.put(key, &value, self.store.ttl_of(duration)?)?;
        Ok(value)
    }

    /// Removes key; raises KeyError if it is absent.
    fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.store.delete(key)?.then_some(()).ok_or_else(|| key_error(key))
    }

    /// Puts value if key is absent. Returns the value that key has then: this one, or what was there.
    ///
    /// >>> from evanesce import KeyValueStore
    /// >>> store = KeyValueStore()
    /// >>> store.put_if_absent('foo', 1), store.put_if_absent('foo', 2)
    /// (1, 1)
    #[pyo3(signature = (key, value, duration = None))]
    fn put_if_absent(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.store.put_if_absent(key, value, self.store.ttl_of(duration)?)
    }

    /// Returns the value of key, after putting what factory(key) returns if it is absent.
    ///
    /// Two threads that miss at once may both call the factory; the value that is stored first stays, and both
    /// return that one. What the factory raises goes to the caller, and nothing is put.
    ///
    /// >>> from evanesce import KeyValueStore
    /// >>> store = KeyValueStore()
    /// >>> store.get_or_put('foo', str.upper, duration=1000)
    /// 'FOO'
    #[pyo3(signature = (key, factory, duration = None))]
    fn get_or_put(
        &self,
        key: &Bound<'_, PyAny>,
        factory: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let ttl = self.store.ttl_of(duration)?;
        match self.store.get(key)? {
            Some(value) => Ok(value),
            None => self.store.put_if_absent(key, &calls::call(factory, key)?, ttl),
        }
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

    /// Returns a store of the same class with the same options, attributes and entries, each with the time it has left.
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let copy = like(slf.as_any(), slf.get().store.options(py)?)?.cast_into::<Self>()?;
        copy.get().store.put_entries(py, slf.get().store.entries(py))?;
        Ok(copy)
    }

    /// Clears away all that has expired, and returns how many entries that were.
    fn sweep(&self, py: Python<'_>) -> usize {
        self.store.sweep(py)
    }

    /// Returns the store's figures, as a dict: len, expired_unswept, swept_total, max_lag (the longest time from an
    /// entry's end to its removal by a sweep, in milliseconds), pending_reclaim, bytes_allocated (keys and values not
    /// included). Looks at every entry.
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
        self.delete(key)
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

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::copy(slf)
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

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} of {} entries>", slf.get_type().name()?, slf.get().store.len(slf.py())))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.store.traverse(&visit)
    }

    fn __clear__(&self, py: Python<'_>) {
        self.store.clear(py);
    }
}
