//! The calls of the interpreter beyond those of `ops.rs`: read-modify-write, deadlines, early refresh, retain.

use super::hashers::Hashing;
use super::ops::{KEYS, Key, Run, Val, same, span};
use super::tally::reading;
use arbitrary::Arbitrary;
use evanesce::{Compute, Deadline, Lookup, Operation, Pinned, RefreshToken, Ttl};
use std::collections::BTreeMap;
use std::time::Duration;

/// One step. `u8`s are keys, spans or counts, as in `Op`.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Change {
    ComputeInsert(u8),
    ComputeInsertTtl(u8, u8),
    ComputeRemove(u8),
    ComputeAbort(u8),
    UpdateOrInsert(u8),
    /// Whether the closure accepts the value.
    ReplaceIf(u8, bool),
    RemoveIf(u8, bool),
    TryInsertTtl(u8, u8),
    ExtendTtl(u8, u8),
    SetDeadline(u8, i8),
    Persist(u8),
    GetEntry(u8),
    /// Asks for a key that has this span or less to live, and keeps the token if it gets one.
    GetOrRefresh(u8, u8),
    /// Puts a value with the oldest token that is kept.
    Refresh,
    /// Gives the oldest token back.
    GiveBack,
    /// Keeps the keys that leave a rest.
    Retain(u8),
    NextDeadline,
    IterEntries,
    Shrink,
}

/// A token, and the key and value of the entry that it is of.
pub(super) struct HeldToken {
    token: RefreshToken,
    key: u8,
    n: u64,
}

type Pin<'m> = Pinned<'m, Key, Val, Hashing>;

