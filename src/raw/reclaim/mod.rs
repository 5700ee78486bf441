//! Reclamation: the guard, a writer's turn of a stripe, and the grace period of what is retired.

#[allow(unsafe_code)] // numbers behind a cell
pub(in crate::raw) mod batch;
pub(in crate::raw) mod guard;
#[allow(unsafe_code)] // owns boxes through raw pointers
pub(in crate::raw) mod limbo;
#[allow(unsafe_code)] // owns what a turn gives a writer
pub(in crate::raw) mod stripe;
