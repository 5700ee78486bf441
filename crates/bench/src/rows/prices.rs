//! PRICES: what the steps of a get cost, one by one.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

use evanesce::TtlMap;

use super::reads::{count, described, million, readings};
use crate::keys::{Rng, keys};
use crate::maps::{EVANESCE, EVANESCE_TTL, Hasher, PAPAYA, hasher};
use crate::measure::per;
use crate::results::{Case, Measured};
use crate::told::{Results, Run, Stop, interleave};

type Map = TtlMap<u64, u64, Hasher>;

/// What is measured, of whom, and how.
struct Price<'a> {
    case: String,
    entrant: &'static str,
    pass: Box<dyn Fn() -> f64 + 'a>,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    const HASHER: &str = "foldhash";
    let count = count(run);
    let sizes = [(1_000, "1k"), (run.pick(100_000, 100_000, 1_000), "100k"), (million(run), "1M")];
    let maps: Vec<_> = sizes.map(|(n, size)| (Size::new(n, count), size)).into();
    let papaya: papaya::HashMap<u64, u64, Hasher> = papaya::HashMap::with_hasher(hasher());
    let any = &maps[0].0.plain;
    let text: Vec<String> = (0..1_000).map(|i| format!("{i:024}")).collect();
    let absent: Vec<u64> = keys(1 << 40..(1 << 40) + count);

    let mut prices = vec![
        price("pin and unpin", EVANESCE, || repeat(count, |_| drop(black_box(any.pin())))),
        price("pin and unpin", PAPAYA, || repeat(count, |_| drop(black_box(papaya.pin())))),
        price("repin", EVANESCE, || {
            let mut pinned = any.pin();
            repeat(count, |_| black_box(&mut pinned).repin())
        }),
        price("hash of a u64", HASHER, || {
            repeat(count, |i| {
                black_box(hasher().hash_one(black_box(i)));
            })
        }),
        price("hash of a string of 24 bytes", HASHER, || {
            repeat(count, |i| {
                black_box(hasher().hash_one(black_box(text[i % text.len()].as_str())));
            })
        }),
        price("Instant::now", "std", || readings(count)),
    ];
    for (map, size) in &maps {
        let held = format!("hit, {size}, held pin");
        let each = format!("hit, {size}, a pin each");
        prices.extend([
            price(&held, EVANESCE, || map.held(&map.plain)),
            price(&held, EVANESCE_TTL, || map.held(&map.mortal)),
            price(&each, EVANESCE, || map.pin_each(&map.plain)),
            price(&each, EVANESCE_TTL, || map.pin_each(&map.mortal)),
            price(&format!("miss, {size}, held pin"), EVANESCE, || look_up(&map.plain, &absent)),
        ]);
    }

    let names: Vec<String> =
        prices.iter().map(|price| format!("{}: {}", price.case, price.entrant)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    run.expect(run.rounds() * names.len());
    let passes =
        interleave(run, "prices", &names, run.rounds(), |_, who| Ok(Some((prices[who].pass)())))?;
    let mut measured = Measured::default();
    described(run, &mut measured);
    let mut at = 0;
    for group in prices.chunk_by(|one, next| one.case == next.case) {
        let entrants: Vec<&str> = group.iter().map(|price| price.entrant).collect();
        let passes = &passes[at..at + group.len()];
        measured.add(Case::new(group[0].case.as_str(), "ns", &entrants, passes, |ns| *ns), &[]);
        at += group.len();
    }
    Ok(vec![("PRICES", measured)])
}

fn price<'a>(case: &str, entrant: &'static str, pass: impl Fn() -> f64 + 'a) -> Price<'a> {
    Price { case: case.into(), entrant, pass: Box::new(pass) }
}

/// The nanoseconds of `work`, which gets numbers that differ.
#[inline(always)]
fn repeat(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    for i in 0..count {
        work(i);
    }
    per(start, count)
}

/// Maps of one size.
struct Size {
    plain: Map,
    mortal: Map,
    order: Vec<u64>,
}

impl Size {
    fn new(n: usize, count: usize) -> Self {
        let (plain, mortal) = (Map::with_hasher(hasher()), Map::with_hasher(hasher()));
        for chunk in keys::<u64>(0..n).chunks(64) {
            for key in chunk {
                plain.pin().insert(*key, !key);
                mortal.pin().insert_with_ttl(*key, !key, Duration::from_secs(3600));
            }
        }
        Self { plain, mortal, order: Rng::new(1).draws(n, count) }
    }

    fn held(&self, map: &Map) -> f64 {
        look_up(map, &self.order[..self.order.len() / 8]);
        look_up(map, &self.order)
    }

    fn pin_each(&self, map: &Map) -> f64 {
        look_up(map, &self.order[..self.order.len() / 8]);
        repeat(self.order.len(), |i| {
            black_box(map.pin().get(black_box(&self.order[i])));
        })
    }
}

/// The nanoseconds a lookup under one held pin.
fn look_up(map: &Map, order: &[u64]) -> f64 {
    let pinned = map.pin();
    repeat(order.len(), |i| {
        black_box(pinned.get(black_box(&order[i])));
    })
}
