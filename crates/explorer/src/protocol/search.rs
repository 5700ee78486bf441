//! The writers' search, which helps: it migrates what is frozen, clears what is dead and swings what
//! has moved, and begins again after each. And the search for the cell that names a slot (`goal`):
//! tidying, and the sweep's proof.

use super::{After, Flow, Found, Local, Phase, candidates, first};
use crate::access::{Access, Step};
use crate::config::Config;
use crate::plants::Plant;
use crate::protocol::migrate::group;
use crate::words::{A, Cell, State};

const AGAIN: Flow = Flow::To(Phase::Search);

pub(super) fn begin(m: &mut Access, local: &Local) -> Step<Flow> {
    let root = m.root()?;
    let line = m.config.line_of(root, local.key);
    let a = m.a(line)?;
    if !a.is_frozen() {
        return Ok(Flow::To(Phase::SearchLine { array: root, line: line as u8, a }));
    }
    let next = m.next(root)?;
    let line_there = m.config.line_of(next, local.key);
    for target in group(m, root, line, next).targets {
        if m.plant(Plant::EnteredWithUnbornSibling) && target != line_there {
            continue;
        }
        if !m.is_born(target)? {
            return Ok(Flow::To(Phase::Freeze {
                array: root,
                line: line as u8,
                after: After::Search,
            }));
        }
    }
    let a = m.a(line_there)?;
    if a.is_frozen() {
        return Ok(AGAIN);
    }
    Ok(Flow::To(Phase::SearchLine { array: next, line: line_there as u8, a }))
}

pub(super) fn line(m: &mut Access, local: &mut Local, array: u8, line: u8, a: A) -> Step<Flow> {
    let candidates = if local.goal == 0 {
        candidates(m, line, a, local.key)?
    } else {
        (0..m.config.cells).filter(|&cell| a.has(cell)).fold(0, |mask, cell| mask | 1 << cell)
    };
    candidate(m, local, array, line, a, candidates)
}

/// One candidate, or the next line of the chain.
pub(super) fn candidate(
    m: &mut Access,
    local: &mut Local,
    array: u8,
    line: u8,
    a: A,
    candidates: u8,
) -> Step<Flow> {
    if candidates == 0 {
        return end_of_line(m, local, array, line, a);
    }
    let (cell, candidates) = first(candidates);
    let on = Flow::To(Phase::SearchInto { array, line, a, candidates });
    let e = m.cell(line.into(), cell)?;
    if e.names_none() || e.is_marked() {
        return Ok(AGAIN);
    }
    if e.is_draft() && m.plant(Plant::WaitsForDraft) {
        return Ok(AGAIN);
    }
    if e.is_draft() && !m.plant(Plant::WriterTakesDraft) && m.a(line.into())? != a {
        return Ok(AGAIN);
    }
    let slot = e.slot();
    // With this plant an operation ended what no cell names, and takes off whatever is over.
    let whatever = local.ended && m.plant(Plant::ReplacementNotSwungFirst);
    if local.goal != 0 && slot != local.goal && !whatever {
        return Ok(on);
    }
    let cell = cell as u8;
    if local.goal != 0 && !local.ended {
        return Ok(Flow::To(Phase::Found(Found { line, a, cell, e, slot, state: local.walk.due })));
    }
    let (state, key) = m.node(slot)?;
    if state == State::DEAD && !m.plant(Plant::DeadPassedOver) {
        return Ok(Flow::To(Phase::Clear { line, a, cell, slot }));
    }
    if state.is_moved() {
        let to = state.replacement();
        if m.plant(Plant::ReplacementNotSwungFirst) && key == local.key && local.goal == 0 {
            let state = m.state(to)?;
            if !state.is_over() {
                // No cell names it: what would clear or swing it fails.
                let (a, e) = (A(u16::MAX), Cell(u8::MAX));
                return Ok(Flow::To(Phase::Found(Found { line, a, cell, e, slot: to, state })));
            }
        }
        return Ok(Flow::To(Phase::Swing { line, cell, e, to }));
    }
    if key != local.key || state == State::DEAD {
        return Ok(on);
    }
    Ok(Flow::To(Phase::Found(Found { line, a, cell, e, slot, state })))
}

