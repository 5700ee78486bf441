//! What optional features add.
#![cfg(any(feature = "rayon", feature = "serde"))]

use evanesce_testkit as common;

mod rayon;
mod serde;
