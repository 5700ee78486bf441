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
        Err(BuildError(Reason::Range { option, value, min, max }))
    }
}

/// An error unless `option` may be set beside the others; `but` says why not.
pub(crate) fn refuse_if(
    is_wrong: bool,
    option: &'static str,
    but: &'static str,
) -> Result<(), BuildError> {
    if is_wrong { Err(BuildError(Reason::Conflict { option, but })) } else { Ok(()) }
}

/// An option of a [`Builder`](crate::Builder), [`Policy`](crate::Policy) or [`TickClock`](crate::TickClock) was out of its
/// range, or does not go with the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildError(Reason);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Reason {
    Range { option: &'static str, value: Box<str>, min: Box<str>, max: Box<str> },
    Conflict { option: &'static str, but: &'static str },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Range { option, value, min, max } => {
                write!(f, "{option} is {value}, but must be from {min} to {max}")
            }
            Reason::Conflict { option, but } => write!(f, "{option} is set, but {but}"),
        }
    }
}

impl core::error::Error for BuildError {}
