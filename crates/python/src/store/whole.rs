//! Calls about all entries of a store. They hold the interpreter's lock for a millisecond or so at a time, and then let
//! others run, who may change the store meanwhile.

use std::{ops::ControlFlow, sync::atomic::Ordering, time::Duration};

use evanesce::{Budget, Deadline, EntryRef, Ttl};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyFloat},
};

use super::{FOR_EVER, IDLE, Store};
use crate::{
    calls::{self, AT_ONCE, Pins},
    cell::ObjectCell,
    duration,
    key::{Kept, Key, Wanted},
};

/// For how long a part of a sweep holds the lock.
const SWEPT_AT_ONCE: Duration = Duration::from_millis(2);

/// How many entries are looked at together.
const BATCH: usize = 32;

type Entry<'p> = EntryRef<'p, Key, ObjectCell>;

/// Key, value, and milliseconds left: `None` for ever, 0 for the time to idle, which begins anew.
pub(crate) type Timed = (Py<PyAny>, Py<PyAny>, Option<f64>);

/// A key, its hash, its value, and its deadline, or else its TTL.
struct Copied(Py<PyAny>, isize, Py<PyAny>, Option<Deadline>, Duration);

impl Store {
    /// Goes over the entries that have not expired, until `visit` breaks off. One that is there throughout is visited
    /// once.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn walk(
        &self,
        py: Python<'_>,
        mut visit: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> PyResult<()> {
        self.read_time(py)?;
        let _pins = Pins::new();
        let pin = self.map().pin();
        let (mut entries, mut batch) = (pin.iter_entries(), Vec::with_capacity(BATCH));
        for n in 1.. {
            batch.extend(entries.by_ref().take(BATCH));
            // The waits for the memory of objects that lie anywhere overlap so.
            for entry in &batch {
                let entry: &Entry<'_> = entry;
                entry.key().object.touch();
                entry.value().touch();
            }
            if batch.is_empty() || batch.drain(..).any(|entry| visit(&entry).is_break()) {
                break;
            }
            // With an empty batch: what is in one has not expired a moment ago.
            if n % (AT_ONCE / BATCH) == 0 {
                calls::let_others_run(py);
            }
        }
        Ok(())
    }

