//! Calls about all entries of a store. They hold the interpreter's lock for a millisecond or so at a time, and then let
//! others run, who may change the store meanwhile. Where there is no lock, they may at any time.

use std::{
    convert::Infallible,
    ops::ControlFlow,
    sync::atomic::{Ordering, fence},
    time::{Duration, Instant},
};

use evanesce::{Budget, Deadline};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyFloat},
};

use super::Store;
use crate::{
    calls::{self, AT_ONCE, Pins},
    cell::{self, ObjectCell},
    duration::{self, FOR_EVER, IDLE},
    key::{Key, Pin, Wanted},
};

/// For how long a part of a sweep holds the lock.
const SWEPT_AT_ONCE: Duration = Duration::from_millis(2);

/// How many entries are looked at together.
const BATCH: usize = 32;

/// Key, value, and milliseconds left: `None` for ever, 0 for the time to idle, which begins anew.
pub(crate) type Timed = (Py<PyAny>, Py<PyAny>, Option<f64>);

/// An entry: references to what it holds, and when it ends.
struct Copied<'py> {
    key: Bound<'py, PyAny>,
    hash: isize,
    value: Bound<'py, PyAny>,
    /// `None`: never.
    deadline: Option<Deadline>,
    /// Whether hits put that off.
    slides: bool,
}

impl Store {
    /// Goes over the entries that have not expired: `pick` takes what it wants of each, and `visit` is given that,
    /// until it breaks off. A key that is there throughout is visited once, with a value that it has meanwhile.
    ///
    /// `pick` runs no code of Python's: it counts references to what is held, before anything else happens to the
    /// entry.
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

    /// References to what the entry of a key holds that was met under the pin, and its deadline, if it has not ended
    /// since.
    fn copied<'py>(
        &self,
        py: Python<'py>,
        pin: &Pin<'_>,
        key: &Key,
        value: &ObjectCell,
    ) -> Option<Copied<'py>> {
        let copied = |value: &ObjectCell, deadline, slides| Copied {
            key: key.object.get(py),
            hash: key.hash,
            value: value.get(py),
            deadline,
            slides,
        };
        if !self.has_deadlines() {
            return Some(copied(value, None, false));
        }
        // Value and deadline of one moment.
        let object = key.object.borrow(py);
        let is_match = |met: &Key| Ok::<_, Infallible>(met.object.is(&object));
        let Ok(entry) = pin.get_entry_by(key.mixed(), is_match);
        entry.map(|entry| copied(entry.value(), entry.expires_at(), entry.slides()))
    }

    /// How long an entry of this store has to live yet.
    fn left(&self, deadline: Deadline) -> Duration {
        deadline.saturating_duration_since(self.map().now())
    }

    pub(crate) fn entries(&self, py: Python<'_>) -> PyResult<Vec<Timed>> {
        self.snapshot(py, |pin, key, value| {
            let copied = self.copied(py, pin, key, value)?;
            let left = copied.deadline.map(|at| duration::to_ms(self.left(at)));
            let left = if copied.slides { Some(0.0) } else { left };
            Some((copied.key.unbind(), copied.value.unbind(), left))
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
        // A function of Python's tells the sizes, which is not called while this thread is pinned.
        let (mut later, mut result) = (Vec::new(), Ok(()));
        {
            let pin = self.map().pin();
            let pick =
                |pin: &Pin<'_>, key: &Key, value: &ObjectCell| other.copied(py, pin, key, value);
            other.walk(py, pick, |copied| {
                if self.is_sized {
                    later.push(copied);
                    return ControlFlow::Continue(());
                }
                let ttl = self.ttl_of_copied(&copied, other, endless);
                let put = ttl.map(|ttl| self.put_copied(&pin, &copied, ttl)).transpose();
                // Before a comparison may use another store.
                self.sweeping.expired.add(cell::dropped());
                if let Err(error) = put {
                    result = Err(error);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
        }
        // Whatever was displaced.
        self.after_write(py, true);
        self.give_back_all(py);
        result?;
        for (n, copied) in later.into_iter().enumerate() {
            if n % AT_ONCE == AT_ONCE - 1 {
                calls::let_others_run(py);
            }
            match self.ttl_of_copied(&copied, other, endless) {
                None => {}
                Some(Duration::ZERO) => _ = self.delete(&copied.key)?,
                Some(ttl) => {
                    let wanted = Wanted::of_hash(&copied.key, copied.hash);
                    self.put_wanted(&wanted, &copied.value, ttl)?;
                }
            }
        }
        Ok(())
    }

    /// For how long an entry of `other` is to live here; `None` if it has expired meanwhile.
    fn ttl_of_copied(
        &self,
        copied: &Copied<'_>,
        other: &Self,
        endless: Duration,
    ) -> Option<Duration> {
        let left = copied.deadline.map(|at| other.left(at));
        match left {
            None => Some(endless),
            Some(_) if copied.slides && self.options.time_to_idle().is_some() => Some(IDLE),
            left => left.filter(|left| !left.is_zero()),
        }
    }

    /// Puts an entry of another store.
    fn put_copied(&self, pin: &Pin<'_>, copied: &Copied<'_>, ttl: Duration) -> PyResult<()> {
        let wanted = Wanted::of_hash(&copied.key, copied.hash);
        if ttl.is_zero() {
            // It is absent at once.
            pin.remove_entry_by(wanted.mixed(), wanted.matches(pin))?;
            return Ok(());
        }
        self.note_deadlines(ttl);
        let put = Self::upsert(pin, &wanted, &copied.value, ttl, wanted.matches(pin));
        self.note_containers(&copied.key, &copied.value);
        self.expect(ttl);
        put.map(|_| ())
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
        self.give_back_all(py);
        Ok(removed)
    }

    /// Ends what has expired; returns how many entries.
    fn sweep_all(&self, py: Python<'_>) -> usize {
        let (mut removed, mut passes) = (0, 0);
        // The first pass to end has begun anywhere; only the second one has been everywhere, or a call that ends before
        // its time.
        while passes < 2 {
            let began = Instant::now();
            let swept = self.map().sweep(Budget::time(SWEPT_AT_ONCE));
            removed += swept.removed;
            passes += usize::from(swept.completed_pass);
            if began.elapsed() < SWEPT_AT_ONCE {
                break;
            }
            calls::let_others_run(py);
        }
        // What has expired meanwhile; and memory.
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
        self.give_back_all(py);
        let left = self.map().sweep(Budget::entries(0)).pending_reclaim;
        self.give_back_all(py);
        if left > 0 || self.sweeping.expired.has_any() {
            // A pinned thread may still see some of what was here, or a listener is to be told: the collector looks for
            // it.
            self.has_containers.store(true, Ordering::Relaxed);
        }
    }

    /// Gives back what this thread has dropped, and the list; lets others run now and then.
    fn give_back_all(&self, py: Python<'_>) {
        calls::give_back_many(py, self.sweeping.expired.take_ends(cell::dropped()));
        self.sweeping.expired.give_back_all(py);
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
