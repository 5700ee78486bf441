//! Maps whose entries expire: evanesce and moka, and the maps that do it by hand.
//!
//! * evanesce runs as one would run it: with a `Sweeper` of the documentation's settings (a full pass
//!   every 100 ms) beside the share of sweeping that each write does by default. `+ticks` judges deadlines by a
//!   `TickClock`.
//! * moka gets each entry's time to live from an `Expiry`. It has no thread of its own: what is due is
//!   removed by whoever calls it.
//! * papaya and dashmap carry the deadline in the value, as one writes it by hand. A look-up checks it;
//!   memory comes back by `retain`, and dashmap's `shrink_to_fit`.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use moka::Expiry;

use super::caches::Moka;
use super::kinds::{Expiring, Sweepable};
#[cfg(feature = "before")]
use super::{BEFORE, BEFORE_TTL, before};
use super::{
    DASHMAP, EVANESCE, EVANESCE_TICKS, EVANESCE_TTL, Hasher, MOKA, PAPAYA, Peer, RENEW, evanesce,
    hasher,
};

/// An empty map to which no capacity was given.
pub(crate) fn expiring(name: &str) -> Box<dyn Expiring> {
    match name {
        EVANESCE => evanesce::entrants::expiring(evanesce::entrants::fresh()),
        EVANESCE_TICKS => evanesce::entrants::expiring(evanesce::ticking()),
        #[cfg(feature = "before")]
        BEFORE => before::entrants::expiring(before::entrants::fresh()),
        MOKA => Box::new(moka()),
        PAPAYA => Box::new(papaya::HashMap::<u64, Dated, Hasher>::with_hasher(hasher())),
        DASHMAP => Box::new(DashMap::<u64, Dated, Hasher>::with_hasher(hasher())),
        other => unreachable!("no map that expires is called {other}"),
    }
}

/// The map of an entrant of ours, swept by hand, with the first `n` keys until a time or for ever.
pub(crate) fn sweepable(name: &str, n: usize, until: Option<Instant>) -> Box<dyn Sweepable> {
    match name {
        EVANESCE | EVANESCE_TTL => evanesce::entrants::sweepable(n, until),
        #[cfg(feature = "before")]
        BEFORE | BEFORE_TTL => before::entrants::sweepable(n, until),
        other => unreachable!("no map of ours is called {other}"),
    }
}

