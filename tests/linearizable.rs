//! Histories of real threads, checked: every answer of every call must have an order and an instant that
//! explain it. The checker is `common/history.rs`, which says what exactly is allowed; it is checked here
//! itself, by hand-made histories and against another one.
//!
//! `EVANESCE_LIN_ROUNDS` sets the number of rounds, `EVANESCE_SEED` the seed.

mod common;

use common::hashers::Hashing;
use common::history::{Answer, Call, Event, Life, check, record};
use common::{Rng, builder, exclusive, ns};
use evanesce::{Budget, ManualClock, TtlMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use todc_utils::linearizability::{WGLChecker, history::Action, history::History};
use todc_utils::specifications::Specification;

const THREADS: usize = 6;
const CALLS: usize = 7;
const KEYS: u64 = 2;

/// `(call, answer, began, ended, clock before, clock after)`.
type Row = (Call, Answer, u64, u64, u64, u64);

fn verdict(rows: &[Row]) -> bool {
    let event = |(thread, row): (usize, &Row)| {
        let (call, answer, began, ended, before, after) = *row;
        Event { thread, call, answer, began, ended, clock: (before, after) }
    };
    let events: Vec<_> = rows.iter().enumerate().map(event).collect();
    check(&events).is_ok()
}

use Answer::{Absent, Left, Value, Yes};
use Call::{ContainsKey, Get, Insert, Remove, SetTtl, TryInsert, Update};
use Life::{For, Forever, Until};

#[test]
fn checker_accepts_what_an_order_explains() {
    let histories: &[&[Row]] = &[
        &[],
        &[(Get, Absent, 0, 1, 0, 0)],
        // One after the other.
        &[(Insert(1, Forever), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 0, 0)],
        // Overlapping, in either order.
        &[(Insert(1, Forever), Absent, 0, 3, 0, 0), (Get, Value(1), 1, 2, 0, 0)],
        &[(Insert(1, Forever), Absent, 0, 3, 0, 0), (Get, Absent, 1, 2, 0, 0)],
        // The last instant before the deadline, and the deadline.
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 4, 4)],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 5, 5)],
        // Time passed within the call: either.
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 4, 5)],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 4, 5)],
        // A TTL counts from an instant of its call.
        &[(Insert(1, For(5)), Absent, 0, 1, 0, 2), (Get, Value(1), 2, 3, 6, 6)],
        &[(Insert(1, For(5)), Absent, 0, 1, 0, 2), (Call::Ttl, Left(1), 2, 3, 5, 5)],
        // A remove that judged in time and lands later, beside a get that says expired.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (Remove, Value(1), 2, 5, 4, 6),
            (Get, Absent, 3, 4, 6, 6),
        ],
        // What no map without traces of its readers can forbid: a renewal and a replacement that read
        // the clock in time and land after a get said expired.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(9), Yes, 2, 5, 4, 6),
            (Get, Absent, 3, 4, 5, 5),
            (Get, Value(1), 6, 7, 6, 6),
        ],
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (Insert(2, Forever), Value(1), 2, 5, 4, 6),
            (Get, Absent, 3, 4, 5, 5),
        ],
        // An update keeps the deadline that a renewal set before it.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(20), Yes, 2, 5, 1, 1),
            (Update(2), Value(1), 3, 4, 1, 1),
            (Get, Value(2), 6, 7, 20, 20),
        ],
    ];
    for history in histories {
        assert!(verdict(history), "{history:?}");
    }
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
#[test]
fn checker_refuses_what_no_order_explains() {
    let histories: &[(&str, &[Row])] = &[
        ("a value from nowhere", &[(Get, Value(1), 0, 1, 0, 0)]),
        (
            "a stale read",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 3, 0, 0),
                (Get, Value(1), 4, 5, 0, 0),
            ],
        ),
        (
            "reads that go back",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 9, 0, 0),
                (Get, Value(2), 3, 4, 0, 0),
                (Get, Value(1), 5, 6, 0, 0),
            ],
        ),
        (
            "one value removed twice",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 5, 0, 0),
                (Remove, Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "one value replaced twice",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 5, 0, 0),
                (Insert(3, Forever), Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "two that were first",
            &[(TryInsert(1), Yes, 0, 3, 0, 0), (TryInsert(2), Yes, 1, 2, 0, 0)],
        ),
        (
            "absent although always there",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 5, 0, 0),
                (Get, Absent, 3, 4, 0, 0),
            ],
        ),
        (
            "expired a tick too early",
            &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 4, 4)],
        ),
        (
            "expired a tick too late",
            &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (ContainsKey, Yes, 2, 3, 5, 5)],
        ),
        (
            "alive after it was seen expired, within one tick of both",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 4, 5),
                (Get, Value(1), 4, 5, 4, 6),
            ],
        ),
        (
            "absent although renewed in time",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(9), Yes, 2, 3, 4, 4),
                (Get, Absent, 4, 5, 6, 6),
            ],
        ),
        (
            "renewed although seen expired before",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (SetTtl(9), Yes, 4, 5, 5, 5),
            ],
        ),
        (
            "a renewal that an update lost",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(20), Yes, 2, 5, 1, 1),
                (Update(2), Value(1), 3, 4, 1, 1),
                (Get, Absent, 6, 7, 20, 20),
            ],
        ),
        (
            "updated although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (Update(2), Value(1), 4, 5, 5, 5),
            ],
        ),
        (
            "removed and renewed to nothing",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 5, 0, 0),
                (SetTtl(0), Yes, 3, 4, 0, 0),
            ],
        ),
        (
            "a time left that was left at no instant",
            &[(Insert(1, Until(9)), Absent, 0, 1, 0, 0), (Call::Ttl, Left(7), 2, 3, 3, 4)],
        ),
        (
            "an entry that never was visible",
            &[(Insert(1, Until(5)), Absent, 0, 3, 6, 6), (Get, Value(1), 1, 2, 4, 6)],
        ),
    ];
    for (what, history) in histories {
        assert!(!verdict(history), "{what}: {history:?}");
    }
}

