//! What may run side by side, since no test here looks at what other maps' pins and threads hold up: the plain calls, the
//! bound, and the checker of histories.

#[path = "../common/mod.rs"]
mod common;

mod api;
mod bound;
mod checker;
