//! The options of a store.

use std::{sync::Arc, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyDict,
};

use crate::{
    clock::ManualClock,
    duration::{self, FOR_EVER, IDLE},
    functions::{Function, Functions},
    size::Maxsize,
    sweeping::Pace,
};

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
    default_duration: Option<Bound<'py, PyAny>>,
    time_to_idle: Option<Bound<'py, PyAny>>,
    maxsize: Option<Bound<'py, PyAny>>,
    functions: [Option<Bound<'py, PyAny>>; 3],
    clock: Option<Bound<'py, PyAny>>,
    sweep_interval: Option<Bound<'py, PyAny>>,
}

impl<'py> Given<'py> {
    /// Those among the keywords of a call; what else there is, is for someone else.
    ///
    /// # Errors
    ///
    /// Those of Python, if it has no memory.
    pub(crate) fn new(keywords: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let get = |name| keywords.map_or(Ok(None), |keywords| keywords.get_item(name));
        let given = |name| Ok::<_, PyErr>(get(name)?.filter(|given| !given.is_none()));
        let [timer, getsizeof, listener] = Function::ALL.map(|function| given(function.name()));
        Ok(Self {
            default_duration: given("default_duration")?,
            time_to_idle: given("time_to_idle")?,
            maxsize: given("maxsize")?,
            functions: [timer?, getsizeof?, listener?],
            clock: given("clock")?,
            sweep_interval: get("sweep_interval")?,
        })
    }

    /// The name of one that is given.
    pub(crate) fn any(&self) -> Option<&'static str> {
        let named = [
            ("default_duration", &self.default_duration),
            ("time_to_idle", &self.time_to_idle),
            ("maxsize", &self.maxsize),
            ("clock", &self.clock),
            ("sweep_interval", &self.sweep_interval),
        ];
        let functions = Function::ALL.iter().map(|function| function.name()).zip(&self.functions);
        let mut named = named.into_iter().chain(functions);
        named.find_map(|(name, given)| given.is_some().then_some(name))
    }
}

#[derive(Default)]
pub(crate) struct Options {
    default_ttl: Option<Duration>,
    time_to_idle: Option<Duration>,
    pub(crate) maxsize: Option<Maxsize>,
    pub(crate) clock: Option<Py<ManualClock>>,
    pub(crate) functions: Arc<Functions>,
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
        let time_to_idle = given.time_to_idle.as_ref().map(idle).transpose()?.flatten();
        let maxsize = given.maxsize.as_ref().map(Maxsize::parse).transpose()?;
        let clock = given.clock.as_ref().map(manual_clock).transpose()?;
        let sweep_interval = given.sweep_interval.as_ref().map(interval).transpose()?;
        let functions = Arc::new(Functions::new(given.functions)?);
        Ok(Self {
            default_ttl,
            time_to_idle,
            maxsize,
            clock,
            functions,
            sweep_interval,
            capacity: 0,
        })
    }

    /// These, and of `others` what is not among them. Runs no code of Python's.
    ///
    /// # Errors
    ///
    /// If one does not go with another.
    pub(crate) fn or(self, others: &Self, py: Python<'_>) -> PyResult<Self> {
        let all = Self {
            default_ttl: self.default_ttl.or(others.default_ttl),
            time_to_idle: self.time_to_idle.or(others.time_to_idle),
            maxsize: self.maxsize.or(others.maxsize),
            clock: self.clock.or_else(|| others.clock.as_ref().map(|clock| clock.clone_ref(py))),
            functions: Arc::new(self.functions.or(&others.functions, py)),
            sweep_interval: self.sweep_interval.or(others.sweep_interval),
            capacity: others.capacity,
        };
        let has_timer = all.functions.has(Function::Timer);
        let refusals = [
            (
                all.default_ttl.is_some() && all.time_to_idle.is_some(),
                "default_duration and time_to_idle are given, but an entry expires by one of them",
            ),
            (
                all.functions.has(Function::Getsizeof) && all.maxsize.is_none(),
                "getsizeof is given without maxsize; math.inf is a maxsize that nothing reaches",
            ),
            (
                has_timer && all.clock.is_some(),
                "timer and clock are given, but only one can tell the time",
            ),
            (
                has_timer && all.sweep_interval.flatten().is_some(),
                "sweep_interval must be None with a timer: the thread that sweeps calls nothing of Python's",
            ),
        ];
        match refusals.into_iter().find(|(is_refused, _)| *is_refused) {
            Some((_, message)) => Err(PyValueError::new_err(message)),
            None => Ok(all),
        }
    }

    pub(crate) fn time_to_idle(&self) -> Option<Duration> {
        self.time_to_idle
    }

    /// The TTL of what is put without a duration.
    pub(crate) fn default_ttl(&self) -> Duration {
        self.time_to_idle.map_or(self.default_ttl.unwrap_or(FOR_EVER), |_| IDLE)
    }

    /// How its entries are swept. Where no interval is given the thread comes by, if the clock is the system's.
    pub(crate) fn pace(&self) -> Pace {
        let has_own_time = self.clock.is_some() || self.functions.has(Function::Timer);
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
        let maxsize = self.maxsize.map(|most| most.to_python(py)).transpose()?;
        let others = [
            ("time_to_idle", self.time_to_idle.map(duration::to_ms).into_pyobject(py)?),
            ("maxsize", maxsize.into_pyobject(py)?),
            ("clock", (&self.clock).into_pyobject(py)?.into_any()),
        ];
        let functions =
            Function::ALL.map(|function| (function.name(), self.functions.get(py, function)));
        for (name, given) in others {
            arguments.set_item(name, given)?;
        }
        for (name, given) in functions {
            arguments.set_item(name, given)?;
        }
        if let Some(interval) = self.sweep_interval {
            arguments.set_item("sweep_interval", interval.map(duration::to_ms))?;
        }
        Ok(arguments)
    }
}

fn manual_clock(given: &Bound<'_, PyAny>) -> PyResult<Py<ManualClock>> {
    let found = given.get_type().name()?;
    let refused = |_| PyTypeError::new_err(format!("clock must be a ManualClock, not {found}"));
    given.cast().map(|clock| clock.clone().unbind()).map_err(refused)
}

/// `None`: for ever.
fn idle(given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let idle = duration::parse("time_to_idle", given)?;
    if idle.is_zero() {
        let message =
            format!("time_to_idle is {}, but must be more than zero, or None", given.repr()?);
        return Err(PyValueError::new_err(message));
    }
    Ok((idle != FOR_EVER).then_some(idle))
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
