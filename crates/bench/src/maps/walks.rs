//! Maps that can be walked over, each in the way of its lookups: under one guard, where it has guards.

use std::hint::black_box;

use dashmap::DashMap;

#[cfg(feature = "before")]
use super::{BEFORE, before};
use super::{DASHMAP, EVANESCE, Hasher, PAPAYA, Peer, SCC_INDEX, evanesce, hasher};

/// A map from numbers to numbers that tells all its entries.
pub(crate) trait Walked: Peer<u64> {
    /// Reads the key and the value of every entry; says how many there were.
    fn walk(&self) -> usize;
}

/// An empty map to which no capacity was given.
pub(crate) fn walked(name: &str) -> Box<dyn Walked> {
    match name {
        EVANESCE => evanesce::entrants::walked(),
        #[cfg(feature = "before")]
        BEFORE => before::entrants::walked(),
        PAPAYA => Box::new(papaya::HashMap::<u64, u64, Hasher>::with_hasher(hasher())),
        DASHMAP => Box::new(DashMap::<u64, u64, Hasher>::with_hasher(hasher())),
        SCC_INDEX => Box::new(scc::HashIndex::<u64, u64, Hasher>::with_hasher(hasher())),
        other => unreachable!("no map that is walked over is called {other}"),
    }
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

impl Walked for papaya::HashMap<u64, u64, Hasher> {
    fn walk(&self) -> usize {
        read_all(self.pin().iter().map(|(key, value)| (*key, *value)))
    }
}

impl Walked for DashMap<u64, u64, Hasher> {
    fn walk(&self) -> usize {
        read_all(self.iter().map(|entry| (*entry.key(), *entry.value())))
    }
}

impl Walked for scc::HashIndex<u64, u64, Hasher> {
    fn walk(&self) -> usize {
        read_all(self.iter(&scc::Guard::new()).map(|(key, value)| (*key, *value)))
    }
}
