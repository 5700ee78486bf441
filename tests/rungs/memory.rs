//! Memory that goes back: after a mass expiry, after removals, with readers at work and with one that is parked.

use crate::common::{assert_slots_accounted, builder, dose, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, Stats, TtlMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

type Map = TtlMap<u64, u64>;

/// The entries for good.
fn survivors() -> u64 {
    dose(4_000, 10_000)
}

/// These and the others.
fn all() -> u64 {
    20 * survivors()
}

/// Where the system takes pages back (on others the figures stay).
const GIVES_PAGES_BACK: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A map of some entries for good and the others until 10 ns.
fn mortal(sweep_per_write: usize) -> (Map, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(sweep_per_write);
    let map: Map = options.build().expect("valid options");
    (0..survivors()).for_each(|key| _ = map.pin().insert(key, !key));
    (survivors()..all()).for_each(|key| _ = map.pin().insert_with_ttl(key, !key, ns(10)));
    (map, clock)
}

/// The bytes of a map that never had more than the survivors.
fn fresh_bytes() -> usize {
    let map: Map = TtlMap::new();
    (0..survivors()).for_each(|key| _ = map.pin().insert(key, !key));
    map.stats().bytes_allocated
}

fn assert_survivors(map: &Map) -> Stats {
    let pin = map.pin();
    assert!((0..survivors()).all(|key| pin.get(&key) == Some(&!key)));
    assert!((survivors()..all()).step_by(7).all(|key| pin.get(&key).is_none()));
    assert_eq!(pin.iter().count() as u64, survivors());
    drop(pin);
    let stats = assert_slots_accounted(map);
    assert_eq!((stats.len as u64, stats.pending_reclaim), (survivors(), 0));
    stats
}

#[test]
fn a_full_sweep_gives_the_memory_of_what_expired_back() {
    exclusive(|| {
        let (map, clock) = mortal(0);
        let full = map.stats().bytes_allocated;
        clock.advance(ns(10));
        assert_eq!(map.sweep(Budget::full_pass()).removed as u64, all() - survivors());
        settle(&map);
        let after = assert_survivors(&map).bytes_allocated;
        let fresh = fresh_bytes();
        assert!(!GIVES_PAGES_BACK || after <= 2 * fresh, "{full}, then {after}; {fresh} if fresh");
        map.shrink_to_fit();
        let fit = assert_survivors(&map).bytes_allocated;
        // The records of the blocks stay, 32 bytes each, of up to twice as many; and parts of runs.
        let stays = 2 * 32 * (all() as usize / 64) + (64 << 10);
        assert!(!GIVES_PAGES_BACK || fit <= fresh + stays, "{fit}, {fresh} if fresh");
        // All of it can be used again.
        (0..all()).for_each(|key| _ = map.pin().insert(key, key));
        assert!((0..all()).all(|key| map.pin().get(&key) == Some(&key)));
        let again = assert_slots_accounted(&map).bytes_allocated;
        assert!(again <= full + full / 8, "{again}, {full} before");
    });
}

/// Nobody sweeps: the writes that go on do it, a little each.
#[test]
fn writes_alone_give_memory_back() {
    exclusive(|| {
        let (map, clock) = mortal(4);
        let full = map.stats().bytes_allocated;
        clock.advance(ns(10));
        let writes = 2 * all();
        (0..writes).for_each(|n| _ = map.pin().insert(n % survivors(), !(n % survivors())));
        let after = map.stats().bytes_allocated;
        assert!(!GIVES_PAGES_BACK || after < full / 4, "{full}, then {after} {:?}", map.stats());
        settle(&map);
        assert_survivors(&map);
    });
}

#[test]
fn a_capacity_that_was_asked_for_stays_until_it_is_given_up() {
    exclusive(|| {
        let map: Map = TtlMap::with_capacity(all() as usize);
        let laid_out = map.stats().bytes_allocated;
        (0..100).for_each(|key| _ = map.pin().insert(key, key));
        (0..20).for_each(|_| _ = map.sweep(Budget::full_pass()));
        assert!(map.stats().bytes_allocated >= laid_out);
        map.shrink_to_fit();
        let fit = map.stats().bytes_allocated;
        assert!(!GIVES_PAGES_BACK || fit < laid_out / 10, "{laid_out}, then {fit}");
        assert!((0..100).all(|key| map.pin().get(&key) == Some(&key)));
    });
}

/// How much of this process's memory is meant for huge pages by request, in KiB; none where the system has none.
#[cfg(target_os = "linux")]
fn on_huge_pages() -> Option<u64> {
    std::fs::metadata("/sys/kernel/mm/transparent_hugepage").ok()?;
    let mappings = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let (mut size, mut sum) = (0, 0);
    for line in mappings.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Size:") => size = words.next()?.parse().ok()?,
            Some("VmFlags:") if words.any(|flag| flag == "hg") => sum += size,
            _ => {}
        }
    }
    Some(sum)
}

#[cfg(target_os = "linux")]
#[test]
fn large_tables_are_put_on_huge_pages_if_that_is_asked_for() {
    const LARGE: u64 = 200_000;
    exclusive(|| {
        if on_huge_pages().is_none() {
            println!("SKIPPED: huge pages: this system has none");
            return;
        }
        let laid_out = |ask, capacity| -> Map {
            builder().capacity(capacity).huge_pages(ask).build().expect("valid options")
        };
        let _usual = laid_out(false, 1 << 21);
        let _small = laid_out(true, 1000);
        assert_eq!(on_huge_pages(), Some(0));
        let huge = laid_out(true, 1 << 21);
        huge.pin().insert(1, 1);
        let of_one = on_huge_pages();
        assert!(of_one > Some(0));
        let copy = huge.clone(); // laid out for one entry, with the same options
        (0..LARGE).for_each(|key| _ = copy.pin().insert(key, key));
        assert!(on_huge_pages() > of_one);
        assert!((0..LARGE).all(|key| copy.pin().get(&key) == Some(&key)));
        drop((huge, copy));
        assert_eq!(on_huge_pages(), Some(0));
    });
}

