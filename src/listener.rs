//! Who is told when an entry ends.

use core::{cell::RefCell, fmt};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::sync::{per_thread, planted};

/// Why an entry ended. For [`Builder::eviction_listener`](crate::Builder::eviction_listener).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RemovalCause {
    /// Its deadline had passed: found by a sweep, by [`clear`](crate::TtlMap::clear), or by a write that put another
    /// entry in its place.
    Expired,
    /// It was removed, by [`remove`](crate::Pinned::remove) and its kin, [`clear`](crate::TtlMap::clear) or
    /// [`retain`](crate::TtlMap::retain).
    Explicit,
    /// Another entry took its place, by [`insert`](crate::Pinned::insert), [`update`](crate::Pinned::update) and
    /// their kin.
    Replaced,
    /// It had to go since the map was full: past its [`max_entries`](crate::Builder::max_entries) or
    /// [`max_weight`](crate::Builder::max_weight).
    Size,
}

/// The map's listener, if it has one.
pub(crate) struct Listener<T>(Option<Arc<Told<T>>>);

type Told<T> = dyn Fn(&T, RemovalCause) + Send + Sync;

// A panic in it is caught here, and touches nothing of the map's.
impl<T> UnwindSafe for Listener<T> {}
impl<T> RefUnwindSafe for Listener<T> {}

impl<T> Listener<T> {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(told: impl Fn(&T, RemovalCause) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of the end of an entry of the map at this address, and then of what the listener itself ended meanwhile:
    /// so it is not called within itself, however much it ends. A panic in it ends that call of it and nothing else.
    ///
    /// `entry` finds an entry by its number. Whoever called this holds a guard from before, so what the listener ends
    /// is there until it is told of.
    pub(crate) fn tell<'g>(
        &self,
        map: usize,
        number: u32,
        cause: RemovalCause,
        entry: impl Fn(u32) -> &'g T,
    ) where
        T: 'g,
    {
        let Some(told) = &self.0 else { return };
        let mut end = End { map, number, cause };
        // At the end of a thread, its thread-locals gone, calls nest.
        let call = match TELLING.try_with(|telling| telling.borrow_mut().begin(end)) {
            Ok(Begun::Call(call)) => Some(call),
            Ok(Begun::Waiting) => return,
            Err(_) => None,
        };
        loop {
            let told = || told(entry(end.number), end.cause);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(told)) {
                // What was panicked with may panic when dropped, and the panic hook has told of it.
                core::mem::forget(panic);
            }
            let Some(next) = call.as_ref().and_then(Call::next) else { return };
            end = next;
        }
    }

    /// Whether this thread is in the listener of the map at this address; also if there is no telling.
    pub(crate) fn is_running(&self, map: usize) -> bool {
        self.is_some() && TELLING.try_with(|telling| telling.borrow().is_in(map)).unwrap_or(true)
    }
}

// It has a destructor, and may be gone in those of others.
per_thread! { static TELLING: RefCell<Telling> = RefCell::new(Telling::NEW) }

/// Whose listeners a thread is in, and what they are to be told of then.
struct Telling {
    maps: Vec<usize>,
    waiting: VecDeque<End>,
}

/// The end of an entry, by its number in the map at an address.
#[derive(Clone, Copy)]
struct End {
    map: usize,
    number: u32,
    cause: RemovalCause,
}

enum Begun {
    Call(Call),
    /// The thread is in that listener, and it is told when it returns.
    Waiting,
}

impl Telling {
    const NEW: Self = Self { maps: Vec::new(), waiting: VecDeque::new() };

    fn is_in(&self, map: usize) -> bool {
        self.maps.contains(&map)
    }

    fn begin(&mut self, end: End) -> Begun {
        if self.is_in(end.map) && !planted!(listener_within_itself) {
            self.waiting.push_back(end);
            return Begun::Waiting;
        }
        self.maps.push(end.map);
        Begun::Call(Call { map: end.map, first: self.waiting.len() })
    }

    /// Takes the first end of a map, of those that wait from a place on.
    fn next(&mut self, map: usize, first: usize) -> Option<End> {
        let n = self.waiting.range(first..).position(|end| end.map == map)?;
        self.waiting.remove(first + n)
    }
}

/// The outermost call of a map's listener on a thread.
struct Call {
    map: usize,
    /// What waits from here on has come during the call. (What was there before is of the calls around it.)
    first: usize,
}

impl Call {
    fn next(&self) -> Option<End> {
        TELLING.try_with(|telling| telling.borrow_mut().next(self.map, self.first)).ok().flatten()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = TELLING.try_with(|telling| {
            let Telling { maps, waiting } = &mut *telling.borrow_mut();
            maps.pop();
            if waiting.is_empty() {
                *waiting = VecDeque::new();
            }
        });
    }
}

impl<T> Clone for Listener<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Some(..)" } else { "None" })
    }
}
