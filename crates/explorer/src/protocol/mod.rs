//! The line protocol, as DESIGN.md tells it in sections 4 to 6, an operation a row of phases.
//!
//! `read` is the lookup; `search` the writers' search, with clear and swing; `write` insert, replace,
//! remove, renew and their ends; `migrate` one group and the cursors; `walk` iteration, clear, sweep.

mod migrate;
mod read;
mod search;
mod walk;
mod write;

use crate::access::{Access, Step};
use crate::config::{Kind, Op};
use crate::plants::Plant;
use crate::sizes::OVERFLOW;
use crate::words::{A, B, Cell, State};

/// Where an operation goes from a phase.
pub(crate) enum Flow {
    To(Phase),
    /// A walk tells (or ended) the entry of a key, with this value, and goes on.
    Tell(u8, u8, Phase),
    Done(u8),
    /// A panic: the operation ends without effect and without an answer.
    Panicked,
}

/// A candidate that has the key: the cell that names it, as it was read, and its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Found {
    pub(crate) line: u8,
    pub(crate) a: A,
    pub(crate) cell: u8,
    pub(crate) e: Cell,
    pub(crate) slot: u8,
    pub(crate) state: State,
}

/// What a migrated group is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum After {
    Search,
    Share,
    Verified(u8),
}

/// Nodes that go to one target: slot, and key above it.
pub(crate) type Moving = [u8; 6];

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    Begin,
    Look {
        line: u8,
        a: A,
    },
    LookInto {
        line: u8,
        a: A,
        candidates: u8,
    },
    Search,
    SearchLine {
        array: u8,
        line: u8,
        a: A,
    },
    SearchInto {
        array: u8,
        line: u8,
        a: A,
        candidates: u8,
    },
    Clear {
        line: u8,
        a: A,
        cell: u8,
        slot: u8,
    },
    Vacate {
        line: u8,
        cell: u8,
    },
    Swing {
        line: u8,
        cell: u8,
        e: Cell,
        to: u8,
    },
    Found(Found),
    Absent {
        array: u8,
        line: u8,
        a: A,
    },
    Reserve {
        array: u8,
        line: u8,
        a: A,
    },
    Publish {
        line: u8,
        a: A,
    },
    FlagOff,
    /// The state CAS has won: the draft's cell, then the swing.
    LeaveCell(Found),
    Drop {
        answer: u8,
    },
    Dropped {
        answer: u8,
    },
    /// The operation's own entry is off, or another took it off.
    Finished,
    Freeze {
        array: u8,
        line: u8,
        after: After,
    },
    Fill {
        array: u8,
        line: u8,
        after: After,
        target: u8,
        moving: [Moving; 2],
    },
    Share {
        array: u8,
    },
    ShareDone {
        array: u8,
    },
    AllClaimed {
        array: u8,
    },
    Verify {
        array: u8,
    },
    VerifyNext {
        array: u8,
        share: u8,
    },
    Switch {
        array: u8,
    },
    Snapshot,
    Tell,
    Hint,
}

/// An entry on its way in.
#[derive(Clone, Copy, Default, Hash)]
pub(crate) struct Draft {
    pub(crate) slot: u8,
    pub(crate) state: State,
    /// Line and cell that it reserved.
    pub(crate) cell: Option<(u8, u8)>,
    /// A cell named it at some time.
    pub(crate) was_named: bool,
    /// An overflow line that names it and was not published, and its array.
    pub(crate) spare: Option<(u8, u8)>,
}

/// A walk over places (iterate, clear) or slots (sweep).
#[derive(Clone, Copy, Default, Hash)]
pub(crate) struct Walk {
    /// The places `begin..end` are those of the snapshot.
    pub(crate) begin: u8,
    pub(crate) end: u8,
    pub(crate) slots: [u8; 8],
    pub(crate) len: u8,
    /// What comes next of `slots`; of a sweep, the slot itself.
    pub(crate) at: u8,
    /// The snapshot must be taken again.
    pub(crate) stale: bool,
    /// Of a sweep: the word that was due.
    pub(crate) due: State,
}

/// What an operation keeps from phase to phase.
#[derive(Clone, Copy, Default, Hash)]
pub(crate) struct Local {
    pub(crate) phase: Phase,
    /// The key whose line is searched.
    pub(crate) key: u8,
    /// Search for the cell that names this slot; 0: for the key.
    pub(crate) goal: u8,
    /// `goal` was ended by this operation, which stays until it is off.
    pub(crate) ended: bool,
    pub(crate) answer: u8,
    pub(crate) draft: Draft,
    pub(crate) walk: Walk,
}

