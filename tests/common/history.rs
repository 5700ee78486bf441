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
//! - One exception: a call that gives a visible entry another deadline, or puts another value with a deadline of
//!   its own in its place (`set_ttl` and kin; `insert`, `compute` with a TTL, `refresh`), may have
//!   found the entry visible at an earlier instant of its own call. A reader that saw it expired
//!   meanwhile left no trace (DESIGN.md, section 5). All other answers are exact, an `insert`'s "absent"
//!   included: what was expired when it judged is expired when it takes effect.
//! - A second one, behind a renewal that sets a deadline which passes before it takes effect: what ends that entry
//!   (`remove`, `remove_if`, `compute`) may have found it visible at an earlier instant of its own call. A
//!   deadline that had passed when the renewal began allows none of this.
//! - A deadline made of a TTL is that TTL after an instant of its call, no later than the one at which
//!   the call takes effect. It may have passed by then. `update` and kin keep the deadline.
//! - A refresh puts its value over the entry that its token is of, or fails. Two callers never have the token of
//!   one entry at a time, and one that is told "stale" may have met another's.
//!
//! So nothing is seen alive after it was seen expired, but for renewals and replacements under way; nothing
//! is told absent that was there throughout; and an expired entry is neither removed, updated, nor in
//! the way. Sweeps are no calls: they change nothing that can be told.
//!
//! No call is worse off for taking effect at the earliest instant that explains its answer, so only the
//! orders and the deadlines of TTLs are searched.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "`tests/models` includes this file")]

#[path = "history/search.rs"]
mod search;
#[path = "history/spec.rs"]
mod spec;

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use evanesce::{
    Clock, Compute, Deadline, Lookup, ManualClock, Operation, Pinned, RefreshToken, Ttl,
};

pub use search::{Order, Violation, check, check_with};
pub use spec::Found;

/// The deadline of an entry that has none.
pub const NEVER: u64 = u64::MAX;

/// How long an entry is to live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
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
pub enum Call {
    Get,
    ContainsKey,
    Ttl,
    Insert(u64, Life),
    /// With the map's default life, as the next.
    TryInsert(u64),
    GetOrInsert(u64),
    Update(u64),
    /// If the value that is there is one that [`Parity::accepts`].
    ReplaceIf(u64, Parity),
    Remove,
    RemoveIf(Parity),
    /// `compute` with what its closure always says: a value; one with a TTL; remove; abort.
    ComputePut(u64),
    ComputePutFor(u64, u64),
    ComputeRemove,
    ComputeAbort,
    SetTtl(u64),
    SetDeadline(u64),
    ExtendTtl(u64),
    Persist,
    /// So many nanoseconds early.
    GetOrRefresh(u64),
    /// With the token of the entry that has the value `of`.
    Refresh {
        of: u64,
        value: u64,
        life: Life,
    },
    /// Drops such a token.
    ReturnToken(u64),
}

/// Which values a condition accepts: even or odd ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parity(pub u64);

impl Parity {
    pub fn accepts(self, value: u64) -> bool {
        value % 2 == self.0
    }
}

/// What a call answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The value read, removed or replaced, or the one in the way of `try_insert`; for `update` the
    /// one that the closure saw last; for `get_or_refresh` a fresh one.
    Value(u64),
    /// Of `contains_key`, of `set_ttl` and kin, of `refresh`, and of what inserted where nothing was.
    Yes,
    /// Nanoseconds left, or [`NEVER`].
    Left(u64),
    /// The value that a condition refused.
    Refused(u64),
    /// A value that is due, with its token.
    Token(u64),
    /// A value that is due, without.
    Stale(u64),
    /// Also of a refresh that came too late.
    Absent,
}

/// A call with its answer, its place in real time, and the clock before and after it.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub thread: usize,
    pub call: Call,
    pub answer: Answer,
    pub began: u64,
    pub ended: u64,
    pub clock: (u64, u64),
}

/// Makes a call and records it. `ticket` deals increasing numbers to all threads. A token that the call gets is
/// put into `token`, and one that it needs is taken from there.
#[expect(clippy::too_many_lines, reason = "a list of calls")]
pub fn record<K, V, S>(
    pin: &Pinned<'_, K, V, S>,
    (key, value_of, make): (K, impl Fn(&V) -> u64, impl Fn(u64) -> V),
    call: Call,
    token: &mut Option<RefreshToken>,
    (thread, clock, ticket): (usize, &ManualClock, impl Fn() -> u64),
) -> Event
where
    K: Hash + Eq + Copy,
    S: BuildHasher,
{
    let told = |value: Option<&V>| value.map_or(Answer::Absent, |v| Answer::Value(value_of(v)));
    let yes = |found| if found { Answer::Yes } else { Answer::Absent };
    let computed = |computed: Compute<'_, V>| match computed {
        Compute::Inserted(_) => Answer::Yes,
        Compute::Updated { old, .. } | Compute::Removed(old) => told(Some(old)),
        Compute::Unchanged(value) => told(value),
        _ => unreachable!("there is no other"),
    };
    let mut refused = Answer::Absent;
    let mut condition = |parity: Parity, value: &V| {
        let value = value_of(value);
        let accepted = parity.accepts(value);
        refused = if accepted { Answer::Absent } else { Answer::Refused(value) };
        accepted
    };
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
        Call::ReplaceIf(value, parity) => {
            match pin.replace_if(key, make(value), |old| condition(parity, old)) {
                Ok(old) => told(Some(old)),
                Err(_) => refused,
            }
        }
        Call::Remove => told(pin.remove(&key)),
        Call::RemoveIf(parity) => match pin.remove_if(&key, |_, value| condition(parity, value)) {
            Ok(removed) => told(removed),
            Err(refused) => Answer::Refused(value_of(refused)),
        },
        Call::ComputePut(value) => computed(pin.compute(key, |_| Operation::Insert(make(value)))),
        Call::ComputePutFor(value, ttl) => {
            let ttl = Duration::from_nanos(ttl);
            computed(pin.compute(key, |_| Operation::InsertWithTtl(make(value), ttl)))
        }
        Call::ComputeRemove => computed(pin.compute(key, |_| Operation::Remove)),
        Call::ComputeAbort => computed(pin.compute(key, |_| Operation::Abort)),
        Call::SetTtl(ttl) => yes(pin.set_ttl(&key, Duration::from_nanos(ttl))),
        Call::SetDeadline(tick) => yes(pin.set_deadline(&key, Deadline::from_nanos(tick))),
        Call::ExtendTtl(ttl) => yes(pin.extend_ttl(&key, Duration::from_nanos(ttl))),
        Call::Persist => yes(pin.persist(&key)),
        Call::GetOrRefresh(early) => match pin.get_or_refresh(&key, Duration::from_nanos(early)) {
            Lookup::Fresh(value) => told(Some(value)),
            Lookup::Refresh(value, given) => {
                *token = Some(given);
                Answer::Token(value_of(value))
            }
            Lookup::Stale(value) => Answer::Stale(value_of(value)),
            Lookup::Missing => Answer::Absent,
        },
        Call::Refresh { value, life, .. } => {
            let token = token.take().expect("a token of the entry");
            yes(match life {
                Life::For(ttl) => {
                    let ttl = Duration::from_nanos(ttl);
                    pin.refresh_with_ttl(token, key, make(value), ttl).is_ok()
                }
                _ => pin.refresh(token, key, make(value)).is_ok(),
            })
        }
        Call::ReturnToken(_) => yes(token.take().is_some()),
    };
    let after = clock.now();
    Event { thread, call, answer, began, ended: ticket(), clock: (before, after) }
}
