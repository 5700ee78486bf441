//! Everything is dropped exactly once, not too early, not during a read, and its memory is used again.

use crate::common::hashers::Hashing;
use crate::common::sites::{Probe, Site, SiteClock, SiteKey, SiteVal, arm, disarm};
use crate::common::tally::{Tally, Token, reading};
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, Operation, TtlMap};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

/// Keys and values are counted.
type Map = TtlMap<SiteKey, SiteVal, Hashing>;

/// A map, its clock, and the book of its keys and values.
struct Fixture {
    map: Map,
    clock: ManualClock,
    tally: Tally,
}

impl Fixture {
    fn new() -> Self {
        Self::with_hashing(Hashing::Sip)
    }

    fn with_hashing(hashing: Hashing) -> Self {
        let clock = ManualClock::new();
        let options = builder().hasher(hashing).clock(clock.clone());
        Self { map: options.build().expect("valid options"), clock, tally: Tally::new() }
    }

    fn key(&self, n: u64) -> SiteKey {
        SiteKey::new(n, &self.tally)
    }

    fn val(&self) -> SiteVal {
        SiteVal::new(0, &self.tally)
    }

    fn insert(&self, n: u64) {
        self.map.pin().insert(self.key(n), self.val());
    }

    fn full_pass(&self) {
        self.map.sweep(Budget::full_pass());
    }

    /// A step chosen by `rng`, under a pin of its own; reads are declared as such.
    fn random_step(&self, rng: &mut Rng) {
        let (Self { map, clock, .. }, n) = (self, rng.below(40));
        match rng.below(14) {
            0..=2 => self.insert(n),
            3 => {
                _ = map.pin().insert_with_ttl(self.key(n), self.val(), ns(rng.below(6)));
            }
            4 => _ = map.pin().try_insert(self.key(n), self.val()),
            5 => _ = map.pin().get_or_insert_with(self.key(n), || self.val()),
            6 => _ = map.pin().update(self.key(n), |_| self.val()),
            7 => _ = map.pin().remove(&Probe(n)),
            8 => _ = map.pin().set_ttl(&Probe(n), ns(rng.below(6))),
            9 => reading(|| {
                let mut pin = map.pin();
                pin.get(&Probe(n));
                pin.contains_key(&Probe(n));
                pin.repin();
                pin.ttl(&Probe(n));
                pin.iter().for_each(drop);
            }),
            10 => _ = map.get_cloned(&Probe(n)), // the clone is dropped here, so it is not declared a read
            11 => clock.advance(ns(1)),
            12 => _ = map.sweep(Budget::entries(3)),
            _ => {
                if rng.below(20) == 0 {
                    map.clear();
                }
            }
        }
    }
}

#[test]
fn random_operations_drop_everything_exactly_once_and_never_in_a_read() {
    exclusive(|| {
        let mut rng = Rng::from_env();
        for hashing in Hashing::ALL {
            for steps in [0, 1, 10, 100, 3000] {
                let fixture = Fixture::with_hashing(hashing);
                for _ in 0..steps {
                    fixture.random_step(&mut rng);
                }
                let Fixture { map, tally, .. } = fixture;
                assert_slots_accounted(&map);
                drop(map); // with any amount of work deferred
                tally.assert_all_dropped();
            }
        }
    });
}

#[test]
fn slots_are_accounted_for_after_each_operation() {
    exclusive(|| {
        let (fixture, mut rng) = (Fixture::new(), Rng::from_env());
        for _ in 0..3000 {
            fixture.random_step(&mut rng);
            assert_slots_accounted(&fixture.map);
        }
        fixture.full_pass();
        let stats = assert_slots_accounted(&fixture.map);
        assert_eq!(stats.pending_reclaim, 0);
        assert_eq!(fixture.tally.alive(), 2 * stats.len);
    });
}

#[test]
fn full_pass_drops_all_that_was_removed() {
    exclusive(|| {
        for count in [1, 2, 63, 64, 65, 1000] {
            let fixture = Fixture::new();
            for n in 0..count {
                fixture.insert(n);
                fixture.insert(n);
            }
            for n in 0..count {
                fixture.map.pin().remove(&Probe(n));
            }
            let report = fixture.map.sweep(Budget::full_pass());
            assert_eq!(report.pending_reclaim, 0, "{count}: {report:?}");
            fixture.tally.assert_all_dropped();
        }
    });
}

