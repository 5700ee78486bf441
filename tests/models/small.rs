//! The small map of the models, in which keys have chosen places and values count themselves.
#![allow(dead_code, reason = "each model checker uses its own part")]

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use evanesce::{Budget, Lookup, ManualClock, RefreshToken, TtlMap};

/// A key: its place in split order above, its identity below.
pub(crate) type Key = u64;
pub(crate) const A: Key = 0x1000_0000_0000_0001;
/// A key behind it in the same bucket, of eight.
pub(crate) const B: Key = 0x1800_0000_0000_0002;
/// Another key at A's place.
pub(crate) const A_TWIN: Key = 0x1000_0000_0000_0003;
/// Keys in the other halves and quarters of the table.
pub(crate) const C: Key = 0x6000_0000_0000_0004;
pub(crate) const D: Key = 0xA000_0000_0000_0005;

/// Hashes a key to its place.
#[derive(Clone, Default)]
pub(crate) struct Place(pub(crate) u64);

impl BuildHasher for Place {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Place {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key & !0xFFFF_FFFF;
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }
}

/// A value that counts itself.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) number: u32,
    alive: Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        let before = self.alive.fetch_sub(1, Relaxed);
        assert!(before > 0 && before < 100, "a value was dropped twice");
    }
}

pub(crate) struct World {
    pub(crate) map: TtlMap<Key, Value, Place>,
    pub(crate) clock: ManualClock,
    pub(crate) alive: Arc<AtomicUsize>,
}

pub(crate) const NS: fn(u64) -> Duration = Duration::from_nanos;

impl World {
    /// A map that does not grow.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_capacity(4)
    }

    pub(crate) fn with_capacity(capacity: usize) -> Arc<Self> {
        Self::with_slots(capacity, 7)
    }

    pub(crate) fn with_slots(capacity: usize, max_slots: usize) -> Arc<Self> {
        let clock = ManualClock::new();
        let map = TtlMap::builder()
            .hasher(Place(0))
            .capacity(capacity)
            .clock(clock.clone())
            .sweep_per_write(0)
            .max_slots(max_slots)
            .build()
            .unwrap();
        Arc::new(Self { map, clock, alive: Arc::default() })
    }

    /// A map that does not grow, and holds so many entries.
    pub(crate) fn bounded(entries: usize) -> Arc<Self> {
        let clock = ManualClock::new();
        let options = TtlMap::builder().hasher(Place(0)).capacity(4).clock(clock.clone());
        let map = options.sweep_per_write(0).max_slots(7).max_entries(entries).build().unwrap();
        Arc::new(Self { map, clock, alive: Arc::default() })
    }

    /// A map that does not grow, whose hits renew, for so many nanoseconds.
    pub(crate) fn idle(nanos: u64) -> Arc<Self> {
        let clock = ManualClock::new();
        let options = TtlMap::builder().hasher(Place(0)).capacity(4).clock(clock.clone());
        let options = options.sweep_per_write(0).max_slots(7).time_to_idle(NS(nanos));
        Arc::new(Self { map: options.build().unwrap(), clock, alive: Arc::default() })
    }

    /// A map that does not grow, and keeps what has expired for so many nanoseconds.
    pub(crate) fn graceful(nanos: u64) -> Arc<Self> {
        let clock = ManualClock::new();
        let options = TtlMap::builder().hasher(Place(0)).capacity(4).clock(clock.clone());
        let options = options.sweep_per_write(0).max_slots(7).grace(NS(nanos));
        Arc::new(Self { map: options.build().unwrap(), clock, alive: Arc::default() })
    }

    pub(crate) fn value(&self, number: u32) -> Value {
        self.alive.fetch_add(1, Relaxed);
        Value { number, alive: Arc::clone(&self.alive) }
    }

    pub(crate) fn get(&self, key: Key) -> Option<u32> {
        self.map.pin().get(&key).map(|v| v.number)
    }

    pub(crate) fn get_many<const N: usize>(&self, keys: [Key; N]) -> [Option<u32>; N] {
        self.map.pin().get_many(keys.each_ref()).map(|value| value.map(|v| v.number))
    }

    /// The value, and whether it has expired.
    pub(crate) fn get_stale(&self, key: Key) -> Option<(u32, bool)> {
        let pinned = self.map.pin();
        pinned.get_stale(&key).map(|found| (found.value.number, found.expired_for.is_some()))
    }

    pub(crate) fn insert(&self, key: Key, number: u32) -> Option<u32> {
        self.map.pin().insert(key, self.value(number)).map(|v| v.number)
    }

    pub(crate) fn insert_until(&self, key: Key, number: u32, deadline: u64) -> Option<u32> {
        let deadline = evanesce::Deadline::from_nanos(deadline);
        self.map.pin().insert_with_deadline(key, self.value(number), deadline).map(|v| v.number)
    }

    pub(crate) fn remove(&self, key: Key) -> Option<u32> {
        self.map.pin().remove(&key).map(|v| v.number)
    }

    pub(crate) fn update(&self, key: Key) -> Option<u32> {
        let pinned = self.map.pin();
        pinned.update(key, |v| self.value(v.number + 1)).map(|v| v.number)
    }

    pub(crate) fn set_ttl(&self, key: Key, ttl: u64) -> bool {
        self.map.pin().set_ttl(&key, NS(ttl))
    }

    pub(crate) fn set_deadline(&self, key: Key, deadline: u64) -> bool {
        self.map.pin().set_deadline(&key, evanesce::Deadline::from_nanos(deadline))
    }

    /// The token of an entry that has ten nanoseconds at most to live.
    pub(crate) fn token(&self, key: Key) -> Option<RefreshToken> {
        match self.map.pin().get_or_refresh(&key, NS(10)) {
            Lookup::Refresh(_, token) => Some(token),
            _ => None,
        }
    }

    /// Whether the value was put.
    pub(crate) fn refresh(&self, token: RefreshToken, key: Key, number: u32) -> bool {
        self.map.pin().refresh(token, key, self.value(number)).is_ok()
    }

    pub(crate) fn sweep(&self) -> usize {
        self.map.sweep(Budget::full_pass()).removed
    }

    /// Every thread is done: the list is in order, what was removed is reclaimed, and nothing is
    /// left behind when the map goes.
    pub(crate) fn end(self: Arc<Self>) {
        let this = Arc::into_inner(self).expect("all threads have joined");
        if !cfg!(crossbeam_loom) {
            // The real collector need not come to it within a model.
            this.map.sweep(Budget::full_pass());
            assert_eq!(this.alive.load(Relaxed), this.map.len(), "removed values are dropped");
        }
        this.map.assert_well_formed();
        drop(this.map);
        assert_eq!(this.alive.load(Relaxed), 0, "a map drops what it holds");
    }
}

