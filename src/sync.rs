//! The one door to atomics, cells, threads and thread-locals: the standard ones, or loom's.
//!
//! Every other file imports from here, so that a model run under `--cfg loom` sees each access.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// A thread-local without a destructor, so that it works in those of others.
macro_rules! per_thread {
    (static $name:ident: $type:ty = $value:expr) => {
        #[cfg(not(loom))]
        std::thread_local! { static $name: $type = const { $value }; }
        #[cfg(loom)]
        loom::thread_local! { static $name: $type = $value; }
    };
}
pub(crate) use per_thread;

#[cfg(not(loom))]
pub(crate) use std::sync::Arc;

#[cfg(loom)]
pub(crate) use loom::sync::Arc;

// The sweeper's thread and what is set once a process are the standard ones under loom too: no
// model looks into them, and each would only add states.
pub(crate) use std::{sync::OnceLock, thread};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `core::cell::UnsafeCell` with the interface of loom's.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// Calls `f` with a pointer for reading.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// True while the test of the tests `name` is switched on: a deliberate bug, one line each, that
/// some rung of the verification must catch. Outside of `--cfg planted` it is the constant `false`.
macro_rules! planted {
    ($name:ident) => {{
        #[cfg(planted)]
        let on = crate::sync::is_planted(stringify!($name));
        #[cfg(not(planted))]
        let on = false;
        on
    }};
}
pub(crate) use planted;

/// Whether the environment variable `EVANESCE_PLANTED` names this bug.
#[cfg(planted)]
pub(crate) fn is_planted(name: &str) -> bool {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    NAME.get_or_init(|| std::env::var("EVANESCE_PLANTED").ok()).as_deref() == Some(name)
}