#[test]
fn clear_then_full_pass_drops_everything() {
    exclusive(|| {
        let fixture = Fixture::new();
        (0..1000).for_each(|n| fixture.insert(n));
        fixture.map.clear();
        fixture.full_pass();
        fixture.tally.assert_all_dropped();
        assert_eq!(assert_slots_accounted(&fixture.map).len, 0);
    });
}

/// A thread that holds a pin of its own map until told.
struct Parked {
    release: Sender<()>,
    thread: JoinHandle<()>,
}

impl Parked {
    /// Parks on `map`, or on a map of its own.
    fn new(map: Option<Arc<Fixture>>) -> Self {
        let (release, released) = channel();
        let (tell, pinned) = channel();
        let thread = thread::spawn(move || {
            let own = Fixture::new();
            let map = map.as_ref().map_or(&own.map, |fixture| &fixture.map);
            let pin = map.pin();
            let value = pin.get(&Probe(0));
            tell.send(()).expect("the test waits");
            released.recv().expect("the test releases");
            drop(value.cloned());
        });
        pinned.recv().expect("pinned");
        Self { release, thread }
    }

    fn release(self) {
        self.release.send(()).expect("parked");
        self.thread.join().expect("no panic");
    }
}

#[test]
fn map_drop_drops_everything_at_once_whatever_guards_live_elsewhere() {
    exclusive(|| {
        let parked = Parked::new(None);
        let other: TtlMap<u64, u64> = TtlMap::new();
        let pin = other.pin();
        let (fixture, mut rng) = (Fixture::new(), Rng::from_env());
        for _ in 0..2000 {
            fixture.random_step(&mut rng);
        }
        let Fixture { map, tally, .. } = fixture;
        drop(map);
        tally.assert_all_dropped();
        drop(pin);
        parked.release();
        // The deferred work of the dropped map runs now, and must find nothing to do.
        for _ in 0..1000 {
            other.pin().insert(1, 1);
        }
        other.sweep(Budget::full_pass());
        tally.assert_all_dropped();
    });
}

#[test]
fn nothing_is_dropped_while_a_pin_could_see_it() {
    exclusive(|| {
        let fixture = Arc::new(Fixture::new());
        fixture.map.pin().insert_with_ttl(fixture.key(9), fixture.val(), ns(1));
        (0..3).for_each(|n| fixture.insert(n));
        let mut pin = fixture.map.pin();
        let seen: Vec<_> = pin.iter().map(|(key, value)| (key.token(), value.token())).collect();
        assert_eq!(seen.len(), 4);
        let writer = thread::spawn({
            let fixture = Arc::clone(&fixture);
            move || {
                fixture.insert(0); // replaces
                fixture.map.pin().remove(&Probe(1));
                fixture.map.pin().update(fixture.key(2), |_| fixture.val());
                fixture.clock.advance(ns(1)); // key 9 expires
                (0..5).for_each(|_| fixture.full_pass());
                for n in 100..5000 {
                    fixture.insert(n % 200);
                }
                fixture.map.clear();
                (0..5).for_each(|_| fixture.full_pass());
            }
        });
        writer.join().expect("no panic");
        for (key, value) in seen {
            let alive = fixture.tally.is_alive(key) && fixture.tally.is_alive(value);
            assert!(alive, "dropped under a pin");
        }
        reading(|| pin.repin());
        fixture.full_pass();
        drop(pin);
        fixture.full_pass();
        fixture.tally.assert_all_dropped();
    });
}

#[test]
fn parked_reader_holds_memory_back_and_nothing_else() {
    exclusive(|| {
        let fixture = Arc::new(Fixture::new());
        fixture.insert(0);
        let parked = Parked::new(Some(Arc::clone(&fixture)));
        for round in 1..=10 {
            (0..1000).for_each(|n| fixture.insert(n % 10));
            let stats = assert_slots_accounted(&fixture.map);
            assert!(stats.pending_reclaim >= round * 990, "not held back: {stats:?}");
            assert_eq!(stats.len, 10);
            assert!(fixture.map.pin().get(&Probe(3)).is_some());
        }
        let report = fixture.map.sweep(Budget::full_pass());
        assert!(report.pending_reclaim >= 9900, "{report:?}");
        parked.release();
        let report = fixture.map.sweep(Budget::full_pass());
        assert_eq!(report.pending_reclaim, 0, "{report:?}");
        assert_eq!(fixture.tally.alive(), 20);
        let stats = assert_slots_accounted(&fixture.map);
        (0..5000).for_each(|n| fixture.insert(n % 10));
        assert_eq!(fixture.map.stats().slots, stats.slots, "free slots are used before new ones");
    });
}