/// Runs a model, counts its executions, prints the count, and fails below the floor.
#[cfg(evanesce_loom)]
pub(crate) fn model(
    name: &str,
    preemptions: usize,
    floor: usize,
    f: impl Fn() + Sync + Send + 'static,
) {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    let bound = std::env::var("LOOM_MAX_PREEMPTIONS").ok().and_then(|n| n.parse().ok());
    builder.preemption_bound = Some(bound.unwrap_or(preemptions));
    builder.max_branches = 20_000;
    let start = std::time::Instant::now();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        f();
    });
    let executions = executions.load(Relaxed);
    println!("model {name}: {executions} executions, {:.1?}", start.elapsed());
    if bound.is_none() {
        assert!(executions >= floor, "{name}: {executions} executions, at least {floor} expected");
    }
}

/// Two threads on one world, a `setup` before and a `check` of their answers after.
#[cfg(evanesce_loom)]
macro_rules! race {
    ($name:ident, $preemptions:expr, $floor:expr, $world:expr, $setup:expr, $a:expr, $b:expr, $check:expr) => {
        #[test]
        fn $name() {
            model(stringify!($name), $preemptions, $floor, || {
                let w: Arc<World> = $world;
                ($setup)(&*w);
                let theirs = Arc::clone(&w);
                let a = loom::thread::spawn(move || {
                    let answer = ($a)(&*theirs);
                    drop(theirs);
                    answer
                });
                let b = ($b)(&*w);
                let a = a.join().unwrap();
                ($check)(&*w, a, b);
                w.end();
            });
        }
    };
}
#[cfg(evanesce_loom)]
pub(crate) use race;
