//! The package is there for its examples.