#[test]
fn many_overwrites_of_one_key_use_few_slots() {
    exclusive(|| {
        let writes = dose(60_000, 1_000_000);
        let map: TtlMap<u64, u64> = TtlMap::new();
        for n in 0..writes {
            map.pin().insert(7, n);
        }
        let stats = assert_slots_accounted(&map);
        assert!(stats.slots < 10_000, "{stats:?}");
        assert_eq!(map.get_cloned(&7), Some(writes - 1));
    });
}

#[test]
fn overwrites_under_a_repinned_pin_use_few_slots() {
    exclusive(|| {
        let map: TtlMap<u64, u64> = TtlMap::new();
        let mut pin = map.pin();
        for n in 0..dose(60_000, 200_000) {
            pin.insert(n % 3, n);
            pin.repin();
        }
        let stats = map.stats();
        assert!(stats.slots < 10_000, "{stats:?}");
    });
}

#[test]
fn insert_and_remove_by_turns_use_few_slots() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u64, u64> = builder().clock(clock.clone()).build().expect("valid options");
        for n in 0..dose(40_000, 100_000) {
            map.pin().insert(n, n);
            assert!(map.pin().remove(&n).is_some());
            map.pin().insert_with_ttl(n, n, ns(1));
            clock.advance(ns(1));
        }
        let stats = assert_slots_accounted(&map);
        assert!(stats.slots < 10_000, "{stats:?}");
    });
}

#[test]
fn threads_that_ended_leave_nothing_behind() {
    exclusive(|| {
        let fixture = Arc::new(Fixture::new());
        for _ in 0..20 {
            let fixture = Arc::clone(&fixture);
            let writer = thread::spawn(move || (0..10).for_each(|n| fixture.insert(n % 2)));
            writer.join().expect("no panic");
        }
        let report = fixture.map.sweep(Budget::full_pass());
        assert_eq!(report.pending_reclaim, 0, "{report:?}");
        assert_eq!(fixture.tally.alive(), 4);
    });
}

/// They share a collector and the thread's number, and nothing else.
#[test]
fn a_thousand_maps_on_one_thread_keep_their_entries_apart() {
    const MAPS: u64 = 1000;
    exclusive(|| {
        let tally = Tally::new();
        let mut maps: Vec<TtlMap<u64, (u64, Token)>> = (0..MAPS).map(|_| TtlMap::new()).collect();
        for key in 0..10 {
            for (n, map) in (0..).zip(&maps) {
                assert!(map.pin().insert(key, (n, tally.token())).is_none());
            }
        }
        for (n, map) in (0..).zip(&maps) {
            assert!(map.pin().iter().all(|(_, value)| value.0 == n));
            (0..5).for_each(|key| assert_eq!(map.pin().remove(&key).map(|value| value.0), Some(n)));
        }
        let mut rng = Rng::from_env();
        let mut left = 10 * MAPS as usize;
        assert_eq!(tally.alive(), left, "too few a map to be dropped by writes");
        // Half of them swept first, each its own; and dropped in any order.
        while !maps.is_empty() {
            let map = maps.swap_remove(rng.below(maps.len() as u64) as usize);
            if maps.len().is_multiple_of(2) {
                assert_eq!(map.sweep(Budget::full_pass()).pending_reclaim, 0);
                assert_eq!(tally.alive(), left - 5);
            }
            drop(map);
            left -= 10;
            assert_eq!(tally.alive(), left);
        }
    });
}

/// What a thread has for itself goes to those that come later: no memory for each that ever wrote.
#[test]
fn memory_does_not_grow_with_the_threads_that_ever_wrote() {
    exclusive(|| {
        let fixture = Arc::new(Fixture::new());
        let mut after_half = 0;
        for n in 1..=1000 {
            let fixture_of_thread = Arc::clone(&fixture);
            let writer = thread::spawn(move || {
                (0..4).for_each(|i| fixture_of_thread.insert((n + i) % 10));
                fixture_of_thread.map.pin().remove(&Probe(n % 10));
                assert!(fixture_of_thread.map.pin().contains_key(&Probe((n + 1) % 10)));
            });
            writer.join().expect("no panic");
            if n % 100 == 0 {
                fixture.full_pass();
                let stats = assert_slots_accounted(&fixture.map);
                assert_eq!((stats.len, stats.pending_reclaim), (3, 0), "{stats:?}");
                assert_eq!(fixture.tally.alive(), 6);
                if n == 500 {
                    after_half = stats.bytes_allocated;
                }
                let bytes = stats.bytes_allocated;
                assert!(n < 500 || bytes < after_half + after_half / 4, "{bytes} after {n}");
            }
        }
    });
}

