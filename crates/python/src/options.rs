//! The options of a store.

use std::time::Duration;

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyDict,
};

use crate::{clock::ManualClock, duration, store::FOR_EVER, sweeping::Pace};

/// How often the sweeper's thread comes by at most, unless an option says otherwise.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest there may be: one that is shorter would be a thread that does nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_micros(100);

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

/// Options as they are given. None is none, but as the interval.
pub(crate) struct Given<'py> {
    pub(crate) default_duration: Option<Bound<'py, PyAny>>,
    pub(crate) clock: Option<Py<ManualClock>>,
    pub(crate) timer: Option<Bound<'py, PyAny>>,
    pub(crate) sweep_interval: Maybe<'py>,
}

impl Given<'_> {
    /// The name of one that is given.
    pub(crate) fn any(&self) -> Option<&'static str> {
        let names = [
            (self.default_duration.is_some(), "default_duration"),
            (self.clock.is_some(), "clock"),
            (self.timer.is_some(), "timer"),
            (matches!(self.sweep_interval, Maybe::Given(_)), "sweep_interval"),
        ];
        names.iter().find_map(|(is_given, name)| is_given.then_some(*name))
    }
}

#[derive(Default)]
pub(crate) struct Options {
    default_ttl: Option<Duration>,
    pub(crate) clock: Option<Py<ManualClock>>,
    /// What tells the time, in seconds. May refer to the store.
    pub(crate) timer: Option<Py<PyAny>>,
    /// `None` in it is no thread.
    #[expect(clippy::option_option, reason = "as said")]
    sweep_interval: Option<Option<Duration>>,
    /// For how many entries to make room at the beginning.
    pub(crate) capacity: usize,
}

impl Options {
    /// # Errors
    ///
    /// If something is of a wrong type, or out of its range.
    pub(crate) fn new(given: Given<'_>) -> PyResult<Self> {
        let parse = |given| duration::parse("default_duration", &given);
        let default_ttl = given.default_duration.map(parse).transpose()?;
        if let Some(timer) = given.timer.as_ref().filter(|timer| !timer.is_callable()) {
            let found = timer.get_type().name()?;
            let message = format!("timer must be a function without arguments, not {found}");
            return Err(PyTypeError::new_err(message));
        }
        let sweep_interval = match given.sweep_interval {
            Maybe::Missing => None,
            Maybe::Given(given) => Some(interval(&given)?),
        };
        let (clock, timer) = (given.clock, given.timer.map(Bound::unbind));
        Ok(Self { default_ttl, clock, timer, sweep_interval, capacity: 0 })
    }

    /// These, and of `others` what is not among them. Runs no code of Python's.
    ///
    /// # Errors
    ///
    /// If one does not go with another.
    pub(crate) fn or(self, others: &Self, py: Python<'_>) -> PyResult<Self> {
        let all = Self {
            default_ttl: self.default_ttl.or(others.default_ttl),
            clock: self.clock.or_else(|| others.clock.as_ref().map(|clock| clock.clone_ref(py))),
            timer: self.timer.or_else(|| others.timer.as_ref().map(|timer| timer.clone_ref(py))),
            sweep_interval: self.sweep_interval.or(others.sweep_interval),
            capacity: others.capacity,
        };
        if all.timer.is_none() {
            return Ok(all);
        }
        if all.clock.is_some() {
            let message = "timer and clock are given, but only one can tell the time";
            return Err(PyValueError::new_err(message));
        }
        if all.sweep_interval.flatten().is_some() {
            let message = "sweep_interval must be None with a timer: the thread that sweeps calls nothing of Python's";
            return Err(PyValueError::new_err(message));
        }
        Ok(all)
    }

    /// The TTL of what is put without a duration.
    pub(crate) fn default_ttl(&self) -> Duration {
        self.default_ttl.unwrap_or(FOR_EVER)
    }

    /// How its entries are swept. Where no interval is given the thread comes by, if the clock is the system's.
    pub(crate) fn pace(&self) -> Pace {
        let has_own_time = self.clock.is_some() || self.timer.is_some();
        let default = (!has_own_time).then_some(SWEEP_INTERVAL);
        match self.sweep_interval.unwrap_or(default) {
            None => Pace::NoThread,
            Some(interval) if has_own_time => Pace::Every(interval),
            Some(interval) => Pace::WhenDue(interval),
        }
    }

    /// The arguments of a constructor that makes the same.
    pub(crate) fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arguments = PyDict::new(py);
        let default = self.default_ttl.filter(|ttl| *ttl != FOR_EVER).map(duration::to_ms);
        arguments.set_item("default_duration", default)?;
        arguments.set_item("clock", &self.clock)?;
        arguments.set_item("timer", &self.timer)?;
        if let Some(interval) = self.sweep_interval {
            arguments.set_item("sweep_interval", interval.map(duration::to_ms))?;
        }
        Ok(arguments)
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.timer.as_ref().map_or(Ok(()), |timer| visit.call(timer))
    }
}

/// How often the thread may come by; `None`: not at all.
fn interval(given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if given.is_none() {
        return Ok(None);
    }
    let interval = duration::parse("sweep_interval", given)?;
    if interval < SHORTEST_INTERVAL {
        let message = format!(
            "sweep_interval is {}, but must be 0.1 milliseconds or more, or None for no thread",
            given.repr()?
        );
        return Err(PyValueError::new_err(message));
    }
    Ok((interval != FOR_EVER).then_some(interval))
}
