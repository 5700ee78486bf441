//! A small map with entries in every state, and every operation on it as a value.

use super::hashers::Hashing;
use super::sites::{Probe, Site, SiteClock, SiteKey, SiteVal, hit};
use super::tally::Tally;
use super::{assert_slots_accounted, builder, ns, settle};
use evanesce::{Budget, Deadline, ManualClock, TtlMap};
use std::cell::Cell;
use std::collections::BTreeMap;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    GetCloned,
    ContainsKey,
    Ttl,
    Iter,
    Stats,
    Insert,
    InsertTtl,
    InsertDeadline,
    TryInsert,
    GetOrInsert,
    Update,
    Remove,
    SetTtl,
    Clear,
    Sweep,
    FullPass,
}

impl Call {
    pub(crate) const ALL: [Self; 17] = [
        Self::Get,
        Self::GetCloned,
        Self::ContainsKey,
        Self::Ttl,
        Self::Iter,
        Self::Stats,
        Self::Insert,
        Self::InsertTtl,
        Self::InsertDeadline,
        Self::TryInsert,
        Self::GetOrInsert,
        Self::Update,
        Self::Remove,
        Self::SetTtl,
        Self::Clear,
        Self::Sweep,
        Self::FullPass,
    ];
}

/// Keys below this are live in a new world.
pub(crate) const LIVE: u64 = 6;
/// This key is expired and not yet swept.
pub(crate) const EXPIRED: u64 = 7;
/// This key is absent.
pub(crate) const ABSENT: u64 = 9;

/// A map with keys that are live, expired, removed and absent.
pub(crate) struct World {
    pub(crate) map: TtlMap<SiteKey, SiteVal, Hashing>,
    pub(crate) clock: ManualClock,
    pub(crate) tally: Tally,
    last: Cell<u64>,
}

impl World {
    pub(crate) fn new(hashing: Hashing) -> Self {
        let (clock, tally) = (ManualClock::new(), Tally::new());
        let map = builder()
            .hasher(hashing)
            .sweep_per_write(2)
            .clock(SiteClock(clock.clone()))
            .build()
            .expect("valid options");
        let world = Self { map, clock, tally, last: Cell::new(0) };
        {
            let pin = world.map.pin();
            for n in 0..LIVE {
                pin.insert(world.key(n), world.val(n));
            }
            // Two removed keys, whose memory is pending; two replaced values likewise.
            for n in [EXPIRED + 1, ABSENT] {
                pin.insert(world.key(n), world.val(n));
                pin.remove(&Probe(n));
            }
            for n in 0..2 {
                pin.insert(world.key(n), world.val(n));
            }
            for n in [LIVE, EXPIRED] {
                pin.insert_with_ttl(world.key(n), world.val(n), ns(10));
            }
        }
        world.clock.advance(ns(10));
        world
    }

    pub(crate) fn key(&self, n: u64) -> SiteKey {
        SiteKey::new(n, &self.tally)
    }

    /// A fresh value that belongs to key `n`.
    pub(crate) fn val(&self, n: u64) -> SiteVal {
        self.last.set(self.last.get() + 1);
        SiteVal::new(n * 1_000_000 + self.last.get(), &self.tally)
    }

    /// Does the call, asserting that every value it answers with belongs to the key.
    pub(crate) fn perform(&self, call: Call, n: u64) {
        let pin = self.map.pin();
        let got = match call {
            Call::Get => pin.get(&Probe(n)),
            Call::GetCloned => {
                if let Some(value) = self.map.get_cloned(&Probe(n)) {
                    belongs(n, &value);
                }
                None
            }
            Call::ContainsKey => {
                pin.contains_key(&Probe(n));
                None
            }
            Call::Ttl => {
                pin.ttl(&Probe(n));
                None
            }
            Call::Iter => {
                for (key, value) in &pin {
                    belongs(key.n, value);
                }
                None
            }
            Call::Stats => {
                assert!(self.map.stats().len <= 20);
                None
            }
            Call::Insert => pin.insert(self.key(n), self.val(n)),
            Call::InsertTtl => pin.insert_with_ttl(self.key(n), self.val(n), ns(5)),
            Call::InsertDeadline => {
                pin.insert_with_deadline(self.key(n), self.val(n), Deadline::NEVER)
            }
            Call::TryInsert => match pin.try_insert(self.key(n), self.val(n)) {
                Ok(value) => Some(value),
                Err(occupied) => Some(occupied.current),
            },
            Call::GetOrInsert => Some(pin.get_or_insert_with(self.key(n), || {
                hit(Site::Closure);
                self.val(n)
            })),
            Call::Update => pin.update(self.key(n), |old| {
                hit(Site::Closure);
                belongs(n, old);
                self.val(n)
            }),
            Call::Remove => pin.remove(&Probe(n)),
            Call::SetTtl => {
                pin.set_ttl(&Probe(n), ns(5));
                None
            }
            Call::Clear => {
                self.map.clear();
                None
            }
            // With the pin given up, so that what was removed is dropped here.
            Call::Sweep => {
                drop(pin);
                self.map.sweep(Budget::entries(4));
                return;
            }
            Call::FullPass => {
                drop(pin);
                self.map.sweep(Budget::full_pass());
                return;
            }
        };
        if let Some(value) = got {
            belongs(n, value);
            assert!(self.tally.is_alive(value.token()), "{call:?} answered with a dropped value");
        }
    }

    /// The live keys and their values; asserts that iteration and `get` agree and that no key appears twice.
    pub(crate) fn contents(&self) -> BTreeMap<u64, u64> {
        let pin = self.map.pin();
        let mut seen = BTreeMap::new();
        for (key, value) in &pin {
            belongs(key.n, value);
            assert!(seen.insert(key.n, value.n).is_none(), "key {} twice", key.n);
        }
        for n in 0..20 {
            assert_eq!(pin.get(&Probe(n)).map(|v| v.n), seen.get(&n).copied(), "key {n}");
            assert_eq!(pin.contains_key(&Probe(n)), seen.contains_key(&n), "key {n}");
        }
        seen
    }

    /// Asserts that the map works, that its length is right, and that everything made is dropped once.
    pub(crate) fn finish(self, what_happened: &str) {
        let before = self.contents();
        settle(&self.map);
        assert_eq!(self.contents(), before, "a full pass changed what is visible: {what_happened}");
        assert_eq!(self.map.len(), before.len(), "{what_happened}");
        assert_slots_accounted(&self.map);
        let expected = 2 * before.len(); // a key and a value an entry
        assert_eq!(self.tally.alive(), expected, "leaked: {what_happened}");
        {
            let pin = self.map.pin();
            for n in 0..20 {
                let expected = before.get(&n).copied();
                assert_eq!(pin.insert(self.key(n), self.val(n)).map(|v| v.n), expected);
                assert!(pin.remove(&Probe(n)).is_some());
                assert!(pin.get(&Probe(n)).is_none());
            }
        }
        assert_eq!(self.map.len(), 0, "{what_happened}");
        let Self { map, tally, .. } = self;
        drop(map);
        tally.assert_all_dropped();
    }
}

fn belongs(n: u64, value: &SiteVal) {
    assert_eq!(value.n / 1_000_000, n, "a value of another key");
}
