//! A small map with entries in every state, and every operation on it as a value.

use super::hashers::Hashing;
use super::sites::{Probe, Site, SiteClock, SiteKey, SiteVal, hit, lies};
use super::tally::Tally;
use super::{assert_slots_accounted, builder, ns, settle};
use equivalent::Equivalent;
use evanesce::{Budget, Compute, Deadline, Lookup, ManualClock, Operation, Pinned, TtlMap};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
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
    GetKeyValue,
    GetEntry,
    GetMany,
    View,
    GetOrRefresh,
    Refresh,
    IterEntries,
    IterLinked,
    UpdateOrInsert,
    ReplaceIf,
    ComputeInsert,
    ComputeRemove,
    ComputeAbort,
    RemoveIf,
    GetOrInsertByRef,
    TryInsertByRef,
    UpdateByRef,
    UpdateOrInsertByRef,
    ReplaceIfByRef,
    TryCompute,
    RemoveEntry,
    TryInsertTtl,
    GetOrInsertTtl,
    SetDeadline,
    ExtendTtl,
    Persist,
    GetBy,
    InsertBy,
    TryInsertBy,
    SetTtlBy,
    RemoveBy,
    Retain,
    CloneMap,
    TryReserve,
    NextDeadline,
    ShrinkToFit,
}

impl Call {
    /// Each kind of step on the index once: the first of all.
    pub const BASIC: [Self; 17] = *Self::ALL.first_chunk().unwrap();

    pub const ALL: [Self; 53] = [
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
        Self::GetKeyValue,
        Self::GetEntry,
        Self::GetMany,
        Self::View,
        Self::GetOrRefresh,
        Self::Refresh,
        Self::IterEntries,
        Self::IterLinked,
        Self::UpdateOrInsert,
        Self::ReplaceIf,
        Self::ComputeInsert,
        Self::ComputeRemove,
        Self::ComputeAbort,
        Self::RemoveIf,
        Self::GetOrInsertByRef,
        Self::TryInsertByRef,
        Self::UpdateByRef,
        Self::UpdateOrInsertByRef,
        Self::ReplaceIfByRef,
        Self::TryCompute,
        Self::RemoveEntry,
        Self::TryInsertTtl,
        Self::GetOrInsertTtl,
        Self::SetDeadline,
        Self::ExtendTtl,
        Self::Persist,
        Self::GetBy,
        Self::InsertBy,
        Self::TryInsertBy,
        Self::SetTtlBy,
        Self::RemoveBy,
        Self::Retain,
        Self::CloneMap,
        Self::TryReserve,
        Self::NextDeadline,
        Self::ShrinkToFit,
    ];
}

/// Keys below this are live in a new world.
pub const LIVE: u64 = 6;
/// This key is expired and not yet swept.
pub const EXPIRED: u64 = 7;
/// This key is absent.
pub const ABSENT: u64 = 9;

type Pin<'m> = Pinned<'m, SiteKey, SiteVal, Hashing>;

/// A map with keys that are live, expired, removed and absent.
pub struct World {
    pub map: TtlMap<SiteKey, SiteVal, Hashing>,
    pub clock: ManualClock,
    pub tally: Tally,
    hashing: Hashing,
    last: Cell<u64>,
}

