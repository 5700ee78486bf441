//! One load, and those who wait for it (docs/lab/loading.md).
//!
//! The token is changed by atomic steps alone: a write that makes the load lose does not wait. The rest is behind a lock,
//! under which no user's code runs: wakers and values come in and go out outside of it.

use core::{any::Any, task::Waker};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    vec,
};

use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, OwnWord, order, planted, this_thread};

/// What a load came to.
pub(crate) enum Outcome<V> {
    Value(Arc<V>),
    /// An error, of a type that whoever waited may not have asked for.
    Error(Arc<dyn Any + Send + Sync>),
}

impl<V> Clone for Outcome<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Value(value) => Self::Value(Arc::clone(value)),
            Self::Error(error) => Self::Error(Arc::clone(error)),
        }
    }
}

impl<V: Clone> Outcome<V> {
    /// The answer for who waited; `None` if it is an error of another type.
    pub(crate) fn answer<E: Clone + 'static>(self) -> Option<Result<V, E>> {
        match self {
            Self::Value(value) => Some(Ok(Arc::unwrap_or_clone(value))),
            Self::Error(error) => error.downcast_ref::<E>().map(|error| Err(error.clone())),
        }
    }
}

/// One load of a key.
pub(crate) struct Flight<V> {
    /// [`KILLED`] and the others.
    token: AtomicU32,
    /// The thread that is in the loader, or polls it; zero if none is.
    runs_on: OwnWord,
    shared: Mutex<Shared<V>>,
}

/// A write of the key came, or the leader was given up: nobody joins, and what is loaded is not kept.
const KILLED: u32 = 1;
/// What was loaded may be shown. It is one or the other first: `KILLED` then says that the write meets the entry.
const DECIDED: u32 = 2;
/// It is over, and nobody joins.
const CLOSED: u32 = 4;
/// It came to an error that is kept.
const KEPT: u32 = 8;

struct Shared<V> {
    phase: Phase<V>,
    /// Those who wait, in the order in which they came, each with its waker until it is woken.
    waiting: BTreeMap<u64, Option<Waker>>,
    next_ticket: u64,
}

enum Phase<V> {
    /// Somebody loads.
    Led,
    /// Nobody does. The first of those who wait was woken, and whoever of them looks first leads.
    Vacant,
    /// It came to this, and not all who waited have it.
    Done(Outcome<V>),
    /// It is over.
    Gone,
}

/// What one who waits is told.
pub(crate) enum Told<V> {
    /// To wait. The waker that it has left before, if any, comes back to be dropped.
    Wait(#[allow(dead_code, reason = "dropped by who is told")] Option<Waker>),
    /// To lead.
    Lead,
    Done(Outcome<V>),
    /// To look at the map again.
    Gone,
}

impl<V> Flight<V> {
    /// A load that somebody leads.
    pub(crate) fn new() -> Self {
        let shared = Shared { phase: Phase::Led, waiting: BTreeMap::new(), next_ticket: 0 };
        Self { token: AtomicU32::new(0), runs_on: OwnWord::new(0), shared: Mutex::new(shared) }
    }

    /// Nothing panics under the lock, but for memory that runs out.
    fn lock(&self) -> MutexGuard<'_, Shared<V>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The token.

    /// Makes it lose: what it loads goes to those who wait, and not into the map. One step.
    ///
    /// If it comes behind [`Flight::decide`], the caller sees what the leader has put. True if it has come to an error that
    /// was kept.
    pub(crate) fn kill(&self) -> bool {
        // Acquire (O13): what the leader has put.
        !planted!(load_not_killed)
            && self.token.fetch_or(KILLED, order!(load_killed, Acquire)) & KEPT != 0
    }

    /// Whether it has come to an error that is kept no longer.
    pub(crate) fn is_forgotten(&self) -> bool {
        // Relaxed: a hint.
        self.token.load(Ordering::Relaxed) & (KILLED | KEPT) == KILLED | KEPT
    }

    /// Whether what was loaded may be shown: it has not lost so far. Asked once, when it is put.
    pub(crate) fn decide(&self) -> bool {
        if planted!(token_not_compared) {
            self.token.fetch_or(DECIDED, Ordering::AcqRel); // planted
            return true;
        }
        // Release (O13): what was put. Relaxed: nothing follows from a loss.
        let (decided, lost) = (order!(load_decided, Release), Ordering::Relaxed);
        self.token.compare_exchange(0, DECIDED, decided, lost).is_ok()
    }

    /// Whether it has lost.
    pub(crate) fn is_killed(&self) -> bool {
        // Relaxed: a hint.
        self.token.load(Ordering::Relaxed) & KILLED != 0
    }

    /// Whether somebody may join it. Acquire: who does not, sees what those did who closed or killed it.
    pub(crate) fn is_open(&self) -> bool {
        self.token.load(order!(load_joined, Acquire)) & (KILLED | CLOSED) == 0
    }

    /// Lets nobody join any more. Release: what was put, to whoever looks at the map again.
    fn close(&self, bits: u32) {
        self.token.fetch_or(bits, order!(load_closed, Release));
    }

