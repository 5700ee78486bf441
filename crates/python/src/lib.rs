//! `evanesce` for Python: [`TtlMap`](evanesce::TtlMap) as a key-value store and as a mapping.
//!
//! # Who may do what
//!
//! An entry of the map holds two references to Python objects, its key's and its value's, each in a [cell] that is
//! emptied once. The rules, in which *attached* means: holds the interpreter's lock.
//!
//! - **Only attached threads count references.** Whoever is attached may clone what a cell holds, since a reference
//!   that is taken out meanwhile is given back by an attached thread, and so not before this one lets go.
//! - **What is removed or overwritten** is taken out of its cell by the thread that does it, and given back once
//!   it is not pinned any more: `__del__` may call the store. What the map reclaims later is an empty cell.
//! - **What has expired** is ended by whoever sweeps: a write, or the sweeper's thread, which is never attached. The
//!   map's listener moves its references to a [list](expired); attached threads give them back, in batches: those that
//!   write to the store, and the main thread, which the sweeper asks to.
//! - **What has to go for the sake of a maximum** is ended by the write of an attached thread. The listener moves its
//!   references to the end of that list, from where this thread gives them back first.
//! - **Where a function of Python's is told of ends** the map's listener moves all that has ended, removed and
//!   replaced entries too, to a [queue](listener). Who gives back references from the list calls that function first: no
//!   thread is pinned there. Such a store, and one whose values have sizes, overwrites by a new entry, so that the map knows.
//! - **A value is overwritten in place** elsewhere, its deadline first. Between the two the thread stays attached, so that no
//!   one sees one without the other; and once the deadline is put off, no sweep ends the entry.
//! - **A comparison may do anything**: raise, let other threads run, call the store. So it is made with a reference of
//!   its own to the key it meets, nothing is decided before it that is not looked at again after it, and its error
//!   leaves the map as it is.
//!
//! - **Who walks over many entries stays pinned, and detaches now and then.** It looks at a batch of entries while it
//!   is attached, so none of them is emptied meanwhile but by the sweeper. `calls` counts these pins, for the case of a
//!   fork.
//!
//! # Collection of cycles
//!
//! `__traverse__` visits the list of what has expired, and then the cells of all entries that are linked, expired or
//! not. Python's collector calls it twice, to see what is referred to from inside only, and what of that is reachable.
//! Meanwhile no thread is attached but the one that collects, so cells are emptied by the sweeper's thread alone, of
//! entries that have expired. A reference moves from cell to list; as the list comes first, it is met once at most. If
//! it is met the first time and missed the second, Python takes for garbage what nobody can get at any more by the
//! store; what is referred to from elsewhere it has counted there; and the list gives its reference back as ever. It
//! cannot be alive again: an entry is renewed by an attached thread, which reads the clock after its last comparison
//! and does not let go before it is done.
//!
//! Traversing pins the thread, which waits for nothing and runs no code of Python's; the first time on a thread it
//! takes a little memory from the system's allocator, not from Python's.

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
mod functions;
mod key;
mod key_value_store;
mod late;
mod listener;
mod lookups;
mod options;
mod size;
mod store;
#[allow(unsafe_code)] // asks which interpreter this is
mod sweeping;
mod timer;
mod ttl_map;

use pyo3::prelude::*;

/// The part of the package `evanesce` that is written in Rust.
#[pymodule(gil_used = false)]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult, sweeping};

    #[pymodule_export]
    use super::{
        base::Store, clock::ManualClock, key_value_store::KeyValueStore, size::TooLargeError,
        ttl_map::TtlMap,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        sweeping::refuse_subinterpreters()?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        sweeping::watch_the_process(module.py())
    }
}