#[test]
fn an_empty_map_and_a_small_one_shrink_to_fit() {
    exclusive(|| {
        let map: Map = TtlMap::new();
        map.shrink_to_fit();
        map.pin().insert(1, 1);
        map.shrink_to_fit();
        assert_eq!((map.pin().get(&1), map.len()), (Some(&1), 1));
        // Pinned by the caller itself: nothing can be waited for, and nothing hangs.
        let pin = map.pin();
        (0..1000).for_each(|key| _ = pin.insert(key, key));
        (10..1000).for_each(|key| _ = pin.remove(&key));
        map.shrink_to_fit();
        assert!((0..10).all(|key| pin.get(&key) == Some(&key)));
    });
}

/// Levels come and go all the time, and no reader misses a key that is there.
#[test]
fn readers_find_every_key_while_the_index_grows_and_shrinks() {
    const FIXED: u64 = 300;
    const PASSING: u64 = 12_000;
    exclusive(|| {
        let map: Map = TtlMap::new();
        (0..FIXED).for_each(|key| _ = map.pin().insert(key, !key));
        let (done, passes) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let mut others = Vec::new();
            for _ in 0..2 {
                others.push(scope.spawn(|| {
                    while !done.load(SeqCst) {
                        let pin = map.pin();
                        assert!((0..FIXED).all(|key| pin.get(&key) == Some(&!key)));
                        let seen = pin.iter().filter(|(key, _)| **key < FIXED).count();
                        assert_eq!(seen as u64, FIXED);
                        passes.fetch_add(1, SeqCst);
                    }
                }));
            }
            // A second writer, for the helpers of one level to meet those of the next.
            others.push(scope.spawn(|| {
                let mut n = 0;
                while !done.load(SeqCst) {
                    let key = PASSING + n % 500;
                    map.pin().insert(key, n);
                    map.pin().remove(&key);
                    n += 1;
                }
            }));
            for round in 0..dose(4, 30) {
                for key in FIXED..PASSING {
                    map.pin().insert(key, key);
                }
                for key in FIXED..PASSING {
                    assert_eq!(map.pin().remove(&key), Some(&key));
                }
                if round % 2 == 0 {
                    map.shrink_to_fit();
                } else {
                    map.sweep(Budget::full_pass());
                }
            }
            // On one processor the readers may not have had their turn yet.
            while passes.load(SeqCst) < 10 {
                thread::yield_now();
            }
            done.store(true, SeqCst);
            for thread in others {
                thread.join().expect("no panic");
            }
        });
        settle(&map);
        map.shrink_to_fit();
        assert_eq!(map.len() as u64, FIXED);
        // However often it went back meanwhile: now it has, for nobody was pinned.
        let growths = map.stats().growths;
        (FIXED..PASSING).for_each(|key| _ = map.pin().insert(key, key));
        assert!(map.stats().growths >= growths + 4, "{:?}", map.stats());
        (FIXED..PASSING).for_each(|key| _ = map.pin().remove(&key));
        settle(&map);
        assert!((0..FIXED).all(|key| map.pin().get(&key) == Some(&!key)));
        assert_slots_accounted(&map);
    });
}

/// One that holds a pin keeps memory from going back, and nothing else from going on.
#[test]
fn a_parked_reader_costs_memory_only() {
    exclusive(|| {
        let (map, clock) = mortal(4);
        let full = map.stats().bytes_allocated;
        let parked = map.pin();
        clock.advance(ns(10));
        assert_eq!(map.sweep(Budget::full_pass()).removed as u64, all() - survivors());
        let stats = map.stats();
        assert_eq!(
            (stats.pending_reclaim as u64, stats.len as u64),
            (all() - survivors(), survivors())
        );
        assert!(stats.bytes_allocated >= full);
        // The way back of the index was begun, and is no hindrance to its growth.
        let growths = stats.growths;
        (all()..3 * all()).for_each(|key| _ = map.pin().insert(key, !key));
        assert!(map.stats().growths > growths, "{:?}", map.stats());
        (all()..3 * all()).for_each(|key| _ = map.pin().remove(&key));
        assert!(map.stats().bytes_allocated > 2 * full);
        assert_eq!(parked.get(&1), Some(&!1));
        drop(parked);
        map.sweep(Budget::full_pass());
        let after = assert_survivors(&map).bytes_allocated;
        let fresh = fresh_bytes();
        assert!(!GIVES_PAGES_BACK || after <= 3 * fresh, "{after}; {fresh} if fresh");
    });
}

/// Nothing is retired in a fill, so nobody but the map itself would come to what the collector has.
#[test]
fn a_map_that_is_only_filled_gives_its_old_arrays_back() {
    exclusive(|| {
        let map = TtlMap::<u64, u64>::new();
        let mut pinned = map.pin();
        for key in 0..100_000 {
            pinned.insert(key, key);
            if key % 64 == 0 {
                pinned.repin();
            }
        }
        // A node, its key half and its part of a block's record; then 16,384 lines, and few overflow lines.
        let entry = if cfg!(debug_assertions) { 32 + 4 + 1 } else { 24 + 4 + 1 };
        let bytes = map.stats().bytes_allocated;
        assert!(bytes < 100_000 * entry + 17 * 65_536, "{bytes} bytes for 100,000 entries");
    });
}
