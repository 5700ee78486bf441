//! This library. Its entrants are in a file of their own, which `before.rs` compiles for an older build; here
//! is what only the present build has.

use std::hint::black_box;
use std::sync::Arc;

use ::evanesce as library;
use library::{TickClock, TtlMap};

use super::{Bounded, Hasher, RENEW, hasher};

pub(super) mod entrants;

/// An empty map whose deadlines are judged by a word in which a thread keeps the time.
pub(super) fn ticking<K>() -> entrants::Shared<K> {
    let map = TtlMap::builder().hasher(hasher()).clock(TickClock::shared()).build();
    Arc::new(map.expect("all numbers are the defaults"))
}

/// An empty map that may hold so many entries.
pub(super) fn bounded(entries: usize) -> TtlMap<u64, u64, Hasher> {
    let map = TtlMap::builder().hasher(hasher()).max_entries(entries).build();
    map.expect("a bound is neither 0 nor past the slots")
}

impl Bounded for TtlMap<u64, u64, Hasher> {
    fn request(&self, keys: &[u64]) -> usize {
        let mut pinned = self.pin();
        let mut found = 0;
        for chunk in keys.chunks(RENEW) {
            pinned.repin();
            for key in chunk {
                if let Some(value) = pinned.get(black_box(key)) {
                    black_box(*value);
                    found += 1;
                } else {
                    black_box(pinned.insert(*key, !key));
                }
            }
        }
        found
    }

    fn get(&self, keys: &[u64]) -> usize {
        let pinned = self.pin();
        let is_there = |key: &&u64| black_box(pinned.get(black_box(*key)).copied()).is_some();
        keys.iter().filter(is_there).count()
    }

    fn entries(&self) -> usize {
        self.len()
    }
}
