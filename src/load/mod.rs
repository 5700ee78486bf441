//! One load for all who wait: getting a value that is made when it is not there (docs/lab/loading.md).

#[cfg(feature = "async")]
mod asynchronous;
mod blocking;
mod flight;
#[allow(unsafe_code)] // flights go with their map to another thread
mod flights;
mod options;
mod steps;

#[cfg(all(test, evanesce_loom, not(crossbeam_loom)))]
#[allow(unsafe_code)] // looks into a cell of the model
mod models;

pub(crate) use flights::Loads;
pub use options::{Load, Loaded, NoSleep, Sleep};
