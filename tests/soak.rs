//! The soak: readers, writers, a sweeper and a reader that parks while pinned, on the real clock, with
//! growth, mass expiry, changing TTLs, and threads that begin and end all the time.
//!
//! `EVANESCE_SOAK_SECONDS` sets the time of both rounds together; `ci/soak.sh MINUTES` runs it for long.
//! No assertion hangs on a time: what is checked is what was answered, and the books at the end.
//!
//! # The high-water mark
//!
//! Slots in use are entries and what waits for reclamation. A writer looks at their sum every 64 calls and
//! only removes and sweeps while it is above the ceiling, so it is exceeded by 64 a writer at most. It is
//! reached whenever the reader parks. Before both rounds the map is filled up to the ceiling and
//! [`HEAD_ROOM`] more, and cleared: so that many slots are there, and two identical rounds take no other,
//! unless some get lost.

use evanesce_testkit as common;

use common::books::{MADE, Map, Owned, Pin, Val, alive, any_write, open_books};
use common::{Rng, assert_slots_accounted, builder, dose, ns, settle, within};
use evanesce::{Budget, Clock, Deadline, MonotonicClock, Stats, Sweeper, Ttl};
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const WRITERS: u64 = 4;
const READERS: u64 = 4;

/// Slots beyond the ceiling: 64 calls of each writer, and the blocks of 64 that stripes and threads have
/// in hands while others look for a free slot.
const HEAD_ROOM: u64 = 8192;

/// Keys of each writer's own, and keys of all. Cohorts lie behind both.
const OWN_KEYS: u64 = 4000;
const SHARED_KEYS: u64 = 20_000;
const FIRST_SHARED: u64 = WRITERS * OWN_KEYS;
const FIRST_COHORT: u64 = 1 << 40;

/// Keys that all writers update and one renews; they are there throughout.
const RENEWED_KEYS: u64 = 16;
const FIRST_RENEWED: u64 = FIRST_SHARED + SHARED_KEYS;

/// Calls in a thread's life: some end within a round.
fn stint() -> u64 {
    dose(3_000, 30_000)
}

/// The longest TTL.
const TTLS: u64 = 300_000_000;

/// What all threads of a round share.
struct Soak {
    map: Arc<Map>,
    stop: AtomicBool,
    /// Entries and pending slots above which writers take no slot.
    ceiling: usize,
    threads: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    waves: AtomicU64,
    parks: AtomicU64,
    longest_pending: AtomicUsize,
}

impl Soak {
    fn goes_on(&self) -> bool {
        !self.stop.load(Relaxed)
    }

    /// Sweeps a little; whether there is room for new entries.
    fn has_room(&self) -> bool {
        let pending = self.map.sweep(Budget::entries(64)).pending_reclaim;
        self.longest_pending.fetch_max(pending, Relaxed);
        self.map.len() + pending < self.ceiling
    }

    /// One thread after the other until the end, each with what the last one knew.
    fn stints<T: Send + 'static>(
        self: &Arc<Self>,
        mut known: T,
        mut rng: Rng,
        stint: fn(&Self, T, Rng) -> T,
    ) -> thread::JoinHandle<T> {
        let soak = Arc::clone(self);
        thread::spawn(move || {
            while soak.goes_on() {
                let (own, rng) = (Arc::clone(&soak), Rng::new(rng.next()));
                let worker = thread::spawn(move || stint(&own, known, rng));
                known = worker.join().unwrap_or_else(|panic| {
                    soak.stop.store(true, Relaxed);
                    resume_unwind(panic)
                });
                soak.threads.fetch_add(1, Relaxed);
            }
            known
        })
    }
}

/// A writer's own keys: they are `me`, `me + WRITERS`, and so on.
struct Own {
    me: u64,
    owned: Owned,
    serial: u64,
}