impl Run<'_> {
    /// Runs one operation and compares, as `step`.
    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    pub(super) fn change<'p>(
        &mut self,
        pin: &'p Pin<'_>,
        change: Change,
    ) -> Option<(&'p Val, u64)> {
        use Change as C;
        match change {
            C::ComputeInsert(k)
            | C::ComputeInsertTtl(k, _)
            | C::ComputeRemove(k)
            | C::ComputeAbort(k) => self.compute(pin, k % KEYS, change),
            C::UpdateOrInsert(k) => {
                let (k, val, made) = (k % KEYS, self.val(), self.val());
                let old = self.model.live(k);
                let expected = if old.is_some() { val.n } else { made.n };
                let default = self.model.deadline(self.time_to_live);
                let mut once = Some(made);
                let got = pin.update_or_insert_with(
                    self.key(k),
                    |_| val.clone(),
                    || once.take().expect("made once"),
                );
                self.insert_model(k, expected, old.map_or(default, |e| e.deadline));
                same(Some(got), Some(expected), &change)
            }
            C::ReplaceIf(k, accept) => {
                let (k, val) = (k % KEYS, self.val());
                let (n, old) = (val.n, self.model.live(k).filter(|_| accept));
                let got = pin.replace_if(self.key(k), val, |_| accept);
                if let Some(e) = old {
                    self.insert_model(k, n, e.deadline);
                }
                assert_eq!(
                    got.as_ref().err().map(|v| v.n),
                    old.is_none().then_some(n),
                    "{change:?}"
                );
                same(got.ok(), old.map(|e| e.n), &change)
            }
            C::RemoveIf(k, accept) => {
                let k = k % KEYS;
                let old = self.model.live(k);
                if old.is_some() && accept {
                    self.model.entries.remove(&k);
                }
                let (Ok(value) | Err(value)) =
                    pin.remove_if(&k, |_, _| accept).map_err(|refused| {
                        assert!(!accept, "{change:?}");
                        Some(refused)
                    });
                same(value, old.map(|e| e.n), &change)
            }
            C::TryInsertTtl(k, ttl) => {
                let (k, val, ttl) = (k % KEYS, self.val(), span(ttl));
                let (n, live) = (val.n, self.model.live(k));
                let got = pin.try_insert_with_ttl(self.key(k), val, ttl);
                assert_eq!(got.is_ok(), live.is_none(), "{change:?}");
                if live.is_none() {
                    self.insert_model(k, n, self.model.deadline(ttl));
                }
                let value = got.unwrap_or_else(|occupied| occupied.current);
                same(Some(value), Some(live.map_or(n, |e| e.n)), &change)
            }
            C::ExtendTtl(..) | C::SetDeadline(..) | C::Persist(_) => {
                self.renew(pin, change);
                None
            }
            C::GetEntry(k) => {
                let k = k % KEYS;
                let entry = reading(|| pin.get_entry(&k));
                let got =
                    entry.map(|e| (e.expires_at().map(Deadline::as_nanos), self.left(e.ttl())));
                let live = self.model.live(k);
                assert_eq!(got, live.map(|e| (e.deadline, e.deadline)), "{change:?}");
                same(entry.map(|e| e.value()), live.map(|e| e.n), &change)
            }
            C::GetOrRefresh(k, early) => self.get_or_refresh(pin, k % KEYS, span(early)),
            C::Refresh => self.refresh(pin),
            C::GiveBack => {
                (!self.tokens.is_empty()).then(|| self.tokens.remove(0));
                None
            }
            C::Retain(modulus) => {
                let keeps = |k: u8| !k.is_multiple_of(modulus.max(1));
                let (mut asked, live) = (BTreeMap::new(), self.model.all_live());
                self.map.retain(|k, v| {
                    assert!(asked.insert(k.n, v.n).is_none(), "asked twice about {}", k.n);
                    keeps(k.n)
                });
                assert_eq!(asked, live);
                self.model.entries.retain(|k, _| keeps(*k) || !live.contains_key(k));
                None
            }
            C::NextDeadline => {
                let earliest = self
                    .model
                    .all_live()
                    .into_keys()
                    .filter_map(|k| self.model.entries[&k].deadline);
                let told = self.map.next_deadline().map(Deadline::as_nanos);
                if let Some(earliest) = earliest.min() {
                    assert!(told.is_some_and(|told| told <= earliest), "{told:?}, but {earliest}");
                }
                None
            }
            C::IterEntries => {
                let got: BTreeMap<_, _> = reading(|| {
                    pin.iter_entries()
                        .map(|e| (e.key().n, (e.value().n, self.left(e.ttl()))))
                        .collect()
                });
                let live = self.model.all_live();
                let expected = live.iter().map(|(k, n)| (*k, (*n, self.model.entries[k].deadline)));
                assert_eq!(got, expected.collect());
                None
            }
            C::Shrink => {
                self.map.shrink_to_fit();
                None
            }
        }
    }

    /// The deadline of an entry that has so long to live now.
    fn left(&self, ttl: Ttl) -> Option<u64> {
        match ttl {
            Ttl::Never => None,
            Ttl::Remaining(left) => self.model.deadline(left),
        }
    }

    fn compute<'p>(&mut self, pin: &'p Pin<'_>, k: u8, change: Change) -> Option<(&'p Val, u64)> {
        let (val, old) = (self.val(), self.model.live(k));
        let (n, mut val, mut seen) = (val.n, Some(val), Vec::new());
        let got = pin.compute(self.key(k), |current| {
            seen.push(current.map(|v| v.n));
            let mut val = || val.take().expect("asked once");
            match change {
                Change::ComputeInsert(_) => Operation::Insert(val()),
                Change::ComputeInsertTtl(_, ttl) => Operation::InsertWithTtl(val(), span(ttl)),
                Change::ComputeRemove(_) => Operation::Remove,
                _ => Operation::Abort,
            }
        });
        assert_eq!(seen, [old.map(|e| e.n)], "{change:?}: what the closure saw");
        let default = self.model.deadline(self.time_to_live);
        let old_n = old.map(|e| e.n);
        match change {
            Change::ComputeInsert(_) => {
                self.insert_model(k, n, old.map_or(default, |e| e.deadline));
            }
            Change::ComputeInsertTtl(_, ttl) => {
                self.insert_model(k, n, self.model.deadline(span(ttl)));
            }
            Change::ComputeRemove(_) if old.is_some() => _ = self.model.entries.remove(&k),
            _ => {
                let Compute::Unchanged(value) = got else { panic!("{change:?}: {:?}", kind(&got)) };
                return same(value, old_n, &change);
            }
        }
        match got {
            Compute::Inserted(new) => {
                assert_eq!(old_n, None, "{change:?}");
                same(Some(new), Some(n), &change)
            }
            Compute::Updated { old, new } => {
                assert_eq!(new.n, n, "{change:?}");
                same(Some(old), old_n, &change)
            }
            Compute::Removed(old) => same(Some(old), old_n, &change),
            other => panic!("{change:?}: {}", kind(&other)),
        }
    }

    fn renew(&mut self, pin: &Pin<'_>, change: Change) {
        let (Change::ExtendTtl(k, _) | Change::SetDeadline(k, _) | Change::Persist(k)) = change
        else {
            unreachable!("no renewal: {change:?}")
        };
        let k = k % KEYS;
        let live = self.model.live(k);
        let (got, deadline) = match change {
            Change::ExtendTtl(_, ttl) => {
                let longer = self.model.deadline(span(ttl));
                // `None` is never, the latest of all.
                let latest = live.and_then(|e| e.deadline.zip(longer)).map(|(a, b)| a.max(b));
                (pin.extend_ttl(&k, span(ttl)), latest)
            }
            Change::SetDeadline(_, delta) => {
                let deadline = self.model.now.saturating_add_signed(delta.into());
                (pin.set_deadline(&k, Deadline::from_nanos(deadline)), Some(deadline))
            }
            _ => (pin.persist(&k), None),
        };
        assert_eq!(got, live.is_some(), "{change:?}");
        if let Some(e) = live {
            self.insert_model(k, e.n, deadline);
        }
    }

    fn get_or_refresh<'p>(
        &mut self,
        pin: &'p Pin<'_>,
        key: u8,
        early: Duration,
    ) -> Option<(&'p Val, u64)> {
        let live = self.model.live(key);
        let early_ns = u64::try_from(early.as_nanos()).unwrap_or(u64::MAX);
        let is_fresh = live.is_some_and(|e| {
            e.deadline.is_none_or(|d| d.saturating_sub(early_ns) > self.model.now)
        });
        let is_out = live.is_some_and(|e| self.tokens.iter().any(|held| held.n == e.n));
        let (value, said) = match pin.get_or_refresh(&key, early) {
            Lookup::Fresh(value) => (Some(value), "fresh"),
            Lookup::Refresh(value, token) => {
                self.tokens.push(HeldToken { token, key, n: value.n });
                (Some(value), "refresh")
            }
            Lookup::Stale(value) => (Some(value), "stale"),
            Lookup::Missing => (None, "missing"),
        };
        let expected = match live {
            None => "missing",
            Some(_) if is_fresh => "fresh",
            Some(_) if is_out => "stale",
            Some(_) => "refresh",
        };
        assert_eq!(said, expected, "key {key}, early {early:?}");
        same(value, live.map(|e| e.n), &said)
    }

    fn refresh<'p>(&mut self, pin: &'p Pin<'_>) -> Option<(&'p Val, u64)> {
        if self.tokens.is_empty() {
            return None;
        }
        let HeldToken { token, key, n: of } = self.tokens.remove(0);
        let (val, is_there) = (self.val(), self.model.live(key).is_some_and(|e| e.n == of));
        let n = val.n;
        let got = pin.refresh(token, self.key(key), val);
        assert_eq!(got.is_ok(), is_there, "a refresh of value {of} of key {key}");
        if is_there {
            self.insert_model(key, n, self.model.deadline(self.time_to_live));
        }
        same(got.ok(), is_there.then_some(n), &Change::Refresh)
    }
}

fn kind(computed: &Compute<'_, Val>) -> &'static str {
    match computed {
        Compute::Inserted(_) => "inserted",
        Compute::Updated { .. } => "updated",
        Compute::Removed(_) => "removed",
        _ => "unchanged",
    }
}
