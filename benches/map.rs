//! Steady single operations under criterion: `u64 -> u64`, one thread, 1k, 100k and 1M entries.
//!
//! * `get_hit`, `get_miss`: uniform random keys under one held guard. Lookups do not depend on each
//!   other, so the processor may overlap neighbours: read the figure as time per lookup in a
//!   stream, not as the latency of one alone.
//! * `overwrite`: insert over a present key, uniform random.
//! * `insert_remove`: one fresh key in and one random older key out; the figure is for the pair and
//!   includes whatever reclamation the map does on the way. The map's size stays as it is.
//!
//! Each `(operation, size)` is one criterion group with every map side by side, so they run in the
//! same minute, but still **one after another**. On a shared machine quote `cargo bench --bench
//! table`, whose passes are interleaved; this benchmark is for watching one operation over time
//! (`--save-baseline`). `evanesce+ttl` has a deadline on each entry. The other conditions (hasher,
//! keys, guards) are in `common/mod.rs`.

mod common;

use std::time::{Duration, Instant};

use common::{
    Churn, DASHMAP, EVANESCE, EVANESCE_TTL, Entrant, Mode, PAPAYA, Peer, Rng, SIZES, STD,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};

const ENTRANTS: [Entrant; 5] = [EVANESCE, EVANESCE_TTL, PAPAYA, DASHMAP, STD];

/// Precomputed steps; a sample goes on where the last one stopped, so that short samples do not
/// meet warm keys only.
const ORDER: usize = 1 << 20;

/// Churn steps made at a time, outside the clock.
const STEPS: usize = 1 << 15;

/// Hands out consecutive pieces of a cyclic order.
struct Cursor<'a> {
    order: &'a [u64],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, at_most: u64) -> &'a [u64] {
        let rest = &self.order[self.at..];
        let piece = &rest[..rest.len().min(usize::try_from(at_most).unwrap_or(usize::MAX))];
        self.at = (self.at + piece.len()) % self.order.len();
        piece
    }
}

/// Runs `batch` over consecutive pieces of `order`, on a map of the first `n` keys, until the
/// iterations are used up.
fn ordered(
    group: &mut BenchmarkGroup<'_, WallTime>,
    n: usize,
    order: &[u64],
    hits: bool,
    batch: fn(&mut dyn Peer, &[u64]) -> usize,
) {
    for (name, new) in ENTRANTS {
        let mut map = None; // made on the first sample, so that a filtered benchmark costs nothing
        let mut cursor = Cursor { order, at: 0 };
        group.bench_function(BenchmarkId::new(name, n), |bencher| {
            let map = map.get_or_insert_with(|| filled(new, n));
            bencher.iter_custom(|mut left| {
                let mut spent = Duration::ZERO;
                while left > 0 {
                    let piece = cursor.take(left);
                    let start = Instant::now();
                    let found = batch(map.as_mut(), piece);
                    spent += start.elapsed();
                    assert_eq!(found, if hits { piece.len() } else { 0 }, "{name}");
                    left -= piece.len() as u64;
                }
                spent
            });
        });
    }
}

fn insert_remove(group: &mut BenchmarkGroup<'_, WallTime>, n: usize) {
    for (name, new) in ENTRANTS {
        let mut state = None;
        group.bench_function(BenchmarkId::new(name, n), |bencher| {
            let (map, churn) = state.get_or_insert_with(|| (filled(new, n), Churn::new(n)));
            bencher.iter_custom(|mut left| {
                let mut spent = Duration::ZERO;
                while left > 0 {
                    let steps = churn.steps(left.min(STEPS as u64) as usize);
                    let start = Instant::now();
                    let removed = map.churn(&steps);
                    spent += start.elapsed();
                    assert_eq!(removed, steps.len(), "{name}");
                    left -= steps.len() as u64;
                }
                spent
            });
        });
    }
}

fn filled(new: fn() -> Box<dyn Peer>, n: usize) -> Box<dyn Peer> {
    let mut map = new();
    assert_eq!(map.insert(&common::keys(0..n)), 0);
    map
}

fn operations(criterion: &mut Criterion) {
    let (sizes, order) = match common::mode() {
        Mode::Measure | Mode::List => (&SIZES[..], ORDER),
        Mode::Smoke => (&SIZES[..1], 1000),
    };
    for &n in sizes {
        let present = Rng::new(1).draws(n, order);
        let absent = common::keys(n..n + order);

        let mut group = criterion.benchmark_group("get_hit");
        ordered(&mut group, n, &present, true, |map, keys| map.get(keys));
        group.finish();

        let mut group = criterion.benchmark_group("get_miss");
        ordered(&mut group, n, &absent, false, |map, keys| map.get(keys));
        group.finish();

        let mut group = criterion.benchmark_group("overwrite");
        ordered(&mut group, n, &present, true, |map, keys| map.insert(keys));
        group.finish();

        let mut group = criterion.benchmark_group("insert_remove");
        insert_remove(&mut group, n);
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .sample_size(15)
        .nresamples(10_000);
    targets = operations
}
criterion_main!(benches);