impl World {
    pub fn new(hashing: Hashing) -> Self {
        let (clock, tally) = (ManualClock::new(), Tally::new());
        let map = builder()
            .hasher(hashing)
            .sweep_per_write(2)
            .clock(SiteClock(clock.clone()))
            .build()
            .expect("valid options");
        let world = Self { map, clock, tally, hashing, last: Cell::new(0) };
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

    pub fn key(&self, n: u64) -> SiteKey {
        SiteKey::new(n, &self.tally)
    }

    /// A fresh value that belongs to key `n`.
    pub fn val(&self, n: u64) -> SiteVal {
        self.last.set(self.last.get() + 1);
        SiteVal::new(n * 1_000_000 + self.last.get(), &self.tally)
    }

    /// Does the call, asserting that every value it answers with belongs to the key.
    pub fn perform(&self, call: Call, n: u64) {
        let pin = self.map.pin();
        let got = match call {
            // With the pin given up, so that what was removed is dropped here.
            Call::Sweep | Call::FullPass | Call::ShrinkToFit | Call::CloneMap => {
                drop(pin);
                return self.walk(call);
            }
            Call::Clear | Call::Retain | Call::Stats | Call::TryReserve | Call::NextDeadline => {
                self.treat_all(call, n);
                None
            }
            Call::Get
            | Call::GetCloned
            | Call::ContainsKey
            | Call::Ttl
            | Call::Iter
            | Call::GetKeyValue
            | Call::GetEntry
            | Call::GetMany
            | Call::View
            | Call::GetOrRefresh
            | Call::IterEntries
            | Call::IterLinked => self.look_up(&pin, call, n),
            Call::Insert
            | Call::InsertTtl
            | Call::InsertDeadline
            | Call::TryInsert
            | Call::TryInsertTtl
            | Call::GetOrInsert
            | Call::GetOrInsertTtl
            | Call::Remove
            | Call::RemoveEntry => self.put_or_remove(&pin, call, n),
            Call::SetTtl | Call::SetDeadline | Call::ExtendTtl | Call::Persist => {
                match call {
                    Call::SetTtl => pin.set_ttl(&Probe(n), ns(5)),
                    Call::SetDeadline => pin.set_deadline(&Probe(n), Deadline::from_nanos(11)),
                    Call::ExtendTtl => pin.extend_ttl(&Probe(n), ns(5)),
                    _ => pin.persist(&Probe(n)),
                };
                None
            }
            Call::Update
            | Call::Refresh
            | Call::UpdateOrInsert
            | Call::ReplaceIf
            | Call::ComputeInsert
            | Call::ComputeRemove
            | Call::ComputeAbort
            | Call::RemoveIf => self.compute(&pin, call, n),
            Call::GetOrInsertByRef
            | Call::TryInsertByRef
            | Call::UpdateByRef
            | Call::UpdateOrInsertByRef
            | Call::ReplaceIfByRef
            | Call::TryCompute => self.by_ref(&pin, call, n),
            Call::GetBy | Call::InsertBy | Call::TryInsertBy | Call::SetTtlBy | Call::RemoveBy => {
                self.by_hash(&pin, call, n)
            }
        };
        if let Some(value) = got {
            belongs(n, value);
            assert!(self.tally.is_alive(value.token()), "{call:?} answered with a dropped value");
        }
    }

    fn walk(&self, call: Call) {
        match call {
            Call::Sweep => _ = self.map.sweep(Budget::entries(4)),
            Call::FullPass => _ = self.map.sweep(Budget::full_pass()),
            Call::ShrinkToFit => self.map.shrink_to_fit(),
            _ => {
                let copy = self.map.clone();
                copy.pin().iter().for_each(|(key, value)| belongs(key.n, value));
            }
        }
    }

    fn treat_all(&self, call: Call, n: u64) {
        match call {
            Call::Clear => self.map.clear(),
            Call::Retain => self.map.retain(|key, _| {
                hit(Site::Closure);
                key.n != n
            }),
            Call::TryReserve => self.map.try_reserve(100).expect("there is room"),
            Call::Stats => assert!(lies() || self.map.stats().len <= 20),
            _ => {
                let _ = self.map.next_deadline();
                assert!(lies() || self.map.live_len() <= 20);
            }
        }
    }

    fn put_or_remove<'p>(&self, pin: &'p Pin<'_>, call: Call, n: u64) -> Option<&'p SiteVal> {
        let made = || {
            hit(Site::Closure);
            self.val(n)
        };
        match call {
            Call::Insert => pin.insert(self.key(n), self.val(n)),
            Call::InsertTtl => pin.insert_with_ttl(self.key(n), self.val(n), ns(5)),
            Call::InsertDeadline => {
                pin.insert_with_deadline(self.key(n), self.val(n), Deadline::NEVER)
            }
            Call::TryInsert => match pin.try_insert(self.key(n), self.val(n)) {
                Ok(value) => Some(value),
                Err(occupied) => Some(occupied.current),
            },
            Call::TryInsertTtl => pin.try_insert_with_ttl(self.key(n), self.val(n), ns(5)).ok(),
            Call::GetOrInsert => Some(pin.get_or_insert_with(self.key(n), made)),
            Call::GetOrInsertTtl => Some(pin.get_or_insert_with_ttl(self.key(n), ns(5), made)),
            Call::Remove => pin.remove(&Probe(n)),
            _ => pin.remove_entry(&Probe(n)).map(|(_, value)| value),
        }
    }

    fn look_up<'p>(&self, pin: &'p Pin<'_>, call: Call, n: u64) -> Option<&'p SiteVal> {
        match call {
            Call::Get => return pin.get(&Probe(n)),
            Call::GetKeyValue => return pin.get_key_value(&Probe(n)).map(|(_, value)| value),
            Call::GetEntry => return pin.get_entry(&Probe(n)).map(|entry| entry.value()),
            Call::GetMany => return pin.get_many([&Probe(n), &Probe(n + 1), &Probe(n)])[2],
            Call::GetOrRefresh => return pin.get_or_refresh(&Probe(n), ns(100)).value(),
            Call::GetCloned => {
                if let Some(value) = self.map.get_cloned(&Probe(n)) {
                    belongs(n, &value);
                }
            }
            Call::View => {
                self.map.view(&Probe(n), |value| {
                    hit(Site::Closure);
                    belongs(n, value);
                });
            }
            Call::ContainsKey => _ = pin.contains_key(&Probe(n)),
            Call::Ttl => _ = pin.ttl(&Probe(n)),
            Call::Iter => pin.iter().for_each(|(key, value)| belongs(key.n, value)),
            Call::IterLinked => pin.iter_linked().for_each(|(key, value)| belongs(key.n, value)),
            _ => pin.iter_entries().for_each(|entry| belongs(entry.key().n, entry.value())),
        }
        None
    }

    fn compute<'p>(&self, pin: &'p Pin<'_>, call: Call, n: u64) -> Option<&'p SiteVal> {
        let made = || {
            hit(Site::Closure);
            self.val(n)
        };
        let met = |value: Option<&SiteVal>| {
            hit(Site::Closure);
            if let Some(value) = value {
                belongs(n, value);
            }
        };
        let computed = match call {
            Call::Update => {
                return pin.update(self.key(n), |old| {
                    belongs(n, old);
                    made()
                });
            }
            Call::Refresh => {
                return match pin.get_or_refresh(&Probe(n), ns(100)) {
                    Lookup::Refresh(_, token) => pin.refresh(token, self.key(n), self.val(n)).ok(),
                    _ => None,
                };
            }
            Call::UpdateOrInsert => {
                return Some(pin.update_or_insert_with(self.key(n), |_| made(), made));
            }
            Call::ReplaceIf => {
                let is_expected = |value: &SiteVal| {
                    met(Some(value));
                    true
                };
                return pin.replace_if(self.key(n), self.val(n), is_expected).ok();
            }
            Call::RemoveIf => {
                let removed = pin.remove_if(&Probe(n), |_, value| {
                    met(Some(value));
                    true
                });
                return removed.unwrap_or_else(|_| unreachable!("nobody refuses it"));
            }
            Call::ComputeInsert => pin.compute(self.key(n), |value| {
                met(value);
                Operation::InsertWithTtl(self.val(n), ns(5))
            }),
            Call::ComputeRemove => pin.compute(self.key(n), |value| {
                met(value);
                Operation::Remove
            }),
            _ => pin.compute(self.key(n), |value| {
                met(value);
                Operation::Abort
            }),
        };
        match computed {
            Compute::Inserted(value)
            | Compute::Updated { old: _, new: value }
            | Compute::Removed(value) => Some(value),
            Compute::Unchanged(value) => value,
            _ => unreachable!("no other outcome"),
        }
    }

    /// The calls that make a key of a reference. Where comparisons lie, they may take the key that was made for another.
    fn by_ref<'p>(&self, pin: &'p Pin<'_>, call: Call, n: u64) -> Option<&'p SiteVal> {
        let made = || {
            hit(Site::Closure);
            self.val(n)
        };
        let probe = Probe(n);
        let key = pin.by_ref(&probe, |probe| {
            hit(Site::Closure);
            self.key(probe.0)
        });
        let perform = || match call {
            Call::GetOrInsertByRef => Some(key.get_or_insert_with(made)),
            Call::TryInsertByRef => match key.try_insert(self.val(n)) {
                Ok(value) => Some(value),
                Err(occupied) => Some(occupied.current),
            },
            Call::UpdateByRef => key.update(|_| made()),
            Call::UpdateOrInsertByRef => Some(key.update_or_insert_with(|_| made(), made)),
            Call::ReplaceIfByRef => key.replace_if(self.val(n), |_| true).ok(),
            _ => match key.try_compute(|_| Ok::<_, SiteVal>(Operation::Insert(made()))) {
                Ok(Compute::Inserted(value) | Compute::Updated { new: value, .. }) => Some(value),
                _ => unreachable!("a value is put"),
            },
        };
        if !lies() {
            return perform();
        }
        catch_unwind(AssertUnwindSafe(perform)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>();
            assert!(text.is_some_and(|text| text.contains("not equivalent")), "{text:?}");
            None
        })
    }

