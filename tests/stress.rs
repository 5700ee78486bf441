//! Real threads, oversubscribed, with expiry, growth and reuse. `EVANESCE_STRESS_OPS` sets the operations of each
//! thread.

mod common;

use common::{Rng, assert_slots_accounted, builder, exclusive, mix, ns, settle};
use evanesce::{Budget, Clock as _, Deadline, ManualClock, MonotonicClock, TtlMap};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

/// Operations of each thread.
fn operations() -> u64 {
    std::env::var("EVANESCE_STRESS_OPS").map_or(200_000, |text| text.parse().expect("a number"))
}

// Counted in statics, since each test has the process for itself.
static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
static INSERTED: AtomicUsize = AtomicUsize::new(0);

/// A value that knows its key; its checksum is wrong once it is dropped, or torn.
struct Val {
    key: u64,
    serial: u64,
    check: AtomicU64,
}

impl Val {
    fn new(key: u64, serial: u64) -> Self {
        MADE.fetch_add(1, Relaxed);
        Self { key, serial, check: AtomicU64::new(checksum(key, serial)) }
    }

    /// Asserts that it is whole and belongs to `key`; returns its serial number.
    fn verify(&self, key: u64) -> u64 {
        assert_eq!(self.key, key, "a value of another key");
        let check = self.check.load(Relaxed);
        assert_eq!(check, checksum(key, self.serial), "torn, or dropped already");
        self.serial
    }
}

impl Drop for Val {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
        self.verify(self.key);
        self.check.store(0, Relaxed);
    }
}

fn checksum(key: u64, serial: u64) -> u64 {
    mix(mix(key) ^ serial) | 1
}

type Map = TtlMap<u64, Val>;

/// Writes to random keys, with TTLs below `ttls` nanoseconds; `tick` moves the clock.
fn write(map: &Map, mut rng: Rng, keys: u64, ttls: u64, tick: &dyn Fn()) {
    for op in 0..operations() {
        // The range grows, so that the map does.
        let key = rng.below((8 + keys * op / operations()).min(keys));
        let val = || Val::new(key, op);
        let pin = map.pin();
        let (got, inserted) = match rng.below(12) {
            0..=2 => (pin.insert(key, val()), true),
            3..=5 => (pin.insert_with_ttl(key, val(), ns(rng.below(ttls))), true),
            6 => match pin.try_insert(key, val()) {
                Ok(new) => (Some(new), true),
                Err(occupied) => {
                    assert_eq!(occupied.not_inserted.verify(key), op);
                    (Some(occupied.current), false)
                }
            },
            7 => (Some(pin.get_or_insert_with(key, val)), false),
            8 => {
                let got = pin.update(key, |old| {
                    old.verify(key);
                    val()
                });
                (got, got.is_some())
            }
            9 => (pin.remove(&key), false),
            10 => {
                pin.set_ttl(&key, ns(rng.below(ttls)));
                (None, false)
            }
            _ => {
                drop(pin);
                map.sweep(Budget::entries(20));
                tick();
                continue;
            }
        };
        INSERTED.fetch_add(usize::from(inserted), Relaxed);
        if let Some(got) = got {
            got.verify(key);
        }
    }
}

/// Reads random keys, at times all of them, and looks at all it read again before it lets go of the pin.
fn read(map: &Map, mut rng: Rng, keys: u64) {
    let mut pin = map.pin();
    for round in 0..operations() / 64 {
        let mut held = Vec::new();
        for _ in 0..64 {
            let key = rng.below(keys);
            held.extend(pin.get(&key).map(|val| (key, val)));
        }
        if round % 64 == 0 {
            held.extend(pin.iter().map(|(key, val)| (*key, val)));
        }
        for (key, val) in held {
            val.verify(key);
        }
        if round % 3 == 0 {
            drop(pin);
            pin = map.pin();
        } else {
            pin.repin();
        }
    }
}

/// Four writers and four readers; then the books must balance.
fn survives(map: Map, ttls: u64, tick: impl Fn() + Send + Sync + Clone + 'static) {
    const KEYS: u64 = 8192;
    for counter in [&MADE, &DROPPED, &INSERTED] {
        counter.store(0, Relaxed);
    }
    let (map, mut rng) = (Arc::new(map), Rng::from_env());
    let mut threads = Vec::new();
    for _ in 0..4 {
        let (writer, reader, tick) = (Arc::clone(&map), Arc::clone(&map), tick.clone());
        let (a, b) = (Rng::new(rng.next()), Rng::new(rng.next()));
        threads.push(thread::spawn(move || write(&writer, a, KEYS, ttls, &tick)));
        threads.push(thread::spawn(move || read(&reader, b, KEYS)));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }

    // On the real clock too, what has a deadline expires before the books are closed.
    let closing = Instant::now() + ns(ttls);
    while Instant::now() < closing {
        thread::yield_now();
    }
    settle(&map);
    let stats = assert_slots_accounted(&map);
    assert_eq!(stats.pending_reclaim, 0, "{stats:?}");
    {
        let pin = map.pin();
        let seen: Vec<u64> = pin.iter().map(|(key, val)| (*key, val.verify(*key)).0).collect();
        assert_eq!(seen.len(), stats.len, "nothing expires now: {stats:?}");
        let found: BTreeSet<u64> = (0..KEYS).filter(|key| pin.contains_key(key)).collect();
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), found, "iter and get differ");
        assert_eq!(found.len(), stats.len, "a key twice");
    }
    assert_eq!(MADE.load(Relaxed) - DROPPED.load(Relaxed), stats.len, "{stats:?}");
    drop(Arc::into_inner(map).expect("all threads ended"));
    assert_eq!(MADE.load(Relaxed), DROPPED.load(Relaxed), "leaked");

    let inserted = INSERTED.load(Relaxed);
    let reuses = inserted.saturating_sub(stats.slots);
    println!(
        "{} operations, {inserted} insertions, {} growths, {} expired entries swept, {reuses} slot reuses",
        8 * operations(),
        stats.growths,
        stats.swept_total,
    );
    assert!(stats.growths > 0, "{stats:?}");
    assert!(stats.swept_total > 0, "{stats:?}");
    assert!(reuses > 0, "{inserted} insertions, {stats:?}");
}