    /// What `pick` makes of each entry that has not expired.
    pub(crate) fn snapshot<R>(
        &self,
        py: Python<'_>,
        mut pick: impl FnMut(&Entry<'_>) -> Option<R>,
    ) -> PyResult<Vec<R>> {
        let mut picked = Vec::new();
        self.walk(py, |entry| {
            picked.extend(pick(entry));
            ControlFlow::Continue(())
        })?;
        Ok(picked)
    }

    pub(crate) fn entries(&self, py: Python<'_>) -> PyResult<Vec<Timed>> {
        self.snapshot(py, |entry| {
            let (key, value) = (entry.key().object.get(py)?, entry.value().get(py)?);
            Some((key, value, if entry.slides() { Some(0.0) } else { duration::left(entry.ttl()) }))
        })
    }

    /// Puts what [`Self::entries`] told.
    pub(crate) fn put_entries(&self, py: Python<'_>, entries: Vec<Timed>) -> PyResult<()> {
        for (key, value, left) in entries {
            let ttl = match left {
                None => FOR_EVER,
                Some(0.0) => self.ttl_of(None)?,
                Some(ms) => duration::parse("duration", &PyFloat::new(py, ms))?,
            };
            self.put(key.bind(py), value.bind(py), ttl)?;
        }
        Ok(())
    }

    /// Takes over the entries of another store, each with the time it has left; those that never expire for `endless`.
    /// What hits renew there they renew here, if this store has a time to idle, which begins anew.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`] and of [`Self::putting`], and what an `__eq__` raises.
    pub(crate) fn put_all(&self, py: Python<'_>, other: &Self, endless: Duration) -> PyResult<()> {
        self.read_time(py)?;
        let slides = self.options.time_to_idle().is_some();
        let ttl_of = |entry: &Entry<'_>| match entry.ttl() {
            Ttl::Never => endless,
            Ttl::Remaining(_) if slides && entry.slides() => IDLE,
            Ttl::Remaining(left) => left,
        };
        // Of keys that are here, to be put when this thread is not pinned.
        let (mut later, mut kept, mut result) = (Vec::new(), Kept::default(), Ok(()));
        {
            let pin = self.map().pin();
            other.walk(py, |entry| {
                let objects = (entry.key().object.get(py), entry.value().get(py));
                let (Some(key), Some(value)) = objects else { return ControlFlow::Continue(()) };
                let (key, value, ttl) = (key.bind(py), value.bind(py), ttl_of(entry));
                let wanted = Wanted::of_hash(key, entry.key().hash);
                self.note_deadlines(ttl);
                // With a TTL of zero there is nothing to insert, but something to remove.
                let inserted = match ttl {
                    Duration::ZERO => Ok(false),
                    // A function of Python's tells the size, and none may run now.
                    _ if self.is_sized => Ok(false),
                    _ => {
                        Self::insert(&pin, &wanted, value, ttl, &mut kept).map(|met| met.is_none())
                    }
                };
                match inserted {
                    Ok(true) => {
                        self.note_containers(key, value);
                        self.expect(ttl);
                        ControlFlow::Continue(())
                    }
                    Ok(false) => {
                        let (key, value) = (key.clone().unbind(), value.clone().unbind());
                        let slides = slides && entry.slides();
                        let deadline = entry.expires_at().filter(|_| !slides);
                        let ttl = if slides { IDLE } else { endless };
                        later.push(Copied(key, entry.key().hash, value, deadline, ttl));
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        result = Err(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
        }
        drop(kept);
        // What had to go for the sake of others.
        self.sweeping.expired.give_back_all(py);
        result?;
        for (n, Copied(key, hash, value, deadline, endless)) in later.into_iter().enumerate() {
            if n % AT_ONCE == AT_ONCE - 1 {
                calls::let_others_run(py);
            }
            let key = key.bind(py);
            let ttl = deadline.map(|at| at.saturating_duration_since(other.map().now()));
            match ttl.unwrap_or(endless) {
                Duration::ZERO if ttl.is_none() => _ = self.delete(key)?,
                Duration::ZERO => {} // it has expired meanwhile
                ttl => self.put_wanted(&Wanted::of_hash(key, hash), value.bind(py), ttl)?,
            }
        }
        Ok(())
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
            self.sweeping.expired.give_back_some(py);
        }
        Ok(self.map().len())
    }

    /// The number of entries that have not expired, or the sizes of their values together.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn currsize(&self, py: Python<'_>) -> PyResult<u64> {
        let len = self.len(py)?;
        Ok(if self.is_sized { self.map().weight() } else { len as u64 })
    }

    /// Removes what has expired and gives back what it held; returns how many entries.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read_time`].
    pub(crate) fn sweep(&self, py: Python<'_>) -> PyResult<usize> {
        self.read_time(py)?;
        let removed = self.sweep_all(py);
        self.sweeping.expired.give_back_all(py);
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
        if !self.has_listener() {
            return self.end(py);
        }
        {
            let _pins = Pins::new();
            let mut ended = 0;
            // The map's listener takes what they held.
            self.map().retain(|_, _| {
                ended += 1;
                if ended % AT_ONCE == 0 {
                    calls::let_others_run(py);
                }
                false
            });
        }
        self.sweep_all(py);
        self.sweeping.expired.give_back_all(py);
    }

    /// The same, and nobody is told.
    pub(crate) fn end(&self, py: Python<'_>) {
        self.has_containers.store(false, Ordering::Relaxed);
        let gone = {
            let _pins = Pins::new();
            self.take_all(|| calls::let_others_run(py))
        };
        calls::give_back_many(py, gone);
        self.sweep_all(py);
        self.sweeping.expired.give_back_all(py);
    }

    /// Ends all entries that have not expired, and returns what they held. Calls `pause` now and then.
    pub(super) fn take_all(&self, pause: impl Fn()) -> Vec<Py<PyAny>> {
        let mut gone = Vec::new();
        self.map().retain(|key, value| {
            if gone.len() % (2 * AT_ONCE) == 2 * AT_ONCE - 2 {
                pause();
            }
            // Before the entry is over. No one else is attached from here to there, so no one sees it empty.
            gone.extend(key.object.take());
            gone.extend(value.take());
            false
        });
        gone
    }

    pub(crate) fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.read_time(py)?;
        let (stats, (hits, misses)) = (self.map().stats(), self.lookups());
        let figures = PyDict::new(py);
        figures.set_item("len", stats.len)?;
        figures.set_item("hits", hits)?;
        figures.set_item("misses", misses)?;
        figures.set_item("evicted_total", stats.evicted_total)?;
        figures.set_item("expired_unswept", stats.expired_unswept)?;
        figures.set_item("swept_total", stats.swept_total)?;
        figures.set_item("max_lag", duration::to_ms(stats.max_lag))?;
        figures.set_item("pending_reclaim", stats.pending_reclaim)?;
        figures.set_item("bytes_allocated", stats.bytes_allocated)?;
        Ok(figures)
    }

    /// Shows the collector of cycles what is held: see the head of `lib.rs`.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.options.functions.visit(visit)?;
        if !self.has_containers.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.sweeping.expired.visit(visit)?;
        for (key, value) in self.map().pin().iter_linked() {
            key.object.visit(visit)?;
            value.visit(visit)?;
        }
        Ok(())
    }
}
