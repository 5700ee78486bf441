//! What both classes have, `KeyValueStore` and `TtlMap`.

use std::{collections::HashSet, ops::ControlFlow};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyKeyError,
    prelude::*,
    types::{PyDict, PyInt, PyList, PyTuple},
};

use crate::{
    calls,
    cell::ObjectCell,
    duration::{self, FOR_EVER},
    functions::Function,
    key::{Key, Pin},
    late::LateStore,
    options::{Given, Maybe},
    store::Timed,
};

/// `KeyError(key)`, as a dict raises it.
pub(crate) fn key_error(key: &Bound<'_, PyAny>) -> PyErr {
    // In a tuple of its own: a key that is a tuple would else become the arguments.
    PyKeyError::new_err((key.clone().unbind(),))
}

/// The base of KeyValueStore and TtlMap.
#[pyclass(frozen, subclass, weakref, generic, mapping, module = "evanesce._core")]
pub(crate) struct Store {
    pub(crate) store: LateStore,
}

#[pymethods]
impl Store {
    /// Sets options in place of those that the constructor was given; not after the first use.
    #[pyo3(signature = (**options), text_signature = "($self, **options)")]
    fn _set_options(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        self.store.set_options(py, Given::new(options)?)
    }

    /// The arguments of a constructor of the same options.
    fn _options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.store.arguments(py)
    }

    /// pop(key[, default]): removes key and returns its value; or returns default, if it is given; or raises KeyError.
    #[pyo3(signature = (key, default = Maybe::Missing, /), text_signature = None)]
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
        let removed = self.store.remove_any(py)?.map(|[key, value]| (key, value));
        removed.ok_or_else(|| PyKeyError::new_err("popitem(): there is no entry"))
    }

    /// Returns how many milliseconds key has left, or None if it stays; raises KeyError if it is absent.
    fn ttl(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let left = self.store.told(key, |entry| duration::left(entry.ttl()))?;
        left.ok_or_else(|| key_error(key))
    }

    /// Returns when key expires, or None if it stays; raises KeyError if it is absent. In seconds, by time.monotonic();
    /// or by the timer that the store was given, or from the beginning of its ManualClock.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime")]
    fn expires_at(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let deadline = self.store.told(key, |entry| entry.expires_at())?;
        let deadline = deadline.ok_or_else(|| key_error(key))?;
        deadline.map(|at| self.store.seconds_at(key.py(), at)).transpose()
    }

    /// Lets key stay for duration from now, as for put. Returns whether it was there.
    #[pyo3(signature = (key, duration = None))]
    fn touch(&self, key: &Bound<'_, PyAny>, duration: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.store.touch(key, self.store.ttl_of(duration)?)
    }

    /// Lets key stay until it is removed. Returns whether it was there.
    fn persist(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.store.touch(key, FOR_EVER)
    }

    /// The most that the store may hold: entries, or sizes of values; None, or math.inf, for any number.
    #[getter]
    fn maxsize<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.store.maxsize().map(|most| most.to_python(py)).transpose()
    }

    /// Returns the size of a value: what the option getsizeof says, or 1. A subclass may have another.
    fn getsizeof<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let option = slf.get().store.options.functions.get(py, Function::Getsizeof);
        // That of the subclass is the option then, and has called this one.
        let is_own = |option: &Py<PyAny>| {
            let of = option.bind(py).getattr_opt("__self__")?;
            Ok::<_, PyErr>(of.is_some_and(|of| of.is(slf)))
        };
        match option {
            Some(option) if !is_own(&option)? => calls::call(option.bind(py), value),
            _ => Ok(PyInt::new(py, 1).into_any()),
        }
    }

    /// What the store holds: entries, or the sizes of their values. Clears away what has expired.
    #[getter]
    fn currsize(&self, py: Python<'_>) -> PyResult<u64> {
        self.store.currsize(py)
    }

    /// Removes all entries.
    fn clear(&self, py: Python<'_>) {
        self.store.clear(py);
    }

    /// Clears away all that has expired, and returns how many entries that were.
    fn sweep(&self, py: Python<'_>) -> PyResult<usize> {
        self.store.sweep(py)
    }

    /// Returns the store's figures, as a dict: len, hits and misses (lookups by get, [], in and get_or_put),
    /// evicted_total (entries that had to go for the sake of maxsize), expired_unswept, swept_total, max_lag (the
    /// longest time from an entry's end to its removal by a sweep, in milliseconds), pending_reclaim, bytes_allocated
    /// (keys and values not included). Looks at every entry.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.store.stats(py)
    }

    /// The hits and misses of `stats`, and looks at nothing else.
    fn _lookups(&self) -> (u64, u64) {
        self.store.lookups()
    }

    /// Returns the value of key, or default if it is absent; is not counted.
    fn _peek<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Bound<'py, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        Ok(self.store.peek(key)?.unwrap_or_else(|| default.unbind()))
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
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.store.len(py)
    }

    /// The bytes of the object and of what it allocated, keys and values not included.
    fn __sizeof__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let object: usize = slf.get_type().getattr("__basicsize__")?.extract()?;
        Ok(object + slf.get().store.map().stats().bytes_allocated)
    }

    /// The keys that are there now, as a list; with their values, as a list of pairs. Of many entries those that a walk
    /// comes to first.
    fn _first<'py>(
        &self,
        py: Python<'py>,
        with_values: bool,
        most: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut first = Vec::new();
        self.store.walk(py, picks(py, with_values), |picked| {
            first.push(picked);
            if first.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let first: Vec<_> =
            first.into_iter().map(|picked| shown(py, picked)).collect::<PyResult<_>>()?;
        PyList::new(py, first)
    }

    /// All but those.
    fn _others<'py>(
        &self,
        py: Python<'py>,
        with_values: bool,
        first: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        let address = |key: &Bound<'_, PyAny>| key.as_ptr().addr();
        let known = first.iter().map(|shown| match shown.cast::<PyTuple>() {
            Ok(pair) if with_values => pair.get_item(0).map(|key| address(&key)),
            _ => Ok(address(&shown)),
        });
        let known: HashSet<usize> = known.collect::<PyResult<_>>()?;
        let mut pick = picks(py, with_values);
        let others = self.store.snapshot(py, |pin, key, value| {
            let is_known = known.contains(&address(&key.object.borrow(py)));
            if is_known { None } else { pick(pin, key, value) }
        })?;
        let others: Vec<_> =
            others.into_iter().map(|picked| shown(py, picked)).collect::<PyResult<_>>()?;
        PyList::new(py, others)
    }

    /// The entries: key, value and milliseconds left, None for ever.
    fn _entries(&self, py: Python<'_>) -> PyResult<Vec<Timed>> {
        self.store.entries(py)
    }

    /// Puts what `_entries` returned.
    fn _put_entries(&self, py: Python<'_>, entries: Vec<Timed>) -> PyResult<()> {
        self.store.put_entries(py, entries)
    }

    /// Takes over the entries of another store, each with the time it has left. Those that stay there stay here as
    /// well; or, if `defaults`, for the default duration.
    fn _put_all(&self, py: Python<'_>, other: &Bound<'_, Self>, defaults: bool) -> PyResult<()> {
        let other = &other.get().store;
        let endless = if defaults { self.store.ttl_of(None)? } else { FOR_EVER };
        self.store.put_all(py, other, endless)
    }

    /// Makes room for as many entries as another store has, before the first use.
    fn _expect_entries_of(&self, other: &Bound<'_, Self>) {
        self.store.expect_entries(other.get().store.map().len());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.store.traverse(&visit)
    }

    fn __clear__(&self, py: Python<'_>) {
        self.store.end(py);
    }
}

/// A key, and its value if that is wanted.
type Picked<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

/// Picks the key of each entry, or key and value.
fn picks<'py>(
    py: Python<'py>,
    with_values: bool,
) -> impl FnMut(&Pin<'_>, &Key, &ObjectCell) -> Option<Picked<'py>> {
    move |_, key, value| Some((key.object.get(py), with_values.then(|| value.get(py))))
}

/// The key, or a pair.
fn shown<'py>(py: Python<'py>, (key, value): Picked<'py>) -> PyResult<Bound<'py, PyAny>> {
    match value {
        None => Ok(key),
        Some(value) => Ok((key, value).into_pyobject(py)?.into_any()),
    }
}