#[test]
fn readers_and_writers_survive_expiry_growth_and_reuse() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map = builder().clock(clock.clone()).build().expect("valid options");
        survives(map, 3_000, move || clock.advance(ns(20)));
    });
}

#[test]
fn readers_and_writers_survive_on_the_real_clock() {
    exclusive(|| {
        let map =
            builder().clock(MonotonicClock).sweep_per_write(1).build().expect("valid options");
        survives(map, 3_000_000, || ());
    });
}

/// What a thread knows of a key of its own: value, and between which instants its deadline lies.
#[derive(Clone, Copy)]
struct Known {
    serial: u64,
    earliest: u64,
    latest: u64,
}

/// Works on keys that no other thread touches, and knows every answer but where the clock moved meanwhile.
fn own_keys(map: &Map, clock: &ManualClock, me: u64, mut rng: Rng) {
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    let mut pin = map.pin();
    for op in 0..operations() {
        if op % 16 == 0 {
            pin.repin();
        }
        let key = me + 8 * rng.below(8 + 400 * op / operations());
        let (choice, ttl) = (rng.below(10), rng.below(4000));
        let begun = clock.now();
        let val = || Val::new(key, op);
        let (got, changed) = match choice {
            0 => (pin.insert(key, val()), false),
            1 | 2 => (pin.insert_with_ttl(key, val(), ns(ttl)), false),
            3 => (pin.insert_with_deadline(key, val(), Deadline::from_nanos(begun + ttl)), false),
            4 => (pin.remove(&key), false),
            5 => (None, pin.set_ttl(&key, ns(ttl))),
            6 => (pin.try_insert(key, val()).err().map(|occupied| occupied.current), false),
            7 => {
                let mut replaced = None;
                let updated = pin.update(key, |old| {
                    replaced = Some(old.verify(key));
                    val()
                });
                if let Some(new) = updated {
                    assert_eq!(new.verify(key), op);
                    assert_eq!(replaced, known.get(&key).map(|k| k.serial), "an old value");
                }
                (None, updated.is_some())
            }
            _ => (pin.get(&key), false),
        };
        let ended = clock.now();

        // Was it there? It must have been if its deadline had not come when this ended, and cannot have been if
        // it had passed when this began.
        let before = known.get(&key).copied();
        let must = before.is_some_and(|k| ended < k.earliest);
        let may = before.is_some_and(|k| begun < k.latest);
        let found = got.is_some() || changed;
        assert!(found || !must, "key {key}, operation {op} ({choice}): lost");
        assert!(!found || may, "key {key}, operation {op} ({choice}): resurrected");
        if let Some(val) = got {
            assert_eq!(Some(val.verify(key)), before.map(|k| k.serial), "an old value");
        }

        let lives = |earliest, latest| Known { serial: op, earliest, latest };
        match choice {
            0 => _ = known.insert(key, lives(u64::MAX, u64::MAX)),
            1 | 2 => _ = known.insert(key, lives(begun + ttl, ended + ttl)),
            3 => _ = known.insert(key, lives(begun + ttl, begun + ttl)),
            4 => _ = known.remove(&key),
            5 if changed => {
                let known = known.get_mut(&key).expect("renewed");
                (known.earliest, known.latest) = (begun + ttl, ended + ttl);
            }
            6 if !found => _ = known.insert(key, lives(u64::MAX, u64::MAX)),
            7 if changed => known.get_mut(&key).expect("updated").serial = op,
            // Once it was seen absent it stays absent.
            _ if !found => _ = known.remove(&key),
            _ => {}
        }
        if rng.below(8) == 0 {
            clock.advance(ns(10));
        }
        if rng.below(64) == 0 {
            map.sweep(Budget::entries(50));
        }
    }
    let now = clock.now();
    println!(
        "thread {me}: {} keys at the end",
        known.values().filter(|k| now < k.earliest).count()
    );
}

#[test]
fn no_key_is_lost_or_resurrected_while_others_write_grow_and_sweep() {
    exclusive(|| {
        for counter in [&MADE, &DROPPED] {
            counter.store(0, Relaxed);
        }
        let clock = ManualClock::new();
        let map: Arc<Map> =
            Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
        let mut rng = Rng::from_env();
        let threads: Vec<_> = (0..8)
            .map(|me| {
                let (map, clock, rng) = (Arc::clone(&map), clock.clone(), Rng::new(rng.next()));
                thread::spawn(move || own_keys(&map, &clock, me, rng))
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        settle(&map);
        let stats = assert_slots_accounted(&map);
        assert!(stats.growths > 0 && stats.swept_total > 0, "{stats:?}");
        assert_eq!(map.pin().iter().count(), stats.len);
        drop(Arc::into_inner(map).expect("all threads ended"));
        assert_eq!(MADE.load(Relaxed), DROPPED.load(Relaxed), "leaked");
    });
}
