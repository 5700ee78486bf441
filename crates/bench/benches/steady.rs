//! Steady single operations under criterion: `u64 -> u64`, one thread, 1k, 100k and 1M entries, one
//! guard held (renewed every 64 operations by what writes). For watching one operation over time
//! (`--save-baseline`); beside the peers, with tails, growth and memory, it is measured by
//! `cargo run --release -p evanesce-bench`.
//!
//! * `get_hit`, `get_miss`, `get_many` (16 at once, the figure is for one): uniform random keys. Lookups
//!   do not depend on each other, so the processor may overlap neighbours: time per lookup in a stream,
//!   not the latency of one alone.
//! * `overwrite`: insert over a present key, uniform random.
//! * `insert_remove`: a fresh key in and the oldest one out; the figure is for the pair.
//!
//! * `huge_pages`: `get_hit` of 1M and 10M entries with and without `Builder::huge_pages`, and the longest insert of
//!   each fill, printed.
//!
//! `+ttl` has a deadline, an hour away, on each entry; std's map, which is not synchronised, is the limit.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use evanesce::TtlMap;
use foldhash::fast::FixedState;

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const REPIN: u64 = 64;
const TTL: Duration = Duration::from_secs(3600);

type Map = TtlMap<u64, u64, FixedState>;

/// splitmix64, a bijection: keys of different numbers differ, and their order is random.
fn key(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `n`-th of a uniform stream of the first `entries` keys.
fn draw(n: u64, entries: u64) -> u64 {
    key(((u128::from(key(n)) * u128::from(entries)) >> 64) as u64)
}

fn hasher() -> FixedState {
    FixedState::with_seed(0x5eed)
}

fn filled(entries: u64, ttl: bool) -> Map {
    let builder = TtlMap::builder().hasher(hasher());
    let map = if ttl { builder.time_to_live(TTL) } else { builder }.build().expect("valid options");
    let mut pinned = map.pin();
    for n in 0..entries {
        pinned.repin();
        pinned.insert(key(n), n);
    }
    drop(pinned);
    map
}

/// Measures `operate` on the numbers from `next` on, which goes on from sample to sample.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (name, entries): (&str, u64),
    mut operate: impl FnMut(std::ops::Range<u64>),
) {
    let mut next = 0;
    group.bench_function(BenchmarkId::new(name, entries), |bencher| {
        bencher.iter_custom(|operations| {
            let numbers = next..next + operations;
            next = numbers.end;
            let start = Instant::now();
            operate(numbers);
            start.elapsed()
        });
    });
}

fn reads(criterion: &mut Criterion) {
    for entries in SIZES {
        let std: HashMap<u64, u64, FixedState> = {
            let mut map = HashMap::with_hasher(hasher());
            map.extend((0..entries).map(|n| (key(n), n)));
            map
        };
        for (operation, absent) in [("get_hit", 0), ("get_miss", entries)] {
            let mut group = criterion.benchmark_group(operation);
            // One draw for a hit, a key past the present ones for a miss.
            let wanted = |n| if absent == 0 { draw(n, entries) } else { key(absent + n) };
            for (name, ttl) in [("evanesce", false), ("evanesce+ttl", true)] {
                let map = filled(entries, ttl);
                let pinned = map.pin();
                measure(&mut group, (name, entries), |numbers| {
                    numbers.for_each(|n| _ = black_box(pinned.get(&wanted(n))));
                });
            }
            measure(&mut group, ("std", entries), |numbers| {
                numbers.for_each(|n| _ = black_box(std.get(&wanted(n))));
            });
            group.finish();
        }

        let mut group = criterion.benchmark_group("get_many");
        let map = filled(entries, false);
        let pinned = map.pin();
        let mut values = Vec::with_capacity(16);
        measure(&mut group, ("evanesce", entries), |numbers| {
            for first in numbers.step_by(16) {
                let keys: [u64; 16] = std::array::from_fn(|i| draw(first + i as u64, entries));
                values.clear();
                pinned.get_many_into(&keys, &mut values);
                black_box(&values);
            }
        });
        group.finish();
    }
}

fn writes(criterion: &mut Criterion) {
    for entries in SIZES {
        for (name, ttl) in [("evanesce", false), ("evanesce+ttl", true)] {
            let map = filled(entries, ttl);
            let mut pinned = map.pin();
            let mut group = criterion.benchmark_group("overwrite");
            measure(&mut group, (name, entries), |numbers| {
                for n in numbers {
                    if n % REPIN == 0 {
                        pinned.repin();
                    }
                    black_box(pinned.insert(draw(n, entries), n));
                }
            });
            group.finish();
            let mut group = criterion.benchmark_group("insert_remove");
            measure(&mut group, (name, entries), |numbers| {
                for n in numbers {
                    if n % REPIN == 0 {
                        pinned.repin();
                    }
                    pinned.insert(key(entries + n), n);
                    assert!(pinned.remove(&key(n)).is_some(), "the oldest key is there");
                }
            });
            group.finish();
        }
    }
}

fn huge_pages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("huge_pages");
    for entries in [1_000_000, 10_000_000] {
        for (name, ask) in [("usual", false), ("huge", true)] {
            let map: Map =
                TtlMap::builder().hasher(hasher()).huge_pages(ask).build().expect("valid options");
            let mut pinned = map.pin();
            let mut longest = Duration::ZERO;
            for n in 0..entries {
                pinned.repin();
                let start = Instant::now();
                pinned.insert(key(n), n);
                longest = longest.max(start.elapsed());
            }
            println!("{name}: the longest of {entries} inserts took {longest:?}");
            measure(&mut group, (name, entries), |numbers| {
                numbers.for_each(|n| _ = black_box(pinned.get(&draw(n, entries))));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .sample_size(15)
        .nresamples(10_000);
    targets = reads, writes, huge_pages
}
criterion_main!(benches);
