//! Sequences of operations, checked one by one against a model on a manual clock. One interpreter serves the
//! property test, the replay of the committed corpus on stable, and the fuzz target.

use super::changes::{Change, HeldToken};
use super::hashers::Hashing;
use super::tally::{Tally, Token, reading};
use arbitrary::Arbitrary;
use evanesce::{
    Budget, Deadline, ManualClock, OccupiedError, Pinned, RemovalCause, SweepReport, Ttl, TtlMap,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keys are numbers below this; [`Op::Fill`] uses the numbers from here on.
pub(super) const KEYS: u8 = 32;

/// One step. `u8`s are keys (modulo [`KEYS`]), spans (see [`span`]) or counts.
#[derive(Arbitrary, Clone, Debug)]
pub enum Op {
    Insert(u8),
    InsertTtl(u8, u8),
    /// The deadline lies this many ticks after now.
    InsertDeadline(u8, i8),
    TryInsert(u8),
    GetOrInsert(u8),
    Update(u8),
    Remove(u8),
    SetTtl(u8, u8),
    Get(u8),
    GetCloned(u8),
    ContainsKey(u8),
    Ttl(u8),
    Advance(u8),
    Sweep(u8),
    FullPass,
    Clear,
    IterCheck,
    Stats,
    /// Inserts this many keys that no other operation uses, so that the map grows.
    Fill(u8),
    /// The calls beyond those.
    Change(Change),
    /// `repin`: references taken before end here.
    Repin,
    /// Drops the pin and takes another.
    Unpin,
}

/// A map to run on.
#[derive(Arbitrary, Clone, Debug)]
pub struct Setup {
    pub hashing: Hashing,
    pub capacity: u8,
    pub time_to_live: Option<u8>,
    pub sweep_per_write: u8,
}

/// A map and what to do with it.
#[derive(Arbitrary, Clone, Debug)]
pub struct Case {
    pub setup: Setup,
    pub ops: Vec<Op>,
}

/// A map with a maximum of entries, and what to do with it.
#[derive(Arbitrary, Clone, Debug)]
pub struct BoundedCase {
    pub max_entries: NonZeroU8,
    pub case: Case,
}

/// Mostly a few ticks, so that deadlines are met exactly; sometimes an hour, sometimes for ever.
pub(super) fn span(byte: u8) -> Duration {
    match byte {
        0..=223 => Duration::from_nanos(u64::from(byte % 14)),
        224..=239 => Duration::from_secs(3600),
        240.. => Duration::MAX,
    }
}

pub(super) struct Key {
    pub(super) n: u8,
    _token: Token,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.n.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.n == other.n
    }
}

impl Eq for Key {}

impl std::borrow::Borrow<u8> for Key {
    fn borrow(&self) -> &u8 {
        &self.n
    }
}

#[derive(Clone)]
pub(super) struct Val {
    pub(super) n: u64,
    token: Token,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The value: each is put once, so it tells entries apart.
    pub(super) n: u64,
    /// `None` is never.
    pub(super) deadline: Option<u64>,
}

/// What the map must answer.
#[derive(Default)]
pub(super) struct Model {
    pub(super) now: u64,
    last: u64,
    pub(super) entries: BTreeMap<u8, Entry>,
    /// The values that the listener was told had to go. The model cannot know which these are to be; but they are gone
    /// then, and nothing else is.
    evicted: Arc<Mutex<BTreeSet<u64>>>,
}

impl Model {
    pub(super) fn deadline(&self, ttl: Duration) -> Option<u64> {
        let ttl = u64::try_from(ttl.as_nanos()).ok()?;
        self.now.checked_add(ttl)
    }

    pub(super) fn live(&self, key: u8) -> Option<Entry> {
        let evicted = self.evicted.lock().expect("no panic");
        let alive = |e: &Entry| e.deadline.is_none_or(|d| self.now < d) && !evicted.contains(&e.n);
        self.entries.get(&key).copied().filter(alive)
    }

    pub(super) fn all_live(&self) -> BTreeMap<u8, u64> {
        let keys = self.entries.keys();
        keys.filter_map(|k| Some((*k, self.live(*k)?.n))).collect()
    }