/// Calls on own keys, whose answers are known, and on those of all; at times a wave.
fn write(soak: &Soak, mut own: Own, mut rng: Rng) -> Own {
    let mut room = true;
    match (own.me, rng.below(4)) {
        (0, 0) => wave(soak, &mut rng),
        (1, 0) => short_life(&mut rng),
        _ => {}
    }
    for call in 0..stint() {
        if call % 64 == 0 {
            soak.writes.fetch_add(64, Relaxed);
            room = soak.has_room();
            if !soak.goes_on() {
                break;
            }
        }
        own.serial += 1;
        let pin = soak.map.pin();
        if !room {
            let key = FIRST_SHARED + rng.below(SHARED_KEYS);
            pin.remove(&key);
        } else if rng.below(16) == 0 {
            renew_or_update(&pin, &mut rng, own.me == 0, own.serial);
        } else if rng.below(2) == 0 {
            let key = own.me + WRITERS * rng.below(OWN_KEYS);
            own.owned.step(&pin, &MonotonicClock, &mut rng, (key, own.serial, TTLS));
        } else {
            let key = FIRST_SHARED + rng.below(SHARED_KEYS);
            any_write(&pin, &mut rng, key, own.serial, TTLS);
        }
    }
    own
}

/// A renewal, by the one writer that renews, which no update may lose; or an update.
fn renew_or_update(pin: &Pin<'_>, rng: &mut Rng, renews: bool, serial: u64) {
    let key = FIRST_RENEWED + rng.below(RENEWED_KEYS);
    if renews {
        let ttl = 1_000_000_000_000 * (1 + rng.below(9));
        let before = MonotonicClock.now();
        assert!(pin.set_ttl(&key, ns(ttl)), "key {key} is gone");
        thread::yield_now();
        let Some(Ttl::Remaining(left)) = pin.ttl(&key) else { panic!("key {key} is gone") };
        let passed = MonotonicClock.now() - before;
        let lost = left > ns(ttl) || left + ns(passed) < ns(ttl);
        assert!(!lost, "key {key}: {left:?} left of {ttl} ns after {passed} ns");
    } else {
        let updated = pin.update(key, |old| {
            old.verify(key);
            if serial.is_multiple_of(8) {
                thread::yield_now();
            }
            Val::new(key, serial)
        });
        updated.expect("the key is there throughout").verify(key);
    }
}

/// A map of its own that grows under two writers and goes with work still waiting.
fn short_life(rng: &mut Rng) {
    let map: Arc<Map> = Arc::new(builder().clock(MonotonicClock).build().expect("valid options"));
    let fill = |map: &Map, first: u64, mut rng: Rng| {
        for key in (first..5000).step_by(2) {
            let pin = map.pin();
            pin.insert_with_ttl(key, Val::new(key, 0), ns(rng.below(2_000_000)));
            pin.insert(key, Val::new(key, 1));
            let before = first + 2 * rng.below((key - first) / 2 + 1);
            assert_eq!(pin.get(&before).map(|val| val.verify(before)), Some(1), "hidden by growth");
        }
    };
    let (theirs, seed) = (Arc::clone(&map), Rng::new(rng.next()));
    let other = thread::spawn(move || fill(&theirs, 1, seed));
    fill(&map, 0, Rng::new(rng.next()));
    other.join().expect("no panic");
    assert_eq!(map.len(), 5000);
}

/// Puts as many entries as there is room for, up to half the ceiling, all with one deadline: growth first,
/// then expiry of all at once.
fn wave(soak: &Soak, rng: &mut Rng) {
    let number = soak.waves.fetch_add(1, Relaxed);
    let keys = FIRST_COHORT + (number << 24)..;
    let deadline = MonotonicClock.now() + 50_000_000 + rng.below(200_000_000);
    let mut put = 0;
    for key in keys.take(soak.ceiling / 2) {
        if put % 64 == 0 && !(soak.has_room() && soak.goes_on()) {
            break;
        }
        let until = Deadline::from_nanos(deadline);
        let old = soak.map.pin().insert_with_deadline(key, Val::new(key, number), until).is_some();
        assert!(!old, "key {key} is new");
        put += 1;
    }
    soak.writes.fetch_add(put, Relaxed);
    let keys = FIRST_COHORT + (number << 24)..FIRST_COHORT + (number << 24) + put;
    let count = |pin: &Pin<'_>| {
        let seen = keys.clone().step_by(7).filter_map(|key| Some((key, pin.get(&key)?)));
        seen.map(|(key, val)| assert_eq!(val.verify(key), number)).count()
    };
    let (found, now) = (count(&soak.map.pin()), MonotonicClock.now());
    assert!(now >= deadline || found as u64 == put.div_ceil(7), "{found} of {put} are there");
    if MonotonicClock.now() >= deadline {
        assert_eq!(count(&soak.map.pin()), 0, "seen after their deadline");
    }
}

