//! Random schedules of more threads and longer programs than loom can exhaust.
//!
//! ```text
//! RUSTFLAGS="--cfg evanesce_shuttle" cargo test --release --features shuttle --test models -- --nocapture --test-threads=1
//! ```
//!
//! The map is built as for loom: the stand-in for the collector, which frees at the earliest legal
//! moment, two buckets, batches of one slot. Shuttle runs every atomic as `SeqCst`: what it checks
//! is interleavings; orderings are for loom and the thread sanitizer. `EVANESCE_SCHEDULES` sets the
//! schedules of each test; a failing one is printed for replay.
#![cfg(evanesce_shuttle)]

use std::sync::Arc;

use crate::history::{Answer, Call, Event, Life, Parity, check, record};
use crate::small::{A, A_TWIN, B, C, D, Key, NS, World};
use evanesce::{Budget, Clock, ManualClock};
use shuttle::{
    rand::{Rng, thread_rng},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
};

const THREADS: usize = 4;
const OPS: usize = 6;
const KEYS: [Key; 5] = [A, A_TWIN, B, C, D];

/// Runs `program` under many schedules, half of them random and half by priorities with few changes
/// (Burckhardt et al. 2010), which meet other bugs.
fn explore(name: &str, program: fn()) {
    let schedules = std::env::var("EVANESCE_SCHEDULES")
        .map_or(10_000, |text| text.parse().expect("EVANESCE_SCHEDULES is a number"));
    shuttle::check_random(program, schedules / 2);
    shuttle::check_pct(program, schedules - schedules / 2, 3);
    println!("shuttle {name}: {schedules} schedules");
}

/// One thread a part, on a map of `capacity`; their results in order. Then the map is at rest.
fn together<R: Send + 'static>(
    capacity: usize,
    part: fn(&World, usize) -> R,
) -> (Arc<World>, Vec<R>) {
    let w = World::with_slots(capacity, 100);
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let w = Arc::clone(&w);
            thread::spawn(move || part(&w, me))
        })
        .collect();
    let results = threads.into_iter().map(|t| t.join().unwrap()).collect();
    (w, results)
}

/// Every operation on few keys, with time going on. Values are counted, and the list is well-formed
/// at the end.
#[test]
fn shuttle_any_operations_lose_no_value_and_leave_the_index_in_order() {
    explore("any_operations", || {
        let (w, _) = together(0, |w, me| {
            for op in 0..OPS {
                let number = (me * OPS + op) as u32;
                let key = KEYS[thread_rng().gen_range(0..3)];
                match thread_rng().gen_range(0..9) {
                    0 => _ = w.insert(key, number),
                    1 => _ = w.insert_until(key, number, thread_rng().gen_range(0..6)),
                    2 => _ = w.update(key),
                    3 => _ = w.remove(key),
                    4 => _ = w.set_ttl(key, thread_rng().gen_range(0..4)),
                    5 => _ = w.get(key),
                    6 => _ = w.sweep(),
                    7 => w.clock.advance(NS(1)),
                    // A key that goes and comes back may be seen again; all that is seen is there.
                    _ => w
                        .map
                        .pin()
                        .iter()
                        .for_each(|(key, value)| assert!(*key != 0 && value.number < 100)),
                }
            }
        });
        w.end();
    });
}

/// Entries of each thread's own, while the table grows through all its levels.
#[test]
fn shuttle_growth_hides_no_entry() {
    explore("growth", || {
        let (w, _) = together(0, |w, me| {
            let own = |op: usize| ((op * THREADS + me) as Key) << 58 | (op * THREADS + me) as Key;
            for op in 0..OPS {
                assert_eq!(w.insert(own(op), op as u32), None);
                let before = thread_rng().gen_range(0..=op);
                assert_eq!(w.get(own(before)), Some(before as u32), "hidden");
            }
        });
        assert_eq!(w.map.len(), THREADS * OPS);
        assert_eq!(w.map.pin().iter().count(), THREADS * OPS);
        w.end();
    });
}

/// What all threads remove and replace is told once: each value put is replaced by one, or removed by
/// one, or there at the end.
#[test]
fn shuttle_every_value_has_one_end() {
    explore("one_end", || {
        let (w, ends) = together(4, |w, me| {
            let mut ended = Vec::new();
            for op in 0..OPS {
                let key = KEYS[thread_rng().gen_range(0..2)];
                ended.extend(match thread_rng().gen_range(0..3) {
                    0 | 1 => w.insert(key, (me * OPS + op) as u32),
                    _ => w.remove(key),
                });
            }
            ended
        });
        let mut ends: Vec<u32> = ends.concat();
        ends.extend(KEYS.iter().filter_map(|key| w.get(*key)));
        let told = ends.len();
        ends.sort_unstable();
        ends.dedup();
        assert_eq!(ends.len(), told, "a value ended twice");
        w.end();
    });
}

