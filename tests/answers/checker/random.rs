//! Random histories: right ones, and some with a wrong answer.

use super::is_an_order;
use crate::common::Rng;
use crate::common::history::{Answer, Call, Event, Life, NEVER, Parity, check};
use todc_utils::linearizability::{WGLChecker, history::Action, history::History};
use todc_utils::specifications::Specification;

use Answer::{Absent, Left, Refused, Stale, Token, Value, Yes};
use Call::{
    ComputeAbort, ComputePut, ComputePutFor, ComputeRemove, ContainsKey, ExtendTtl, Get,
    GetOrInsert, GetOrRefresh, Insert, Persist, Remove, RemoveIf, ReplaceIf, ReturnToken,
    SetDeadline, SetTtl, TryInsert, Update,
};
use Life::{For, Forever, Until};

/// A map without time, for the other checker: its clock stands at zero, so a deadline has passed or never comes.
struct Untimed;

impl Untimed {
    fn answer(call: Call, state: Option<u64>) -> (Answer, Option<u64>) {
        let told = state.map_or(Absent, Value);
        let is_there = if state.is_some() { Yes } else { Absent };
        let or_yes = if state.is_some() { told } else { Yes };
        match call {
            Get | ComputeAbort => (told, state),
            ContainsKey | Persist => (is_there, state),
            Insert(value, _) => (told, Some(value)),
            TryInsert(value) | GetOrInsert(value) => (or_yes, state.or(Some(value))),
            Update(value) => (told, state.map(|_| value)),
            ComputePut(value) => (or_yes, Some(value)),
            SetDeadline(0) => (is_there, None),
            ReplaceIf(_, parity) | RemoveIf(parity)
                if state.is_some_and(|v| !parity.accepts(v)) =>
            {
                (state.map_or(Absent, Refused), state)
            }
            ReplaceIf(value, _) => (told, state.map(|_| value)),
            Remove | RemoveIf(_) | ComputeRemove => (told, None),
            other => unreachable!("{other:?} is not drawn"),
        }
    }
}

impl Specification for Untimed {
    type State = Option<u64>;
    type Operation = (Call, Answer);

    fn init() -> Self::State {
        None
    }

    fn apply((call, answer): &Self::Operation, state: &Self::State) -> (bool, Self::State) {
        let (right, after) = Self::answer(*call, *state);
        (right == *answer, after)
    }
}

