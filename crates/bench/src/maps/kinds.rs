//! What maps do beside the calls of a [`Peer`].

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Peer;

/// How long the sweeper rests, as in its documentation.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// A map from numbers to numbers whose entries can expire.
pub(crate) trait Expiring: Send + Sync {
    /// Puts all of these, until a time or for ever.
    fn put(&self, keys: &[u64], until: Option<Instant>);
    /// Says how many of these are there and have not expired.
    fn count(&self, keys: &[u64]) -> usize;
    /// Says how many entries there are by the map's own count, expired ones that were not removed
    /// included.
    fn entries(&self) -> usize;
    /// Removes what has expired and gives memory back, in the map's own way.
    fn reap(&self);
    /// Whether a thread of the map's own does that every [`SWEEP_INTERVAL`].
    fn reaps_itself(&self) -> bool {
        false
    }
    /// Looks a key up and, if it is not there, puts it for a time; says whether it was there.
    fn request(&self, key: u64, ttl: Duration) -> bool;
    /// The same map, driven as others are.
    fn peer(&self) -> Option<&dyn Peer<u64>> {
        None
    }
}

/// A map of ours whose writes do not sweep.
pub(crate) trait Sweepable {
    /// Makes a full pass.
    fn sweep(&self) -> Pass;
}

/// What a full pass did.
pub(crate) struct Pass {
    pub(crate) removed: usize,
    /// What is removed, but whose slot is not free yet.
    pub(crate) pending: usize,
}

/// A map from numbers to numbers that tells all its entries.
pub(crate) trait Walked: Peer<u64> {
    /// Reads the key and the value of every entry; says how many there were.
    fn walk(&self) -> usize;
}

/// Reads every entry; says how many there were.
#[inline(always)]
pub(super) fn read_all(entries: impl Iterator<Item = (u64, u64)>) -> usize {
    let mut count = 0;
    for entry in entries {
        black_box(entry);
        count += 1;
    }
    count
}
