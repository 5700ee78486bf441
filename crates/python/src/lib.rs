//! `evanesce` for Python: [`TtlMap`](evanesce::TtlMap) as a key-value store and as a mapping.
//!
//! # Who may do what
//!
//! The rules are the same with the interpreter's lock and without it. *Attached* means: Python lets the thread touch
//! its objects, which with the lock one thread may at a time, and without it any number. *Pinned* means: the map
//! reclaims nothing that the thread may have met since its pin began.
//!
//! **Why a reference is alive when it is counted.** An entry holds two references, to its key and its value, each in a
//! [cell], until the map reclaims the entry. No call takes one out before. So a pinned thread may count another
//! reference to what a cell holds, whatever others do to the entry meanwhile: the cell's own is there as long as the
//! pin. That is all the protection a reader has, and all it needs: it asks nobody, and nobody waits for it. For the
//! same reason a reference that is given back while pinned is not the last one, if it was counted from a cell under
//! that pin.
//!
//! **When a reference is given back.** The map drops a cell a grace period after the entry has ended: when all pins are
//! over that may have met it. It does so on the thread that happens to reclaim, in the midst of its own work, so the
//! cell's reference goes to a list of that thread's. Whoever called the map empties the list when the call is over, and
//! before code of Python's may run: an attached thread gives back what is in it, when it is not pinned, as `__del__`
//! may call the store; the sweeper's thread, which is never attached, leaves it on the store's [list](expired), and
//! asks the main thread. Attached threads give back some of that with each call, too.
//!
//! **When that is.** If a write displaces something of which it shows when it is let go (all but small strings, bytes
//! and numbers), it has the map reclaim at once. Where no other thread is pinned the old value is gone when the call
//! returns. Where one is, or the sweeper's thread, a later write of any thread does it, or the next collection of
//! cycles; a walk over the store, which is pinned for long, does it at its end. What does not show waits for one write
//! in 61 of a thread.
//!
//! **An overwrite** replaces the entry by one of the same key object: value and deadline change in one step. **A
//! comparison may do anything**: raise, let other threads run, call the store. Nothing is decided before it that is not
//! looked at again after it, and its error leaves the map as it is.
//!
//! **Who waits for a lock of ours** may be attached, as none is held over anything that needs Python, with one
//! exception: the sweeper's thread is waited for detached. Else a sweep would hold up a thread that has to stop all
//! others. [`forks`] says what a fork has to do with it.
//!
//! # What is one step
//!
//! A call about one key is, and an entry is seen with a value and a deadline that it had at one moment. These are not,
//! even with the lock:
//!
//! - **Iteration, `copy`, `update` from a store, pickles.** A key that is there throughout comes once, with a value
//!   that it has meanwhile; one that comes or goes meanwhile may come or not. The walk detaches now and then, pinned.
//! - **`clear`** ends what is there when it begins; what is put meanwhile may go or stay.
//! - **`len`** sweeps, and then counts: what others put and remove meanwhile is counted or not. Alone it is exact.
//! - **`stats`** adds up figures that change meanwhile. Each lookup is counted once.
//!
//! # Collection of cycles
//!
//! Python's collector calls `__traverse__` twice, to see what is referred to from inside only, and what of that is
//! reachable. Meanwhile no thread is attached but the one that collects (without the lock all others are stopped, which
//! they are where they detach, or between two steps of Python's code). So entries are ended and references moved by the
//! sweeper's thread alone, and what it ends has expired.
//!
//! `__traverse__` has the map reclaim first, then visits the list, and then the cells of all entries that are linked,
//! expired or not. What is in its grace period because of a pinned thread is not visited: it counts as referred to from
//! elsewhere, and a later collection comes to it. A reference moves from cell to grace period to list; so it is met
//! once at most. If it is met the first time and missed the second, Python takes for garbage what nobody can get at any
//! more by the store; what is referred to from elsewhere it has counted there; and the reference is given back as ever.
//! Nobody can get at it:
//!
//! - An entry is judged by the clock after the last comparison, and what it holds is counted before the thread detaches
//!   or lets code of Python's run. So a thread that is stopped in a call either has counted its references, or will
//!   find that the entry has expired. A walk takes references to a batch of entries before it does anything with one of
//!   them.
//! - It cannot be alive again: it is renewed by an attached thread in the same way.
//! - A key that is being compared is counted for the comparison.
//!
//! A store that has held only strings, numbers and the like is not walked over. `clear` begins that anew, unless it
//! leaves something in its grace period.
//!
//! Traversing pins the thread, which waits for nothing and runs no code of Python's; it takes a little memory from the
//! system's allocator, not from Python's.

mod base;
#[allow(unsafe_code)] // calls Python by functions that may unwind
mod calls;
#[allow(unsafe_code)] // references to Python objects as pointers
mod cell;
mod clock;
mod duration;
#[allow(unsafe_code)] // asks the main thread to call
mod expired;
mod forks;
#[allow(unsafe_code)] // functions that Python calls
mod front;
mod functions;
mod key;
mod key_value_store;
mod late;
mod listener;
mod lookups;
mod options;
mod size;
mod store;
#[allow(unsafe_code)] // reads strings of Python's where they lie
mod strings;
#[allow(unsafe_code)] // asks which interpreter this is
mod sweeping;
mod threads;
mod timer;
mod ttl_map;

use pyo3::prelude::*;

/// The part of the package `evanesce` that is written in Rust.
#[pymodule(gil_used = false)]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult, front, sweeping};

    #[pymodule_export]
    use super::{
        base::Store, clock::ManualClock, key_value_store::KeyValueStore, size::TooLargeError,
        ttl_map::TtlMap,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        sweeping::refuse_subinterpreters()?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        front::put_in_front(module.py())?;
        sweeping::watch_the_process(module.py())
    }
}
