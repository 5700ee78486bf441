//! Calls about all entries of a store. They hold the interpreter's lock for a millisecond or so at a time, and then let
//! others run, who may change the store meanwhile. Where there is no lock, they may at any time.

use std::{
    convert::Infallible,
    ops::ControlFlow,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

use evanesce::{Budget, Deadline};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyFloat},
};

use super::{FOR_EVER, Store};
use crate::{
    calls::{self, AT_ONCE, Pins},
    cell::{self, ObjectCell},
    duration,
    key::{Key, Pin, Wanted},
};

/// For how long a part of a sweep holds the lock.
const SWEPT_AT_ONCE: Duration = Duration::from_millis(2);

/// How many entries are looked at together.
const BATCH: usize = 32;

/// Key, value, and milliseconds left.
pub(crate) type Timed = (Py<PyAny>, Py<PyAny>, Option<f64>);

/// A key, its hash, its value and its deadline.
struct Copied<'py>(Bound<'py, PyAny>, isize, Bound<'py, PyAny>, Option<Deadline>);

impl Store {
    /// Goes over the entries that have not expired: `pick` takes what it wants of each, and `visit` is given that, until
    /// it breaks off. A key that is there throughout is visited once, with a value that it has meanwhile.
    ///
    /// `pick` runs no code of Python's: it counts references to what is held, before anything else happens to the entry.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn walk<R>(
        &self,
        py: Python<'_>,
        mut pick: impl FnMut(&Pin<'_>, &Key, &ObjectCell) -> Option<R>,
        mut visit: impl FnMut(R) -> ControlFlow<()>,
    ) -> PyResult<()> {
        self.read_time(py)?;
        self.walk_pinned(py, &mut pick, &mut visit);
        // What others displaced meanwhile they may have left because of that pin.
        self.after_write(py, true);
        Ok(())
    }

