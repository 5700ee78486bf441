//! Calls for a plain key that ask no code of Python's for anything: most calls there are. They return [`TakesCalls`] where
//! they have to, and then have done nothing that the other way does not do as well.

use std::time::Duration;

use pyo3::prelude::*;

use super::Store;
use crate::{
    duration,
    key::{TakesCalls, Wanted},
};

impl Store {
    /// As [`Self::get`].
    #[inline]
    pub(crate) fn get_quick(
        &self,
        key: &Bound<'_, PyAny>,
    ) -> Result<Option<Py<PyAny>>, TakesCalls> {
        let value = self.peek_quick(key)?;
        self.lookups.count(value.is_some());
        Ok(value)
    }

    /// As [`Self::peek`].
    #[inline]
    pub(super) fn peek_quick(
        &self,
        key: &Bound<'_, PyAny>,
    ) -> Result<Option<Py<PyAny>>, TakesCalls> {
        let wanted = Wanted::plain(key)?;
        // What waits to be given back is left to the other way.
        if self.timer.is_some() || self.sweeping.expired.has_any() {
            return Err(TakesCalls);
        }
        let pin = self.map().pin();
        let found = pin.get_by(wanted.mixed(), wanted.matches_plain())?;
        // No code of Python's runs between the map's answer and this: see the head of `lib.rs`.
        Ok(found.map(|value| value.get(key.py()).unbind()))
    }

    /// As [`Self::put`], for a duration as it is given.
    #[inline]
    pub(crate) fn put_quick(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        given: Option<&Bound<'_, PyAny>>,
    ) -> Result<(), TakesCalls> {
        let wanted = Wanted::plain(key)?;
        let ttl = match given {
            Some(given) => duration::parse_plain(given).ok_or(TakesCalls)?,
            None => self.default_ttl,
        };
        if ttl == Duration::ZERO || self.is_sized || self.timer.is_some() {
            return Err(TakesCalls);
        }
        self.note_deadlines(ttl);
        let is_prompt =
            Self::upsert(&self.map().pin(), &wanted, value, ttl, wanted.matches_plain())?;
        self.after_put(&wanted, value, ttl, is_prompt);
        Ok(())
    }
}
