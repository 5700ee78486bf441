//! What the system says of this process's memory, not what the map says: what is given back has left the process.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![allow(clippy::large_stack_arrays, reason = "what is put into a map comes from there")]

use evanesce_testkit as common;

use common::{builder, dose, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, TtlMap, TtlSet};

const MIB: usize = 1 << 20;

/// The bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the field VmRSS");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib << 10
}

/// How far this process has grown past `before`.
fn grown(before: usize) -> usize {
    resident().saturating_sub(before)
}

#[test]
fn what_a_map_gives_back_leaves_the_process() {
    exclusive(|| {
        let before = resident();
        let map: TtlMap<u64, u64> = TtlMap::new();
        let entries = dose(400_000, 1_000_000);
        (0..entries).for_each(|key| _ = map.pin().insert(key, !key));
        let full = grown(before);
        assert!(full > 32 * entries as usize, "{full}");
        (1000..entries).for_each(|key| _ = map.pin().remove(&key));
        settle(&map);
        map.shrink_to_fit();
        let (after, told) = (grown(before), map.stats().bytes_allocated);
        assert!(after < full / 4, "{full} bytes, then {after} for 1,000 entries");
        assert!(told < full / 4, "{told} bytes told of {after}");
        assert!((0..1000).all(|key| map.pin().get(&key) == Some(&!key)));
    });
}

const VALUE_BYTES: usize = 64 << 10;
const VALUES: u64 = 2_000;
const STAY: u64 = 64;

type Large = TtlMap<u64, [u8; VALUE_BYTES]>;

/// Values of 64 KiB, all but each 64th until 10 ns.
fn large(sweep_per_write: usize) -> (Large, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(sweep_per_write);
    let map: Large = options.build().expect("valid options");
    for key in 0..VALUES {
        map.pin().insert(key, [key as u8; VALUE_BYTES]);
        if key % STAY != 0 {
            map.pin().set_ttl(&key, ns(10));
        }
    }
    (map, clock)
}

/// That few values are left, in memory as well.
fn assert_few(map: &Large, before: usize) {
    let (after, told) = (grown(before), map.stats().bytes_allocated);
    let left = map.len() * VALUE_BYTES;
    assert!(after < left + 24 * MIB, "{after} bytes for {left} of values; {told} told");
    assert!(told < left + 16 * MIB, "{told} bytes told for {left} of values");
    let pin = map.pin();
    let is_whole = |key| pin.get(&key).is_some_and(|value| value.iter().all(|b| *b == key as u8));
    assert!((0..VALUES).step_by(STAY as usize).all(is_whole));
}

#[test]
fn large_values_that_expired_go_back_one_by_one_by_a_full_sweep() {
    exclusive(|| {
        let before = resident();
        let (map, clock) = large(0);
        let full = grown(before);
        assert!(full > VALUES as usize * VALUE_BYTES, "{full}");
        clock.advance(ns(10));
        map.sweep(Budget::full_pass());
        settle(&map);
        assert_few(&map, before);
        map.shrink_to_fit();
        assert_few(&map, before);
        // Their places can be used again.
        (0..VALUES).for_each(|key| _ = map.pin().insert(key, [key as u8; VALUE_BYTES]));
        let again = grown(before);
        assert!(
            again > VALUES as usize * VALUE_BYTES && again < full + full / 8,
            "{full}, {again}"
        );
    });
}

#[test]
fn large_values_that_expired_go_back_one_by_one_by_writes() {
    exclusive(|| {
        let before = resident();
        let (map, clock) = large(64);
        clock.advance(ns(10));
        (0..20 * VALUES).for_each(|_| assert!(map.pin().persist(&0)));
        assert_few(&map, before);
    });
}

#[test]
fn a_size_hint_that_lies_reserves_little() {
    /// One element, and the promise of many.
    struct Lying(Option<u64>);

    impl Iterator for Lying {
        type Item = u64;

        fn next(&mut self) -> Option<u64> {
            self.0.take()
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (50_000_000, None)
        }
    }

    exclusive(|| {
        let before = resident();
        let map: TtlMap<u64, ()> = Lying(Some(1)).map(|key| (key, ())).collect();
        let set: TtlSet<u64> = Lying(Some(2)).collect();
        let after = grown(before);
        assert!(after < 16 * MIB, "{after} bytes for two elements");
        assert!(map.stats().bytes_allocated < MIB && set.contains(&2));
    });
}
