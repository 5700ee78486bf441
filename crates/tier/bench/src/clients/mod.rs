//! Those who are compared: clients that keep what they read until the server says that it has changed.

mod by_hand;
mod fred;
mod ours;
mod redis;
mod rustis;

use std::{error::Error, time::Duration};

pub(crate) use self::{
    by_hand::MokaByHand,
    fred::FredMoka,
    ours::{BCast, OptIn, tier},
    redis::{CacheAio, bare, bytes},
    rustis::{RustisGet, RustisMget},
};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What all keys begin with: a tier that tracks by prefix has one.
pub(crate) const PREFIX: &str = "b:";
/// How long each of them keeps what it reads, at most. No run takes that long.
pub(crate) const NEAR_TTL: Duration = Duration::from_secs(600);
/// How long an answer may take: a busy machine is silent for longer than servers are.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How many keys each keeps, at most: more than a run has.
pub(crate) const MAX_ENTRIES: usize = 200_000;

/// A client that keeps what it reads. A clone is another handle of the same.
///
/// `get` takes `&mut self` as redis-rs does, so that no call pays for a clone of a handle.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    type Value: Send;

    fn connect(url: &str) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// The value of the key with this full name, from memory or the server.
    fn get(
        &mut self,
        key: &str,
    ) -> impl Future<Output = Result<Option<Self::Value>, Failure>> + Send;

    fn bytes(value: &Self::Value) -> &[u8];
}
