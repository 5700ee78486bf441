//! Memory: taken, found by a number, kept account of, given back.

#[allow(unsafe_code)] // indexes the records unchecked
pub(in crate::raw) mod blocks;
#[allow(unsafe_code)] // asks the processor for a line
pub(in crate::raw) mod cache;
#[allow(unsafe_code)] // raw memory
pub(in crate::raw) mod chunked;
#[allow(unsafe_code)] // raw memory
pub(in crate::raw) mod pages;
#[allow(unsafe_code)] // overwrites emptied entries in debug builds
pub(in crate::raw) mod poison;
mod stretch;
#[allow(unsafe_code)] // a word in a page of its own
pub(in crate::raw) mod wiped;
