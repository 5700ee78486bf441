//! The lookup: it stores nothing, goes through its phases once, and looks into two arrays at most.

use super::{Flow, Phase, candidates, first, settle};
use crate::access::{Access, Step};
use crate::config::Config;
use crate::plants::Plant;
use crate::words::{A, State};

pub(super) fn begin(m: &mut Access, key: u8) -> Step<Flow> {
    let root = m.root()?;
    let line = m.config.line_of(root, key);
    let (line, a) = truth(m, root, line, |m, next| m.config.line_of(next, key))?;
    Ok(Flow::To(Phase::Look { line: line as u8, a }))
}

/// The line of the root, or, if that is frozen and the target in the next array is born, the target.
pub(super) fn truth(
    m: &mut Access,
    root: u8,
    line: usize,
    target: impl FnOnce(&Access, u8) -> usize,
) -> Step<(usize, A)> {
    let a = m.a(line)?;
    if !a.is_frozen() || m.plant(Plant::FrozenIgnored) {
        return Ok((line, a));
    }
    let next = m.next(root)?;
    let target = target(m, next);
    let born = m.a(target)?;
    Ok(if born.is_born() { (target, born) } else { (line, a) })
}

pub(super) fn line(m: &mut Access, key: u8, line: u8, a: A) -> Step<Flow> {
    let candidates = candidates(m, line, a, key)?;
    candidate(m, key, line, a, candidates)
}

/// One candidate, or the next line of the chain.
pub(super) fn candidate(m: &mut Access, key: u8, line: u8, a: A, candidates: u8) -> Step<Flow> {
    if candidates == 0 {
        if !a.is_chained() {
            return Ok(Flow::Done(0));
        }
        let line = Config::overflow_line(a);
        let a = m.a(line.into())?;
        return Ok(Flow::To(Phase::Look { line, a }));
    }
    let (cell, candidates) = first(candidates);
    let on = Flow::To(Phase::LookInto { line, a, candidates });
    let e = m.cell(line.into(), cell)?;
    let Some(slot) = settle(m, line, a, cell, e)? else { return Ok(on) };
    let (state, its_key) = m.node(slot)?;
    if its_key != key {
        return Ok(on);
    }
    judge(m, slot, state).map(Flow::Done)
}

/// The value if the entry, or its replacement, was visible at an instant of this lookup; or 0.
pub(super) fn judge(m: &mut Access, slot: u8, state: State) -> Step<u8> {
    let state = confirmed(m, slot, state)?;
    if state.is_moved() {
        let next = state.replacement();
        let moved_on = m.state(next)?;
        return match confirmed(m, next, moved_on)? {
            state if state.is_moved() && !state.was_live() => Ok(0),
            State::DEAD | State::PAST => Ok(0),
            _ => m.value(next),
        };
    }
    if state == State::DEAD || state == State::PAST { Ok(0) } else { m.value(slot) }
}

/// The word, where it is one with a deadline that has passed the word as it is then: `PAST` if that
/// is due as well. One that is visible or over is returned as it is.
pub(super) fn confirmed(m: &mut Access, slot: u8, state: State) -> Step<State> {
    if state != State::UNTIL_ONE || m.clock()? == 0 {
        return Ok(state);
    }
    if m.plant(Plant::ExpiryNotConfirmed) {
        return Ok(State::PAST);
    }
    let again = m.state(slot)?;
    Ok(if again.is_due_at(1) { State::PAST } else { again })
}
