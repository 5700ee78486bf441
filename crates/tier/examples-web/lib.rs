//! The package is there for its examples, and to build the code of the guide.

#[doc = include_str!("../GUIDE.md")]
pub mod guide {}
