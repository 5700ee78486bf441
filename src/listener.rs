//! Who is told when an entry ends.

use core::fmt;
use std::{
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind},
    sync::Arc,
};

/// Why an entry ended. For [`Builder::eviction_listener`](crate::Builder::eviction_listener).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RemovalCause {
    /// Its deadline had passed: found by a sweep, or by a write that put another entry in its place.
    Expired,
    /// It was removed, by [`remove`](crate::Pinned::remove) and its kin, [`clear`](crate::TtlMap::clear) or
    /// [`retain`](crate::TtlMap::retain).
    Explicit,
    /// Another entry took its place, by [`insert`](crate::Pinned::insert), [`update`](crate::Pinned::update) and
    /// their kin.
    Replaced,
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

    /// Tells of the end of an entry. A panic in the listener ends that call of it and nothing else.
    pub(crate) fn tell(&self, entry: &T, cause: RemovalCause) {
        if let Some(told) = &self.0
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| told(entry, cause)))
        {
            // What was panicked with may panic when dropped, and the panic hook has told of it.
            core::mem::forget(panic);
        }
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
