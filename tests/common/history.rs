//! Histories of operations, recorded and checked.