    /// How many live entries there are, and the longest time since a deadline passed.
    fn overdue(&self) -> Duration {
        let deadlines = self.entries.values().filter_map(|e| e.deadline);
        Duration::from_nanos(deadlines.map(|d| self.now.saturating_sub(d)).max().unwrap_or(0))
    }
}

pub(super) type Map = TtlMap<Key, Val, Hashing>;

pub(super) struct Run<'a> {
    pub(super) map: &'a Map,
    clock: &'a ManualClock,
    tally: &'a Tally,
    pub(super) model: &'a mut Model,
    pub(super) time_to_live: Duration,
    max_entries: usize,
    pub(super) tokens: Vec<HeldToken>,
}

/// Runs a case; panics at the first wrong answer. No guard may be held anywhere meanwhile.
pub fn run(case: &Case) {
    run_within(None, case);
}

/// Runs a case on a map with a maximum.
pub fn run_bounded(BoundedCase { max_entries, case }: &BoundedCase) {
    run_within(Some(usize::from(max_entries.get())), case);
}

fn run_within(max_entries: Option<usize>, case: &Case) {
    let Setup { hashing, capacity, time_to_live, sweep_per_write } = case.setup;
    let (tally, clock) = (Tally::new(), ManualClock::new());
    let mut builder = TtlMap::builder()
        .hasher(hashing)
        .capacity(usize::from(capacity))
        .sweep_per_write(usize::from(sweep_per_write % 8))
        .clock(clock.clone());
    if let Some(byte) = time_to_live {
        builder = builder.time_to_live(span(byte));
    }
    let mut model = Model::default();
    if let Some(most) = max_entries {
        let evicted = Arc::clone(&model.evicted);
        builder = builder.max_entries(most).eviction_listener(move |_, value: &Val, cause| {
            if cause == RemovalCause::Size {
                evicted.lock().expect("no panic").insert(value.n);
            }
        });
    }
    let map: Map = builder.build().expect("valid options");
    let mut run = Run {
        map: &map,
        clock: &clock,
        tally: &tally,
        model: &mut model,
        time_to_live: time_to_live.map_or(Duration::MAX, span),
        max_entries: max_entries.unwrap_or(usize::MAX),
        tokens: Vec::new(),
    };

    let mut ops = case.ops.iter();
    let mut pin = reading(|| map.pin());
    while run.until_repin(&pin, &mut ops) {
        if matches!(ops.as_slice().first(), Some(Op::Unpin)) {
            reading(|| drop(pin));
            pin = reading(|| map.pin());
        } else {
            reading(|| pin.repin());
        }
        ops.next();
    }
    drop(pin);

    run.full_pass();
    let stats = map.stats();
    assert_eq!(stats.pending_reclaim, 0, "{stats:?}");
    assert_eq!(stats.len + stats.free_slots, stats.slots, "{stats:?}");
    assert_eq!(tally.alive(), 2 * map.len(), "a key and a value an entry");
    drop(map);
    tally.assert_all_dropped();
}