/// Takes the steps of the present phase.
pub(crate) fn run(m: &mut Access, local: &mut Local, op: Op) -> Step<Flow> {
    match local.phase {
        Phase::Begin => begin(m, local, op),
        Phase::Look { line, a } => read::line(m, op.key, line, a),
        Phase::LookInto { line, a, candidates } => read::candidate(m, op.key, line, a, candidates),
        Phase::Search => search::begin(m, local),
        Phase::SearchLine { array, line, a } => search::line(m, local, array, line, a),
        Phase::SearchInto { array, line, a, candidates } => {
            search::candidate(m, local, array, line, a, candidates)
        }
        Phase::Clear { line, a, cell, slot } => search::clear(m, local, line, a, cell, slot),
        Phase::Vacate { line, cell } => search::vacate(m, local, line, cell),
        Phase::Swing { line, cell, e, to } => search::swing(m, local, line, cell, e, to),
        Phase::Found(found) if local.goal != 0 => walk::claim(m, local, found),
        Phase::Found(found) => write::found(m, local, op, found),
        Phase::Absent { array, line, a } => write::absent(m, local, op, array, line, a),
        Phase::Reserve { array, line, a } => write::reserve(m, local, op, array, line, a),
        Phase::Publish { line, a } => write::publish(m, local, op, line, a),
        Phase::FlagOff => write::flag_off(m, local, op),
        Phase::LeaveCell(found) => write::leave_cell(m, local, found),
        Phase::Drop { answer } => write::drop_draft(m, local, answer),
        Phase::Dropped { answer } => write::dropped(m, local, op, answer),
        Phase::Finished => Ok(finished(local, op)),
        Phase::Freeze { array, line, after } => migrate::freeze(m, array, line, after),
        Phase::Fill { array, line, after, target, moving } => {
            migrate::fill(m, array, line, after, target, moving)
        }
        Phase::Share { array } => migrate::share(m, array),
        Phase::ShareDone { array } => migrate::share_done(m, array),
        Phase::AllClaimed { array } => migrate::all_claimed(m, array),
        Phase::Verify { array } => migrate::verify(m, array),
        Phase::VerifyNext { array, share } => migrate::verify_next(m, array, share),
        Phase::Switch { array } => migrate::switch(m, array),
        Phase::Snapshot => walk::snapshot(m, local),
        Phase::Tell => walk::tell(m, local, op),
        Phase::Hint => walk::hint(m, local),
    }
}

fn begin(m: &mut Access, local: &mut Local, op: Op) -> Step<Flow> {
    local.key = op.key;
    match op.kind {
        Kind::Get => read::begin(m, op.key),
        Kind::Put | Kind::Try | Kind::Update | Kind::Panic => {
            local.draft.state = if op.due { State::UNTIL_ONE } else { State::NEVER };
            local.draft.slot = m.take_slot(op.key, op.value, local.draft.state)?;
            Ok(Flow::To(Phase::Search))
        }
        Kind::Remove | Kind::Renew => search::begin(m, local),
        Kind::Iterate | Kind::Clear => walk::snapshot(m, local),
        Kind::Sweep => walk::begin_sweep(m, local),
        Kind::Migrate => migrate::begin(m),
        Kind::Tick => m.tick().map(|()| Flow::Done(0)),
    }
}

/// What this operation ended is off.
fn finished(local: &mut Local, op: Op) -> Flow {
    (local.goal, local.ended) = (0, false);
    match op.kind {
        Kind::Clear => Flow::To(walk::next(local)),
        Kind::Sweep => {
            local.walk.at += 1;
            Flow::To(Phase::Hint)
        }
        _ => Flow::Done(local.answer),
    }
}

/// A lookup only goes forward: to the next candidate of a line, or to the next line of the chain. So it
/// tries nothing twice.
pub(crate) fn goes_on(from: Phase, to: Phase) -> bool {
    match (from, to) {
        (Phase::Begin, Phase::Look { .. }) => true,
        (
            Phase::Look { line, .. } | Phase::LookInto { line, .. },
            Phase::Look { line: next, .. },
        ) => next != line && usize::from(next) >= OVERFLOW,
        (Phase::Look { line, .. }, Phase::LookInto { line: same, .. }) => line == same,
        (
            Phase::LookInto { line, candidates, .. },
            Phase::LookInto { line: same, candidates: left, .. },
        ) => line == same && left < candidates,
        _ => false,
    }
}

/// Cells that may name an entry of the key: those present in `a` with its fingerprint, a bit each.
fn candidates(m: &mut Access, line: u8, a: A, key: u8) -> Step<u8> {
    let (cells, inline) = (m.config.cells, m.config.inline);
    let print = m.config.print[usize::from(key)];
    let b = if (inline..cells).any(|cell| a.has(cell)) { m.b(line.into())? } else { B::default() };
    let fits = |cell: &usize| {
        a.has(*cell) && print == if *cell < inline { a.field(*cell) } else { b.field(*cell) }
    };
    Ok((0..cells).filter(fits).fold(0, |mask, cell| mask | 1 << cell))
}

/// What `A` and `B` of a line say that is born with entries of these keys.
fn born_with(m: &Access, keys: impl Iterator<Item = u8>) -> (A, B) {
    let (mut a, mut b) = (A::born(), B::default());
    for (cell, key) in keys.enumerate() {
        a = a.with(cell, m.config.presence(cell, key));
        if cell >= m.config.inline {
            b = b.with(cell, m.config.print[usize::from(key)]);
        }
    }
    (a, b)
}

/// The first of some candidates, and the others.
fn first(candidates: u8) -> (usize, u8) {
    (candidates.trailing_zeros() as usize, candidates & (candidates - 1))
}

/// Which published slot does cell `cell` name, that was present in `a` and reads as `e`? For lookups.
fn settle(m: &mut Access, line: u8, a: A, cell: usize, e: Cell) -> Step<Option<u8>> {
    let slot_of = |e: Cell| (!e.names_none()).then(|| e.slot());
    if e.names_none()
        || !e.is_draft()
        || e.is_marked()
        || a.is_frozen()
        || m.plant(Plant::NoSecondLook)
    {
        return Ok(slot_of(e));
    }
    let again = m.a(line.into())?;
    if again == a {
        return Ok(slot_of(e));
    }
    if !again.has(cell) {
        return Ok(None);
    }
    if m.plant(Plant::UnsureIsHit) {
        return Ok(slot_of(e));
    }
    if m.plant(Plant::UnsureIsMiss) {
        return Ok(None);
    }
    let e2 = m.cell(line.into(), cell)?;
    if e2.names_none() {
        return Ok(None);
    }
    if !e2.is_draft() || e2.slot() == e.slot() || m.plant(Plant::AnothersDraftTaken) {
        return Ok(slot_of(e2));
    }
    Ok(None)
}
