//! The operations, each from top to bottom.

mod change;
pub(in crate::raw) mod compute;
#[allow(unsafe_code)] // owns an entry in a slot
pub(in crate::raw) mod draft;
mod iterate;
mod load;
pub(in crate::raw) mod put;
mod read;
pub(in crate::raw) mod refresh;
mod retain;
