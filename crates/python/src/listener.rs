//! Who is told of the end of each entry: a function of Python's.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use evanesce::RemovalCause;
use pyo3::{PyTraverseError, PyVisit, intern, prelude::*, types::PyString};

use crate::{
    calls,
    functions::{Function, Functions},
    threads::locked,
};

/// An entry that has ended, and is to be told of.
struct End {
    key: Py<PyAny>,
    value: Py<PyAny>,
    cause: RemovalCause,
}

/// The map tells of an end while the thread is pinned, or on the sweeper's thread, where nothing of Python's may run.
/// So the end waits here until a thread is neither: at the end of a call, or of the next one.
pub(crate) struct Listener {
    functions: Arc<Functions>,
    /// Held for a push, a pop or a traversal, and never over a call into Python.
    waiting: Mutex<VecDeque<End>>,
}

/// A listener's calls end entries that are told of when it returns. If that goes on, the rest waits for the next call
/// of the store after so many times: else a listener that puts each entry again into a full store would never return.
const ROUNDS: usize = 100;
/// A list that was longer does not keep its memory.
const MANY: usize = 1024;

thread_local! {
    /// The listeners that this thread is in, by their addresses.
    static TELLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// That this thread is in a listener.
struct Telling(usize);

impl Telling {
    /// `None` if it is so by now.
    fn begin(listener: usize) -> Option<Self> {
        TELLING.with_borrow_mut(|telling| {
            let is_in = telling.contains(&listener);
            (!is_in).then(|| telling.push(listener))
        })?;
        Some(Self(listener))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.with_borrow_mut(|telling| telling.retain(|listener| *listener != self.0));
    }
}

impl Listener {
    pub(crate) fn new(functions: Arc<Functions>) -> Self {
        Self { functions, waiting: Mutex::default() }
    }

    /// Notes the end of an entry. On any thread, attached or not.
    pub(crate) fn note(&self, key: Py<PyAny>, value: Py<PyAny>, cause: RemovalCause) {
        locked(&self.waiting).push_back(End { key, value, cause });
    }

    /// Tells of all that waits; whether none is left. The thread must not be pinned.
    pub(crate) fn tell(&self, py: Python<'_>) -> bool {
        let Some(_telling) = Telling::begin(std::ptr::from_ref(self).addr()) else { return false };
        for _ in 0..ROUNDS {
            let waiting = locked(&self.waiting).len();
            if waiting == 0 {
                return true;
            }
            for _ in 0..waiting {
                // Another thread may be telling as well.
                let Some(end) = self.pop() else { break };
                self.tell_of(py, end);
            }
        }
        false
    }

    fn pop(&self) -> Option<End> {
        let mut waiting = locked(&self.waiting);
        let end = waiting.pop_front();
        if waiting.is_empty() {
            waiting.shrink_to(MANY);
        }
        end
    }

    fn tell_of(&self, py: Python<'_>, End { key, value, cause }: End) {
        // The collector of cycles has let it go: nobody can get at the store any more.
        let Some(function) = self.functions.get(py, Function::Listener) else {
            return calls::give_back(py, [key, value]);
        };
        let cause = cause_name(py, cause).as_any();
        let told = calls::call_with_three(function.bind(py), [key.bind(py), value.bind(py), cause]);
        let result = match told {
            Ok(result) => Some(result.unbind()),
            Err(error) => {
                calls::write_unraisable(error, function.bind(py));
                None
            }
        };
        calls::give_back(py, [key, value, function].into_iter().chain(result));
    }

    /// Takes all that waits, not to be told of.
    pub(crate) fn take_all(&self) -> Vec<Py<PyAny>> {
        let waiting = std::mem::take(&mut *locked(&self.waiting));
        waiting.into_iter().flat_map(|end| [end.key, end.value]).collect()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The sweeper is adding to it: then these are as good as referred to from elsewhere.
        let Ok(waiting) = self.waiting.try_lock() else { return Ok(()) };
        waiting.iter().try_for_each(|end| {
            visit.call(&end.key)?;
            visit.call(&end.value)
        })
    }
}

fn cause_name(py: Python<'_>, cause: RemovalCause) -> &Bound<'_, PyString> {
    match cause {
        RemovalCause::Expired => intern!(py, "expired"),
        RemovalCause::Explicit => intern!(py, "explicit"),
        RemovalCause::Replaced => intern!(py, "replaced"),
        // `Size`, and what a later version of the library may have.
        _ => intern!(py, "size"),
    }
}