    /// The error that it came to, if that is kept and of this type.
    pub(crate) fn kept_error<E: 'static>(&self) -> Option<Outcome<V>> {
        // Relaxed: the lock orders the rest.
        if self.token.load(Ordering::Relaxed) & (KILLED | KEPT) != KEPT {
            return None;
        }
        match &self.lock().phase {
            Phase::Done(Outcome::Error(error)) if error.is::<E>() => {
                Some(Outcome::Error(Arc::clone(error)))
            }
            _ => None,
        }
    }

    /// Runs `f`, which is in the loader or polls it.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Back<'f>(&'f OwnWord, usize);

        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }

        // Relaxed, all: only its own number means anything to a thread.
        let _back = Back(&self.runs_on, self.runs_on.swap(this_thread(), Ordering::Relaxed));
        f()
    }

    /// Whether this thread is in the loader.
    pub(crate) fn runs_here(&self) -> bool {
        self.runs_on.load(Ordering::Relaxed) == this_thread()
    }

    // Those who wait.

    /// Tells one who waits how it stands, and keeps its waker if it is to wait.
    pub(crate) fn look(&self, ticket: &mut Option<u64>, waker: Waker) -> Told<V> {
        let mut shared = self.lock();
        let Shared { phase, waiting, next_ticket } = &mut *shared;
        if matches!(phase, Phase::Led) {
            let ticket = *ticket.get_or_insert_with(|| {
                *next_ticket += 1;
                *next_ticket
            });
            return Told::Wait(waiting.insert(ticket, Some(waker)).flatten());
        }
        // Its waker was taken when it was woken; or else it is dropped behind the lock.
        let _woken = ticket.take().and_then(|ticket| waiting.remove(&ticket));
        let told = match phase {
            Phase::Vacant => {
                *phase = Phase::Led;
                Told::Lead
            }
            Phase::Done(outcome) => Told::Done(outcome.clone()),
            Phase::Led | Phase::Gone => Told::Gone,
        };
        let _last = self.forget_outcome(&mut shared);
        drop(shared);
        told
    }

    /// One who waited goes without an answer. True if it was the last, and nobody leads: then the load is over.
    pub(crate) fn leave(&self, ticket: u64) -> bool {
        let mut shared = self.lock();
        let _waker = shared.waiting.remove(&ticket);
        let is_vacant = matches!(shared.phase, Phase::Vacant);
        let (heir, _last) = if is_vacant {
            (self.hand_over(&mut shared), None)
        } else {
            (None, self.forget_outcome(&mut shared))
        };
        let is_over = is_vacant && matches!(shared.phase, Phase::Gone);
        drop(shared);
        wake(heir);
        is_over
    }

    /// The leader goes without an outcome: one of those who wait is to lead. True if there is none: then the load is over.
    pub(crate) fn forsake(&self) -> bool {
        let mut shared = self.lock();
        if planted!(waiters_stranded) && !shared.waiting.is_empty() {
            return false;
        }
        shared.phase = Phase::Vacant;
        let heir = self.hand_over(&mut shared);
        let is_over = matches!(shared.phase, Phase::Gone);
        drop(shared);
        wake(heir);
        is_over
    }

    /// Of a vacant load: the waker of the one who is to lead, if it was not woken before. Ends it if there is nobody.
    fn hand_over(&self, shared: &mut Shared<V>) -> Option<Waker> {
        let Some(mut first) = shared.waiting.first_entry() else {
            shared.phase = Phase::Gone;
            // It leaves the table, where writes look for it: so nobody is to lead it any more.
            self.close(KILLED | CLOSED);
            return None;
        };
        first.get_mut().take()
    }

    /// Whether anybody waits for what was loaded. If not, it is over.
    pub(crate) fn is_awaited(&self) -> bool {
        let mut shared = self.lock();
        let is_awaited = !shared.waiting.is_empty();
        if !is_awaited {
            shared.phase = Phase::Gone;
            self.close(CLOSED);
        }
        is_awaited
    }

    /// Gives an outcome to all who wait, and keeps it for later ones if it is an error that is to be kept.
    pub(crate) fn deliver(&self, outcome: Outcome<V>, kept: bool) {
        let mut shared = self.lock();
        shared.phase = Phase::Done(outcome);
        self.close(if kept { CLOSED | KEPT } else { CLOSED });
        let wakers: Vec<_> = shared.waiting.values_mut().filter_map(Option::take).collect();
        let _none_waits = self.forget_outcome(&mut shared);
        drop(shared);
        wake(wakers);
    }

    /// Takes the outcome of a load that is done when nobody waits for it: it is dropped by the caller, behind the lock.
    fn forget_outcome(&self, shared: &mut Shared<V>) -> Option<Phase<V>> {
        let is_kept = || self.token.load(Ordering::Relaxed) & KEPT != 0;
        let is_last = matches!(shared.phase, Phase::Done(_)) && shared.waiting.is_empty();
        (is_last && !is_kept()).then(|| core::mem::replace(&mut shared.phase, Phase::Gone))
    }
}

/// Wakes all, also if a waker panics.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    struct Rest(vec::IntoIter<Waker>);

    impl Rest {
        fn wake_all(&mut self) {
            self.0.by_ref().for_each(Waker::wake);
        }
    }

    impl Drop for Rest {
        fn drop(&mut self) {
            self.wake_all();
        }
    }

    Rest(wakers.into_iter().collect::<Vec<_>>().into_iter()).wake_all();
}
