//! What an entry weighs.

use core::fmt;
use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

/// The function that weighs entries, if there is one; without it each weighs 1.
pub(crate) struct Weigher<T>(Option<Arc<Weigh<T>>>);

type Weigh<T> = dyn Fn(&T) -> u32 + Send + Sync;

// It runs before anything is changed.
impl<T> UnwindSafe for Weigher<T> {}
impl<T> RefUnwindSafe for Weigher<T> {}

impl<T> Weigher<T> {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(weigh: impl Fn(&T) -> u32 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(weigh)))
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What an entry weighs, which nobody else knows yet.
    ///
    /// # Errors
    ///
    /// If that is more than `most` says.
    pub(crate) fn weigh(
        &self,
        entry: &T,
        most: impl FnOnce() -> u64,
    ) -> Result<u32, TooHeavyError> {
        let weight = self.0.as_ref().map_or(1, |weigh| weigh(entry));
        // Behind the user's code, which may have changed it.
        let most = most();
        if u64::from(weight) > most { Err(TooHeavyError { weight, most }) } else { Ok(weight) }
    }
}

impl<T> Clone for Weigher<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Weigher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Some(..)" } else { "None" })
    }
}

/// An entry weighs more than all of a map may. From [`TtlMap::weigh`](crate::TtlMap::weigh).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TooHeavyError {
    /// What the entry weighs.
    pub weight: u32,
    /// The map's maximum weight.
    pub most: u64,
}

impl fmt::Display for TooHeavyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weight, most } = self;
        write!(f, "an entry weighs {weight}, but all of the map may weigh at most {most}")
    }
}

impl core::error::Error for TooHeavyError {}
