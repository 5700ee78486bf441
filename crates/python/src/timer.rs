//! A function of Python's that tells a store the time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use evanesce::Clock;
use pyo3::{exceptions::PyValueError, prelude::*};

use crate::calls;

/// A clock that shows the latest time it was told, in nanoseconds.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<AtomicU64>);

impl Clock for Told {
    fn now(&self) -> u64 {
        // A read-modify-write, as `ManualClock`'s: readings are in one order.
        self.0.fetch_add(0, Ordering::AcqRel)
    }
}

/// The function is called once for each call of the store's, before it begins: in the midst of it no code of Python's
/// may run. What it tells is put into a clock that stands still until then.
#[derive(Default)]
pub(crate) struct Timer {
    /// What it told first, which is the clock's beginning.
    origin: OnceLock<f64>,
    clock: Told,
}

impl Timer {
    pub(crate) fn clock(&self) -> Told {
        self.clock.clone()
    }

    /// What it told first, in seconds.
    pub(crate) fn origin(&self) -> f64 {
        self.origin.get().copied().unwrap_or(0.0)
    }

    /// Reads the time. It does not go back where the function does.
    ///
    /// # Errors
    ///
    /// What the function raises; `TypeError` if it returns no number, `ValueError` if it is not finite.
    pub(crate) fn read(&self, py: Python<'_>, function: &Py<PyAny>) -> PyResult<()> {
        let told: f64 = calls::call_without_arguments(py, function)?.extract()?;
        if !told.is_finite() {
            let message =
                format!("timer returned {told}, but must return a finite number of seconds");
            return Err(PyValueError::new_err(message));
        }
        let passed = told - self.origin.get_or_init(|| told);
        let now = Duration::try_from_secs_f64(passed.max(0.0)).unwrap_or(Duration::MAX);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        // Threads may come in another order than they were told.
        self.clock.0.fetch_max(now, Ordering::AcqRel);
        Ok(())
    }
}
