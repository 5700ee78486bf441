//! How entries are removed.

use std::convert::Infallible;

use pyo3::prelude::*;

use super::Store;
use crate::{
    calls,
    cell::ObjectCell,
    key::{Key, Wanted, is_quiet},
    threads::locked,
};

impl Store {
    /// Removes a key that has not expired; returns the key that was held, and its value.
    pub(crate) fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<[Py<PyAny>; 2]>> {
        self.read_time(key.py())?;
        let (py, wanted) = (key.py(), Wanted::new(key)?);
        let removed = {
            let pin = self.map().pin();
            let removed = pin.remove_entry_by(wanted.mixed(), wanted.matches(&pin));
            removed.map(|entry| entry.map(|entry| held_by(entry, py)))
        };
        self.after_removal(py, removed.as_ref().ok().and_then(Option::as_ref));
        removed
    }

    /// As [`Self::after_write`], when references have been counted to what the entry held.
    fn after_removal(&self, py: Python<'_>, removed: Option<&[Py<PyAny>; 2]>) {
        let is_quiet = |object: &Py<PyAny>| is_quiet(object.bind(py));
        self.after_write(py, removed.is_some_and(|held| !held.iter().all(is_quiet)));
    }

    /// Removes a key, and lets go of what it held; false if it was absent.
    pub(crate) fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let removed = self.remove(key)?;
        let was_there = removed.is_some();
        calls::give_back(key.py(), removed.into_iter().flatten());
        Ok(was_there)
    }

    /// Removes an entry, whichever the map comes to first. A walk from the beginning each time would come by all that
    /// were removed before; so one walk notes the hashes of many.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn remove_any(&self, py: Python<'_>) -> PyResult<Option<[Py<PyAny>; 2]>> {
        self.read_time(py)?;
        let removed = loop {
            let Some(hash) = locked(&self.to_remove).pop() else {
                let share = (self.map().len() / 16).clamp(16, 1 << 16);
                let hashes: Vec<_> = self.map().pin().keys().map(Key::mixed).take(share).collect();
                if hashes.is_empty() {
                    break None;
                }
                *locked(&self.to_remove) = hashes;
                continue;
            };
            let pin = self.map().pin();
            let Ok(removed) =
                pin.remove_entry_by(hash, |met| Ok::<_, Infallible>(met.mixed() == hash));
            if let Some(removed) = removed {
                break Some(held_by(removed, py));
            }
        };
        self.after_removal(py, removed.as_ref());
        Ok(removed)
    }
}

/// References of its own to what an entry holds. The thread is pinned.
fn held_by((key, value): (&Key, &ObjectCell), py: Python<'_>) -> [Py<PyAny>; 2] {
    [key.object.get(py).unbind(), value.get(py).unbind()]
}
