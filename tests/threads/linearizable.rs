//! Histories of real threads, checked: every answer of every call must have an order and an instant that
//! explain it. The checker is `common/history.rs`, which says what exactly is allowed; `tests/answers/checker.rs` checks it.
//!
//! Calls on a small map take less time than waking a thread, and would seldom overlap. So the threads
//! give way at random wherever the map calls them back: in the clock, in `Eq`, in an update's closure.
//!
//! `EVANESCE_LIN_ROUNDS` sets the number of rounds, `EVANESCE_SEED` the seed.

use crate::common::hashers::Hashing;
use crate::common::history::{Answer, Call, Event, Found, Life, Parity, check_with, record};
use crate::common::{Rng, builder, dose, exclusive, ns};
use evanesce::{Budget, Clock, ManualClock, RefreshToken, TtlMap};
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

const THREADS: usize = 6;
/// Calls of a thread in a round.
const CALLS: usize = 7;
/// Rounds on one map, each with keys of its own.
const ROUNDS: usize = 8;

thread_local! {
    /// One number for each time this thread may give way.
    static WAY: Cell<Option<Rng>> = const { Cell::new(None) };
}

/// Gives way to another thread, one time in three, in threads that have begun to.
fn give_way() {
    WAY.with(|way| {
        if let Some(mut rng) = way.take() {
            let now = rng.below(3) == 0;
            way.set(Some(rng));
            if now {
                thread::yield_now();
            }
        }
    });
}

/// A number, whose comparison with its equal takes its time.
#[derive(Clone, Copy, Debug)]
struct Key(u64);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let equal = self.0 == other.0;
        if equal {
            give_way();
        }
        equal
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// A clock that takes its time, before the reading and after it.
struct SlowClock(ManualClock);

impl Clock for SlowClock {
    fn now(&self) -> u64 {
        give_way();
        let now = self.0.now();
        give_way();
        now
    }
}

/// What the threads share for some rounds.
struct Shared {
    map: TtlMap<Key, u64, Hashing>,
    clock: ManualClock,
    /// What the map does with what is put without a word about it.
    life: Life,
    /// Keys of a round.
    keys: u64,
    tickets: AtomicU64,
    arrived: AtomicUsize,
}

impl Shared {
    fn new(hashing: Hashing, rng: &mut Rng) -> Self {
        let clock = ManualClock::new();
        let builder = builder().hasher(hashing).clock(SlowClock(clock.clone()));
        let builder = builder.sweep_per_write(rng.below(3) as usize);
        let (builder, life) = match rng.below(4) {
            0 => (builder.time_to_live(ns(3)), Life::For(3)),
            _ => (builder, Life::Forever),
        };
        let map = builder.build().expect("valid options");
        // A long way for a sweep from an entry to its place in the list.
        for crowd in 0..[0, 0, 200][rng.below(3) as usize] {
            map.pin().insert(Key(1 << 33 | crowd), u64::MAX);
        }
        let (tickets, arrived) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { map, clock, life, keys: 1 << rng.below(3), tickets, arrived }
    }
}

/// A call that `value` and chance make.
fn any_call(rng: &mut Rng, value: u64, clock: &ManualClock) -> Call {
    let (ttl, parity) = (rng.below(6), Parity(rng.below(2)));
    match rng.below(32) {
        0..=5 => Call::Get,
        // No `ttl`: a deadline that is moved away and back within the call makes it tell the time left of neither
        // (DESIGN.md, section 5).
        6 | 7 => Call::ContainsKey,
        8 => Call::Insert(value, [Life::Default, Life::Forever][rng.below(2) as usize]),
        9..=11 => Call::Insert(value, Life::For(ttl)),
        12 => Call::Insert(value, Life::Until(clock.now() + ttl)),
        13 => Call::TryInsert(value),
        14 => Call::GetOrInsert(value),
        15 | 16 => Call::Update(value),
        17 => [Call::ReplaceIf(value, parity), Call::ComputePut(value)][rng.below(2) as usize],
        18 => [Call::ComputePutFor(value, ttl), Call::ComputeAbort][rng.below(2) as usize],
        19 => Call::Remove,
        20 => [Call::RemoveIf(parity), Call::ComputeRemove][rng.below(2) as usize],
        21..=23 => Call::SetTtl(ttl),
        // One that has passed, at times.
        24 | 25 => Call::SetDeadline((clock.now() + ttl).saturating_sub(2)),
        26 => Call::ExtendTtl(ttl),
        27 => Call::Persist,
        _ => Call::GetOrRefresh(ttl),
    }
}

/// A call that ends a token of the entry that has the value `of`.
fn token_call(rng: &mut Rng, of: u64, value: u64) -> Call {
    let life = [Life::Default, Life::For(rng.below(6))][rng.below(2) as usize];
    [Call::Refresh { of, value, life }, Call::ReturnToken(of)][usize::from(rng.below(4) == 0)]
}

