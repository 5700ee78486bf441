//! Histories of one key, and whether they are linearizable in time (Herlihy and Wing 1990; the search
//! is Wing and Gong's, with Lowe's memory of what was tried).
//!
//! # The specification
//!
//! A key is absent, or has a value and a deadline. Every call takes effect at one place of a total order
//! in which a call that ended before another began stands before it, and at one instant of the clock,
//! between the readings before and after the call. Along the order the instants do not decrease. An
//! entry is visible at an instant before its deadline, and a call answers by what it finds at its place
//! and its instant.
//!
//! - One exception: an `insert` that returns what it replaced, and a `set_ttl` that says true, may have
//!   found the entry visible at an earlier instant of their own call. A reader that saw it expired
//!   meanwhile left no trace (DESIGN.md, section 5). All other answers are exact, an `insert`'s "absent"
//!   included: what was expired when it judged is expired when it takes effect.
//! - A deadline made of a TTL is that TTL after an instant of its call, no later than the one at which
//!   the call takes effect. It may have passed by then. `update` keeps the deadline.
//!
//! So nothing is seen alive after it was seen expired, but for renewals and replacements under way; nothing
//! is told absent that was there throughout; and an expired entry is neither removed, updated, nor in
//! the way. Sweeps are no calls: they change nothing that can be told.
//!
//! No call is worse off for taking effect at the earliest instant that explains its answer, so only the
//! orders and the deadlines of TTLs are searched.
#![allow(
    dead_code,
    reason = "tests/shuttle.rs, which includes it by path, makes fewer kinds of calls"
)]

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use evanesce::{Clock, Deadline, ManualClock, Pinned, Ttl};

/// The deadline of an entry that has none.
const NEVER: u64 = u64::MAX;

/// How long an entry is to live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// As the map has it for what is put without a word about it.
    Default,
    Forever,
    /// Nanoseconds from the call.
    For(u64),
    /// A tick of the clock.
    Until(u64),
}

/// A call on one key. Values are unique in a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Get,
    ContainsKey,
    Ttl,
    Insert(u64, Life),
    /// With the map's default life, as the next.
    TryInsert(u64),
    GetOrInsert(u64),
    Update(u64),
    Remove,
    SetTtl(u64),
}

/// What a call answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The value read, removed or replaced, or the one in the way of `try_insert`; for `update` the
    /// one that the closure saw last.
    Value(u64),
    /// Of `contains_key`, of `set_ttl`, and of a `try_insert` or `get_or_insert_with` that inserted.
    Yes,
    /// Nanoseconds left, or [`NEVER`].
    Left(u64),
    Absent,
}

/// A call with its answer, its place in real time, and the clock before and after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) clock: (u64, u64),
}

/// Makes a call and records it. `ticket` deals increasing numbers to all threads.
pub(crate) fn record<K, V, S>(
    pin: &Pinned<'_, K, V, S>,
    (key, value_of, make): (K, impl Fn(&V) -> u64, impl Fn(u64) -> V),
    call: Call,
    (thread, clock, ticket): (usize, &ManualClock, impl Fn() -> u64),
) -> Event
where
    K: Hash + Eq + Copy,
    S: BuildHasher,
{
    use std::time::Duration;
    let told = |value: Option<&V>| value.map_or(Answer::Absent, |v| Answer::Value(value_of(v)));
    let yes = |found| if found { Answer::Yes } else { Answer::Absent };
    let began = ticket();
    let before = clock.now();
    let answer = match call {
        Call::Get => told(pin.get(&key)),
        Call::ContainsKey => yes(pin.contains_key(&key)),
        Call::Ttl => match pin.ttl(&key) {
            None => Answer::Absent,
            Some(Ttl::Never) => Answer::Left(NEVER),
            Some(Ttl::Remaining(left)) => Answer::Left(left.as_nanos() as u64),
        },
        Call::Insert(value, Life::Default) => told(pin.insert(key, make(value))),
        Call::Insert(value, Life::Forever) => {
            told(pin.insert_with_deadline(key, make(value), Deadline::NEVER))
        }
        Call::Insert(value, Life::For(ttl)) => {
            told(pin.insert_with_ttl(key, make(value), Duration::from_nanos(ttl)))
        }
        Call::Insert(value, Life::Until(tick)) => {
            told(pin.insert_with_deadline(key, make(value), Deadline::from_nanos(tick)))
        }
        Call::TryInsert(value) => match pin.try_insert(key, make(value)) {
            Ok(_) => Answer::Yes,
            Err(occupied) => told(Some(occupied.current)),
        },
        Call::GetOrInsert(value) => match value_of(pin.get_or_insert_with(key, || make(value))) {
            own if own == value => Answer::Yes,
            other => Answer::Value(other),
        },
        Call::Update(value) => {
            let mut seen = Answer::Absent;
            let updated = pin.update(key, |old| {
                seen = told(Some(old));
                make(value)
            });
            match updated {
                Some(new) => {
                    assert_eq!(value_of(new), value, "what the closure made last");
                    seen
                }
                None => Answer::Absent,
            }
        }
        Call::Remove => told(pin.remove(&key)),
        Call::SetTtl(ttl) => yes(pin.set_ttl(&key, Duration::from_nanos(ttl))),
    };
    let after = clock.now();
    Event { thread, call, answer, began, ended: ticket(), clock: (before, after) }
}

