//! Histories of one key, and whether they are linearizable in time (Herlihy and Wing 1990; the search
//! is Wing and Gong's, with Lowe's memory of what was tried).
//!
//! # The specification
//!
//! A key is absent, or has a value and a deadline. Every call takes effect at one place of a total order
//! in which a call that ended before another began stands before it. There it judges: an entry is visible
//! while `now < deadline`, for an instant `now` between the clock readings before and after the call.
//!
//! - *Exact* judgements (`get`, `contains_key`, `ttl`, `remove`, `update`, `try_insert`, and every answer
//!   "absent" of those and of `set_ttl`): their instants do not decrease along the order. So nothing is
//!   seen alive after it was seen expired, and nothing is told absent that was there throughout.
//! - `insert` over an entry and a `set_ttl` that succeeded may have judged at an earlier instant of their
//!   own than the order's: a reader that saw the entry expired meanwhile left no trace (DESIGN.md,
//!   section 5). They still judge within their own call.
//! - A deadline made of a TTL is that TTL after an instant of the call that made it. `update` keeps the
//!   deadline.
//!
//! Sweeps are no calls: they change nothing that can be told.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};

use evanesce::{Clock, Deadline, ManualClock, Pinned, Ttl};

/// The deadline of an entry that has none.
const NEVER: u64 = u64::MAX;

/// How long an entry is to live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
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
    TryInsert(u64),
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
    /// Of `contains_key`, of `set_ttl`, and of a `try_insert` that inserted.
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
        Call::Insert(value, Life::Forever) => told(pin.insert(key, make(value))),
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
        Call::Update(value) => {
            let mut seen = Answer::Absent;
            let updated = pin.update(key, |old| {
                seen = told(Some(old));
                make(value)
            });
            if updated.is_some() { seen } else { Answer::Absent }
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
    /// The latest instant of an exact judgement.
    now: u64,
}

impl State {
    /// Judges exactly: at the earliest instant that gives this answer, which leaves most to the others.
    fn exactly(self, event: &Event, visible: bool) -> Option<Self> {
        let mut now = self.now.max(event.clock.0);
        match self.entry {
            Some((_, deadline)) if visible && now >= deadline => return None,
            None if visible => return None,
            Some((_, deadline)) if !visible => now = now.max(deadline),
            _ => {}
        }
        (now <= event.clock.1).then_some(Self { now, ..self })
    }

    /// Judges at any instant of the call. It takes effect in the call, so what comes after it in the
    /// order judges at no earlier instant than the call's first.
    fn loosely(self, event: &Event, visible: bool) -> Option<Self> {
        let possible = match self.entry {
            None => !visible,
            Some((_, deadline)) if visible => event.clock.0 < deadline,
            Some((_, deadline)) => deadline <= event.clock.1,
        };
        possible.then_some(Self { now: self.now.max(event.clock.0), ..self })
    }

    fn with(self, value: u64, deadline: u64) -> Self {
        Self { entry: Some((value, deadline)), ..self }
    }

    fn value(self) -> Option<u64> {
        self.entry.map(|(value, _)| value)
    }

    /// The states that the call can leave behind, if it takes effect in this one.
    fn after(self, event: &Event) -> Vec<Self> {
        let visible = event.answer != Answer::Absent;
        if let Answer::Value(value) = event.answer
            && self.value() != Some(value)
        {
            return Vec::new();
        }
        let (first, last) = event.clock;
        let made_of = |ttl: u64| (first..=last).map(move |reading| reading.saturating_add(ttl));
        match (event.call, event.answer) {
            (Call::Get | Call::TryInsert(_), Answer::Value(_))
            | (Call::ContainsKey, Answer::Yes) => self.exactly(event, true).into_iter().collect(),
            (Call::Ttl, Answer::Left(left)) => {
                let Some((_, deadline)) = self.entry else { return Vec::new() };
                if deadline == NEVER || left == NEVER {
                    let judged = self.exactly(event, true).filter(|_| left == deadline);
                    return judged.into_iter().collect();
                }
                let now = deadline
                    .checked_sub(left)
                    .filter(|now| left > 0 && (self.now.max(first)..=last).contains(now));
                now.map(|now| Self { now, ..self }).into_iter().collect()
            }
            (Call::Insert(value, life), Answer::Value(_) | Answer::Absent) => {
                let Some(judged) = self.loosely(event, visible) else { return Vec::new() };
                match life {
                    Life::Forever => vec![judged.with(value, NEVER)],
                    Life::For(ttl) => made_of(ttl).map(|at| judged.with(value, at)).collect(),
                    Life::Until(tick) => vec![judged.with(value, tick)],
                }
            }
            (Call::TryInsert(value), Answer::Yes) => {
                let judged = self.exactly(event, false);
                judged.map(|judged| judged.with(value, NEVER)).into_iter().collect()
            }
            (Call::Update(value), Answer::Value(_)) => {
                let deadline = self.entry.map_or(NEVER, |(_, deadline)| deadline);
                let judged = self.exactly(event, true);
                judged.map(|judged| judged.with(value, deadline)).into_iter().collect()
            }
            (Call::Remove, Answer::Value(_)) => {
                let judged = self.exactly(event, true);
                judged.map(|judged| Self { entry: None, ..judged }).into_iter().collect()
            }
            (Call::SetTtl(ttl), Answer::Yes) => {
                let (Some(judged), Some(value)) = (self.loosely(event, true), self.value()) else {
                    return Vec::new();
                };
                made_of(ttl).map(|at| judged.with(value, at)).collect()
            }
            (Call::TryInsert(_), Answer::Absent) => Vec::new(),
            (_, Answer::Absent) => self.exactly(event, false).into_iter().collect(),
            // No answer of this call.
            _ => Vec::new(),
        }
    }
}

/// Checks the history of one key that was absent at first; at most 128 events. A history that no order
/// explains comes back as a text to read.
pub(crate) fn check(events: &[Event]) -> Result<(), String> {
    assert!(events.len() <= 128, "{} events are too many for the bits of a word", events.len());
    let all = if events.len() == 128 { u128::MAX } else { (1 << events.len()) - 1 };
    let mut tried = HashSet::new();
    let mut open = vec![(0_u128, State { entry: None, now: 0 })];
    while let Some((done, state)) = open.pop() {
        if done == all {
            return Ok(());
        }
        let left = || (0..events.len()).filter(|i| done & 1 << i == 0);
        let first_end = left().map(|i| events[i].ended).min().expect("some are left");
        // What began before any of the others ended may be next.
        for i in left().filter(|i| events[*i].began <= first_end) {
            for next in state.after(&events[i]) {
                let step = (done | 1 << i, next);
                if tried.insert(step) {
                    open.push(step);
                }
            }
        }
    }
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|event| event.began);
    let lines = sorted.iter().map(|e| {
        let (call, answer) = (format!("{:?}", e.call), format!("{:?}", e.answer));
        format!(
            "  thread {} {:>5}..{:<5} clock {:>4}..{:<4} {call:<28} {answer}\n",
            e.thread, e.began, e.ended, e.clock.0, e.clock.1
        )
    });
    Err(format!("no order explains this history of one key:\n{}", lines.collect::<String>()))
}