fn end_of_line(m: &mut Access, local: &mut Local, array: u8, line: u8, a: A) -> Step<Flow> {
    if a.is_chained() {
        if m.plant(Plant::IntoChainedLine)
            && local.goal == 0
            && (0..m.config.cells).any(|cell| !a.has(cell))
        {
            return Ok(Flow::To(Phase::Absent { array, line, a }));
        }
        let line = Config::overflow_line(a);
        let a = m.a(line.into())?;
        return Ok(if a.is_frozen() {
            AGAIN
        } else {
            Flow::To(Phase::SearchLine { array, line, a })
        });
    }
    if local.goal == 0 {
        return Ok(Flow::To(Phase::Absent { array, line, a }));
    }
    // No present cell names the slot: it is off; or, in a sweep, it was not the entry.
    Ok(Flow::To(Phase::Finished))
}

/// Takes a dead entry off. The winner retires it and frees the cell.
pub(super) fn clear(
    m: &mut Access,
    local: &Local,
    line: u8,
    a: A,
    cell: u8,
    slot: u8,
) -> Step<Flow> {
    let (at, number, off) = (usize::from(line), usize::from(cell), a.without(cell.into()));
    let won = if m.plant(Plant::VacatedFirst) {
        m.store_cell(at, number, Cell::VACANT)?;
        m.cas_a(at, a, off, slot, 0)?
    } else if m.plant(Plant::LoserRetires) {
        let won = m.cas_a(at, a, off, 0, 0)?;
        m.retire(slot)?;
        won
    } else if m.plant(Plant::RetiredFirst) && local.ended {
        m.retire(slot)?;
        m.cas_a(at, a, off, 0, 0)?
    } else if m.plant(Plant::ClearedByAnd) {
        let won = m.take_off(at, number)?;
        if won {
            m.retire(slot)?;
        }
        won
    } else {
        m.cas_a(at, a, off, slot, 0)?
    };
    if won {
        return Ok(Flow::To(Phase::Vacate { line, cell }));
    }
    let leaves = local.ended && m.plant(Plant::DoesNotTidy);
    Ok(if leaves { Flow::To(Phase::Finished) } else { AGAIN })
}

pub(super) fn vacate(m: &mut Access, local: &Local, line: u8, cell: u8) -> Step<Flow> {
    let vacant = if m.plant(Plant::VacantIsZero) { Cell::UNUSED } else { Cell::VACANT };
    m.store_cell(line.into(), cell.into(), vacant)?;
    Ok(done_or_again(m, local))
}

/// Replaces what has moved by its replacement. The winner retires it.
pub(super) fn swing(
    m: &mut Access,
    local: &Local,
    line: u8,
    cell: u8,
    e: Cell,
    to: u8,
) -> Step<Flow> {
    let (line, cell) = (usize::from(line), usize::from(cell));
    if m.plant(Plant::SwungByStore) {
        m.store_cell(line, cell, Cell::plain(to))?;
        m.retire(e.slot())?;
        return Ok(done_or_again(m, local));
    }
    if m.cas_cell(line, cell, e, Cell::plain(to), e.slot())? {
        return Ok(done_or_again(m, local));
    }
    let leaves = local.ended && (m.plant(Plant::DoesNotTidy) || m.plant(Plant::TidiesOnlyDead));
    Ok(if leaves { Flow::To(Phase::Finished) } else { AGAIN })
}

/// Something was taken off. Who has ended an entry looks for no other, so that was it.
fn done_or_again(m: &Access, local: &Local) -> Flow {
    if local.ended && !m.plant(Plant::ReplacementNotSwungFirst) {
        Flow::To(Phase::Finished)
    } else {
        AGAIN
    }
}