/// A key at a place of the order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    /// Value and deadline.
    entry: Option<(u64, u64)>,
    /// The instant at which the last call took effect.
    now: u64,
}

impl State {
    fn is_visible(self) -> bool {
        self.entry.is_some_and(|(_, deadline)| self.now < deadline)
    }

    /// At the later instant `now`, if the call has it.
    fn at(self, now: u64, event: &Event) -> Option<Self> {
        let now = self.now.max(now);
        (now <= event.clock.1).then_some(Self { now, ..self })
    }

    /// At the earliest instant of the call at which the key is visible, or is not.
    fn exactly(self, event: &Event, visible: bool) -> Option<Self> {
        let first = self.at(event.clock.0, event)?;
        match first.entry {
            Some((_, deadline)) if !visible => first.at(deadline, event),
            _ => (first.is_visible() == visible).then_some(first),
        }
    }

    /// At the earliest instant of the call, if the key was visible then or would have been at the first
    /// instant of the call.
    fn leniently(self, event: &Event) -> Option<Self> {
        let (_, deadline) = self.entry?;
        self.at(event.clock.0, event).filter(|_| event.clock.0 < deadline)
    }

    /// With an entry put or renewed by the call; one state for each deadline that it may have.
    fn put(self, event: &Event, value: u64, life: Life) -> Vec<Self> {
        let with = |state: Self, deadline| Self { entry: Some((value, deadline)), ..state };
        match life {
            Life::Default | Life::Forever | Life::For(NEVER) => vec![with(self, NEVER)],
            Life::Until(tick) => vec![with(self, tick)],
            Life::For(ttl) => (event.clock.0..=event.clock.1)
                .filter_map(|reading| {
                    Some(with(self.at(reading, event)?, reading.saturating_add(ttl)))
                })
                .collect(),
        }
    }

    /// The states that the call can leave behind, if it takes effect in this one. What is put by
    /// `Life::Default` lives for `default`.
    fn after(self, event: &Event, default: Life) -> Vec<Self> {
        let (value, deadline) = self.entry.unzip();
        if let Answer::Value(told) = event.answer
            && value != Some(told)
        {
            return Vec::new();
        }
        let after = match (event.call, event.answer) {
            (Call::Get | Call::TryInsert(_) | Call::GetOrInsert(_), Answer::Value(_))
            | (Call::ContainsKey, Answer::Yes) => self.exactly(event, true),
            (Call::Ttl, Answer::Left(NEVER)) => {
                self.exactly(event, true).filter(|_| deadline == Some(NEVER))
            }
            (Call::Ttl, Answer::Left(left)) => {
                let now = deadline.filter(|at| *at != NEVER).and_then(|at| at.checked_sub(left));
                let judged = self.exactly(event, true);
                judged.zip(now).and_then(|(first, now)| {
                    let then = first.at(now, event)?;
                    (then.now == now && then.is_visible()).then_some(then)
                })
            }
            (Call::Update(new), Answer::Value(_)) => {
                let entry = deadline.map(|deadline| (new, deadline));
                self.exactly(event, true).map(|judged| Self { entry, ..judged })
            }
            (Call::Remove, Answer::Value(_)) => {
                self.exactly(event, true).map(|judged| Self { entry: None, ..judged })
            }
            (Call::Insert(new, life), answer) => {
                let life = if life == Life::Default { default } else { life };
                let judged = match answer {
                    Answer::Value(_) => self.leniently(event),
                    Answer::Absent => self.exactly(event, false),
                    _ => None,
                };
                return judged.map_or(Vec::new(), |judged| judged.put(event, new, life));
            }
            (Call::TryInsert(new) | Call::GetOrInsert(new), Answer::Yes) => {
                let judged = self.exactly(event, false);
                return judged.map_or(Vec::new(), |judged| judged.put(event, new, default));
            }
            (Call::SetTtl(ttl), Answer::Yes) => {
                let judged = self.leniently(event).zip(value);
                return judged.map_or(Vec::new(), |(judged, value)| {
                    judged.put(event, value, Life::For(ttl))
                });
            }
            (
                Call::Get
                | Call::ContainsKey
                | Call::Ttl
                | Call::Update(_)
                | Call::Remove
                | Call::SetTtl(_),
                Answer::Absent,
            ) => self.exactly(event, false),
            // No answer of this call.
            _ => None,
        };
        after.into_iter().collect()
    }
}

