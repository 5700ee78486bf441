//! What optional features add.
#![cfg(any(feature = "rayon", feature = "serde"))]

#[path = "../common/mod.rs"]
mod common;

mod rayon;
mod serde;