/// One thread's calls, recorded with the key of each.
fn part(shared: &Shared, me: usize, mut rng: Rng) -> Vec<(u64, Event)> {
    WAY.set(Some(Rng::new(rng.next())));
    let Shared { map, clock, tickets, .. } = shared;
    let mut events = Vec::new();
    for round in 0..ROUNDS {
        shared.arrived.fetch_add(1, SeqCst);
        while shared.arrived.load(SeqCst) < THREADS * (round + 1) {
            thread::yield_now();
        }
        let mut pin = map.pin();
        // A token in hand, and the key and the value that it is of.
        let mut token: Option<RefreshToken> = None;
        let mut token_of = None;
        // A token that is left at the end goes back, which is a call as well.
        for call in 0..=CALLS {
            if call == CALLS && token.is_none() {
                break;
            }
            let value = ((round * THREADS + me) * (CALLS + 1) + call) as u64;
            match rng.below(10) {
                0 | 1 => clock.advance(ns(1 + rng.below(3))),
                2..=4 => {
                    drop(pin);
                    map.sweep(if rng.below(2) == 0 {
                        Budget::full_pass()
                    } else {
                        Budget::entries(8)
                    });
                    pin = map.pin();
                }
                5 => pin.repin(),
                // Others' entries, for growth and for the reuse of slots.
                6 => _ = pin.insert_with_ttl(Key(1 << 32 | value), u64::MAX, ns(rng.below(9))),
                _ => {}
            }
            let (key, call) = match token_of.take() {
                Some((key, of)) if call == CALLS => (key, Call::ReturnToken(of)),
                Some((key, of)) => (key, token_call(&mut rng, of, value)),
                None => {
                    let key = round as u64 * shared.keys + rng.below(shared.keys);
                    (key, any_call(&mut rng, value, clock))
                }
            };
            let value_of = |value: &u64| {
                give_way();
                *value
            };
            let make = |value| {
                give_way();
                value
            };
            let ticket = || tickets.fetch_add(1, SeqCst);
            let hand = (Key(key), value_of, make);
            let event = record(&pin, hand, call, &mut token, (me, clock, ticket));
            if let Answer::Token(of) = event.answer {
                token_of = Some((key, of));
            }
            events.push((key, event));
        }
    }
    WAY.set(None);
    events
}

/// Six threads on a few keys, over and over, on a fresh map each few rounds.
fn rounds_are_linearizable(hashing: Hashing) {
    let rounds: usize = std::env::var("EVANESCE_LIN_ROUNDS").map_or_else(
        |_| dose(300, 1000) as usize,
        |text| text.parse().expect("EVANESCE_LIN_ROUNDS is a number"),
    );
    let mut rng = Rng::from_env();
    let (done, results) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (work, orders) = mpsc::channel::<(Arc<Shared>, Rng)>();
            let done = done.clone();
            let thread = thread::spawn(move || {
                for (shared, rng) in orders {
                    done.send(part(&shared, me, rng)).expect("the test waits");
                }
            });
            (work, thread)
        })
        .collect();
    let (mut calls, mut overlapping, mut growths) = (0, 0, 0);
    let mut found = [0_usize; 5];
    for _ in 0..rounds.div_ceil(ROUNDS) {
        let shared = Arc::new(Shared::new(hashing, &mut rng));
        for (work, _) in &threads {
            work.send((Arc::clone(&shared), Rng::new(rng.next()))).expect("the thread works");
        }
        let mut histories = vec![Vec::new(); ROUNDS * shared.keys as usize];
        for _ in 0..THREADS {
            for (key, event) in results.recv().expect("no thread panics") {
                histories[key as usize].push(event);
            }
        }
        for history in histories {
            let order = check_with(&history, shared.life)
                .unwrap_or_else(|violation| panic!("{hashing:?}, {:?}: {violation}", shared.life));
            for (_, what) in order {
                found[what as usize] += 1;
            }
            calls += history.len();
            overlapping += history.iter().filter(|e| e.ended > e.began + 1).count();
        }
        growths += shared.map.stats().growths;
    }
    drop(done);
    for (work, thread) in threads {
        drop(work);
        thread.join().expect("no panic");
    }
    let [in_time, late, expired] =
        [Found::InTime, Found::Late, Found::Expired].map(|what| found[what as usize]);
    println!(
        "linearizable under {hashing:?}: {rounds} rounds, {calls} calls, {overlapping} of them overlapping, \
         {in_time} answered before a deadline, {expired} after one, {late} late; {growths} growths"
    );
    assert!(in_time * 20 > calls && expired * 20 > calls, "{in_time}, {expired} of {calls}");
    assert!(overlapping * 4 > calls, "{overlapping} of {calls}");
}

#[test]
fn histories_of_real_threads_are_linearizable_in_time() {
    exclusive(|| rounds_are_linearizable(Hashing::Identity));
}

#[test]
fn histories_of_real_threads_on_one_run_are_linearizable_in_time() {
    exclusive(|| rounds_are_linearizable(Hashing::Constant));
}
