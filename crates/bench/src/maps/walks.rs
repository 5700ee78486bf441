//! Maps that can be walked over, each in the way of its lookups: under one guard, where it has guards.

use dashmap::DashMap;

use super::kinds::{Walked, read_all};
#[cfg(feature = "before")]
use super::{BEFORE, before};
use super::{DASHMAP, EVANESCE, Hasher, PAPAYA, SCC_INDEX, evanesce, hasher};

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
