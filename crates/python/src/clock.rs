//! The clock that tests set.

use std::time::Duration;

use evanesce::Clock;
use pyo3::prelude::*;

use crate::duration;

/// A clock that stands still until it is moved, for tests.
///
/// >>> from evanesce import KeyValueStore, ManualClock
/// >>> clock = ManualClock()
/// >>> store = KeyValueStore(clock=clock)
/// >>> store.put('foo', 'bar', duration=5)
/// 'bar'
/// >>> clock.advance(5)
/// >>> store.get('foo')
/// Traceback (most recent call last):
///     ...
/// KeyError: 'foo'
#[pyclass(frozen, module = "evanesce")]
pub(crate) struct ManualClock(pub(crate) evanesce::ManualClock);

#[pymethods]
impl ManualClock {
    /// Creates a clock that stands at `now`, in milliseconds.
    #[new]
    #[pyo3(signature = (now = None))]
    fn new(now: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let clock = evanesce::ManualClock::new();
        if let Some(now) = now {
            clock.advance(duration::parse("now", now)?);
        }
        Ok(Self(clock))
    }

    /// Moves time forward, by milliseconds or a timedelta.
    fn advance(&self, by: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.advance(duration::parse("by", by)?);
        Ok(())
    }

    /// Milliseconds since the clock's beginning.
    #[getter]
    fn now(&self) -> f64 {
        duration::to_ms(Duration::from_nanos(self.0.now()))
    }

    fn __repr__(&self) -> String {
        format!("ManualClock(now={:?})", self.now())
    }

    fn __getnewargs__(&self) -> (f64,) {
        (self.now(),)
    }
}