struct Last(RefCell<Option<Arc<Fixture>>>);

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(fixture) = self.0.take() {
            let mut pin = fixture.map.pin();
            pin.insert(fixture.key(1), fixture.val());
            assert!(pin.get(&Probe(1)).is_some());
            pin.repin();
            pin.remove(&Probe(1));
            drop(pin);
            fixture.full_pass();
        }
    }
}

thread_local!(static LAST: Last = const { Last(RefCell::new(None)) });

#[test]
fn maps_work_in_thread_local_destructors() {
    exclusive(|| {
        let fixture = Arc::new(Fixture::new());
        // Thread-local destructors run in no order to rely on: try both registrations.
        for pin_first in [false, true] {
            let fixture = Arc::clone(&fixture);
            let worker = thread::spawn(move || {
                if pin_first {
                    fixture.insert(2);
                }
                LAST.with(|last| last.0.replace(Some(Arc::clone(&fixture))));
                fixture.insert(3);
            });
            worker.join().expect("no panic");
        }
        let fixture = Arc::into_inner(fixture).expect("the threads let go");
        assert_eq!(fixture.map.len(), 2);
        fixture.full_pass();
        assert_eq!(fixture.tally.alive(), 4);
        let Fixture { map, tally, .. } = fixture;
        drop(map);
        tally.assert_all_dropped();
    });
}

#[test]
fn maps_dropped_on_another_thread_drop_everything() {
    exclusive(|| {
        let (fixture, mut rng) = (Fixture::new(), Rng::from_env());
        (0..2000).for_each(|_| fixture.random_step(&mut rng));
        let Fixture { map, tally, .. } = fixture;
        thread::spawn(move || drop(map)).join().expect("no panic");
        tally.assert_all_dropped();
    });
}

/// What the collector handed back and no write or sweep came for. That nothing is left behind is for
/// the leak sanitizer to see.
#[test]
fn batches_that_nobody_came_for_go_with_the_map() {
    exclusive(|| {
        let map = TtlMap::new();
        {
            let pin = map.pin();
            for key in 0..1000_u64 {
                pin.insert(key, key);
                pin.remove(&key);
            }
        }
        // One pin in 128 runs what is deferred.
        for _ in 0..2000 {
            drop(map.pin());
        }
        assert_eq!(map.stats().pending_reclaim, 1000, "reclaimed by a reader");
        drop(map);
        // The collector's queue keeps the bytes of what it ran last, and with them a way to a lost batch.
        let other = TtlMap::<u64, u64>::new();
        for key in 0..10 {
            other.pin().insert(key, key);
            other.pin().remove(&key);
            other.sweep(Budget::full_pass());
        }
    });
}

/// However much waits: the rest is for other writes, and nothing for reads.
#[test]
fn a_write_drops_no_more_than_a_batch() {
    const BATCH: usize = 124;
    exclusive(|| {
        let (tally, map) = (Tally::new(), TtlMap::new());
        let parked = map.pin();
        for key in 0..2_000_u64 {
            map.pin().insert(key, tally.token());
        }
        for key in 0..2_000 {
            map.pin().remove(&key);
        }
        assert_eq!(tally.alive(), 2_000, "the parked pin may see them");
        drop(parked);
        // The collector's turns come with pins; all it does is to say that they are due.
        for _ in 0..10_000 {
            assert!(map.pin().get(&0).is_none());
        }
        assert_eq!(tally.alive(), 2_000, "a read drops nothing");
        for _ in 0..10 {
            let before = tally.alive();
            map.pin().insert(0, tally.token());
            let dropped = before + 1 - tally.alive();
            assert!((1..=BATCH).contains(&dropped), "{dropped} dropped by one write");
        }
    });
}

