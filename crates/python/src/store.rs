//! What both classes are made of: a map, its options, and each operation as a thread of Python's does it.

use std::{
    convert::Infallible,
    ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use evanesce::{Budget, EntryRef, RemovalCause, TtlMap};
use pyo3::{
    PyTraverseError, PyVisit, ffi,
    prelude::*,
    types::{PyDict, PyFloat, PyTuple},
};

use crate::{
    calls,
    cell::ObjectCell,
    duration,
    expired::Expired,
    key::{Kept, Key, Pin, Wanted, is_plain},
    options::Options,
    sweeping::{Sweeping, locked},
};

/// How many slots a write checks, as the map's own do.
const SWEPT_BY_A_WRITE: usize = 4;
/// The TTL of an entry that never expires.
pub(crate) const FOR_EVER: Duration = Duration::MAX;

pub(crate) struct Store {
    options: Options,
    sweeping: Arc<Sweeping>,
    /// Whether an entry has come in that expires.
    has_deadlines: AtomicBool,
    /// Whether an object has come in that can be part of a cycle.
    has_containers: AtomicBool,
    /// Hashes of keys that were there, for `remove_any`.
    to_remove: Mutex<Vec<u64>>,
}

impl Store {
    pub(crate) fn new(options: Options) -> Self {
        let expired = Arc::new(Expired::default());
        let listening = Arc::clone(&expired);
        let builder = TtlMap::builder().hasher(()).huge_pages(true).eviction_listener(
            move |key: &Key, value: &ObjectCell, cause| {
                // The other ends are those of `remove` and `clear`, which see to it themselves.
                if cause == RemovalCause::Expired {
                    listening.take(key, value);
                }
            },
        );
        let builder = match &options.clock {
            Some(clock) => builder.clock(clock.get().0.clone()),
            None => builder,
        };
        let map = builder.build().expect("no option is out of its range");
        let sweeping = Sweeping::new(map, expired, options.sweep_interval);
        let (has_deadlines, has_containers) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { options, sweeping, has_deadlines, has_containers, to_remove: Mutex::default() }
    }

    fn map(&self) -> &TtlMap<Key, ObjectCell, ()> {
        &self.sweeping.map
    }

    /// The TTL that a duration argument stands for; `None` is the default's.
    pub(crate) fn ttl_of(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Duration> {
        given.map_or(Ok(self.options.default_ttl), |given| duration::parse("duration", given))
    }

    /// The value of a key that has not expired.
    #[inline]
    pub(crate) fn get(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let value = {
            let pin = self.map().pin();
            let found = pin.get_by(wanted.mixed(), |met| wanted.is(met, &mut kept))?;
            // Empty if it has expired since.
            found.and_then(|value| value.get(key.py()))
        };
        self.sweeping.expired.give_back_some(key.py());
        Ok(value)
    }

    /// The entry of a key, if it has not expired.
    fn find<'p>(
        pin: &'p Pin<'_>,
        wanted: &Wanted<'_, '_>,
        kept: &mut Kept,
    ) -> PyResult<Option<EntryRef<'p, Key, ObjectCell>>> {
        pin.get_entry_by(wanted.mixed(), |met| wanted.is(met, kept))
    }

    /// Whether this key, which was found, is still there and lives for `ttl` from now. Compares nothing.
    fn renew(pin: &Pin<'_>, wanted: &Wanted<'_, '_>, found: &Key, ttl: Duration) -> bool {
        let Ok(renewed) = pin.set_ttl_by(wanted.mixed(), ttl, |met| is_same(met, found));
        renewed
    }

    /// Puts a value, to expire after `ttl`.
    pub(crate) fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
    ) -> PyResult<()> {
        if ttl.is_zero() {
            // It is absent at once.
            self.delete(key)?;
            return Ok(());
        }
        let wanted = Wanted::new(key)?;
        self.expect_deadlines(ttl)?;
        let (mut kept, old);
        kept = Kept::default();
        {
            let pin = self.map().pin();
            old = loop {
                if ttl == FOR_EVER && !self.has_deadlines() {
                    match Self::insert(&pin, &wanted, value, ttl, &mut kept)? {
                        None => break None,
                        // Looked at again, after the comparisons: the entry is not over, and no entry has a deadline.
                        Some(held) if !held.is_empty() && !self.has_deadlines() => {
                            break held.swap(value.clone().unbind());
                        }
                        Some(_) => {}
                    }
                }
                if let Some(entry) = Self::find(&pin, &wanted, &mut kept)? {
                    let stays = ttl == FOR_EVER && entry.expires_at().is_none();
                    if stays && self.has_deadlines() {
                        // As the map's own writes do; this is none.
                        self.map().sweep(Budget::entries(SWEPT_BY_A_WRITE));
                    }
                    if stays || Self::renew(&pin, &wanted, entry.key(), ttl) {
                        // Empty if it has expired since, after a time that short: then this goes as well.
                        let held = entry.value();
                        break held.swap(value.clone().unbind()).or_else(|| held.take());
                    }
                }
                if Self::insert(&pin, &wanted, value, ttl, &mut kept)?.is_none() {
                    break None;
                }
            };
        }
        self.note_containers(key, value);
        calls::give_back(key.py(), old);
        drop(kept);
        self.sweeping.expired.give_back_some(key.py());
        Ok(())
    }

    /// Puts a value if the key is absent; returns the one that is there then.
    pub(crate) fn put_if_absent(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
    ) -> PyResult<Py<PyAny>> {
        let wanted = Wanted::new(key)?;
        self.expect_deadlines(ttl)?;
        let mut kept = Kept::default();
        let stored = {
            let pin = self.map().pin();
            loop {
                let found = pin.get_by(wanted.mixed(), |met| wanted.is(met, &mut kept))?;
                if let Some(value) = found.and_then(|value| value.get(key.py())) {
                    break value;
                }
                if ttl.is_zero() || Self::insert(&pin, &wanted, value, ttl, &mut kept)?.is_none() {
                    break value.clone().unbind();
                }
            }
        };
        self.note_containers(key, value);
        drop(kept);
        self.sweeping.expired.give_back_some(key.py());
        Ok(stored)
    }

    /// Inserts a key that is absent; if it is not, returns its value's cell.
    fn insert<'p>(
        pin: &'p Pin<'_>,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
        kept: &mut Kept,
    ) -> PyResult<Option<&'p ObjectCell>> {
        let (key, value) = (Key::new(wanted), ObjectCell::new(value.clone().unbind()));
        let put = pin
            .try_insert_with_ttl_by(wanted.mixed(), key, value, ttl, |met| wanted.is(met, kept))?;
        Ok(put.err().map(|occupied| occupied.current))
    }

    /// After an entry has come in, and before this thread lets go, as the collector of cycles may then come.
    fn note_containers(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        if !self.has_containers.load(Ordering::Relaxed) && (may_contain(value) || may_contain(key))
        {
            self.has_containers.store(true, Ordering::Relaxed);
        }
    }

    /// Before an entry gets a TTL.
    fn expect_deadlines(&self, ttl: Duration) -> PyResult<()> {
        if ttl != FOR_EVER {
            self.sweeping.begin()?;
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn has_deadlines(&self) -> bool {
        self.has_deadlines.load(Ordering::Relaxed)
    }

    /// Removes a key that has not expired; returns the key that was held, and its value.
    pub(crate) fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<[Py<PyAny>; 2]>> {
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let removed = {
            let pin = self.map().pin();
            let is_wanted = |met: &Key| wanted.is(met, &mut kept);
            pin.remove_entry_by(wanted.mixed(), is_wanted)?.and_then(taken)
        };
        drop(kept);
        self.sweeping.expired.give_back_some(key.py());
        Ok(removed)
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
    pub(crate) fn remove_any(&self, py: Python<'_>) -> Option<[Py<PyAny>; 2]> {
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
            if let Some(removed) = removed.and_then(taken) {
                break Some(removed);
            }
        };
        self.sweeping.expired.give_back_some(py);
        removed
    }

    /// Milliseconds that a key has left, `Some(None)` if it never expires; `None` if it is absent.
    #[expect(clippy::option_option, reason = "as said")]
    pub(crate) fn ttl(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Option<f64>>> {
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let pin = self.map().pin();
        let entry = Self::find(&pin, &wanted, &mut kept)?;
        Ok(entry.map(|entry| duration::left(entry.ttl())))
    }

    /// Lets a key live for `ttl` from now; false if it is absent.
    pub(crate) fn touch(&self, key: &Bound<'_, PyAny>, ttl: Duration) -> PyResult<bool> {
        if ttl.is_zero() {
            return self.delete(key);
        }
        self.expect_deadlines(ttl)?;
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let touched = {
            let pin = self.map().pin();
            pin.set_ttl_by(wanted.mixed(), ttl, |met| wanted.is(met, &mut kept))?
        };
        drop(kept);
        self.sweeping.expired.give_back_some(key.py());
        Ok(touched)
    }

    /// The number of entries that have not expired: clears away what has.
    pub(crate) fn len(&self, py: Python<'_>) -> usize {
        if self.has_deadlines() {
            self.map().sweep(Budget::full_pass());
            self.sweeping.expired.give_back_some(py);
        }
        self.map().len()
    }

    /// What `pick` makes of each entry that has not expired, as a list.
    pub(crate) fn snapshot<R>(
        &self,
        pick: impl Fn(&EntryRef<'_, Key, ObjectCell>) -> Option<R>,
    ) -> Vec<R> {
        self.map().pin().iter_entries().filter_map(|entry| pick(&entry)).collect()
    }

    /// Keys, values and milliseconds left.
    pub(crate) fn entries(&self, py: Python<'_>) -> Vec<(Py<PyAny>, Py<PyAny>, Option<f64>)> {
        self.snapshot(|entry| {
            let (key, value) = (entry.key().object.get(py)?, entry.value().get(py)?);
            Some((key, value, duration::left(entry.ttl())))
        })
    }

    pub(crate) fn keys(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.snapshot(|entry| entry.key().object.get(py))
    }

    /// What a pickle of its owner has beside the options: the entries, and the attributes of a subclass.
    pub(crate) fn state<'py>(&self, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let attributes = owner.getattr_opt("__dict__")?;
        (self.entries(owner.py()), attributes).into_pyobject(owner.py())
    }

    pub(crate) fn set_state(
        &self,
        owner: &Bound<'_, PyAny>,
        state: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let (entries, attributes): (_, Option<Bound<'_, PyDict>>) = state.extract()?;
        if let Some(attributes) = attributes {
            owner.getattr("__dict__")?.call_method1("update", (attributes,))?;
        }
        self.put_entries(owner.py(), entries)
    }

    /// Puts what another store's `entries` told.
    pub(crate) fn put_entries(
        &self,
        py: Python<'_>,
        entries: Vec<(Py<PyAny>, Py<PyAny>, Option<f64>)>,
    ) -> PyResult<()> {
        for (key, value, left) in entries {
            let ttl = left.map(|ms| duration::parse("duration", &PyFloat::new(py, ms)));
            self.put(key.bind(py), value.bind(py), ttl.transpose()?.unwrap_or(FOR_EVER))?;
        }
        Ok(())
    }

    /// The arguments of a constructor of the same options.
    pub(crate) fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.options.arguments(py)
    }

    /// Removes all entries and gives back what they held.
    pub(crate) fn clear(&self, py: Python<'_>) {
        self.has_containers.store(false, Ordering::Relaxed);
        let gone = self.take_all();
        calls::give_back(py, gone);
        self.sweep(py);
    }

    /// Ends all entries that have not expired, and returns what they held.
    fn take_all(&self) -> Vec<Py<PyAny>> {
        let mut gone = Vec::new();
        self.map().retain(|key, value| {
            // Before the entry is over. No one else is attached meanwhile, so no one sees it empty.
            gone.extend(key.object.take());
            gone.extend(value.take());
            false
        });
        gone
    }

    /// Removes what has expired and gives back what it held; returns how many entries.
    pub(crate) fn sweep(&self, py: Python<'_>) -> usize {
        let swept = self.map().sweep(Budget::full_pass());
        self.sweeping.expired.give_back_all(py);
        swept.removed
    }

    pub(crate) fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.map().stats();
        let figures = PyDict::new(py);
        figures.set_item("len", stats.len)?;
        figures.set_item("expired_unswept", stats.expired_unswept)?;
        figures.set_item("swept_total", stats.swept_total)?;
        figures.set_item("max_lag", duration::to_ms(stats.max_lag))?;
        figures.set_item("pending_reclaim", stats.pending_reclaim)?;
        figures.set_item("bytes_allocated", stats.bytes_allocated)?;
        Ok(figures)
    }

    /// Shows the collector of cycles what is held: see the head of `lib.rs`.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
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

impl Drop for Store {
    /// Gives back all that it holds, attached, as every end of a Python object is.
    fn drop(&mut self) {
        self.sweeping.stop();
        let mut gone = self.take_all();
        self.map().sweep(Budget::full_pass());
        gone.extend(self.sweeping.expired.take_all());
        calls::give_back_nested(gone);
    }
}

/// What an entry held that this thread has removed: nobody else takes it.
fn taken((key, value): (&Key, &ObjectCell)) -> Option<[Py<PyAny>; 2]> {
    Some([key.object.take()?, value.take()?])
}

#[expect(clippy::unnecessary_wraps, reason = "a comparison, which may fail")]
fn is_same(met: &Key, found: &Key) -> Result<bool, Infallible> {
    Ok(ptr::eq(met, found))
}

/// Whether an object can be part of a cycle, for all that its type says.
#[expect(unsafe_code, reason = "asks a type for its flags")]
fn may_contain(object: &Bound<'_, PyAny>) -> bool {
    if is_plain(object) {
        return false;
    }
    // SAFETY: the object is alive and this thread attached, so its type is alive as well.
    let flags = unsafe { ffi::PyType_GetFlags(object.get_type_ptr()) };
    flags & ffi::Py_TPFLAGS_HAVE_GC != 0
}