/// One of the calls that most threads make.
fn usual_call(value: u64, _: &ManualClock) -> Call {
    let ttl = thread_rng().gen_range(0..4);
    match thread_rng().gen_range(0..14) {
        0..=3 => Call::Get,
        4 => Call::Insert(value, Life::Forever),
        5 | 6 => Call::Insert(value, Life::For(ttl)),
        7 => Call::TryInsert(value),
        8 | 9 => Call::Update(value),
        10 => Call::Remove,
        _ => Call::SetTtl(ttl),
    }
}

/// One of all calls.
fn any_call(value: u64, clock: &ManualClock) -> Call {
    let below = |n: u64| thread_rng().gen_range(0..n);
    let (ttl, parity) = (below(4), Parity(below(2)));
    match below(24) {
        0..=4 => Call::Get,
        5 => Call::Insert(value, Life::Forever),
        6 | 7 => Call::Insert(value, Life::For(ttl)),
        8 => Call::TryInsert(value),
        9 | 10 => Call::Update(value),
        11 => [Call::ReplaceIf(value, parity), Call::ComputePut(value)][below(2) as usize],
        12 => [Call::ComputePutFor(value, ttl), Call::ComputeAbort][below(2) as usize],
        13 => Call::Remove,
        14 => [Call::RemoveIf(parity), Call::ComputeRemove][below(2) as usize],
        15..=17 => Call::SetTtl(ttl),
        18 | 19 => Call::SetDeadline((clock.now() + ttl).saturating_sub(1)),
        20 => Call::ExtendTtl(ttl),
        21 => Call::Persist,
        _ => Call::GetOrRefresh(ttl),
    }
}

/// One thread's calls on one key, with time going on and sweeps.
fn recorded(
    w: &World,
    me: usize,
    tickets: &AtomicU64,
    any_call: fn(u64, &ManualClock) -> Call,
) -> Vec<Event> {
    let mut events = Vec::new();
    // A token in hand, and the value that it is of.
    let (mut token, mut token_of) = (None, None);
    for call in 0..=OPS {
        let value = (me * (OPS + 1) + call) as u64;
        let ttl = thread_rng().gen_range(0..4);
        match thread_rng().gen_range(0..6) {
            0 => w.clock.advance(NS(1)),
            1 => _ = w.map.sweep(Budget::entries(2)),
            _ => {}
        }
        // One that is left at the end goes back, which is a call as well.
        let call = match token_of.take() {
            Some(of) if call == OPS || ttl == 0 => Call::ReturnToken(of),
            Some(of) => Call::Refresh { of, value, life: Life::For(ttl) },
            None if call == OPS => break,
            None => any_call(value, &w.clock),
        };
        let value_of = |value: &crate::small::Value| u64::from(value.number);
        let make = |number: u64| w.value(number as u32);
        let ticket = || tickets.fetch_add(1, SeqCst);
        let hand = (A, value_of, make);
        let event = record(&w.map.pin(), hand, call, &mut token, (me, &w.clock, ticket));
        if let Answer::Token(of) = event.answer {
            token_of = Some(of);
        }
        events.push(event);
    }
    events
}

/// A history of four threads, each of whose answers has an order and an instant that explain it, as
/// `tests/threads/linearizable.rs` asks of real threads.
fn history_is_linearizable(any_call: fn(u64, &ManualClock) -> Call) {
    let w = World::with_slots(4, 100);
    let tickets = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (w, tickets) = (Arc::clone(&w), Arc::clone(&tickets));
            thread::spawn(move || recorded(&w, me, &tickets, any_call))
        })
        .collect();
    let events: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    if let Err(text) = check(&events) {
        panic!("{text}");
    }
    w.end();
}

#[test]
fn shuttle_histories_are_linearizable_in_time() {
    explore("histories", || history_is_linearizable(usual_call));
}

/// Rarer calls more often, so that what the usual ones do to each other is met more rarely than there.
#[test]
fn shuttle_histories_of_every_call_are_linearizable_in_time() {
    explore("every_call", || history_is_linearizable(any_call));
}