    fn walk_pinned<R>(
        &self,
        py: Python<'_>,
        pick: &mut impl FnMut(&Pin<'_>, &Key, &ObjectCell) -> Option<R>,
        visit: &mut impl FnMut(R) -> ControlFlow<()>,
    ) {
        let _pins = Pins::new();
        let pin = self.map().pin();
        // Behind the pin, and so dropped before it: none of the references in the batch is the last one.
        let (mut entries, mut batch) = (pin.iter(), Vec::with_capacity(BATCH));
        for n in 1.. {
            let mut met = 0;
            // Together: the waits for the memory of objects that lie anywhere overlap so.
            for (key, value) in entries.by_ref().take(BATCH) {
                met += 1;
                batch.extend(pick(&pin, key, value));
            }
            if met == 0 || batch.drain(..).any(|picked| visit(picked).is_break()) {
                break;
            }
            // With an empty batch: what is in one has not expired a moment ago.
            if n % (AT_ONCE / BATCH) == 0 {
                calls::let_others_run(py);
            }
        }
    }

    /// What `pick` makes of each entry that has not expired.
    pub(crate) fn snapshot<R>(
        &self,
        py: Python<'_>,
        pick: impl FnMut(&Pin<'_>, &Key, &ObjectCell) -> Option<R>,
    ) -> PyResult<Vec<R>> {
        let mut picked = Vec::new();
        self.walk(py, pick, |entry| {
            picked.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(picked)
    }

    /// References to what the entry of a key holds that was met under the pin, and its deadline, if it has not ended since.
    fn copied<'py>(
        &self,
        py: Python<'py>,
        pin: &Pin<'_>,
        key: &Key,
        value: &ObjectCell,
    ) -> Option<Copied<'py>> {
        let copied = |value: &ObjectCell, deadline| {
            Copied(key.object.get(py), key.hash, value.get(py), deadline)
        };
        if !self.has_deadlines() {
            return Some(copied(value, None));
        }
        // Value and deadline of one moment.
        let object = key.object.borrow(py);
        let Ok(entry) =
            pin.get_entry_by(key.mixed(), |met| Ok::<_, Infallible>(met.object.is(&object)));
        entry.map(|entry| copied(entry.value(), entry.expires_at()))
    }

    pub(crate) fn entries(&self, py: Python<'_>) -> PyResult<Vec<Timed>> {
        self.snapshot(py, |pin, key, value| {
            let Copied(key, _, value, deadline) = self.copied(py, pin, key, value)?;
            let left =
                deadline.map(|at| duration::to_ms(at.saturating_duration_since(self.map().now())));
            Some((key.unbind(), value.unbind(), left))
        })
    }

    /// Puts what [`Self::entries`] told.
    pub(crate) fn put_entries(&self, py: Python<'_>, entries: Vec<Timed>) -> PyResult<()> {
        for (key, value, left) in entries {
            let ttl = left.map(|ms| duration::parse("duration", &PyFloat::new(py, ms)));
            self.put(key.bind(py), value.bind(py), ttl.transpose()?.unwrap_or(FOR_EVER))?;
        }
        Ok(())
    }

    /// Takes over the entries of another store, each with the time it has left; those that never expire for `endless`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`], and what an `__eq__` raises.
    pub(crate) fn put_all(&self, py: Python<'_>, other: &Self, endless: Duration) -> PyResult<()> {
        self.read_time(py)?;
        let (mut is_prompt, mut result) = (false, Ok(()));
        {
            let pin = self.map().pin();
            let pick =
                |pin: &Pin<'_>, key: &Key, value: &ObjectCell| other.copied(py, pin, key, value);
            other.walk(py, pick, |copied| {
                let left = copied.3.map(|at| at.saturating_duration_since(other.map().now()));
                if left.is_some_and(|left| left.is_zero()) {
                    // It has expired meanwhile.
                    return ControlFlow::Continue(());
                }
                match self.put_copied(&pin, &copied, left.unwrap_or(endless)) {
                    Ok(displaced) => {
                        is_prompt |= displaced;
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        result = Err(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
        }
        self.after_write(py, is_prompt);
        result
    }

    /// Puts an entry of another store. Returns whether what it displaced is to go at once.
    fn put_copied(
        &self,
        pin: &Pin<'_>,
        Copied(key, hash, value, _): &Copied<'_>,
        ttl: Duration,
    ) -> PyResult<bool> {
        let wanted = Wanted::of_hash(key, *hash);
        if ttl.is_zero() {
            // It is absent at once.
            let removed = pin.remove_entry_by(wanted.mixed(), wanted.matches(pin))?;
            return Ok(removed.is_some());
        }
        self.note_deadlines(ttl);
        let put = Self::upsert(pin, &wanted, value, ttl);
        self.note_containers(key, value);
        self.expect(ttl);
        put
    }

    /// The number of entries that have not expired: clears away what has.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn len(&self, py: Python<'_>) -> PyResult<usize> {
        self.read_time(py)?;
        if self.has_deadlines() {
            self.sweep_all(py);
            self.sweeping.expired.add(cell::dropped());
            self.sweeping.expired.give_back_some(py);
        }
        Ok(self.map().len())
    }

    /// Removes what has expired and gives back what it held; returns how many entries.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn sweep(&self, py: Python<'_>) -> PyResult<usize> {
        self.read_time(py)?;
        let removed = self.sweep_all(py);
        self.give_back_all(py);
        Ok(removed)
    }

    /// Ends what has expired; returns how many entries.
    fn sweep_all(&self, py: Python<'_>) -> usize {
        let mut removed = 0;
        loop {
            let swept = self.map().sweep(Budget::time(SWEPT_AT_ONCE));
            removed += swept.removed;
            if swept.completed_pass || swept.removed == 0 {
                break;
            }
            calls::let_others_run(py);
        }
        // What a pass has left, which began anywhere; and memory.
        removed + self.map().sweep(Budget::full_pass()).removed
    }

    /// Removes all entries and gives back what they held.
    pub(crate) fn clear(&self, py: Python<'_>) {
        self.has_containers.store(false, Ordering::Relaxed);
        // See `note_containers`.
        fence(Ordering::SeqCst);
        {
            let _pins = Pins::new();
            let mut ended = 0;
            self.map().retain(|_, _| {
                ended += 1;
                if ended % AT_ONCE == 0 {
                    calls::let_others_run(py);
                }
                false
            });
        }
        self.sweep_all(py);
        if self.map().sweep(Budget::entries(0)).pending_reclaim > 0 {
            // A pinned thread may still see some of what was here, so the collector has to look for it.
            self.has_containers.store(true, Ordering::Relaxed);
        }
        self.give_back_all(py);
    }

    /// Gives back what this thread has dropped, and the list; lets others run now and then.
    fn give_back_all(&self, py: Python<'_>) {
        calls::give_back_many(py, cell::dropped());
        self.sweeping.expired.give_back_all(py);
    }

    pub(crate) fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.read_time(py)?;
        let (stats, (hits, misses)) = (self.map().stats(), self.lookups());
        let figures = PyDict::new(py);
        figures.set_item("len", stats.len)?;
        figures.set_item("hits", hits)?;
        figures.set_item("misses", misses)?;
        figures.set_item("expired_unswept", stats.expired_unswept)?;
        figures.set_item("swept_total", stats.swept_total)?;
        figures.set_item("max_lag", duration::to_ms(stats.max_lag))?;
        figures.set_item("pending_reclaim", stats.pending_reclaim)?;
        figures.set_item("bytes_allocated", stats.bytes_allocated)?;
        Ok(figures)
    }

    /// Shows the collector of cycles what is held: see the head of `lib.rs`.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.options.visit(visit)?;
        if !self.has_containers.load(Ordering::Relaxed) {
            return Ok(());
        }
        // What waits for its grace period comes to the list, so that it is met as well.
        self.reclaim();
        self.sweeping.expired.add(cell::dropped());
        self.sweeping.expired.visit(visit)?;
        for (key, value) in self.map().pin().iter_linked() {
            key.object.visit(visit)?;
            value.visit(visit)?;
        }
        Ok(())
    }
}
