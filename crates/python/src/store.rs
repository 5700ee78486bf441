//! What both classes are made of: a map, its options, and each operation as a thread of Python's does it.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering, fence},
    },
    time::Duration,
};

use evanesce::{Budget, Clock, Deadline, EntryRef, MonotonicClock, TtlMap};
use pyo3::{ffi, prelude::*};

use crate::{
    calls,
    cell::{self, ObjectCell},
    duration::{self, FOR_EVER, IDLE},
    expired::Expired,
    functions::Function,
    key::{Key, Pin, TakesCalls, Wanted, is_plain, is_quiet},
    listener::Listener,
    lookups::Lookups,
    options::Options,
    size::{Maxsize, Putting},
    sweeping::Sweeping,
    threads,
    timer::Timer,
};

mod quick;
mod removal;
mod whole;

pub(crate) use whole::Timed;

/// How often a prompt write asks the map to reclaim, while removed entries are left that a pinned thread may see.
const PROMPT_TRIES: usize = 4;
/// One write of a thread in so many has the map reclaim, although nobody can tell. A prime: a thread may write to
/// several stores in turn.
const WRITES_PER_RECLAIM: u32 = 61;

thread_local! {
    static WRITES: Cell<Writes> = const { Cell::new(Writes { count: 0, is_prompt: false }) };
}

/// Those of a thread.
#[derive(Clone, Copy, Default)]
struct Writes {
    count: u32,
    /// Whether an entry has ended by the last one, beside what it displaced itself, that is to go at once.
    is_prompt: bool,
}

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
    /// Of [`Self::get`].
    lookups: Lookups,
    /// The last field: dropped when the map is gone.
    _gives_back: GivesBack,
}

impl Store {
    pub(crate) fn new(options: Options) -> Self {
        let functions = &options.functions;
        let is_zero = options.maxsize.is_some_and(Maxsize::is_zero);
        let is_sized = is_zero || functions.has(Function::Getsizeof);
        let has_listener = functions.has(Function::Listener);
        let listener = has_listener.then(|| Listener::new(Arc::clone(functions)));
        let expired = Arc::new(Expired::new(listener));
        let builder = TtlMap::builder().hasher(()).huge_pages(true).capacity(options.capacity);
        let builder = if has_listener || options.maxsize.is_some() {
            let told = Arc::clone(&expired);
            builder.eviction_listener(move |key: &Key, value: &ObjectCell, cause| {
                told.note_end(key, value, cause);
                note_prompt(key, value);
            })
        } else {
            builder
        };
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
            lookups: Lookups::default(),
            _gives_back: GivesBack,
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
        self.lookups.count(value.is_some());
        Ok(value)
    }