    /// The calls that are given a hash and a comparison.
    fn by_hash<'p>(&self, pin: &'p Pin<'_>, call: Call, n: u64) -> Option<&'p SiteVal> {
        let hash = self.hashing.hash_one(Probe(n));
        let is_it = |key: &SiteKey| {
            hit(Site::Closure);
            Ok::<_, Infallible>(Probe(n).equivalent(key))
        };
        let done = match call {
            Call::GetBy => pin.get_by(hash, is_it),
            Call::InsertBy => pin.insert_by(hash, self.key(n), self.val(n), is_it),
            Call::TryInsertBy => {
                let tried = pin.try_insert_by(hash, self.key(n), self.val(n), is_it);
                tried.map(|tried| tried.map_or_else(|refused| Some(refused.current), Some))
            }
            Call::SetTtlBy => pin.set_ttl_by(hash, ns(5), is_it).map(|_| None),
            _ => pin.remove_by(hash, is_it),
        };
        done.unwrap_or_else(|never| match never {})
    }

    /// The live keys and their values; asserts that iteration and `get` agree and that no key appears twice.
    pub fn contents(&self) -> BTreeMap<u64, u64> {
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
    pub fn finish(self, what_happened: &str) {
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
    assert!(lies() || value.n / 1_000_000 == n, "a value of another key");
}
