//! Values that know their keys, and threads that know their answers: what the stress and the soak share.

use super::{Rng, mix, ns};
use evanesce::{Clock, Deadline, Pinned, TtlMap};
use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

// Counted in statics, since each test has the process for itself.
pub static MADE: AtomicUsize = AtomicUsize::new(0);
pub static DROPPED: AtomicUsize = AtomicUsize::new(0);
pub static INSERTED: AtomicUsize = AtomicUsize::new(0);

/// A value that knows its key; its checksum is wrong once it is dropped, or torn.
pub struct Val {
    key: u64,
    serial: u64,
    check: AtomicU64,
}

impl Val {
    pub fn new(key: u64, serial: u64) -> Self {
        MADE.fetch_add(1, Relaxed);
        Self { key, serial, check: AtomicU64::new(checksum(key, serial)) }
    }

    /// Asserts that it is whole and belongs to `key`; returns its serial number.
    pub fn verify(&self, key: u64) -> u64 {
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

/// Starts the counts anew. No other test may run.
pub fn open_books() {
    for counter in [&MADE, &DROPPED, &INSERTED] {
        counter.store(0, Relaxed);
    }
}

/// Values made and not dropped yet.
pub fn alive() -> usize {
    MADE.load(Relaxed) - DROPPED.load(Relaxed)
}

pub type Map = TtlMap<u64, Val>;
pub type Pin<'m> = Pinned<'m, u64, Val, RandomState>;

/// A write to a key that others write to as well, with a TTL below `ttls` nanoseconds.
pub fn any_write(pin: &Pin<'_>, rng: &mut Rng, key: u64, serial: u64, ttls: u64) {
    let val = || Val::new(key, serial);
    let (got, inserted) = match rng.below(11) {
        0..=2 => (pin.insert(key, val()), true),
        3..=5 => (pin.insert_with_ttl(key, val(), ns(rng.below(ttls))), true),
        6 => match pin.try_insert(key, val()) {
            Ok(new) => (Some(new), true),
            Err(occupied) => {
                assert_eq!(occupied.not_inserted.verify(key), serial);
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
        _ => {
            pin.set_ttl(&key, ns(rng.below(ttls)));
            (None, false)
        }
    };
    INSERTED.fetch_add(usize::from(inserted), Relaxed);
    if let Some(got) = got {
        got.verify(key);
    }
}

/// What a thread knows of a key of its own: value, and between which instants its deadline lies.
#[derive(Clone, Copy)]
struct Known {
    serial: u64,
    earliest: u64,
    latest: u64,
}

/// What is known of keys that no other thread writes to.
#[derive(Default)]
pub struct Owned(BTreeMap<u64, Known>);

impl Owned {
    /// The keys that must be there at `now`.
    pub fn live(&self, now: u64) -> impl Iterator<Item = u64> {
        self.0.iter().filter(move |(_, known)| now < known.earliest).map(|(key, _)| *key)
    }

    /// Calls some operation on `key`, and checks what it answers: all is known but where the clock moved
    /// meanwhile.
    pub fn step(
        &mut self,
        pin: &Pin<'_>,
        clock: &impl Clock,
        rng: &mut Rng,
        (key, serial, ttls): (u64, u64, u64),
    ) {
        let (choice, ttl) = (rng.below(10), rng.below(ttls));
        let begun = clock.now();
        let val = || Val::new(key, serial);
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
                    assert_eq!(new.verify(key), serial);
                    assert_eq!(replaced, self.0.get(&key).map(|k| k.serial), "an old value");
                }
                (None, updated.is_some())
            }
            _ => (pin.get(&key), false),
        };
        let ended = clock.now();

        // Was it there? It must have been if its deadline had not come when this ended, and cannot have been if
        // it had passed when this began.
        let before = self.0.get(&key).copied();
        let must = before.is_some_and(|k| ended < k.earliest);
        let may = before.is_some_and(|k| begun < k.latest);
        let found = got.is_some() || changed;
        assert!(found || !must, "key {key}, operation {serial} ({choice}): lost");
        assert!(!found || may, "key {key}, operation {serial} ({choice}): resurrected");
        if let Some(val) = got {
            assert_eq!(Some(val.verify(key)), before.map(|k| k.serial), "an old value");
        }

        let lives = |earliest, latest| Known { serial, earliest, latest };
        match choice {
            0 => _ = self.0.insert(key, lives(u64::MAX, u64::MAX)),
            1 | 2 => _ = self.0.insert(key, lives(begun + ttl, ended + ttl)),
            3 => _ = self.0.insert(key, lives(begun + ttl, begun + ttl)),
            4 => _ = self.0.remove(&key),
            5 if changed => {
                let known = self.0.get_mut(&key).expect("renewed");
                (known.earliest, known.latest) = (begun + ttl, ended + ttl);
            }
            6 if !found => _ = self.0.insert(key, lives(u64::MAX, u64::MAX)),
            7 if changed => self.0.get_mut(&key).expect("updated").serial = serial,
            // Once it was seen absent it stays absent.
            _ if !found => _ = self.0.remove(&key),
            _ => {}
        }
    }
}
