//! What both classes are made of: a map, its options, and each operation as a thread of Python's does it.

use std::{
    convert::Infallible,
    ptr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use evanesce::{Budget, Clock, Deadline, EntryRef, MonotonicClock, RemovalCause, TtlMap};
use pyo3::{ffi, prelude::*};

use crate::{
    calls,
    cell::ObjectCell,
    duration,
    expired::Expired,
    functions::Function,
    key::{Kept, Key, Pin, Wanted, is_plain},
    listener::Listener,
    options::Options,
    size::Maxsize,
    sweeping::{Sweeping, locked},
    timer::Timer,
};

mod replacing;
mod whole;

pub(crate) use whole::Timed;

/// How many slots a write checks, as the map's own do.
const SWEPT_BY_A_WRITE: usize = 4;
/// The TTL of an entry that never expires.
pub(crate) const FOR_EVER: Duration = Duration::MAX;
/// Stands for the store's time to idle, which hits renew. (No duration that is given is as long as this, but FOR_EVER.)
pub(crate) const IDLE: Duration = Duration::new(u64::MAX, 0);

pub(crate) struct Store {
    pub(crate) options: Options,
    /// What tells the time, if that is a function of Python's.
    timer: Option<Timer>,
    default_ttl: Duration,
    /// Whether values have sizes: by a function of Python's, or since each is larger than a maximum of 0.
    is_sized: bool,
    pub(crate) sweeping: Arc<Sweeping>,
    /// Whether an entry has come in that expires.
    has_deadlines: AtomicBool,
    /// Whether an object has come in that can be part of a cycle.
    pub(crate) has_containers: AtomicBool,
    /// Hashes of keys that were there, for `remove_any`.
    to_remove: Mutex<Vec<u64>>,
    /// Lookups that found a value, and those that did not. Counted by attached threads.
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Store {
    pub(crate) fn new(options: Options) -> Self {
        let functions = &options.functions;
        let is_zero = options.maxsize.is_some_and(Maxsize::is_zero);
        let is_sized = is_zero || functions.has(Function::Getsizeof);
        let has_listener = functions.has(Function::Listener);
        let listener = has_listener.then(|| Listener::new(Arc::clone(functions)));
        let expired = Arc::new(Expired::new(listener));
        let listening = Arc::clone(&expired);
        let builder = TtlMap::builder().hasher(()).huge_pages(true).eviction_listener(
            move |key: &Key, value: &ObjectCell, cause| {
                // Where nobody is told, `remove` and `clear` see to it themselves.
                if cause != RemovalCause::Explicit || listening.has_listener() {
                    listening.take(key, value, cause);
                }
            },
        );
        let builder = builder.capacity(options.capacity);
        let builder = match options.time_to_idle() {
            Some(idle) => builder.time_to_idle(idle),
            None => builder,
        };
        let builder = match options.maxsize {
            Some(maxsize) => maxsize.bound(builder, is_sized),
            None => builder,
        };
        let timer = functions.has(Function::Timer).then(Timer::default);
        let builder = match (&options.clock, &timer) {
            (Some(clock), _) => builder.clock(clock.get().0.clone()),
            (None, Some(timer)) => builder.clock(timer.clock()),
            (None, None) => builder,
        };
        let map = builder.build().expect("no option is out of its range");
        let sweeping = Sweeping::new(map, expired, options.pace());
        Self {
            default_ttl: options.default_ttl(),
            options,
            timer,
            is_sized,
            sweeping,
            has_deadlines: AtomicBool::new(false),
            has_containers: AtomicBool::new(false),
            to_remove: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn map(&self) -> &TtlMap<Key, ObjectCell, ()> {
        &self.sweeping.map
    }

    /// Reads the time, where that is for us to do.
    ///
    /// # Errors
    ///
    /// What a function of Python's raises that tells it.
    #[inline]
    pub(crate) fn read_time(&self, py: Python<'_>) -> PyResult<()> {
        match &self.timer {
            None => Ok(()),
            Some(timer) => self.read_timer(py, timer),
        }
    }

    #[cold]
    fn read_timer(&self, py: Python<'_>, timer: &Timer) -> PyResult<()> {
        // The collector of cycles may have let it go.
        let function = self.options.functions.get(py, Function::Timer);
        let read = function.as_ref().map_or(Ok(()), |function| timer.read(py, function));
        calls::give_back(py, function);
        read
    }

    /// The TTL that a duration argument stands for; `None` is the default's.
    pub(crate) fn ttl_of(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Duration> {
        given.map_or(Ok(self.default_ttl), |given| duration::parse("duration", given))
    }

    /// The value of a key that has not expired.
    #[inline]
    pub(crate) fn get(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let value = self.peek(key)?;
        let counter = if value.is_some() { &self.hits } else { &self.misses };
        // Not a read-modify-write: who is attached is the only one to count.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(value)
    }

    /// How many calls of [`Self::get`] found a value, and how many did not.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// As [`Self::get`], and not counted.
    #[inline]
    pub(crate) fn peek(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        self.read_time(key.py())?;
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
        let Ok(renewed) = set_ttl(pin, wanted.mixed(), ttl, |met| is_same(met, found));
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
        self.read_time(key.py())?;
        self.put_wanted(&Wanted::new(key)?, value, ttl)
    }

    fn put_wanted(
        &self,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
    ) -> PyResult<()> {
        let key = wanted.object;
        self.note_deadlines(ttl);
        if self.is_sized || self.has_listener() {
            return self.replace(wanted, value, ttl);
        }
        let (mut kept, old);
        kept = Kept::default();
        {
            let pin = self.map().pin();
            old = loop {
                if ttl == FOR_EVER && !self.has_deadlines() {
                    match Self::insert(&pin, wanted, value, ttl, &mut kept)? {
                        None => break None,
                        // Looked at again, after the comparisons: the entry is not over, and no entry has a deadline.
                        Some(held) if !held.is_empty() && !self.has_deadlines() => {
                            break held.swap(value.clone().unbind());
                        }
                        Some(_) => {}
                    }
                }
                if let Some(entry) = Self::find(&pin, wanted, &mut kept)? {
                    let stays = ttl == FOR_EVER && entry.expires_at().is_none();
                    if stays && self.has_deadlines() {
                        // As the map's own writes do; this is none.
                        self.map().sweep(Budget::entries(SWEPT_BY_A_WRITE));
                    }
                    if stays || Self::renew(&pin, wanted, entry.key(), ttl) {
                        // Empty if it has expired since, after a time that short: then this goes as well.
                        let held = entry.value();
                        break held.swap(value.clone().unbind()).or_else(|| held.take());
                    }
                }
                if Self::insert(&pin, wanted, value, ttl, &mut kept)?.is_none() {
                    break None;
                }
            };
        }
        self.note_containers(key, value);
        self.expect(ttl);
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
        self.read_time(key.py())?;
        let wanted = Wanted::new(key)?;
        let _putting = if self.is_sized {
            if let Some(value) = self.peek(key)? {
                return Ok(value);
            }
            self.putting(value)?
        } else {
            None
        };
        self.note_deadlines(ttl);
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
        self.expect(ttl);
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
        let (hash, is_wanted) = (wanted.mixed(), |met: &Key| wanted.is(met, kept));
        let put = if ttl == IDLE {
            pin.try_insert_by(hash, key, value, is_wanted)
        } else {
            pin.try_insert_with_ttl_by(hash, key, value, ttl, is_wanted)
        }?;
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
    fn note_deadlines(&self, ttl: Duration) {
        if ttl != FOR_EVER {
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
    }

    /// After an entry has got a TTL.
    fn expect(&self, ttl: Duration) {
        if ttl != FOR_EVER {
            let idle = || self.options.time_to_idle().unwrap_or(FOR_EVER);
            self.sweeping.expect(if ttl == IDLE { idle() } else { ttl });
        }
    }

    fn has_deadlines(&self) -> bool {
        self.has_deadlines.load(Ordering::Relaxed)
    }

    /// Removes a key that has not expired; returns the key that was held, and its value.
    pub(crate) fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<[Py<PyAny>; 2]>> {
        self.read_time(key.py())?;
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let is_wanted = |met: &Key| wanted.is(met, &mut kept);
        let removed = self.remove_by(key.py(), wanted.mixed(), is_wanted)?;
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
            let Ok(removed) =
                self.remove_by(py, hash, |met| Ok::<_, Infallible>(met.mixed() == hash));
            if removed.is_some() {
                break removed;
            }
        };
        self.sweeping.expired.give_back_some(py);
        Ok(removed)
    }

    /// What `tell` says of the entry of a key, unless it is absent.
    pub(crate) fn told<R>(
        &self,
        key: &Bound<'_, PyAny>,
        tell: impl FnOnce(&EntryRef<'_, Key, ObjectCell>) -> R,
    ) -> PyResult<Option<R>> {
        self.read_time(key.py())?;
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let pin = self.map().pin();
        let entry = Self::find(&pin, &wanted, &mut kept)?;
        Ok(entry.map(|entry| tell(&entry)))
    }

    /// The seconds, by [`Self::origin`], at which a deadline is.
    pub(crate) fn seconds_at(&self, py: Python<'_>, deadline: Deadline) -> PyResult<f64> {
        let since_origin = deadline.as_nanos() as f64 / 1e9;
        Ok(self.origin(py)? + since_origin)
    }

    /// The beginning of the store's clock, in seconds: of the timer, or of `time.monotonic`, which is the default
    /// clock.
    fn origin(&self, py: Python<'_>) -> PyResult<f64> {
        static ORIGIN: OnceLock<f64> = OnceLock::new();
        if let Some(timer) = &self.timer {
            return Ok(timer.origin());
        }
        if self.options.clock.is_some() {
            return Ok(0.0);
        }
        if let Some(origin) = ORIGIN.get() {
            return Ok(*origin);
        }
        let now: f64 = py.import("time")?.call_method0("monotonic")?.extract()?;
        Ok(*ORIGIN.get_or_init(|| now - MonotonicClock.now() as f64 / 1e9))
    }

    /// Lets a key live for `ttl` from now; false if it is absent.
    pub(crate) fn touch(&self, key: &Bound<'_, PyAny>, ttl: Duration) -> PyResult<bool> {
        if ttl.is_zero() {
            return self.delete(key);
        }
        self.read_time(key.py())?;
        self.note_deadlines(ttl);
        let wanted = Wanted::new(key)?;
        let mut kept = Kept::default();
        let touched = {
            let pin = self.map().pin();
            set_ttl(&pin, wanted.mixed(), ttl, |met| wanted.is(met, &mut kept))?
        };
        self.expect(ttl);
        drop(kept);
        self.sweeping.expired.give_back_some(key.py());
        Ok(touched)
    }
}

impl Drop for Store {
    /// Gives back all that it holds, attached, as every end of a Python object is.
    fn drop(&mut self) {
        self.sweeping.stop();
        let mut gone = self.take_all(|| ());
        self.map().sweep(Budget::full_pass());
        gone.extend(self.sweeping.expired.take_all());
        calls::give_back_nested(gone);
    }
}

/// Lets the entry of a key live for `ttl` from now; false if there is none.
fn set_ttl<E>(
    pin: &Pin<'_>,
    hash: u64,
    ttl: Duration,
    is_match: impl FnMut(&Key) -> Result<bool, E>,
) -> Result<bool, E> {
    match ttl {
        IDLE => pin.reset_ttl_by(hash, is_match),
        ttl => pin.set_ttl_by(hash, ttl, is_match),
    }
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
