//! A store that is made when it is first used, so that `__init__` may still set its options.

use std::{
    ops::Deref,
    sync::{Mutex, OnceLock, TryLockError},
};

use pyo3::{PyTraverseError, PyVisit, exceptions::PyRuntimeError, prelude::*, types::PyDict};

use crate::{
    calls,
    options::{Given, Options},
    size::Maxsize,
    store::Store,
    threads::locked,
};

pub(crate) struct LateStore {
    /// What it will be made of. Nothing of Python's runs while it is locked.
    options: Mutex<Options>,
    store: OnceLock<Store>,
}

impl LateStore {
    /// # Errors
    ///
    /// Those of [`Options`].
    pub(crate) fn new(py: Python<'_>, given: Given<'_>) -> PyResult<Self> {
        let options = Options::new(given)?.or(&Options::default(), py)?;
        Ok(Self { options: Mutex::new(options), store: OnceLock::new() })
    }

    /// Sets the options that are given.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the store is in use by now; and those of [`Options`].
    pub(crate) fn set_options(&self, py: Python<'_>, given: Given<'_>) -> PyResult<()> {
        let Some(name) = given.any() else { return Ok(()) };
        let options = Options::new(given)?;
        let replaced = {
            let mut before = locked(&self.options);
            if self.store.get().is_some() {
                None
            } else {
                let options = options.or(&before, py)?;
                Some(std::mem::replace(&mut *before, options))
            }
        };
        if replaced.is_none() {
            let message = format!("{name} comes too late: it must be set before the first use");
            return Err(PyRuntimeError::new_err(message));
        }
        Ok(())
    }

    /// Makes room for so many entries, if it is not in use yet.
    pub(crate) fn expect_entries(&self, entries: usize) {
        locked(&self.options).capacity = entries;
    }

    /// The arguments of a constructor that makes the same.
    pub(crate) fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if let Some(store) = self.store.get() {
            return store.options.arguments(py);
        }
        // A copy: making a dict may run code of Python's.
        let options = Options::default().or(&locked(&self.options), py)?;
        options.arguments(py)
    }

    pub(crate) fn maxsize(&self) -> Option<Maxsize> {
        self.store
            .get()
            .map_or_else(|| locked(&self.options).maxsize, |store| store.options.maxsize)
    }

    fn make(&self) -> &Store {
        let mut options = locked(&self.options);
        self.store.get_or_init(|| Store::new(std::mem::take(&mut options)))
    }

    /// Shows the collector of cycles what is held: see the head of `lib.rs`.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(store) = self.store.get() {
            return store.traverse(visit);
        }
        match self.options.try_lock() {
            Ok(options) => options.functions.visit(visit),
            Err(TryLockError::Poisoned(options)) => options.into_inner().functions.visit(visit),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// Ends all entries and lets its functions go, for the collector of cycles. Nobody is told.
    pub(crate) fn end(&self, py: Python<'_>) {
        let functions = match self.store.get() {
            Some(store) => {
                let functions = store.options.functions.take();
                store.clear(py);
                functions
            }
            None => locked(&self.options).functions.take(),
        };
        calls::give_back(py, functions);
    }
}

impl Deref for LateStore {
    type Target = Store;

    #[inline]
    fn deref(&self) -> &Store {
        self.store.get().unwrap_or_else(|| self.make())
    }
}