/// A history that no order explains. Its text shows the calls as they began, each with its place in the
/// longest order that explains the calls in it.
#[derive(Debug)]
pub(crate) struct Violation {
    events: Vec<Event>,
    longest: Order,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no order explains this history of one key; the longest that explains a part:"
        )?;
        let mut sorted: Vec<usize> = (0..self.events.len()).collect();
        sorted.sort_by_key(|i| self.events[*i].began);
        for i in sorted {
            let e = &self.events[i];
            let place = self.longest.iter().position(|(placed, _)| *placed == i);
            let place = place.map_or("-".to_owned(), |place| place.to_string());
            let (call, answer) = (format!("{:?}", e.call), format!("{:?}", e.answer));
            writeln!(
                f,
                "  {place:>4} thread {} {:>5}..{:<5} clock {:>4}..{:<4} {call:<28} {answer}",
                e.thread, e.began, e.ended, e.clock.0, e.clock.1
            )?;
        }
        Ok(())
    }
}

/// What a call found at its place in an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Nothing,
    /// An entry that never expires.
    Lasting,
    /// An entry before its deadline.
    InTime,
    /// An entry past its deadline, which had not passed when the call judged: the exception.
    Late,
    Expired,
}

impl Found {
    /// What `event` found in `before`, if it took effect at the instant of `after`.
    fn of(event: &Event, before: State, after: State) -> Self {
        let judged_visible = match event.call {
            Call::Insert(..) => event.answer != Answer::Absent,
            _ => event.answer == Answer::Yes,
        };
        match before.entry {
            None => Self::Nothing,
            Some((_, NEVER)) => Self::Lasting,
            Some((_, deadline)) if after.now < deadline => Self::InTime,
            Some(_)
                if judged_visible && matches!(event.call, Call::Insert(..) | Call::SetTtl(_)) =>
            {
                Self::Late
            }
            Some(_) => Self::Expired,
        }
    }
}

/// An order that explains a history: its events by their numbers, and what each found.
pub(crate) type Order = Vec<(usize, Found)>;

/// Checks the history of one key that was absent at first, on a map without a default TTL; at most 128
/// events.
pub(crate) fn check(events: &[Event]) -> Result<Order, Violation> {
    check_with(events, Life::Forever)
}

/// [`check`], for a map that gives what is put without a word about it the life `default`.
pub(crate) fn check_with(events: &[Event], default: Life) -> Result<Order, Violation> {
    assert!(events.len() <= 128, "{} events are too many for the bits of a word", events.len());
    let mut by_end: Vec<usize> = (0..events.len()).collect();
    by_end.sort_by_key(|i| events[*i].ended);
    let (mut order, mut longest) = (Vec::new(), Vec::new());
    let mut tried = HashSet::new();
    // Place in the order, event and what it found, events done before it, state after it.
    let mut open = Vec::new();
    let (mut done, mut state) = (0_u128, State { entry: None, now: 0 });
    loop {
        let left = || by_end.iter().copied().filter(|i| done & 1 << i == 0);
        let Some(first) = left().next() else { return Ok(order) };
        // What began before any of the others ended may be next. What ended first is tried first.
        for i in left().rev().filter(|i| events[*i].began <= events[first].ended) {
            for next in state.after(&events[i], default).into_iter().rev() {
                if tried.insert((done | 1 << i, next)) {
                    let found = Found::of(&events[i], state, next);
                    open.push((order.len(), (i, found), done, next));
                }
            }
        }
        let Some((place, next_one, before, next)) = open.pop() else { break };
        order.truncate(place);
        order.push(next_one);
        if order.len() > longest.len() {
            longest.clone_from(&order);
        }
        (done, state) = (before | 1 << next_one.0, next);
    }
    Err(Violation { events: events.to_vec(), longest })
}
