//! Histories of real threads, checked: every answer of every call must have an order and an instant that
//! explain it. The checker is `common/history.rs`, which says what exactly is allowed; it is checked here
//! itself, by hand-made histories, by random ones that are right, and against another checker.
//!
//! Calls on a small map take less time than waking a thread, and would seldom overlap. So the threads
//! give way at random wherever the map calls them back: in the clock, in `Eq`, in an update's closure.
//!
//! `EVANESCE_LIN_ROUNDS` sets the number of rounds, `EVANESCE_SEED` the seed.

mod common;

use common::hashers::Hashing;
use common::history::{Answer, Call, Event, Found, Life, Order, check, check_with, record};
use common::{Rng, builder, exclusive, ns};
use evanesce::{Budget, Clock, ManualClock, TtlMap};
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use todc_utils::linearizability::{WGLChecker, history::Action, history::History};
use todc_utils::specifications::Specification;

/// `(call, answer, began, ended, clock before, clock after)`.
type Row = (Call, Answer, u64, u64, u64, u64);

fn verdict(rows: &[Row]) -> bool {
    let event = |(thread, row): (usize, &Row)| {
        let (call, answer, began, ended, before, after) = *row;
        Event { thread, call, answer, began, ended, clock: (before, after) }
    };
    let events: Vec<_> = rows.iter().enumerate().map(event).collect();
    check(&events).is_ok_and(|order| is_an_order(&events, &order))
}

/// Asserts that an order has each event once, and none before one that ended before it began.
fn is_an_order(events: &[Event], order: &Order) -> bool {
    let mut numbers: Vec<usize> = order.iter().map(|(number, _)| *number).collect();
    for (place, later) in numbers.iter().enumerate() {
        let overtaken = |earlier: &usize| events[*later].ended < events[*earlier].began;
        assert!(!numbers[..place].iter().any(overtaken), "{order:?}: {events:#?}");
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..events.len()), "{order:?}: {events:#?}");
    true
}

use Answer::{Absent, Left, Value, Yes};
use Call::{ContainsKey, Get, GetOrInsert, Insert, Remove, SetTtl, TryInsert, Update};
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
        // A renewal that lands after the deadline it sets.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(2), Yes, 2, 5, 3, 7),
            (Get, Absent, 3, 4, 6, 6),
            (Get, Absent, 6, 7, 7, 7),
        ],
        // An insert that lands after its own deadline, and is as good as none.
        &[
            (Insert(1, Until(5)), Absent, 0, 3, 4, 6),
            (Get, Absent, 1, 2, 6, 6),
            (TryInsert(2), Yes, 4, 5, 6, 6),
        ],
        // The insert that came second to `get_or_insert_with`, and an expired one that did not.
        &[
            (GetOrInsert(1), Yes, 0, 3, 0, 0),
            (GetOrInsert(2), Value(1), 1, 2, 0, 0),
            (Call::Ttl, Left(u64::MAX), 4, 5, 9, 9),
        ],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (GetOrInsert(2), Yes, 2, 3, 4, 5)],
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
            "a lost update",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Update(2), Value(1), 2, 5, 0, 0),
                (Update(3), Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "there again after it was removed",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 3, 0, 0),
                (Get, Value(1), 4, 5, 0, 0),
            ],
        ),
        (
            "seen before it was put",
            &[(Get, Value(1), 0, 1, 0, 0), (Insert(1, Forever), Absent, 2, 3, 0, 0)],
        ),
        (
            "absent although replaced in time, by the old deadline and a new reading",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 3, 4, 4, 4),
                (Get, Absent, 2, 5, 4, 6),
            ],
        ),
        (
            "absent although renewed in time, by the old deadline and a new reading",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(9), Yes, 3, 4, 4, 4),
                (Get, Absent, 2, 5, 4, 6),
            ],
        ),
        (
            "replaced as expired before it was",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Absent, 2, 5, 4, 6),
                (Get, Value(2), 3, 4, 4, 4),
            ],
        ),
        (
            "a TTL counted from an instant that had not come",
            &[(Insert(1, For(5)), Absent, 0, 3, 0, 2), (Call::Ttl, Left(6), 1, 2, 1, 1)],
        ),
        (
            "in the way although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (TryInsert(2), Value(1), 4, 5, 5, 6),
            ],
        ),
        (
            "removed although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 3, 4, 5, 5),
                (Remove, Value(1), 5, 6, 4, 6),
            ],
        ),
        (
            "a deadline that an update moved",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Update(2), Value(1), 2, 3, 1, 1),
                (Call::Ttl, Left(5), 4, 5, 1, 1),
            ],
        ),
        ("no answer of that call", &[(Get, Yes, 0, 1, 0, 0)]),
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

/// What the clock of [`timed_history`] shows.
fn clock_at(ticket: u64) -> u64 {
    ticket / 250
}