    /// How many calls of [`Self::get`] found a value, and how many did not.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        self.lookups.totals()
    }

    /// As [`Self::get`], and not counted.
    #[inline]
    pub(crate) fn peek(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        match self.peek_quick(key) {
            Ok(value) => Ok(value),
            Err(TakesCalls) => self.peek_by_calls(key),
        }
    }

    #[inline(never)]
    fn peek_by_calls(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        self.read_time(key.py())?;
        let (py, wanted) = (key.py(), Wanted::new(key)?);
        let value = {
            let pin = self.map().pin();
            let found = pin.get_by(wanted.mixed(), wanted.matches(&pin));
            // No code of Python's runs between the map's answer and this: see the head of `lib.rs`.
            found.map(|value| value.map(|value| value.get(py).unbind()))
        };
        self.sweeping.expired.give_back_some(py);
        value
    }

    /// After a write: gives back what the map has dropped. The thread is not pinned by the write any more.
    ///
    /// `is_prompt`: something was displaced of which it shows when it is let go. So the map reclaims first, which is
    /// vain while another thread is pinned; then a later write does it.
    #[inline]
    fn after_write(&self, py: Python<'_>, is_prompt: bool) {
        let Writes { count, is_prompt: is_other_prompt } = WRITES.get();
        let count = count.wrapping_add(1);
        WRITES.set(Writes { count, is_prompt: false });
        if is_prompt | is_other_prompt || count.is_multiple_of(WRITES_PER_RECLAIM) {
            self.reclaim();
        }
        if cell::has_dropped() {
            calls::give_back(py, self.sweeping.expired.take_ends(cell::dropped()));
        }
        self.sweeping.expired.give_back_some(py);
    }

    /// Has the map drop what it can, to the list of this thread.
    fn reclaim(&self) {
        for _ in 0..PROMPT_TRIES {
            if self.map().sweep(Budget::entries(0)).pending_reclaim == 0 {
                break;
            }
        }
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
        self.note_deadlines(ttl);
        let put = {
            let _putting = self.putting(value)?;
            let pin = self.map().pin();
            Self::upsert(&pin, wanted, value, ttl, wanted.matches(&pin))
        };
        self.after_put(wanted, value, ttl, put.as_ref().is_ok_and(|is_prompt| *is_prompt));
        put.map(|_| ())
    }

    /// After a put: `is_prompt` as for [`Self::after_write`].
    #[inline]
    fn after_put(
        &self,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
        is_prompt: bool,
    ) {
        self.note_containers(wanted.object, value);
        self.expect(ttl);
        self.after_write(value.py(), is_prompt);
    }

    /// Puts a value, with the key that is there if there is one. Returns whether what it displaced is to go at once.
    #[inline]
    fn upsert<E>(
        pin: &Pin<'_>,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
        is_match: impl FnMut(&Key) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (py, hash) = (value.py(), wanted.mixed());
        let make_key =
            |held: Option<&Key>| held.map_or_else(|| Key::new(wanted), |held| held.again(py));
        let make = |_: Option<&ObjectCell>| ObjectCell::new(value.clone().unbind());
        let replaced = match ttl {
            IDLE => pin.upsert_by(hash, is_match, make_key, make),
            ttl => pin.upsert_with_ttl_by(hash, ttl, is_match, make_key, make),
        }?;
        Ok(replaced.is_some_and(|old| !is_quiet(&old.borrow(py))))
    }

    /// Asks for the size of a value that is to be put, if values have sizes. Before the thread is pinned.
    ///
    /// # Errors
    ///
    /// Those of [`Maxsize::size_of`].
    fn putting(&self, value: &Bound<'_, PyAny>) -> PyResult<Option<Putting>> {
        let Some(maxsize) = self.options.maxsize.filter(|_| self.is_sized) else { return Ok(None) };
        let getsizeof = self.options.functions.get(value.py(), Function::Getsizeof);
        let size = maxsize.size_of(value, getsizeof.as_ref());
        calls::give_back(value.py(), getsizeof);
        size.map(|size| Some(Putting::new(size)))
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
        self.note_deadlines(ttl);
        let stored = {
            let _putting = if self.is_sized {
                if let Some(value) = self.peek(key)? {
                    return Ok(value);
                }
                self.putting(value)?
            } else {
                None
            };
            Self::get_or_insert(&self.map().pin(), &wanted, value, ttl)
        };
        self.note_containers(key, value);
        self.expect(ttl);
        self.after_write(key.py(), false);
        stored
    }

    fn get_or_insert(
        pin: &Pin<'_>,
        wanted: &Wanted<'_, '_>,
        value: &Bound<'_, PyAny>,
        ttl: Duration,
    ) -> PyResult<Py<PyAny>> {
        let held = match pin.get_by(wanted.mixed(), wanted.matches(pin))? {
            Some(held) => Some(held),
            None if ttl.is_zero() => None,
            None => {
                let (key, cell) = (Key::new(wanted), ObjectCell::new(value.clone().unbind()));
                let (hash, is_match) = (wanted.mixed(), wanted.matches(pin));
                let put = match ttl {
                    IDLE => pin.try_insert_by(hash, key, cell, is_match),
                    ttl => pin.try_insert_with_ttl_by(hash, key, cell, ttl, is_match),
                }?;
                put.err().map(|occupied| occupied.current)
            }
        };
        Ok(held.map_or_else(|| value.clone(), |held| held.get(value.py())).unbind())
    }

    /// After an entry has come in, and before this thread lets go, as the collector of cycles may then come.
    fn note_containers(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        if may_contain(value) || may_contain(key) {
            // Between the put and the look at the flag, as in `clear` between its step and its walk: so a thread that
            // clears beside this one ends the entry, or this one sees that it has to set the flag again.
            fence(Ordering::SeqCst);
            if !self.has_containers.load(Ordering::Relaxed) {
                self.has_containers.store(true, Ordering::Relaxed);
            }
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

    /// What `tell` says of the entry of a key, unless it is absent.
    pub(crate) fn told<R>(
        &self,
        key: &Bound<'_, PyAny>,
        tell: impl FnOnce(&EntryRef<'_, Key, ObjectCell>) -> R,
    ) -> PyResult<Option<R>> {
        self.read_time(key.py())?;
        let wanted = Wanted::new(key)?;
        let pin = self.map().pin();
        let entry = pin.get_entry_by(wanted.mixed(), wanted.matches(&pin))?;
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
        let touched = {
            let pin = self.map().pin();
            match ttl {
                IDLE => pin.reset_ttl_by(wanted.mixed(), wanted.matches(&pin)),
                ttl => pin.set_ttl_by(wanted.mixed(), ttl, wanted.matches(&pin)),
            }
        };
        self.expect(ttl);
        self.after_write(key.py(), false);
        touched
    }
}

impl Drop for Store {
    /// Has all that it holds given back, attached, as every end of a Python object is: the map goes next, by itself, as
    /// nobody else has it when the sweeper has let go; and then [`GivesBack`].
    fn drop(&mut self) {
        self.sweeping.stop();
        cell::add_dropped(self.sweeping.expired.take_all());
    }
}

/// Gives back, when it is dropped, what cells held that were dropped before it.
struct GivesBack;

impl Drop for GivesBack {
    fn drop(&mut self) {
        calls::give_back_nested(cell::dropped().references);
    }
}

/// After an entry has ended that is told of, by the thread that ended it.
fn note_prompt(key: &Key, value: &ObjectCell) {
    if threads::is_sweeper() {
        return;
    }
    // SAFETY: all threads that call a map are attached, but for the sweeper's.
    #[expect(unsafe_code, reason = "as said")]
    let py = unsafe { Python::assume_attached() };
    if !is_quiet(&key.object.borrow(py)) || !is_quiet(&value.borrow(py)) {
        WRITES.set(Writes { is_prompt: true, ..WRITES.get() });
    }
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
