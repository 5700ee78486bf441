//! How many instructions single operations take, by callgrind: unlike times they repeat, so a limit on
//! them can decide whether a change lands (`ci/instructions.sh`).
//!
//! Each count is for 1,000 operations on a map of 10,000 entries, `u64 -> u64`, under one held pin; the
//! map is made and dropped outside of it. A limit is what was seen (rustc 1.95, x86-64), and a tenth more.

use std::{hint::black_box, time::Duration};

use evanesce::{Budget, Compute, ManualClock, Operation, Pinned, TickClock, TtlMap};
use foldhash::fast::FixedState;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};

type Map = TtlMap<u64, u64, FixedState>;
type Pin = Pinned<'static, u64, u64, FixedState>;

const ENTRIES: u64 = 10_000;
const OPERATIONS: u64 = 1_000;

/// A full map, for `'static`, so that making a pin is not counted.
fn pinned(map: Map, ttl: Option<Duration>) -> Pin {
    let map: &'static Map = Box::leak(Box::new(map));
    let mut pinned = map.pin();
    for key in 0..ENTRIES {
        pinned.repin();
        match ttl {
            Some(ttl) => pinned.insert_with_ttl(key, key, ttl),
            None => pinned.insert(key, key),
        };
    }
    pinned
}

fn on_the_default_clock() -> Map {
    Map::with_hasher(FixedState::with_seed(7))
}

fn immortal() -> Pin {
    pinned(on_the_default_clock(), None)
}

fn mortal() -> Pin {
    pinned(on_the_default_clock(), Some(Duration::from_secs(3600)))
}

fn mortal_by_ticks() -> Pin {
    let options = TtlMap::builder().hasher(FixedState::with_seed(7)).clock(TickClock::shared());
    pinned(options.build().expect("valid options"), Some(Duration::from_secs(3600)))
}

/// A map that is full, as it may hold no more.
fn full() -> Pin {
    let options = TtlMap::builder().hasher(FixedState::with_seed(7));
    pinned(options.max_entries(ENTRIES as usize).build().expect("valid options"), None)
}

/// A map whose entries are all due, or none of them.
fn on_a_manual_clock(due: bool) -> Map {
    let clock = ManualClock::new();
    let options = TtlMap::builder().hasher(FixedState::with_seed(7)).clock(clock.clone());
    let map = options.sweep_per_write(0).build().expect("valid options");
    for key in 0..ENTRIES {
        map.pin().insert_with_ttl(key, key, Duration::from_nanos(1));
    }
    clock.advance(Duration::from_nanos(u64::from(due)));
    map
}

fn limited(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

#[library_benchmark(config = limited(62_800))]
#[bench::of_1000(setup = immortal)]
fn get_hit(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.get(&black_box(n * 9))));
}

#[library_benchmark(config = limited(48_300))]
#[bench::of_1000(setup = immortal)]
fn get_miss(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.get(&black_box(ENTRIES + n))));
}

#[library_benchmark(config = limited(114_500))]
#[bench::of_1000(setup = mortal)]
fn get_hit_with_deadline(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.get(&black_box(n * 9))));
}

#[library_benchmark(config = limited(68_000))]
#[bench::of_1000(setup = mortal_by_ticks)]
fn get_hit_with_deadline_by_ticks(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.get(&black_box(n * 9))));
}

// The first time that they are used, which is to be counted.
#[library_benchmark(config = limited(114_500))]
#[bench::of_1000(setup = full)]
fn get_hit_of_a_full_map(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.get(&black_box(n * 9))));
}

#[library_benchmark(config = limited(1_699_200))]
#[bench::of_1000(setup = full)]
fn insert_into_a_full_map(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.insert(ENTRIES + n, n)));
}

#[library_benchmark(config = limited(340_800))]
#[bench::of_1000(setup = immortal)]
fn insert(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.insert(ENTRIES + n, n)));
}

#[library_benchmark(config = limited(348_500))]
#[bench::of_1000(setup = immortal)]
fn overwrite(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.insert(n * 9, n)));
}

#[library_benchmark(config = limited(368_200))]
#[bench::of_1000(setup = immortal)]
fn update(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.update(n * 9, |value| value + 1)));
}

#[library_benchmark(config = limited(496_700))]
#[bench::of_1000(setup = mortal)]
fn compute_with_deadline(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(count(&pinned, n * 9)));
}

/// A step of a rate limiter.
fn count(pinned: &Pin, client: u64) -> bool {
    let counted = pinned.compute(client, |count| match count {
        None => Operation::InsertWithTtl(1, Duration::from_secs(3600)),
        Some(&u64::MAX) => Operation::Abort,
        Some(count) => Operation::Insert(count + 1),
    });
    !matches!(counted, Compute::Unchanged(_))
}

#[library_benchmark(config = limited(344_700))]
#[bench::of_1000(setup = immortal)]
fn remove(pinned: Pin) {
    (0..OPERATIONS).for_each(|n| _ = black_box(pinned.remove(&(n * 9))));
}

#[library_benchmark(config = limited(5_100))]
#[bench::of_10000(args = (false), setup = on_a_manual_clock)]
fn sweep_with_nothing_due(map: Map) -> Map {
    map.sweep(Budget::full_pass());
    map
}

#[library_benchmark(config = limited(5_444_200))]
#[bench::of_10000(args = (true), setup = on_a_manual_clock)]
fn sweep_with_all_due(map: Map) -> Map {
    map.sweep(Budget::full_pass());
    map
}

library_benchmark_group!(
    name = operations;
    benchmarks = get_hit, get_miss, get_hit_with_deadline, get_hit_with_deadline_by_ticks,
        get_hit_of_a_full_map, insert_into_a_full_map, insert, overwrite, update, compute_with_deadline, remove, sweep_with_nothing_due, sweep_with_all_due
);

main!(library_benchmark_groups = operations);