/// Reads keys of every kind, at times many in a row, and looks at all again before it lets go.
fn read(soak: &Soak, (): (), mut rng: Rng) {
    let mut pin = soak.map.pin();
    for round in 0..stint() / 64 {
        let mut held = Vec::new();
        for _ in 0..64 {
            let key = rng.below(FIRST_SHARED + SHARED_KEYS);
            held.extend(pin.get(&key).map(|val| (key, val)));
        }
        if round % 128 == 0 {
            held.extend(pin.iter().take(10_000).map(|(key, val)| (*key, val)));
        }
        for (key, val) in held {
            val.verify(key);
        }
        soak.reads.fetch_add(64, Relaxed);
        match round % 4 {
            0 => {
                pin = {
                    drop(pin);
                    soak.map.pin()
                }
            }
            _ => pin.repin(),
        }
        if !soak.goes_on() {
            break;
        }
    }
}

/// Waits for about `time`, or until the end.
fn wait(soak: &Soak, time: Duration) {
    let until = MonotonicClock.now() + time.as_nanos() as u64;
    while soak.goes_on() && MonotonicClock.now() < until {
        thread::park_timeout(time / 16);
    }
}

/// In each `period`, a reader that stays pinned for a sixth of it, and then finds all it held as it was.
fn park(soak: &Soak, period: Duration) {
    while soak.goes_on() {
        wait(soak, period * 4 / 6);
        {
            let pin = soak.map.pin();
            let held: Vec<_> = pin.iter().take(5000).map(|(k, v)| (*k, v, v.verify(*k))).collect();
            wait(soak, period / 6);
            for (key, val, serial) in held {
                assert_eq!(val.verify(key), serial, "changed under a pin");
            }
        }
        soak.parks.fetch_add(1, Relaxed);
        wait(soak, period / 6);
    }
}

/// Says how it goes, every tenth of a minute.
fn report(soak: &Soak, round: u32) {
    let start = MonotonicClock.now();
    while soak.goes_on() {
        wait(soak, Duration::from_secs(6));
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        println!(
            "round {round}, {:>4} s: {} reads, {} writes, {} threads, len {}, longest pending {}, RSS {} MB",
            (MonotonicClock.now() - start) / 1_000_000_000,
            soak.reads.load(Relaxed),
            soak.writes.load(Relaxed),
            soak.threads.load(Relaxed),
            soak.map.len(),
            soak.longest_pending.load(Relaxed),
            pages * 4096 / 1_000_000,
        );
    }
}

/// One round of `time`; at its end all threads are gone and the books balance.
fn round(map: &Arc<Map>, number: u32, time: Duration, ceiling: usize) -> (Arc<Soak>, Stats) {
    let soak = Arc::new(Soak {
        map: Arc::clone(map),
        stop: AtomicBool::new(false),
        ceiling,
        threads: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        writes: AtomicU64::new(0),
        waves: AtomicU64::new(0),
        parks: AtomicU64::new(0),
        longest_pending: AtomicUsize::new(0),
    });
    for key in FIRST_RENEWED..FIRST_RENEWED + RENEWED_KEYS {
        map.pin().insert_with_ttl(key, Val::new(key, 0), Duration::from_secs(1_000_000));
    }
    let sweeper = Sweeper::spawn(map, Duration::from_millis(20), Budget::full_pass());
    let mut rng = Rng::new(7); // the same in each round
    let mut writers = Vec::new();
    for me in 0..WRITERS {
        let own = Own { me, owned: Owned::default(), serial: 0 };
        writers.push(soak.stints(own, Rng::new(rng.next()), write));
    }
    let readers: Vec<_> =
        (0..READERS).map(|_| soak.stints((), Rng::new(rng.next()), read)).collect();
    let period = Duration::from_secs(30).min(time / 2);
    let [parking, reporting] = [Arc::clone(&soak), Arc::clone(&soak)];
    let parking = thread::spawn(move || park(&parking, period));
    let reporting = thread::spawn(move || report(&reporting, number));

    wait(&soak, time);
    soak.stop.store(true, Relaxed);
    let known: Vec<Own> = writers.into_iter().map(|w| w.join().expect("no panic")).collect();
    for reader in readers {
        reader.join().expect("no panic");
    }
    parking.join().expect("no panic");
    reporting.thread().unpark();
    reporting.join().expect("no panic");
    drop(sweeper.expect("a thread"));

    // What has a deadline goes; then every entry must be accounted for.
    let closing = MonotonicClock.now() + 2 * TTLS;
    while MonotonicClock.now() < closing {
        thread::park_timeout(ns(TTLS / 4));
    }
    settle(map);
    let stats = assert_slots_accounted(map);
    let pin = map.pin();
    let mut seen = BTreeSet::new();
    for (key, val) in &pin {
        val.verify(*key);
        assert!(*key < FIRST_COHORT, "a cohort's entry outlived its deadline");
        assert!(seen.insert(*key), "key {key} twice");
    }
    let found: BTreeSet<_> =
        (0..FIRST_RENEWED + RENEWED_KEYS).filter(|k| pin.contains_key(k)).collect();
    assert_eq!(seen, found, "iteration and get differ");
    assert_eq!(seen.len(), stats.len, "{stats:?}");
    let now = MonotonicClock.now();
    let own: BTreeSet<_> = known.iter().flat_map(|own| own.owned.live(now)).collect();
    let own_seen: BTreeSet<_> = seen.range(..FIRST_SHARED).copied().collect();
    assert_eq!(own, own_seen, "own entries lost or resurrected");
    assert_eq!(seen.range(FIRST_RENEWED..).count() as u64, RENEWED_KEYS, "renewed entries lost");
    assert_eq!(alive(), stats.len, "values lost or leaked: {stats:?}");
    drop(pin);
    (soak, stats)
}

