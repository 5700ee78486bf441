//! Durations as Python users give them.

use std::time::Duration;

use evanesce::Ttl;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    ffi,
    prelude::*,
    types::{PyBool, PyFloat, PyInt, PyString},
};

/// The TTL of an entry that never expires.
pub(crate) const FOR_EVER: Duration = Duration::MAX;

/// Stands for the store's time to idle, which hits renew. (No duration that is given is as long as this, but FOR_EVER.)
pub(crate) const IDLE: Duration = Duration::new(u64::MAX, 0);

const NANOS_PER_MS: f64 = 1e6;

/// A duration in milliseconds: an int, a float, or another number; or a timedelta, of datetime's or of numpy's. One
/// past the range of some 146 years, as infinity is, is the longest there is, which means "never"; a fraction of a
/// nanosecond counts as one.
///
/// # Errors
///
/// Of another type, or negative, or not a number; with the argument's name and range. And what the code of a number's
/// type raises.
pub(crate) fn parse(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let parsed = if given.is_exact_instance_of::<PyInt>() {
        whole_ms(given)?
    } else if given.is_exact_instance_of::<PyBool>() {
        return Err(wrong_type(name, given));
    } else if given.is_instance_of::<PyInt>() {
        whole_ms(given)?
    } else if let Ok(ms) = given.cast::<PyFloat>() {
        from_nanos(ms.value() * NANOS_PER_MS)
    } else if let Some(parts) = timedelta_parts(given)? {
        from_parts(parts)
    } else {
        let Some(parsed) = other_number(given)? else { return Err(wrong_type(name, given)) };
        parsed
    };
    parsed.ok_or_else(|| {
        let text = given.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
        PyValueError::new_err(format!(
            "{name} is {text}, but must be zero or more milliseconds, or a timedelta of zero or more"
        ))
    })
}

/// As [`parse`], of exactly an int or a float in its range; `None` of all else.
#[inline]
#[expect(unsafe_code, reason = "reads an int without an exception")]
pub(crate) fn parse_plain(given: &Bound<'_, PyAny>) -> Option<Duration> {
    if given.is_exact_instance_of::<PyInt>() {
        let mut overflow = 0;
        // SAFETY: it is an int, and alive. It raises nothing of one.
        let ms = unsafe { ffi::PyLong_AsLongLongAndOverflow(given.as_ptr(), &raw mut overflow) };
        let ms = u64::try_from(ms).ok().filter(|_| overflow == 0)?;
        return Some(Duration::from_millis(ms));
    }
    let ms = given.cast_exact::<PyFloat>().ok()?.value();
    from_nanos(ms * NANOS_PER_MS)
}

/// `None` of a negative int.
fn whole_ms(given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    match given.extract::<u64>() {
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        // Too large, or negative.
        Err(_) => Ok(given.gt(0)?.then_some(Duration::MAX)),
    }
}

/// `None` of what is negative, or not a number.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
#[expect(clippy::cast_sign_loss, reason = "not negative")]
fn from_nanos(nanos: f64) -> Option<Duration> {
    let nanos = nanos.ceil();
    match nanos {
        _ if nanos.is_nan() || nanos < 0.0 => None,
        _ if nanos < u64::MAX as f64 => Some(Duration::from_nanos(nanos as u64)),
        _ => Some(Duration::MAX),
    }
}

/// `None` of a negative timedelta.
fn from_parts([days, seconds, micros]: [i64; 3]) -> Option<Duration> {
    let seconds = days.checked_mul(86_400)?.checked_add(seconds)?;
    // Python keeps 0 <= microseconds < 1,000,000.
    let nanos = u32::try_from(micros.checked_mul(1000)?).ok().filter(|n| *n < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// A number that is neither an int nor a float: numpy's, a Decimal, a Fraction, anything that is an index; or numpy's
/// timedelta. The outer `None` if it is none.
#[expect(clippy::option_option, reason = "as said")]
fn other_number(given: &Bound<'_, PyAny>) -> PyResult<Option<Option<Duration>>> {
    let py = given.py();
    let (cls, is_numpys) = (given.get_type(), |name: &str| -> PyResult<bool> {
        let Ok(numpy) = py.import("sys")?.getattr("modules")?.get_item("numpy") else {
            return Ok(false);
        };
        given.is_instance(&numpy.getattr(name)?)
    });
    if is_numpys("bool_")? {
        return Ok(None);
    }
    if is_numpys("timedelta64")? {
        let numpy = py.import("numpy")?;
        // Years and months are of no one length: TypeError.
        let nanosecond = numpy.getattr("timedelta64")?.call1((1, "ns"))?;
        return Ok(Some(from_nanos(given.div(nanosecond)?.extract()?)));
    }
    if cls.hasattr("__index__")? {
        return whole_ms(&py.import("operator")?.call_method1("index", (given,))?).map(Some);
    }
    let kinds = (py.import("numbers")?.getattr("Real")?, py.import("decimal")?.getattr("Decimal")?);
    if given.is_instance(kinds.into_pyobject(py)?.as_any())? {
        let ms: f64 = given.call_method0("__float__")?.extract()?;
        return Ok(Some(from_nanos(ms * NANOS_PER_MS)));
    }
    Ok(None)
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
