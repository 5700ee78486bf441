//! The error of an option that is out of its range.

use core::fmt;

/// The value, if it is in its range.
pub(crate) fn check<T>(option: &'static str, value: T, min: T, max: T) -> Result<T, BuildError>
where
    T: PartialOrd + fmt::Debug,
{
    if (&min..=&max).contains(&&value) {
        Ok(value)
    } else {
        let [value, min, max] = [value, min, max].map(|value| format!("{value:?}").into());
        Err(BuildError { option, value, min, max })
    }
}

/// An option of a [`Builder`](crate::Builder), [`Policy`](crate::Policy) or [`TickClock`](crate::TickClock) was out of its
/// range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildError {
    option: &'static str,
    value: Box<str>,
    min: Box<str>,
    max: Box<str>,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, value, min, max } = self;
        write!(f, "{option} is {value}, but must be from {min} to {max}")
    }
}

impl core::error::Error for BuildError {}