/// However much waits, and however small its budget is: what is due is dropped in pieces.
#[test]
fn a_sweep_of_one_entry_drops_no_more_than_eighteen_batches() {
    const MOST: usize = 18 * 124;
    const PILE: usize = 20_000;
    exclusive(|| {
        let (tally, map) = (Tally::new(), TtlMap::new());
        let parked = map.pin();
        for key in 0..PILE as u64 {
            map.pin().insert(key, tally.token());
            map.pin().remove(&key);
        }
        drop(parked);
        // The collector's turns come with pins; all it does is to say that they are due.
        for _ in 0..20_000 {
            assert!(map.pin().get(&0).is_none());
        }
        assert_eq!(tally.alive(), PILE, "a read drops nothing");
        let mut sweeps = 0;
        while tally.alive() > 0 {
            let before = tally.alive();
            map.sweep(Budget::entries(1));
            let dropped = before - tally.alive();
            assert!(dropped <= MOST, "{dropped} dropped by one sweep");
            sweeps += 1;
            assert!(sweeps < 1000, "{:?}", map.stats());
        }
        assert!(sweeps >= PILE / MOST, "{sweeps} sweeps");
    });
}

/// A call on key 1, and whether it leaves the key in the map.
type Ending = (fn(&Map, &Tally), bool);

/// A remove or a replacement that has returned leaves nothing of the old entry: whatever else changed between its look
/// at the entry and its step, here all that stands around it, the slot of the old one waits to be reclaimed, and is.
#[test]
fn what_ends_an_entry_takes_it_out_whatever_goes_on_around_it() {
    const ENDINGS: [Ending; 7] = [
        (|map, _| _ = map.pin().remove(&Probe(1)), false),
        (|map, _| _ = map.pin().remove_if(&Probe(1), |_, _| true), false),
        (|map, _| _ = map.sweep(Budget::full_pass()), true),
        (|map, tally| _ = map.pin().insert(SiteKey::new(1, tally), SiteVal::new(0, tally)), true),
        (
            |map, tally| _ = map.pin().update(SiteKey::new(1, tally), |_| SiteVal::new(0, tally)),
            true,
        ),
        (
            |map, tally| {
                let operation = |_: Option<&_>| Operation::Insert(SiteVal::new(0, tally));
                map.pin().compute(SiteKey::new(1, tally), operation);
            },
            true,
        ),
        (
            |map, tally| {
                map.pin().compute(SiteKey::new(1, tally), |_| Operation::Remove);
            },
            false,
        ),
    ];
    const MEANWHILE: [fn(&Map, &Tally); 4] = [
        |map, _| _ = map.pin().remove(&Probe(0)),
        |map, tally| _ = map.pin().insert(SiteKey::new(0, tally), SiteVal::new(0, tally)),
        |map, _| [0, 2].iter().for_each(|n| _ = map.pin().remove(&Probe(*n))),
        |map, tally| {
            (0..2)
                .for_each(|_| _ = map.pin().insert(SiteKey::new(0, tally), SiteVal::new(0, tally)));
        },
    ];
    exclusive(|| {
        let mut times = 0;
        for (e, (end, stays)) in ENDINGS.iter().enumerate() {
            for (m, meanwhile) in MEANWHILE.iter().enumerate() {
                for site in [Site::Clock, Site::Eq] {
                    for nth in 1.. {
                        let label = format!("ending {e}, at {site:?} {nth}: {m}");
                        let (tally, clock) = (Tally::new(), ManualClock::new());
                        let options = builder().hasher(Hashing::Constant).sweep_per_write(0);
                        let options = options.clock(SiteClock(clock));
                        let map: Rc<Map> = Rc::new(options.build().expect("valid options"));
                        for n in 0..3 {
                            let (key, value) = (SiteKey::new(n, &tally), SiteVal::new(0, &tally));
                            map.pin().insert_with_ttl(key, value, ns(100));
                        }
                        let (theirs, books) = (Rc::clone(&map), tally.clone());
                        arm(site, nth, move || meanwhile(&theirs, &books));
                        end(&map, &tally);
                        let fired = disarm();
                        assert_eq!(map.pin().contains_key(&Probe(1)), *stays, "{label}");
                        assert_slots_accounted(&map);
                        settle(&map);
                        let stats = assert_slots_accounted(&map);
                        assert_eq!(tally.alive(), 2 * stats.len, "{label}: not reclaimed");
                        drop(map);
                        tally.assert_all_dropped();
                        if !fired {
                            break;
                        }
                        times += 1;
                    }
                }
            }
        }
        assert!(times >= 50, "{times}");
    });
}
