//! The search for an order that explains a history.

use std::collections::HashSet;
use std::fmt;

use super::spec::{Found, State};
use super::{Answer, Call, Event, Life};

/// A history that no order explains. Its text shows the calls as they began, each with its place in the
/// longest order that explains the calls in it.
#[derive(Debug)]
pub struct Violation {
    events: Vec<Event>,
    longest: Order,
    what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.what)?;
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

/// An order that explains a history: its events by their numbers, and what each found.
pub type Order = Vec<(usize, Found)>;

/// Checks the history of one key that was absent at first, on a map without a default TTL; at most 128
/// events.
pub fn check(events: &[Event]) -> Result<Order, Violation> {
    check_with(events, Life::Forever)
}

/// [`check`], for a map that gives what is put without a word about it the life `default`.
pub fn check_with(events: &[Event], default: Life) -> Result<Order, Violation> {
    assert!(events.len() <= 128, "{} events are too many for the bits of a word", events.len());
    let mut by_end: Vec<usize> = (0..events.len()).collect();
    by_end.sort_by_key(|i| events[*i].ended);
    let (mut order, mut longest) = (Vec::new(), Vec::new());
    let mut tried = HashSet::new();
    // Place in the order, event and what it found, events done before it, state after it.
    let mut open = Vec::new();
    let (mut done, mut state) = (0_u128, State::ABSENT);
    loop {
        let left = || by_end.iter().copied().filter(|i| done & 1 << i == 0);
        let Some(first) = left().next() else {
            return match token_fault(events) {
                None => Ok(order),
                Some(what) => Err(Violation { events: events.to_vec(), longest: order, what }),
            };
        };
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
    let what = "no order explains this history of one key; the longest that explains a part";
    Err(Violation { events: events.to_vec(), longest, what })
}

/// What is wrong with the tokens of a history. (Which of several calls gets one is not a matter of the order that
/// explains values and deadlines: an entry that is renewed keeps its token.)
fn token_fault(events: &[Event]) -> Option<&'static str> {
    let of_entry = |event: &&Event, value| event.answer == Answer::Token(value);
    // The call by which a token goes back.
    let end = |token: &Event, value| {
        let is_end = |event: &&Event| {
            event.thread == token.thread
                && event.began > token.ended
                && match event.call {
                    Call::Refresh { of, .. } | Call::ReturnToken(of) => of == value,
                    _ => false,
                }
        };
        events.iter().filter(is_end).min_by_key(|event| event.began)
    };
    for event in events {
        match event.answer {
            Answer::Token(value) => {
                let is_over = |end: &Event| end.began <= event.ended;
                let mut others = events.iter().filter(|other| of_entry(other, value));
                if others.any(|other| {
                    other.ended < event.began && !end(other, value).is_some_and(is_over)
                }) {
                    return Some("two callers had the token of one entry at a time");
                }
            }
            Answer::Stale(value) => {
                let mut others = events.iter().filter(|other| of_entry(other, value));
                if !others.any(|other| {
                    other.began < event.ended
                        && end(other, value).is_none_or(|end| end.ended > event.began)
                }) {
                    return Some("an entry was told stale while its token was in nobody's hands");
                }
            }
            _ => {}
        }
    }
    None
}
