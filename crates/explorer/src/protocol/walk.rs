//! Walks: iteration and clearing by validated snapshots of ranges of keys; the sweep, by slot.

use super::{Flow, Found, Local, Phase, read, settle, write};
use crate::access::{Access, Step, Stop};
use crate::config::{Config, Kind, Op};
use crate::plants::Plant;
use crate::words::State;

/// Places of keys: the walk's end.
const PLACES: u8 = 4;

/// The slots that were named at one instant by the line, and its chain, where the walk stands.
pub(super) fn snapshot(m: &mut Access, local: &mut Local) -> Step<Flow> {
    let begin = if local.phase == Phase::Begin { 0 } else { local.walk.begin };
    if begin >= PLACES {
        return Ok(Flow::Done(0));
    }
    let root = m.root()?;
    let line = m.config.line_at(root, begin);
    let (mut line, mut a) = read::truth(m, root, line, |m, next| m.config.line_at(next, begin))?;
    let array = if m.config.lines_of(root).contains(&line) { root } else { root + 1 };
    let range = PLACES >> m.config.level(array);
    let mut walk = super::Walk { begin, end: (begin / range + 1) * range, ..local.walk };
    (walk.slots, walk.len, walk.at, walk.stale) = ([0; 8], 0, 0, false);
    let mut seen = Vec::new();
    loop {
        seen.push((line, a));
        for cell in (0..m.config.cells).filter(|&cell| a.has(cell)) {
            let e = m.cell(line, cell)?;
            if let Some(slot) = settle(m, line as u8, a, cell, e)? {
                *walk.slots.get_mut(usize::from(walk.len)).ok_or(Stop::Spent)? = slot;
                walk.len += 1;
            }
        }
        if !a.is_chained() {
            break;
        }
        line = Config::overflow_line(a).into();
        a = m.a(line)?;
    }
    if !m.plant(Plant::SnapshotNotValidated) {
        for (line, a) in seen {
            if m.a(line)?.history() != a.history() {
                return Ok(Flow::To(Phase::Snapshot));
            }
        }
    }
    local.walk = walk;
    Ok(Flow::To(next_of(local)))
}

/// The phase for what comes next of the snapshot; behind its end, the next snapshot.
fn next_of(local: &mut Local) -> Phase {
    let walk = &mut local.walk;
    if walk.at < walk.len {
        return Phase::Tell;
    }
    if !walk.stale {
        walk.begin = walk.end;
    }
    Phase::Snapshot
}

/// After an entry.
pub(super) fn next(local: &mut Local) -> Phase {
    local.walk.at += 1;
    next_of(local)
}

/// Judges one entry of the snapshot, and tells it, or ends it.
pub(super) fn tell(m: &mut Access, local: &mut Local, op: Op) -> Step<Flow> {
    let slot = local.walk.slots[usize::from(local.walk.at)];
    let (state, key) = m.node(slot)?;
    let place = m.config.place[usize::from(key)];
    if !(local.walk.begin..local.walk.end).contains(&place) && !m.plant(Plant::IterationUnfiltered)
    {
        return Ok(Flow::To(next(local)));
    }
    if op.kind == Kind::Iterate {
        let value = read::judge(m, slot, state)?;
        let next = next(local);
        return Ok(if value == 0 { Flow::To(next) } else { Flow::Tell(key, value, next) });
    }
    local.key = key;
    if state.is_moved() {
        // Its replacement must be in the cell before it is ended.
        local.walk.stale = true;
        (local.goal, local.ended) = (slot, true);
        return Ok(Flow::To(Phase::Search));
    }
    if key == op.key || state == State::DEAD {
        return Ok(Flow::To(next(local)));
    }
    // What has expired is the sweep's. But, as in a lookup, only a word that is loaded after the clock
    // says so.
    match read::confirmed(m, slot, state)? {
        State::PAST => return Ok(Flow::To(next(local))),
        again if again != state => return Ok(Flow::To(Phase::Tell)),
        _ => {}
    }
    if !m.cas_state(slot, state, State::DEAD)? {
        // Judge it again.
        return Ok(Flow::To(Phase::Tell));
    }
    let value = m.value(slot)?;
    (local.goal, local.ended) = (slot, true);
    let tidy = if m.plant(Plant::ClearDoesNotTidy) { Phase::Finished } else { Phase::Search };
    Ok(Flow::Tell(key, value, tidy))
}

pub(super) fn begin_sweep(m: &mut Access, local: &mut Local) -> Step<Flow> {
    if m.clock()? == 0 {
        return Ok(Flow::Done(0));
    }
    local.walk.at = 1;
    Ok(Flow::To(Phase::Hint))
}

/// Is the slot due, as far as its words tell?
pub(super) fn hint(m: &mut Access, local: &mut Local) -> Step<Flow> {
    let slot = local.walk.at;
    if usize::from(slot) > m.config.slots {
        return Ok(Flow::Done(0));
    }
    let state = m.any_state(slot)?;
    if state != State::UNTIL_ONE && state != State::PAST {
        local.walk.at += 1;
        return Ok(Flow::To(Phase::Hint));
    }
    let key = m.any_key(slot)?;
    (local.key, local.goal, local.walk.due) = (key, slot, state);
    if m.plant(Plant::SweptWithoutCell) {
        let won = m.cas_state(slot, state, State::DEAD)?;
        local.ended = won;
        return Ok(Flow::To(if won { Phase::Search } else { Phase::Finished }));
    }
    Ok(Flow::To(Phase::Search))
}

/// A present cell names the slot: it is an entry, and is claimed if its word is the one that was due.
pub(super) fn claim(m: &mut Access, local: &mut Local, found: Found) -> Step<Flow> {
    let due = if m.plant(Plant::SweptFromAnyWord) { m.state(found.slot)? } else { local.walk.due };
    if due.is_over() || !m.cas_state(found.slot, due, State::DEAD)? {
        return Ok(Flow::To(Phase::Finished));
    }
    local.ended = true;
    Ok(Flow::To(write::clear(found)))
}
