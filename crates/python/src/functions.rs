//! The functions of Python's that a store was given.

use std::sync::{Mutex, TryLockError};

use pyo3::{PyTraverseError, PyVisit, exceptions::PyTypeError, prelude::*};

use crate::threads::locked;

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Tells the time, in seconds.
    Timer,
    /// Tells the size of a value.
    Getsizeof,
    /// Is told of the end of each entry.
    Listener,
}

impl Function {
    pub(crate) const ALL: [Self; 3] = [Self::Timer, Self::Getsizeof, Self::Listener];

    /// The name of the option.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Getsizeof => "getsizeof",
            Self::Listener => "eviction_listener",
        }
    }

    fn arguments(self) -> &'static str {
        match self {
            Self::Timer => "without arguments",
            Self::Getsizeof => "of a value",
            Self::Listener => "of key, value and cause",
        }
    }
}

/// They may refer to the store, as a method of a subclass does, so the collector of cycles sees them, and can have them
/// let go. Nothing of Python's runs while they are locked.
#[derive(Default)]
pub(crate) struct Functions(Mutex<[Option<Py<PyAny>>; 3]>);

impl Functions {
    /// # Errors
    ///
    /// `TypeError` if one cannot be called.
    pub(crate) fn new(given: [Option<Bound<'_, PyAny>>; 3]) -> PyResult<Self> {
        for (function, given) in Function::ALL.into_iter().zip(&given) {
            if let Some(given) = given.as_ref().filter(|given| !given.is_callable()) {
                let (name, found) = (function.name(), given.get_type().name()?);
                let arguments = function.arguments();
                let message = format!("{name} must be a function {arguments}, not {found}");
                return Err(PyTypeError::new_err(message));
            }
        }
        Ok(Self(Mutex::new(given.map(|given| given.map(Bound::unbind)))))
    }

    pub(crate) fn has(&self, function: Function) -> bool {
        locked(&self.0)[function as usize].is_some()
    }

    pub(crate) fn get(&self, py: Python<'_>, function: Function) -> Option<Py<PyAny>> {
        locked(&self.0)[function as usize].as_ref().map(|held| held.clone_ref(py))
    }

    /// These, and of `others` what is not among them.
    pub(crate) fn or(&self, others: &Self, py: Python<'_>) -> Self {
        let either = |function| self.get(py, function).or_else(|| others.get(py, function));
        Self(Mutex::new(Function::ALL.map(either)))
    }

    /// Takes all, for the collector of cycles.
    pub(crate) fn take(&self) -> Vec<Py<PyAny>> {
        std::mem::take(&mut *locked(&self.0)).into_iter().flatten().collect()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let functions = match self.0.try_lock() {
            Ok(functions) => functions,
            Err(TryLockError::Poisoned(functions)) => functions.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        functions.iter().flatten().try_for_each(|function| visit.call(function))
    }
}
