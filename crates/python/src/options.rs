//! The options of a store.

use std::time::Duration;

use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};

use crate::{clock::ManualClock, duration, store::FOR_EVER};

/// How often a sweeper's thread comes by, unless an option says otherwise.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// An argument that need not be given, for which None is a value as any other.
pub(crate) enum Maybe<'py> {
    Missing,
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Maybe<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self::Given(object.to_owned()))
    }
}

/// It refers to no object of Python's that could refer to the store.
pub(crate) struct Options {
    pub(crate) default_ttl: Duration,
    pub(crate) clock: Option<Py<ManualClock>>,
    /// `None` is no thread.
    pub(crate) sweep_interval: Option<Duration>,
}

impl Options {
    /// From a constructor's arguments. Where no interval is given a thread comes by, if the clock is the system's.
    ///
    /// # Errors
    ///
    /// If a duration is of a wrong type, or out of its range.
    pub(crate) fn new(
        default_duration: Option<&Bound<'_, PyAny>>,
        clock: Option<Py<ManualClock>>,
        sweep_interval: &Maybe<'_>,
    ) -> PyResult<Self> {
        let default_ttl =
            default_duration.map(|given| duration::parse("default_duration", given)).transpose()?;
        let sweep_interval = match sweep_interval {
            Maybe::Missing => clock.is_none().then_some(SWEEP_INTERVAL),
            Maybe::Given(given) if given.is_none() => None,
            Maybe::Given(given) => {
                let interval = duration::parse("sweep_interval", given)?;
                if interval.is_zero() {
                    let message = "sweep_interval is 0, but must be more, or None for no thread";
                    return Err(PyValueError::new_err(message));
                }
                Some(interval)
            }
        };
        Ok(Self { default_ttl: default_ttl.unwrap_or(FOR_EVER), clock, sweep_interval })
    }

    /// The arguments of a constructor that makes the same.
    pub(crate) fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arguments = PyDict::new(py);
        let default = (self.default_ttl != FOR_EVER).then(|| duration::to_ms(self.default_ttl));
        arguments.set_item("default_duration", default)?;
        arguments.set_item("clock", &self.clock)?;
        arguments.set_item("sweep_interval", self.sweep_interval.map(duration::to_ms))?;
        Ok(arguments)
    }
}