/// A map without time, for the other checker.
struct Untimed;

impl Specification for Untimed {
    type State = Option<u64>;
    type Operation = (Call, Answer);

    fn init() -> Self::State {
        None
    }

    fn apply((call, answer): &Self::Operation, state: &Self::State) -> (bool, Self::State) {
        let told = state.map_or(Absent, Value);
        match *call {
            Insert(value, _) => (*answer == told, Some(value)),
            Remove => (*answer == told, None),
            TryInsert(value) if state.is_none() => (*answer == Yes, Some(value)),
            Get | TryInsert(_) => (*answer == told, *state),
            other => unreachable!("{other:?} is not drawn"),
        }
    }
}

/// A random history of three threads: the calls of a random order, each stretched around its place, and
/// at times one answer replaced by that of another call.
fn random_history(rng: &mut Rng) -> Vec<Event> {
    let (mut state, mut busy_until) = (None, [0; 3]);
    let mut events: Vec<Event> = Vec::new();
    for i in 0..rng.below(9) {
        let value = i + 1;
        let call = [Get, Insert(value, Forever), Remove, TryInsert(value)][rng.below(4) as usize];
        let told = state.map_or(Absent, Value);
        let answer = if matches!(call, TryInsert(_)) && state.is_none() { Yes } else { told };
        state = match call {
            Insert(value, _) => Some(value),
            TryInsert(value) => state.or(Some(value)),
            Remove => None,
            _ => state,
        };
        let thread = rng.below(3) as usize;
        let place = 100 * (i + 1);
        let began = busy_until[thread].max(place - rng.below(250).min(place - 1));
        let ended = place.max(began) + 1 + rng.below(250);
        busy_until[thread] = ended + 1;
        events.push(Event { thread, call, answer, began, ended, clock: (0, 0) });
    }
    if events.len() > 1 && rng.below(2) == 0 {
        let (from, to) = (rng.below(events.len() as u64), rng.below(events.len() as u64));
        events[to as usize].answer = events[from as usize].answer;
    }
    events
}

#[test]
fn checker_agrees_with_another_checker_on_histories_without_time() {
    let mut rng = Rng::from_env();
    let mut verdicts = [0_u32; 2];
    for _ in 0..20_000 {
        let events = random_history(&mut rng);
        let mut actions: Vec<_> = events
            .iter()
            .flat_map(|e| {
                let operation = (e.call, e.answer);
                let (call, response) = (Action::Call(operation), Action::Response(operation));
                [(e.began, 1, (e.thread, call)), (e.ended, 0, (e.thread, response))]
            })
            .collect();
        // At one instant calls come before responses: they overlap.
        actions.sort_by_key(|(at, order, _)| (*at, 1 - *order));
        let actions: Vec<_> = actions.into_iter().map(|(_, _, action)| action).collect();
        let theirs = actions.is_empty()
            || WGLChecker::<Untimed>::is_linearizable(History::from_actions(actions));
        assert_eq!(check(&events).is_ok(), theirs, "{events:#?}");
        verdicts[usize::from(theirs)] += 1;
    }
    println!("{} histories refused, {} accepted by both", verdicts[0], verdicts[1]);
    assert!(verdicts.iter().all(|n| *n > 1000), "{verdicts:?}");
}