/// A random history of `calls` calls that is right: each is made at its place, by a map that is a value and
/// a deadline, and stretched around it.
fn timed_history(rng: &mut Rng, threads: usize, calls: u64) -> Vec<Event> {
    let mut entry: Option<(u64, u64)> = None;
    let mut busy_until = vec![0; threads];
    let mut events: Vec<Event> = Vec::new();
    for i in 0..calls {
        let (thread, place) = (rng.below(threads as u64) as usize, 100 * (i + 1));
        let began = busy_until[thread].max(place - rng.below(60 * threads as u64).min(place - 1));
        if began >= place {
            continue;
        }
        let ended = place + 1 + rng.below(60 * threads as u64);
        busy_until[thread] = ended + 1;
        let clock = (clock_at(began), clock_at(ended));
        let now = clock_at(place);
        let reading = clock.0 + rng.below(now - clock.0 + 1);
        let (value, ttl) = (i + 1, rng.below(5));
        let visible = entry.is_some_and(|(_, deadline)| now < deadline);
        let late = entry.is_some_and(|(_, deadline)| clock.0 < deadline) && rng.below(2) == 0;
        let told = entry.filter(|_| visible).map_or(Absent, |(old, _)| Value(old));
        let or_yes = if visible { told } else { Yes };
        let seen = if visible { Yes } else { Absent };
        let (call, answer) = match rng.below(10) {
            0 => (Get, told),
            1 => (ContainsKey, seen),
            2 => {
                let left =
                    entry.map_or(0, |(_, at)| if at == u64::MAX { at } else { at - now.min(at) });
                (Call::Ttl, if visible { Left(left) } else { Absent })
            }
            3 => (Remove, told),
            4 => (Update(value), told),
            5 => (TryInsert(value), or_yes),
            6 => (GetOrInsert(value), or_yes),
            7 if visible || late => (SetTtl(ttl), Yes),
            7 => (SetTtl(ttl), Absent),
            _ => {
                let life = [Forever, For(ttl), Until(now + ttl)][rng.below(3) as usize];
                let old = entry.filter(|_| visible || late);
                (Insert(value, life), old.map_or(Absent, |(old, _)| Value(old)))
            }
        };
        entry = match (call, answer) {
            (Remove, Value(_)) => None,
            (Update(_), Value(_)) => entry.map(|(_, deadline)| (value, deadline)),
            (TryInsert(_) | GetOrInsert(_), Yes) | (Insert(_, Forever), _) => {
                Some((value, u64::MAX))
            }
            (SetTtl(_), Yes) => entry.map(|(old, _)| (old, reading + ttl)),
            (Insert(_, For(_)), _) => Some((value, reading + ttl)),
            (Insert(_, Until(at)), _) => Some((value, at)),
            _ => entry,
        };
        events.push(Event { thread, call, answer, began, ended, clock });
    }
    events
}

#[test]
fn checker_accepts_what_a_map_answers_whatever_overlaps() {
    let mut rng = Rng::from_env();
    let mut found = [0_u32; 5];
    for round in 0..1000 {
        // Now and then as many as it takes.
        let (threads, calls) = if round % 100 == 0 { (12, 128) } else { (6, 42) };
        let events = timed_history(&mut rng, threads, calls);
        let order = check(&events).unwrap_or_else(|violation| panic!("{violation}"));
        assert!(is_an_order(&events, &order));
        for (_, what) in order {
            found[what as usize] += 1;
        }
    }
    let [nothing, lasting, in_time, late, expired] = found;
    println!(
        "{nothing} found nothing, {lasting} lasting, {in_time} in time, {late} late, {expired} expired"
    );
    assert!(found.iter().all(|n| *n > 100), "{found:?}");
}

#[test]
fn checker_refuses_most_answers_that_are_another_calls() {
    let mut rng = Rng::from_env();
    let (mut changed, mut refused) = (0, 0);
    for _ in 0..1000 {
        let mut events = timed_history(&mut rng, 3, 16);
        let (from, to) = (rng.below(events.len() as u64), rng.below(events.len() as u64));
        let answer = events[from as usize].answer;
        changed += u32::from(events[to as usize].answer != answer);
        events[to as usize].answer = answer;
        refused += u32::from(check(&events).is_err());
    }
    println!("{refused} of {changed} changed histories refused");
    assert!(refused <= changed && 2 * refused > changed, "{refused} of {changed}");
}

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
    let ttl = rng.below(6);
    match rng.below(20) {
        0..=4 => Get,
        // No `ttl`: a deadline that is moved away and back within the call makes it tell the time left of neither
        // (DESIGN.md, section 5).
        5 | 6 => ContainsKey,
        7 => Insert(value, [Life::Default, Forever][rng.below(2) as usize]),
        8..=10 => Insert(value, For(ttl)),
        11 => Insert(value, Until(clock.now() + ttl)),
        12 => TryInsert(value),
        13 => GetOrInsert(value),
        14 | 15 => Update(value),
        16 => Remove,
        _ => SetTtl(ttl),
    }
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
        for call in 0..CALLS {
            let value = ((round * THREADS + me) * CALLS + call) as u64;
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
            let key = round as u64 * shared.keys + rng.below(shared.keys);
            let call = any_call(&mut rng, value, clock);
            let value_of = |value: &u64| {
                give_way();
                *value
            };
            let make = |value| {
                give_way();
                value
            };
            let ticket = || tickets.fetch_add(1, SeqCst);
            events.push((key, record(&pin, (Key(key), value_of, make), call, (me, clock, ticket))));
        }
    }
    WAY.set(None);
    events
}

/// Six threads on a few keys, over and over, on a fresh map each few rounds.
fn rounds_are_linearizable(hashing: Hashing) {
    let rounds: usize = std::env::var("EVANESCE_LIN_ROUNDS")
        .map_or(1000, |text| text.parse().expect("EVANESCE_LIN_ROUNDS is a number"));
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
