//! The packed words, and the numbers in them.

pub(in crate::raw) mod key;
pub(in crate::raw) mod numbers;
pub(in crate::raw) mod state;
