//! Insert, replace, remove, renew; and drafts that are not wanted.

use super::{Flow, Found, Local, Phase, born_with};
use crate::access::{Access, Step};
use crate::config::{Config, Kind, Op};
use crate::plants::Plant;
use crate::steps::private_line;
use crate::words::{A, Cell, State};

const AGAIN: Flow = Flow::To(Phase::Search);

/// The key has an entry: the operation's CAS of its state word, or its answer.
pub(super) fn found(m: &mut Access, local: &mut Local, op: Op, found: Found) -> Step<Flow> {
    let Found { slot, state, .. } = found;
    let clock =
        if state == State::UNTIL_ONE || op.kind == Kind::Renew && op.due { m.clock()? } else { 0 };
    let visible = !state.is_due_at(clock);
    match op.kind {
        Kind::Try | Kind::Panic if visible => drop_with(m, slot),
        Kind::Panic => Ok(Flow::To(Phase::Drop { answer: 0 })),
        Kind::Put | Kind::Try => replace(m, local, found, visible),
        Kind::Update | Kind::Remove | Kind::Renew if !visible => {
            // Absent, if the word is due still.
            if !m.state(slot)?.is_due_at(clock) {
                return Ok(AGAIN);
            }
            Ok(if op.kind == Kind::Update {
                Flow::To(Phase::Drop { answer: 0 })
            } else {
                Flow::Done(0)
            })
        }
        Kind::Update => {
            if local.draft.state != state {
                m.set_draft_state(local.draft.slot, state)?;
            }
            let flow = replace(m, local, found, visible)?;
            local.draft.state = state;
            Ok(flow)
        }
        Kind::Renew => {
            let to = match (op.due, clock) {
                (false, _) => State::NEVER,
                (true, 1) if !m.plant(Plant::PresentTickStored) => State::PAST,
                (true, _) => State::UNTIL_ONE,
            };
            if m.plant(Plant::DeadlineStored) {
                m.store_state(slot, to)?;
            } else if !m.cas_state(slot, state, to)? {
                return Ok(AGAIN);
            }
            m.value(slot).map(Flow::Done)
        }
        _ => {
            if !m.cas_state(slot, state, State::DEAD)? {
                return Ok(AGAIN);
            }
            ends(m, local, slot, true)?;
            Ok(Flow::To(clear(found)))
        }
    }
}

fn drop_with(m: &mut Access, slot: u8) -> Step<Flow> {
    Ok(Flow::To(Phase::Drop { answer: m.value(slot)? }))
}

/// From now on the operation is there to take `slot` off.
fn ends(m: &mut Access, local: &mut Local, slot: u8, visible: bool) -> Step<()> {
    local.answer = if visible { m.value(slot)? } else { 0 };
    (local.goal, local.ended) = (slot, true);
    Ok(())
}

pub(super) fn clear(Found { line, a, cell, slot, .. }: Found) -> Phase {
    Phase::Clear { line, a, cell, slot }
}

fn replace(m: &mut Access, local: &mut Local, found: Found, visible: bool) -> Step<Flow> {
    if m.plant(Plant::VacatedBeforeStateCas)
        && let Some((line, cell)) = local.draft.cell
    {
        m.store_cell(line.into(), cell.into(), Cell::VACANT)?;
    }
    let live = visible && !m.plant(Plant::NeverLive) || m.plant(Plant::AlwaysLive);
    let won = m.cas_state(found.slot, found.state, State::moved(local.draft.slot, live))?;
    if m.plant(Plant::VacatedBeforeStateCas) {
        local.draft.cell = None;
    }
    if !won {
        return Ok(AGAIN);
    }
    ends(m, local, found.slot, visible)?;
    let Found { line, cell, e, .. } = found;
    let swing = Phase::Swing { line, cell, e, to: local.draft.slot };
    Ok(Flow::To(if local.draft.cell.is_some() { Phase::LeaveCell(found) } else { swing }))
}

/// The replacement stands in the other's place: its own cell is not needed.
pub(super) fn leave_cell(m: &mut Access, local: &mut Local, found: Found) -> Step<Flow> {
    let Found { line, cell, e, .. } = found;
    vacate_own(m, local)?;
    Ok(Flow::To(Phase::Swing { line, cell, e, to: local.draft.slot }))
}

fn vacate_own(m: &mut Access, local: &mut Local) -> Step<()> {
    if let Some((line, cell)) = local.draft.cell {
        m.store_cell(line.into(), cell.into(), Cell::VACANT)?;
        local.draft.cell = None;
    }
    Ok(())
}

/// The key is absent: in `a`, that of the last line of its chain.
pub(super) fn absent(
    m: &mut Access,
    local: &mut Local,
    op: Op,
    array: u8,
    line: u8,
    a: A,
) -> Step<Flow> {
    match op.kind {
        Kind::Remove | Kind::Renew => Ok(Flow::Done(0)),
        Kind::Update => Ok(Flow::To(Phase::Drop { answer: 0 })),
        _ => match local.draft.cell {
            Some((reserved, _)) if reserved == line => publish(m, local, op, line, a),
            Some(_) => {
                vacate_own(m, local)?;
                Ok(Flow::To(Phase::Reserve { array, line, a }))
            }
            None => reserve(m, local, op, array, line, a),
        },
    }
}

