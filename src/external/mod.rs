//! What other crates' traits ask of a map, each behind its feature.

#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