#[test]
fn a_soak_loses_nothing_and_a_second_round_takes_no_more_memory() {
    let seconds: u64 = std::env::var("EVANESCE_SOAK_SECONDS").map_or_else(
        |_| dose(1, 6),
        |text| text.parse().expect("EVANESCE_SOAK_SECONDS is a number"),
    );
    let soak = move || {
        open_books();
        let map: Arc<Map> =
            Arc::new(builder().clock(MonotonicClock).build().expect("valid options"));
        let ceiling = (seconds as usize * 5000).clamp(30_000, 400_000);
        for key in 0..ceiling as u64 + HEAD_ROOM {
            map.pin().insert(key, Val::new(key, 0));
        }
        let full = map.stats();
        map.clear();
        settle(&map);
        let before = map.stats();
        let time = Duration::from_secs(seconds) / 2;
        let (first, after_first) = round(&map, 1, time, ceiling);
        map.clear();
        settle(&map);
        let (second, after) = round(&map, 2, time, ceiling);
        for stats in [&after_first, &after] {
            assert_eq!(stats.len + stats.free_slots + stats.pending_reclaim, stats.slots);
            assert_eq!(stats.slots, before.slots, "the high-water mark rose");
            // A stripe, about a kilobyte, for each writer that was in the middle of a write beside others.
            let more = stats.bytes_allocated.saturating_sub(full.bytes_allocated);
            assert!(more <= 64 << 10, "the high-water mark rose by {more}");
        }
        let both = |count: fn(&Soak) -> &AtomicU64| {
            [&first, &second].map(|soak| count(soak).load(Relaxed)).iter().sum::<u64>()
        };
        let account = format!(
            "account: {seconds} s, {} reads, {} writes, {} threads, {} waves, {} parks, longest pending {}, \
             {} swept, {} growths, {} values made; live {} + free {} + pending {} = slots {}; \
             slots {} before, {} and {} after the rounds, bytes {}, {} and {}",
            both(|s| &s.reads),
            both(|s| &s.writes),
            both(|s| &s.threads),
            both(|s| &s.waves),
            both(|s| &s.parks),
            [&first, &second].map(|s| s.longest_pending.load(Relaxed)).iter().max().unwrap_or(&0),
            after.swept_total,
            after.growths,
            MADE.load(Relaxed),
            after.len,
            after.free_slots,
            after.pending_reclaim,
            after.slots,
            before.slots,
            after_first.slots,
            after.slots,
            before.bytes_allocated,
            after_first.bytes_allocated,
            after.bytes_allocated,
        );
        drop((first, second));
        drop(Arc::into_inner(map).expect("all threads ended"));
        assert_eq!(alive(), 0, "leaked");
        println!("{account}, none alive after the map");
    };
    // A limit of its own: it is told how long it takes.
    within(Duration::from_secs(seconds + 300), soak);
}
