//! How much a store may hold.

use std::cell::Cell;

use evanesce::Builder;
use pyo3::{
    create_exception,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyFloat, PyInt},
};

use crate::{calls, cell::ObjectCell, key::Key};

create_exception!(
    evanesce,
    TooLargeError,
    PyValueError,
    "A value is larger than all of a store may be."
);

/// A maximum that is none: the size of what is held is counted, but nothing has to go.
const UNBOUNDED: u64 = u64::MAX;
/// What a map may weigh at most.
const MOST_WEIGHT: u64 = 1 << 62;
/// More entries than this a map has no room for, so a maximum above it changes nothing.
const MOST_ENTRIES: u64 = 380_000_000;

/// The most that a store may hold: entries, or sizes of values.
#[derive(Clone, Copy)]
pub(crate) struct Maxsize(u64);

impl Maxsize {
    /// # Errors
    ///
    /// `TypeError` or `ValueError`, if it is neither an int of 0 or more nor infinite.
    pub(crate) fn parse(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let refused = |is_number: bool| {
            let text = given.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
            let message =
                format!("maxsize is {text}, but must be an int of 0 or more, math.inf or None");
            if is_number { PyValueError::new_err(message) } else { PyTypeError::new_err(message) }
        };
        if given.is_exact_instance_of::<PyBool>() {
            return Err(refused(false));
        }
        if let Ok(float) = given.cast::<PyFloat>() {
            let is_infinite = float.value() == f64::INFINITY;
            return is_infinite.then_some(Self(UNBOUNDED)).ok_or_else(|| refused(true));
        }
        let whole = given.py().import("operator")?.call_method1("index", (given,));
        let whole = whole.map_err(|_| refused(false))?;
        match whole.extract::<u64>() {
            Ok(most) => Ok(Self(most.min(UNBOUNDED - 1))),
            // Too large, or negative.
            Err(_) if whole.gt(0)? => Ok(Self(UNBOUNDED - 1)),
            Err(_) => Err(refused(true)),
        }
    }

    /// As it is given.
    pub(crate) fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self.0 {
            UNBOUNDED => Ok(PyFloat::new(py, f64::INFINITY).into_any()),
            most => Ok(most.into_pyobject(py)?.into_any()),
        }
    }

    /// Whether not even one entry may be held, that is of any size.
    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Gives a map this maximum; one of 1 for 0, as what is larger is refused before.
    pub(crate) fn bound<S>(
        self,
        builder: Builder<Key, ObjectCell, S>,
        is_sized: bool,
    ) -> Builder<Key, ObjectCell, S> {
        match self.0 {
            most if is_sized => {
                builder.max_weight(most.clamp(1, MOST_WEIGHT)).weigher(|_, _| SIZE.get())
            }
            #[expect(clippy::cast_possible_truncation, reason = "not more than 32 bits")]
            most if most <= MOST_ENTRIES => builder.max_entries(most as usize),
            _ => builder,
        }
    }

    /// What a value's size is, by a function of Python's; 1 without one.
    ///
    /// # Errors
    ///
    /// [`TooLargeError`] if it is more than this; what the function raises; `TypeError` and `ValueError` if it is no
    /// size.
    pub(crate) fn size_of(
        self,
        value: &Bound<'_, PyAny>,
        getsizeof: Option<&Py<PyAny>>,
    ) -> PyResult<u32> {
        let told = match getsizeof {
            Some(getsizeof) => calls::call(getsizeof.bind(value.py()), value)?,
            None => PyInt::new(value.py(), 1).into_any(),
        };
        let refused = || {
            let text = told.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
            format!("getsizeof returned {text}, but must return an int from 0 to {}", u32::MAX)
        };
        if !told.is_instance_of::<PyInt>() {
            return Err(PyTypeError::new_err(refused()));
        }
        let most = MOST_WEIGHT.min(self.0);
        match told.extract::<u64>() {
            Ok(size) if size > most => {
                let message = format!("value too large: its size is {size}, and maxsize is {most}");
                Err(TooLargeError::new_err(message))
            }
            Ok(size) => size.try_into().map_err(|_| PyValueError::new_err(refused())),
            Err(_) => Err(PyValueError::new_err(refused())),
        }
    }
}

thread_local! {
    /// The size of the value that this thread is about to put.
    static SIZE: Cell<u32> = const { Cell::new(0) };
}

/// That this thread is about to put a value of a size, which the map asks for while it is pinned, when nothing of
/// Python's may run. A comparison may put another value meanwhile, so the size before comes back at the end.
pub(crate) struct Putting {
    before: u32,
}

impl Putting {
    pub(crate) fn new(size: u32) -> Self {
        Self { before: SIZE.replace(size) }
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        SIZE.set(self.before);
    }
}
