//! Entries of which the map itself is to know how they end: those with a size, and those whose end someone is told of.

use std::time::Duration;

use pyo3::prelude::*;

use super::{IDLE, Store, is_same};
use crate::{
    calls,
    cell::ObjectCell,
    functions::Function,
    key::{Kept, Key, Wanted},
    size::Putting,
};

impl Store {
    pub(super) fn has_listener(&self) -> bool {
        self.sweeping.expired.has_listener()
    }

    /// Asks for the size of a value that is to be put, if values have sizes. Before the thread is pinned.
    ///
    /// # Errors
    ///
    /// Those of [`Maxsize::size_of`](crate::size::Maxsize::size_of).
    pub(super) fn putting(&self, value: &Bound<'_, PyAny>) -> PyResult<Option<Putting>> {
        let Some(maxsize) = self.options.maxsize.filter(|_| self.is_sized) else { return Ok(None) };
        let getsizeof = self.options.functions.get(value.py(), Function::Getsizeof);
        let size = maxsize.size_of(value, getsizeof.as_ref());
        calls::give_back(value.py(), getsizeof);
        size.map(|size| Some(Putting::new(size)))
    }

    /// Puts a value, as a new entry in the place of the one that is there. The map's listener takes what that held.
    pub(super) fn replace(
        &self,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
    ) -> PyResult<()> {
        let (key, py) = (wanted.object, value.py());
        let _putting = self.putting(value)?;
        let mut kept = Kept::default();
        {
            let pin = self.map().pin();
            // The first of two equal keys stays.
            let found = Self::find(&pin, wanted, &mut kept)?;
            let held = found.and_then(|entry| entry.key().again(py));
            let (held, value) =
                (held.unwrap_or_else(|| Key::new(wanted)), ObjectCell::new(value.clone().unbind()));
            let (hash, is_wanted) = (wanted.mixed(), |met: &Key| wanted.is(met, &mut kept));
            match ttl {
                IDLE => pin.insert_by(hash, held, value, is_wanted),
                ttl => pin.insert_with_ttl_by(hash, held, value, ttl, is_wanted),
            }?;
        }
        self.note_containers(key, value);
        self.expect(ttl);
        drop(kept);
        self.sweeping.expired.give_back_some(py);
        Ok(())
    }

    /// Removes an entry; returns what it held: its key and its value.
    pub(super) fn remove_by<E>(
        &self,
        py: Python<'_>,
        hash: u64,
        mut is_match: impl FnMut(&Key) -> Result<bool, E>,
    ) -> Result<Option<[Py<PyAny>; 2]>, E> {
        let mut kept = Kept::default();
        let pin = self.map().pin();
        if !self.has_listener() {
            let removed = pin.remove_entry_by(hash, is_match)?;
            // Nobody else takes it.
            return Ok(removed.and_then(|(key, value)| Some([key.object.take()?, value.take()?])));
        }
        // The map's listener takes what it held, so the answer is other references to it.
        while let Some(entry) = pin.get_entry_by(hash, &mut is_match)? {
            let held = [entry.key().object.get(py), entry.value().get(py)];
            let Ok(removed) = pin.remove_entry_by(hash, |met| is_same(met, entry.key()));
            match (removed, held) {
                (Some(_), [Some(key), Some(value)]) => return Ok(Some([key, value])),
                // It has expired since, or another has taken its place.
                (_, held) => kept.keep(held.into_iter().flatten()),
            }
        }
        Ok(None)
    }
}
