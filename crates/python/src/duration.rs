//! Durations as Python users give them.

use std::time::Duration;

use evanesce::Ttl;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyFloat, PyInt, PyString},
};

const NANOS_PER_MS: f64 = 1e6;

/// A duration in milliseconds, an int or a float, or a timedelta. One past the range of some 146 years is the longest
/// there is, which means "never"; a fraction of a nanosecond counts as one.
///
/// # Errors
///
/// Of another type, or negative, or not a number; with the argument's name and range.
pub(crate) fn parse(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let out_of_range = || {
        let text = given.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
        PyValueError::new_err(format!(
            "{name} is {text}, but must be zero or more milliseconds, or a timedelta of zero or more"
        ))
    };
    if given.is_exact_instance_of::<PyBool>() {
        return Err(wrong_type(name, given));
    }
    if given.is_instance_of::<PyInt>() {
        return match given.extract::<u64>() {
            Ok(ms) => Ok(Duration::from_millis(ms)),
            // Too large, or negative.
            Err(_) if given.gt(0)? => Ok(Duration::MAX),
            Err(_) => Err(out_of_range()),
        };
    }
    if let Ok(ms) = given.cast::<PyFloat>() {
        let ms = ms.value();
        if !(0.0..f64::INFINITY).contains(&ms) {
            return Err(out_of_range());
        }
        return Ok(from_nanos((ms * NANOS_PER_MS).ceil()));
    }
    let Some(parts) = timedelta_parts(given)? else { return Err(wrong_type(name, given)) };
    let [days, seconds, micros] = parts;
    let seconds = days.checked_mul(86_400).and_then(|days| days.checked_add(seconds));
    let seconds =
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).ok_or_else(out_of_range)?;
    // Python keeps 0 <= microseconds < 1,000,000.
    let nanos = micros.checked_mul(1000).and_then(|nanos| u32::try_from(nanos).ok());
    let nanos = nanos.filter(|nanos| *nanos < 1_000_000_000).ok_or_else(out_of_range)?;
    Ok(Duration::new(seconds, nanos))
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
#[expect(clippy::cast_sign_loss, reason = "not negative")]
fn from_nanos(nanos: f64) -> Duration {
    if nanos < u64::MAX as f64 { Duration::from_nanos(nanos as u64) } else { Duration::MAX }
}

/// Days, seconds and microseconds of a timedelta; `None` of anything else.
fn timedelta_parts(given: &Bound<'_, PyAny>) -> PyResult<Option<[i64; 3]>> {
    let timedelta = given.py().import("datetime")?.getattr("timedelta")?;
    if !given.is_instance(&timedelta)? {
        return Ok(None);
    }
    let part = |name| given.getattr(name)?.extract::<i64>();
    Ok(Some([part("days")?, part("seconds")?, part("microseconds")?]))
}

fn wrong_type(name: &str, given: &Bound<'_, PyAny>) -> PyErr {
    let found = given.get_type().name();
    let found = found.as_ref().map_or("?".into(), |name: &Bound<'_, PyString>| name.to_string());
    PyTypeError::new_err(format!(
        "{name} must be a number of milliseconds or a timedelta, not {found}"
    ))
}

/// Milliseconds.
pub(crate) fn to_ms(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / NANOS_PER_MS
}

/// Milliseconds; `None` is never.
pub(crate) fn left(ttl: Ttl) -> Option<f64> {
    match ttl {
        Ttl::Never => None,
        Ttl::Remaining(left) => Some(to_ms(left)),
    }
}