/// A random history of three threads: the calls of a random order, each stretched around its place, and
/// at times one answer replaced by that of another call.
fn random_history(rng: &mut Rng) -> Vec<Event> {
    let (mut state, mut busy_until) = (None, [0; 3]);
    let mut events: Vec<Event> = Vec::new();
    for i in 0..rng.below(9) {
        let (value, parity) = (i + 1, Parity(rng.below(2)));
        let call = match rng.below(22) {
            0..=4 => Get,
            5..=8 => Insert(value, Forever),
            9..=11 => Remove,
            12 | 13 => TryInsert(value),
            14 => Update(value),
            15 => ComputePut(value),
            16 => ComputeRemove,
            17 => ComputeAbort,
            18 => RemoveIf(parity),
            19 => ReplaceIf(value, parity),
            20 => SetDeadline(0),
            _ => [Persist, ContainsKey, GetOrInsert(value)][rng.below(3) as usize],
        };
        let (answer, after) = Untimed::answer(call, state);
        state = after;
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

/// A map that is a value and a deadline, at the instant and place of one call after the other.
#[derive(Default)]
struct Model {
    entry: Option<(u64, u64)>,
    /// Whether the deadline had passed when the renewal that set it took effect.
    renewed_late: bool,
    /// The thread that has the token of the entry.
    holder: Option<usize>,
}

/// When a call takes effect, and what else it goes by.
struct Instant {
    thread: usize,
    now: u64,
    /// The clock when the call began, and at a reading after that.
    began: u64,
    reading: u64,
    /// Whether it judges by the first of these, where it may.
    judges_early: bool,
}

impl Model {
    fn call(&mut self, call: Call, at: &Instant) -> Answer {
        let Instant { thread, now, began, reading, judges_early } = *at;
        let (value, deadline) = self.entry.unwrap_or((0, 0));
        let visible = now < deadline;
        let late = visible || judges_early && began < deadline;
        let ended = visible || self.renewed_late && late;
        let told = |found| if found { Value(value) } else { Absent };
        let seen = |found| if found { Yes } else { Absent };
        let after = |life| match life {
            Until(tick) => tick,
            For(ttl) if ttl > 0 => reading + ttl,
            For(_) => 0,
            _ => NEVER,
        };
        // What is put, or the deadline that is set; and the answer.
        let (put, answer) = match call {
            Get | ComputeAbort => (None, told(visible)),
            Call::Ttl if visible && deadline == NEVER => (None, Left(NEVER)),
            Call::Ttl if visible => (None, Left(deadline - now)),
            ReplaceIf(_, parity) | RemoveIf(parity) if !parity.accepts(value) => {
                (None, if visible { Refused(value) } else { Absent })
            }
            Remove | RemoveIf(_) | ComputeRemove => {
                if ended {
                    *self = Self::default();
                }
                return told(ended);
            }
            Update(new) | ReplaceIf(new, _) | ComputePut(new) if visible => {
                (Some((new, deadline)), Value(value))
            }
            TryInsert(_) | GetOrInsert(_) if visible => (None, Value(value)),
            TryInsert(new) | GetOrInsert(new) | ComputePut(new) => (Some((new, NEVER)), Yes),
            Insert(new, life) => (Some((new, after(life))), told(late)),
            ComputePutFor(new, ttl) => {
                (Some((new, after(For(ttl)))), if late { Value(value) } else { Yes })
            }
            SetTtl(ttl) if late => (Some((value, after(For(ttl)))), Yes),
            SetDeadline(tick) if late => (Some((value, tick)), Yes),
            Persist if late => (Some((value, NEVER)), Yes),
            ExtendTtl(ttl) if late && after(For(ttl)) > deadline => {
                (Some((value, after(For(ttl)))), Yes)
            }
            ContainsKey | ExtendTtl(_) => (None, seen(visible)),
            GetOrRefresh(early) if visible && now < deadline - early.min(deadline) => {
                (None, Value(value))
            }
            GetOrRefresh(_) if !visible || deadline == NEVER => (None, told(visible)),
            GetOrRefresh(_) if self.holder.is_some() => (None, Stale(value)),
            GetOrRefresh(_) => {
                self.holder = Some(thread);
                (None, Token(value))
            }
            Call::Refresh { of, value: new, life } if late && of == value => {
                (Some((new, after(life))), Yes)
            }
            ReturnToken(_) => (None, Yes),
            Call::Ttl
            | Update(_)
            | ReplaceIf(..)
            | SetTtl(_)
            | SetDeadline(_)
            | Persist
            | Call::Refresh { .. } => (None, Absent),
        };
        if let Call::Refresh { of, .. } | ReturnToken(of) = call
            && of == value
        {
            self.holder = None;
        }
        if let Some((new, tick)) = put {
            let tick = if tick <= began { 0 } else { tick };
            self.renewed_late = new == value && (1..=now).contains(&tick);
            self.holder = self.holder.filter(|_| new == value);
            self.entry = Some((new, tick));
        }
        answer
    }
}

/// Any call, with a new value; by who has the token of an entry, a call that ends it at times.
fn timed_call(rng: &mut Rng, value: u64, now: u64, token: Option<u64>) -> Call {
    let (ttl, parity) = (rng.below(5), Parity(rng.below(2)));
    let life = [Forever, For(ttl), Until(now + ttl)][rng.below(3) as usize];
    if let Some(of) = token
        && rng.below(2) == 0
    {
        return match rng.below(3) {
            0 => ReturnToken(of),
            1 => Call::Refresh { of, value, life: Forever },
            _ => Call::Refresh { of, value, life: For(ttl) },
        };
    }
    match rng.below(27) {
        0..=2 => Get,
        3 => ContainsKey,
        4 | 5 => Call::Ttl,
        6 | 7 => Remove,
        8 => RemoveIf(parity),
        9 => ComputeRemove,
        10 | 11 => Update(value),
        12 => ReplaceIf(value, parity),
        13 => ComputePut(value),
        14 => ComputePutFor(value, ttl),
        15 => ComputeAbort,
        16 => TryInsert(value),
        17 => GetOrInsert(value),
        18 | 19 => SetTtl(ttl),
        20 => SetDeadline((now + ttl).saturating_sub(2)),
        21 => ExtendTtl(ttl),
        22 => Persist,
        23 if token.is_none() => GetOrRefresh(ttl),
        _ => Insert(value, life),
    }
}

/// A random history of `calls` calls that is right: each is made at its place, by a [`Model`], and stretched
/// around it.
fn timed_history(rng: &mut Rng, threads: usize, calls: u64) -> Vec<Event> {
    let mut model = Model::default();
    let (mut busy_until, mut tokens) = (vec![0; threads], vec![None; threads]);
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
        let judges_early = rng.below(2) == 0;
        let call = timed_call(rng, i + 1, now, tokens[thread]);
        let answer =
            model.call(call, &Instant { thread, now, began: clock.0, reading, judges_early });
        match (call, answer) {
            (_, Token(value)) => tokens[thread] = Some(value),
            (Call::Refresh { .. } | ReturnToken(_), _) => tokens[thread] = None,
            _ => {}
        }
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