/// What the threads of a round share.
struct Round {
    map: TtlMap<u64, u64, Hashing>,
    clock: ManualClock,
    tickets: AtomicU64,
    arrived: AtomicUsize,
}

impl Round {
    fn new(hashing: Hashing) -> Self {
        let clock = ManualClock::new();
        let map = builder().hasher(hashing).sweep_per_write(2).clock(clock.clone()).build();
        let map = map.expect("valid options");
        Self { map, clock, tickets: AtomicU64::new(0), arrived: AtomicUsize::new(0) }
    }
}

/// One thread's calls, recorded with the key of each.
fn part(round: &Round, me: usize, mut rng: Rng) -> Vec<(u64, Event)> {
    round.arrived.fetch_add(1, SeqCst);
    while round.arrived.load(SeqCst) < THREADS {
        thread::yield_now();
    }
    let Round { map, clock, tickets, .. } = round;
    let mut events = Vec::new();
    let mut pin = map.pin();
    for call in 0..CALLS {
        match rng.below(8) {
            0 | 1 => clock.advance(ns(1 + rng.below(3))),
            2 => {
                drop(pin);
                map.sweep(if rng.below(2) == 0 { Budget::full_pass() } else { Budget::entries(4) });
                pin = map.pin();
            }
            3 => pin.repin(),
            4 => thread::yield_now(),
            _ => {}
        }
        let value = (me * CALLS + call) as u64;
        let ttl = rng.below(5);
        let call = match rng.below(16) {
            0..=3 => Call::Get,
            4 => Call::ContainsKey,
            5 => Call::Ttl,
            6 => Call::Insert(value, Life::Forever),
            7 | 8 => Call::Insert(value, Life::For(ttl)),
            9 => Call::Insert(value, Life::Until(rng.below(12))),
            10 => Call::TryInsert(value),
            11 | 12 => Call::Update(value),
            13 => Call::Remove,
            _ => Call::SetTtl(ttl),
        };
        let key = rng.below(KEYS);
        let ticket = || tickets.fetch_add(1, SeqCst);
        events.push((key, record(&pin, (key, |v| *v, |n| n), call, (me, clock, ticket))));
    }
    events
}

/// Six threads on two keys, over and over, on a fresh map each time.
fn rounds_are_linearizable(hashing: Hashing) {
    let rounds: u64 = std::env::var("EVANESCE_LIN_ROUNDS")
        .map_or(1000, |text| text.parse().expect("EVANESCE_LIN_ROUNDS is a number"));
    let mut rng = Rng::from_env();
    let (done, results) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (work, orders) = mpsc::channel::<(Arc<Round>, Rng)>();
            let done = done.clone();
            let thread = thread::spawn(move || {
                for (round, rng) in orders {
                    done.send(part(&round, me, rng)).expect("the test waits");
                }
            });
            (work, thread)
        })
        .collect();
    let (mut calls, mut absent, mut overlapping) = (0, 0, 0);
    for _ in 0..rounds {
        let round = Arc::new(Round::new(hashing));
        for (work, _) in &threads {
            work.send((Arc::clone(&round), Rng::new(rng.next()))).expect("the thread works");
        }
        let events: Vec<_> =
            (0..THREADS).flat_map(|_| results.recv().expect("no thread panics")).collect();
        for key in 0..KEYS {
            let of_key = events.iter().filter(|(k, _)| *k == key).map(|(_, event)| *event);
            let history: Vec<_> = of_key.collect();
            if let Err(text) = check(&history) {
                panic!("{hashing:?}: {text}");
            }
            calls += history.len();
            absent += history.iter().filter(|e| e.answer == Answer::Absent).count();
            overlapping += history.iter().filter(|e| e.ended > e.began + 1).count();
        }
    }
    drop(done);
    for (work, thread) in threads {
        drop(work);
        thread.join().expect("no panic");
    }
    println!(
        "linearizable under {hashing:?}: {rounds} rounds, {calls} calls, {absent} told absent, \
         {overlapping} overlapping"
    );
    assert!(absent * 10 > calls && absent * 10 < 9 * calls, "{absent} of {calls}");
}

#[test]
fn histories_of_real_threads_are_linearizable_in_time() {
    exclusive(|| rounds_are_linearizable(Hashing::Identity));
}

#[test]
fn histories_of_real_threads_on_one_run_are_linearizable_in_time() {
    exclusive(|| rounds_are_linearizable(Hashing::Constant));
}
