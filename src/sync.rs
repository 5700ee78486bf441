//! The one door to atomics, cells, threads and thread-locals: the standard ones, or a model
//! checker's.
//!
//! Every other file imports from here, so that a model sees each access. Under `--cfg evanesce_loom` that is
//! loom, under `--cfg evanesce_shuttle` shuttle, which has atomics (all of them `SeqCst`) but no cells: there
//! the standard ones do. Each takes the feature of its name as well (Cargo.toml).

#[allow(unsafe_code)] // owns a box through a raw pointer
mod once_box;

pub(crate) use once_box::OnceBox;

/// Whether this is built for models: tables, batches and budgets are then as small as they can be.
pub(crate) const MODEL: bool = cfg!(any(evanesce_loom, evanesce_shuttle));

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

#[cfg(evanesce_loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

#[cfg(evanesce_shuttle)]
pub(crate) use shuttle::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

/// A setting of a map, the standard word in models too: no model changes one while threads run.
pub(crate) use core::sync::atomic::AtomicU64 as SettingWord;

/// Words that are hints and nothing hangs on, the standard ones in models too, which would try each older value as well.
pub(crate) use core::sync::atomic::{
    AtomicU8 as HintU8, AtomicU32 as HintU32, AtomicU64 as HintU64,
};

/// Loads a word of which an older value will do as well. In models the newest: they would try each. Nothing is released by
/// it there either.
#[inline]
pub(crate) fn glance(word: &AtomicU64, order: Ordering) -> u64 {
    match order {
        order if !MODEL => word.load(order),
        Ordering::Relaxed => word.fetch_or(0, Ordering::Relaxed),
        _ => word.fetch_or(0, Ordering::Acquire),
    }
}

/// A word of bookkeeping for debug assertions, the standard one in models too: no part of what they
/// explore.
#[cfg(debug_assertions)]
pub(crate) use core::sync::atomic::AtomicU32 as DebugWord;

/// A thread-local without a destructor, so that it works in those of others.
macro_rules! per_thread {
    (static $name:ident: $type:ty = $value:expr) => {
        #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
        std::thread_local! { static $name: $type = const { $value }; }
        #[cfg(evanesce_loom)]
        loom::thread_local! { static $name: $type = $value; }
        #[cfg(evanesce_shuttle)]
        shuttle::thread_local! { static $name: $type = $value; }
    };
}
pub(crate) use per_thread;

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(evanesce_loom)]
pub(crate) use loom::{
    lazy_static,
    sync::{Arc, Mutex, MutexGuard},
};

#[cfg(evanesce_shuttle)]
pub(crate) use shuttle::{
    lazy_static,
    sync::{Arc, Mutex, MutexGuard},
};

/// How a thread waits for a load.
pub(crate) mod parking {
    #[cfg(evanesce_loom)]
    pub(crate) use loom::thread::{Thread, current, park};
    #[cfg(evanesce_shuttle)]
    pub(crate) use shuttle::thread::{Thread, current, park, park_timeout};
    #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
    pub(crate) use std::thread::{Thread, current, park, park_timeout};

    #[cfg(evanesce_loom)]
    pub(crate) fn park_timeout(_: core::time::Duration) {
        unreachable!("time does not pass in a model of loom");
    }
}

/// A word that tells something to the thread alone that wrote it, the standard one in models too.
pub(crate) use core::sync::atomic::AtomicUsize as OwnWord;

per_thread! { static HERE: core::cell::Cell<u8> = core::cell::Cell::new(0) }

/// A number of this thread, which no other has that lives now.
pub(crate) fn this_thread() -> usize {
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

// The sweeper's thread and what is set once a process are the standard ones in models too: no
// model looks into them, and each would only add states.
#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
pub(crate) use once_box::OnceBox as ProcessBox;
#[cfg(any(evanesce_loom, evanesce_shuttle))]
pub(crate) use std::sync::OnceLock as ProcessBox;
pub(crate) use std::thread;

/// The locks of sweepers' timers.
pub(crate) mod timing {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

/// Lets other threads run. A unit test may say what they do meanwhile (`at_next_yield`).
pub(crate) fn yield_now() {
    #[cfg(test)]
    if let Some(meanwhile) = AT_YIELD.take() {
        meanwhile();
    }
    thread::yield_now();
}

/// Runs `meanwhile` in the next [`yield_now`] of this thread, in place of what the scheduler leaves to chance.
#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
pub(crate) fn at_next_yield(meanwhile: impl FnOnce() + 'static) {
    AT_YIELD.set(Some(Box::new(meanwhile)));
}

#[cfg(test)]
std::thread_local! {
    static AT_YIELD: core::cell::RefCell<Option<Box<dyn FnOnce()>>> =
        const { core::cell::RefCell::new(None) };
}

#[cfg(evanesce_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `core::cell::UnsafeCell` with the interface of loom's.
#[cfg(not(evanesce_loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(evanesce_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

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

#[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
use core::sync::atomic::fence as fence_as;
#[cfg(evanesce_loom)]
use loom::sync::atomic::fence as fence_as;
#[cfg(evanesce_shuttle)]
use shuttle::sync::atomic::fence as fence_as;

/// A fence; none if its ordering was [weakened](order).
#[inline]
pub(crate) fn fence(order: Ordering) {
    if !cfg!(planted) || order != Ordering::Relaxed {
        fence_as(order);
    }
}

/// A fence, of a thread that has made a read-modify-write since what it is to put before the fence. On x86-64 that is a
/// fence already, as each locked instruction is: there the compiler alone has to be told.
#[inline]
pub(crate) fn fence_behind_step(order: Ordering) {
    if cfg!(target_arch = "x86_64") && !MODEL && !cfg!(planted) {
        core::sync::atomic::compiler_fence(order);
    } else {
        fence(order);
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
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("EVANESCE_PLANTED").ok()).as_deref() == Some(name)
}

/// The ordering of an access, with a name by its place, under which `ci/planted.sh orderings` weakens it, to see
/// that a model then fails (DESIGN.md, section 11). Outside of `--cfg planted` it is the constant.
macro_rules! order {
    ($name:ident, $order:ident) => {{
        #[cfg(planted)]
        let order = crate::sync::weakened(stringify!($name), crate::sync::Ordering::$order);
        #[cfg(not(planted))]
        let order = crate::sync::Ordering::$order;
        order
    }};
}
pub(crate) use order;

/// `Relaxed` while the environment variable `EVANESCE_WEAKENED` is this name. With `/acquire` or `/release` behind it
/// an `AcqRel` loses that half.
#[cfg(planted)]
pub(crate) fn weakened(name: &str, order: Ordering) -> Ordering {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let named = NAME.get_or_init(|| std::env::var("EVANESCE_WEAKENED").ok()).as_deref();
    match named.and_then(|named| named.strip_prefix(name)) {
        Some("") => Ordering::Relaxed,
        Some("/acquire") => Ordering::Release,
        Some("/release") => Ordering::Acquire,
        _ => order,
    }
}
