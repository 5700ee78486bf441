#![doc = include_str!("../README.md")]

// From the bottom up: a module uses those above it.
#[macro_use]
mod planted;
mod address;
mod builder;
mod cluster;
mod codec;
mod error;
mod gate;
mod lease;
mod link;
mod load;
mod near;
mod observe;
mod options;
mod request;
mod routes;
mod servers;
mod slots;
mod socket;
mod stats;
mod sync;
mod threads;
mod tier;
mod topology;
mod view;
mod wire;

#[cfg(all(test, evanesce_shuttle))]
mod model;
#[cfg(all(test, evanesce_shuttle))]
mod model_cluster;
#[cfg(all(test, evanesce_shuttle))]
mod model_threads;

// The page as docs, whose code is tested.
#[doc = include_str!("../GUIDE.md")]
pub mod guide {}

pub use builder::TierBuilder;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{Bytes, Codec};
pub use error::Error;
pub use link::State;
pub use load::Load;
pub use options::Tracking;
pub use stats::Stats;
pub use tier::Tier;