thread_local! {
    /// For how long what this thread puts next shall live.
    static TTL: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Asks the thread that inserts, which is the one moka asks on; a value need not carry its deadline.
struct AskTheThread;

impl Expiry<u64, u64> for AskTheThread {
    fn expire_after_create(&self, _: &u64, _: &u64, _: Instant) -> Option<Duration> {
        TTL.get()
    }

    fn expire_after_update(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        TTL.get()
    }
}

fn moka() -> Moka<u64> {
    moka::sync::Cache::<u64, u64>::builder().expire_after(AskTheThread).build_with_hasher(hasher())
}

impl Expiring for Moka<u64> {
    fn put(&self, keys: &[u64], until: Option<Instant>) {
        for chunk in keys.chunks(RENEW) {
            TTL.set(until.map(|until| until.saturating_duration_since(Instant::now())));
            for key in chunk {
                self.insert(*key, !key);
            }
        }
    }

    fn count(&self, keys: &[u64]) -> usize {
        keys.iter().filter(|key| self.contains_key(*key)).count()
    }

    fn entries(&self) -> usize {
        self.entry_count() as usize
    }

    fn reap(&self) {
        self.run_pending_tasks();
    }

    fn request(&self, key: u64, ttl: Duration) -> bool {
        let hit = self.get(&key).is_some();
        if !hit {
            TTL.set(Some(ttl));
            self.insert(key, !key);
        }
        hit
    }

    fn peer(&self) -> Option<&dyn Peer<u64>> {
        Some(self)
    }
}

/// A value that knows until when it counts, as one writes it by hand.
#[derive(Clone, Copy)]
struct Dated {
    value: u64,
    /// Nanoseconds after the first use of this; an `Instant` would take twice the room.
    until: u64,
}

impl Dated {
    const NEVER: u64 = u64::MAX;

    fn new(key: u64, until: Option<Instant>) -> Self {
        let nanos = |until: Instant| until.saturating_duration_since(Self::origin()).as_nanos();
        Self { value: !key, until: until.map_or(Self::NEVER, |until| nanos(until) as u64) }
    }

    /// The value, if it counts now.
    fn get(&self) -> Option<u64> {
        let counts =
            self.until == Self::NEVER || (Self::origin().elapsed().as_nanos() as u64) < self.until;
        counts.then_some(self.value)
    }

    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}

impl Expiring for papaya::HashMap<u64, Dated, Hasher> {
    fn put(&self, keys: &[u64], until: Option<Instant>) {
        for chunk in keys.chunks(RENEW) {
            let pinned = self.pin();
            for key in chunk {
                pinned.insert(*key, Dated::new(*key, until));
            }
        }
    }

    fn count(&self, keys: &[u64]) -> usize {
        let pinned = self.pin();
        keys.iter().filter(|key| pinned.get(*key).and_then(Dated::get).is_some()).count()
    }

    fn entries(&self) -> usize {
        self.len()
    }

    fn reap(&self) {
        self.pin().retain(|_, dated| dated.get().is_some());
    }

    fn request(&self, key: u64, ttl: Duration) -> bool {
        let pinned = self.pin();
        let hit = pinned.get(&key).and_then(Dated::get).is_some();
        if !hit {
            pinned.insert(key, Dated::new(key, Instant::now().checked_add(ttl)));
        }
        hit
    }
}

impl Expiring for DashMap<u64, Dated, Hasher> {
    fn put(&self, keys: &[u64], until: Option<Instant>) {
        for key in keys {
            self.insert(*key, Dated::new(*key, until));
        }
    }

    fn count(&self, keys: &[u64]) -> usize {
        keys.iter().filter(|key| self.get(*key).is_some_and(|dated| dated.get().is_some())).count()
    }

    fn entries(&self) -> usize {
        self.len()
    }

    fn reap(&self) {
        self.retain(|_, dated| dated.get().is_some());
        self.shrink_to_fit();
    }

    fn request(&self, key: u64, ttl: Duration) -> bool {
        // Not in the condition: its guard would live through the insert, and that would wait for it.
        let hit = self.get(&key).and_then(|dated| dated.get()).is_some();
        if !hit {
            self.insert(key, Dated::new(key, Instant::now().checked_add(ttl)));
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::entrants;

    #[test]
    fn entries_are_there_until_their_deadline_in_every_map() {
        let hour = Duration::from_secs(3600);
        for name in entrants(&[EVANESCE, EVANESCE_TICKS, MOKA, PAPAYA, DASHMAP]) {
            let map = expiring(name);
            let keys: Vec<u64> = (0..200).collect();
            map.put(&keys[..100], None);
            map.put(&keys[100..150], Some(Instant::now() + hour));
            // A tick is late by far less.
            let past = Instant::now().checked_sub(hour).expect("the clock began before that");
            map.put(&keys[150..], Some(past));
            assert_eq!(map.count(&keys), 150, "{name}");
            map.reap();
            assert_eq!(map.count(&keys), 150, "{name}");
            // moka's timers go by the second.
            assert!(map.entries() == 150 || name == MOKA, "{name}: {}", map.entries());
            assert!(map.request(0, Duration::ZERO), "{name}");
            assert!(!map.request(500, hour), "{name}");
            assert!(map.request(500, Duration::ZERO), "{name}");
            assert!(!map.request(501, Duration::ZERO), "{name}");
            assert!(!map.request(501, Duration::ZERO), "{name}");
        }
    }
}