pub(super) fn reserve(
    m: &mut Access,
    local: &mut Local,
    op: Op,
    array: u8,
    line: u8,
    a: A,
) -> Step<Flow> {
    let at = usize::from(line);
    for cell in (0..m.config.cells).filter(|&cell| !a.has(cell)) {
        let e = m.cell(at, cell)?;
        if e != Cell::UNUSED && e != Cell::VACANT {
            continue;
        }
        let draft = Cell::draft(local.draft.slot);
        if m.plant(Plant::ReservedByStore) {
            m.store_cell(at, cell, draft)?;
        } else if !m.cas_cell(at, cell, e, draft, 0)? {
            continue;
        }
        if cell >= m.config.inline && !m.plant(Plant::ByteAfterPublication) {
            m.set_byte(at, cell, m.config.print[usize::from(op.key)])?;
        }
        local.draft.cell = Some((line, cell as u8));
        local.draft.was_named = true;
        let panics = op.kind == Kind::Panic;
        return Ok(Flow::To(if panics {
            Phase::Drop { answer: 0 }
        } else {
            Phase::Publish { line, a }
        }));
    }
    chain(m, local, op, array, line, a)
}

/// All cells are present, or held by drafts: an overflow line, with the entry.
fn chain(m: &mut Access, local: &mut Local, op: Op, array: u8, line: u8, a: A) -> Step<Flow> {
    let slot = local.draft.slot;
    let overflow = match local.draft.spare {
        Some((spare, its_array)) if its_array == array => usize::from(spare),
        _ => {
            let (born, b) = born_with(m, std::iter::once(op.key));
            m.overflow(array, private_line(born, b, &[slot]))?
        }
    };
    if op.kind == Kind::Panic {
        return Ok(Flow::To(Phase::Drop { answer: 0 }));
    }
    let chained = a.chained_to(Config::overflow_number(overflow));
    if m.cas_a(line.into(), a, chained, 0, slot)? {
        return Ok(Flow::Done(0));
    }
    local.draft.spare = Some((overflow as u8, array));
    Ok(AGAIN)
}

pub(super) fn publish(m: &mut Access, local: &mut Local, op: Op, line: u8, a: A) -> Step<Flow> {
    let Some((_, cell)) = local.draft.cell else { unreachable!("published without a cell") };
    let (at, cell, slot) = (usize::from(line), usize::from(cell), local.draft.slot);
    let a = if m.plant(Plant::PublishedFromReloadedA) { m.a(at)? } else { a };
    let presence = m.config.presence(cell, op.key);
    let count = match () {
        () if m.plant(Plant::NoCount) => 0,
        () if m.plant(Plant::CountOfOneBit) => 1,
        () if m.plant(Plant::CountOfTwoBits) => 2,
        () => 7,
    };
    if m.plant(Plant::FlagOffFirst) {
        m.cas_cell(at, cell, Cell::draft(slot), Cell::plain(slot), 0)?;
    }
    if m.plant(Plant::PublishedByOr) {
        m.publish_by_or(at, A::default().with(cell, presence), slot)?;
        return Ok(Flow::To(Phase::FlagOff));
    }
    let published = a.with(cell, presence);
    // (Where COUNT would stand there may be the number of the next line, with a plant.)
    let published = if a.is_chained() { published } else { published.counted(count) };
    // Linearization.
    if !m.cas_a(at, a, published, 0, slot)? {
        return Ok(AGAIN);
    }
    Ok(Flow::To(Phase::FlagOff))
}

pub(super) fn flag_off(m: &mut Access, local: &Local, op: Op) -> Step<Flow> {
    let Some((line, cell)) = local.draft.cell else { unreachable!("published without a cell") };
    let (line, cell, slot) = (usize::from(line), usize::from(cell), local.draft.slot);
    if m.plant(Plant::ByteAfterPublication) && cell >= m.config.inline {
        m.set_byte(line, cell, m.config.print[usize::from(op.key)])?;
    }
    if m.plant(Plant::FlagOffByStore) {
        m.store_cell(line, cell, Cell::plain(slot))?;
    } else if m.plant(Plant::FlagOffByAnd) {
        m.take_draft_off(line, cell)?;
    } else {
        m.cas_cell(line, cell, Cell::draft(slot), Cell::plain(slot), 0)?;
    }
    Ok(Flow::Done(0))
}

/// The draft is not wanted: its cell, then its entry and slot.
pub(super) fn drop_draft(m: &mut Access, local: &mut Local, answer: u8) -> Step<Flow> {
    if !m.plant(Plant::AbandonedCellKept) {
        vacate_own(m, local)?;
    }
    Ok(Flow::To(Phase::Dropped { answer }))
}

pub(super) fn dropped(m: &mut Access, local: &Local, op: Op, answer: u8) -> Step<Flow> {
    let retire = local.draft.was_named && !m.plant(Plant::AbandonedGivenBackAtOnce);
    m.end_draft(local.draft.slot, retire)?;
    Ok(if op.kind == Kind::Panic && answer == 0 { Flow::Panicked } else { Flow::Done(answer) })
}