impl Run<'_> {
    /// Runs up to the next operation that moves the pin (left in `ops`); false at the end.
    fn until_repin(
        &mut self,
        pin: &Pinned<'_, Key, Val, Hashing>,
        ops: &mut std::slice::Iter<'_, Op>,
    ) -> bool {
        let mut held = Vec::new();
        let more = loop {
            match ops.as_slice().first() {
                None => break false,
                Some(Op::Repin | Op::Unpin) => break true,
                Some(op) => {
                    if let Some((value, n)) = self.step(pin, op) {
                        held.push((value, value.token.number(), n));
                    }
                    let len = self.map.len();
                    assert!(len <= self.max_entries, "{len} entries after {op:?}");
                    ops.next();
                }
            }
        };
        for (value, token, n) in held {
            assert!(self.tally.is_alive(token), "value {n} was dropped while a pin could see it");
            assert_eq!(value.n, n, "a value changed while a pin could see it");
        }
        more
    }

    pub(super) fn key(&self, n: u8) -> Key {
        Key { n, _token: self.tally.token() }
    }

    pub(super) fn val(&mut self) -> Val {
        self.model.last += 1;
        Val { n: self.model.last, token: self.tally.token() }
    }

    pub(super) fn insert_model(&mut self, key: u8, n: u64, deadline: Option<u64>) -> Option<u64> {
        let old = self.model.live(key).map(|e| e.n);
        self.model.entries.insert(key, Entry { n, deadline });
        old
    }

    /// Runs one operation and compares; returns a reference it gave out, and the value expected behind it.
    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    fn step<'p>(
        &mut self,
        pin: &'p Pinned<'_, Key, Val, Hashing>,
        op: &Op,
    ) -> Option<(&'p Val, u64)> {
        let default = self.model.deadline(self.time_to_live);
        match *op {
            Op::Insert(k) => {
                let (k, val) = (k % KEYS, self.val());
                let expected = self.insert_model(k, val.n, default);
                same(pin.insert(self.key(k), val), expected, op)
            }
            Op::InsertTtl(k, ttl) => {
                let (k, val, ttl) = (k % KEYS, self.val(), span(ttl));
                let expected = self.insert_model(k, val.n, self.model.deadline(ttl));
                same(pin.insert_with_ttl(self.key(k), val, ttl), expected, op)
            }
            Op::InsertDeadline(k, delta) => {
                let (k, val) = (k % KEYS, self.val());
                let deadline = self.model.now.saturating_add_signed(i64::from(delta));
                let expected = self.insert_model(k, val.n, Some(deadline));
                let deadline = Deadline::from_nanos(deadline);
                same(pin.insert_with_deadline(self.key(k), val, deadline), expected, op)
            }
            Op::TryInsert(k) => {
                let (k, val) = (k % KEYS, self.val());
                let n = val.n;
                match (pin.try_insert(self.key(k), val), self.model.live(k)) {
                    (Ok(value), None) => {
                        self.insert_model(k, n, default);
                        same(Some(value), Some(n), op)
                    }
                    (Err(OccupiedError { current, not_inserted, .. }), Some(live)) => {
                        assert_eq!(not_inserted.n, n, "{op:?}");
                        same(Some(current), Some(live.n), op)
                    }
                    (got, expected) => {
                        panic!("{op:?}: inserted is {}, model has {expected:?}", got.is_ok())
                    }
                }
            }
            Op::GetOrInsert(k) => {
                let (k, val) = (k % KEYS, self.val());
                let (n, expected) = (val.n, self.model.live(k));
                let mut calls = 0;
                let got = pin.get_or_insert_with(self.key(k), || {
                    calls += 1;
                    val
                });
                assert_eq!(calls, u8::from(expected.is_none()), "{op:?}: calls of the closure");
                if expected.is_none() {
                    self.insert_model(k, n, default);
                }
                same(Some(got), Some(expected.map_or(n, |e| e.n)), op)
            }
            Op::Update(k) => {
                let (k, val) = (k % KEYS, self.val());
                let (n, old) = (val.n, self.model.live(k));
                let mut seen = Vec::new();
                let got = pin.update(self.key(k), |current| {
                    seen.push(current.n);
                    val.clone()
                });
                assert_eq!(
                    seen,
                    old.iter().map(|e| e.n).collect::<Vec<_>>(),
                    "{op:?}: what the closure saw"
                );
                if let Some(e) = old {
                    self.insert_model(k, n, e.deadline);
                }
                same(got, old.map(|_| n), op)
            }
            Op::Remove(k) => {
                let k = k % KEYS;
                let expected = self.model.live(k).map(|e| e.n);
                if expected.is_some() {
                    self.model.entries.remove(&k);
                }
                same(pin.remove(&k), expected, op)
            }
            Op::SetTtl(k, ttl) => {
                let (k, ttl) = (k % KEYS, span(ttl));
                let (expected, deadline) = (self.model.live(k), self.model.deadline(ttl));
                if let Some(Entry { n, .. }) = expected {
                    self.insert_model(k, n, deadline);
                }
                assert_eq!(pin.set_ttl(&k, ttl), expected.is_some(), "{op:?}");
                None
            }
            Op::Get(k) => {
                let k = k % KEYS;
                let among_others = reading(|| pin.get_many([&k, &(k + 1), &k]))[2];
                same(among_others, self.model.live(k).map(|e| e.n), op);
                same(reading(|| pin.get(&k)), self.model.live(k).map(|e| e.n), op)
            }
            Op::GetCloned(k) => {
                let k = k % KEYS;
                let got = reading(|| self.map.get_cloned(&k));
                assert_eq!(got.map(|v| v.n), self.model.live(k).map(|e| e.n), "{op:?}");
                None
            }
            Op::ContainsKey(k) => {
                let k = k % KEYS;
                let got = reading(|| pin.contains_key(&k));
                assert_eq!(got, self.model.live(k).is_some(), "{op:?}");
                None
            }
            Op::Ttl(k) => {
                let k = k % KEYS;
                let got = reading(|| pin.ttl(&k)).map(|ttl| match ttl {
                    Ttl::Never => None,
                    Ttl::Remaining(left) => Some(left),
                });
                let left = |e: Entry| e.deadline.map(|d| Duration::from_nanos(d - self.model.now));
                assert_eq!(got, self.model.live(k).map(left), "{op:?}");
                None
            }
            Op::Advance(n) => {
                let step = if n == 255 {
                    Duration::from_secs(7200)
                } else {
                    Duration::from_nanos(u64::from(n % 9))
                };
                self.clock.advance(step);
                self.model.now += u64::try_from(step.as_nanos()).expect("fits");
                None
            }
            Op::Sweep(n) => {
                let before = self.map.len();
                let report = self.map.sweep(Budget::entries(usize::from(n)));
                self.check_report(&report, before);
                None
            }
            Op::FullPass => {
                self.full_pass();
                None
            }
            Op::Clear => {
                self.map.clear();
                self.model.entries.clear();
                assert_eq!(self.map.len(), 0);
                None
            }
            Op::IterCheck => {
                let expected = self.model.all_live();
                let mut got = BTreeMap::new();
                for (k, v) in reading(|| pin.iter().collect::<Vec<_>>()) {
                    assert!(got.insert(k.n, v.n).is_none(), "iter yields {} twice", k.n);
                }
                assert_eq!(got, expected);
                None
            }
            Op::Stats => {
                self.check_stats();
                None
            }
            Op::Fill(count) => {
                for k in KEYS..=u8::MAX {
                    if k - KEYS == count {
                        break;
                    }
                    let val = self.val();
                    let expected = self.insert_model(k, val.n, default);
                    same(pin.insert(self.key(k), val), expected, op);
                }
                None
            }
            Op::Change(change) => self.change(pin, change),
            Op::Repin | Op::Unpin => unreachable!("handled by until_repin"),
        }
    }

    fn full_pass(&mut self) {
        let (before, live) = (self.check_stats(), self.model.all_live());
        let report = self.map.sweep(Budget::full_pass());
        assert!(report.completed_pass, "{report:?}");
        assert_eq!(report.removed, before - live.len(), "{report:?}");
        self.check_report(&report, before);
        self.model.entries.retain(|k, _| live.contains_key(k));
        assert_eq!(self.map.len(), live.len());
    }

    fn check_report(&self, report: &SweepReport, len_before: usize) {
        assert_eq!(self.map.len(), len_before - report.removed, "{report:?}");
        assert!(report.removed <= report.examined, "{report:?}");
        assert!(report.max_lag <= self.model.overdue(), "{report:?}");
        self.check_stats();
    }

    /// Returns the length.
    fn check_stats(&self) -> usize {
        let (stats, live) = (self.map.stats(), self.model.all_live().len());
        assert_eq!(stats.len, self.map.len(), "{stats:?}");
        assert!((live..=self.model.entries.len()).contains(&stats.len), "{live} live: {stats:?}");
        assert_eq!(stats.expired_unswept, stats.len - live, "{stats:?}");
        let evicted = self.model.evicted.lock().expect("no panic").len();
        assert_eq!(stats.evicted_total, evicted as u64, "{stats:?}");
        assert_eq!(stats.len + stats.free_slots + stats.pending_reclaim, stats.slots, "{stats:?}");
        assert_eq!(self.map.is_empty(), stats.len == 0);
        stats.len
    }
}

pub(super) fn same<'p>(
    got: Option<&'p Val>,
    expected: Option<u64>,
    op: &impl std::fmt::Debug,
) -> Option<(&'p Val, u64)> {
    assert_eq!(got.map(|v| v.n), expected, "{op:?}");
    got.zip(expected)
}
