//! This library. Its entrants are in a file of their own, which `before.rs` compiles for an older build.

use ::evanesce as library;

pub(super) mod entrants;
