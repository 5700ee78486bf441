//! What other crates' traits ask of a map, each behind its feature.

#[cfg(feature = "serde")]
mod serde;
