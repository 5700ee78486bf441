//! Migration: one group, which any number of threads may migrate as late as they like; and the shares
//! of a whole array, at two cursors.

use std::cmp::Ordering;

use super::{After, Flow, Moving, Phase, born_with};
use crate::access::{Access, Step, Stop};
use crate::config::Config;
use crate::plants::Plant;
use crate::steps::private_line;
use crate::words::{A, Cell, State};

/// One source and its two targets, two sources and their one target, or one and one.
pub(super) struct Group {
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
}

/// The group of a line.
pub(super) fn group(m: &Access, array: u8, line: usize, next: u8) -> Group {
    let (from, to) = (m.config.lines_of(array).start, m.config.lines_of(next).start);
    let number = line - from;
    let (level, level_after) = (m.config.level(array), m.config.level(next));
    let (sources, targets) = match level_after.cmp(&level) {
        Ordering::Greater => (vec![line], vec![to + 2 * number, to + 2 * number + 1]),
        Ordering::Less => (vec![from + (number & !1), from + (number | 1)], vec![to + number / 2]),
        Ordering::Equal => (vec![line], vec![to + number]),
    };
    Group { sources, targets }
}

/// The first line of a share. A share is one group here.
fn line_of_share(m: &Access, array: u8, share: u8) -> u8 {
    let lines = m.config.lines_of(array);
    (lines.start + usize::from(share) * lines.len() / usize::from(shares(m, array))) as u8
}

fn shares(m: &Access, array: u8) -> u8 {
    m.config.lines_of(array).len().min(m.config.lines_of(array + 1).len()) as u8
}

fn go_on(m: &Access, array: u8, after: After) -> Flow {
    Flow::To(match after {
        After::Search => Phase::Search,
        After::Share if m.plant(Plant::ClaimedIsDone) => Phase::Share { array },
        After::Share => Phase::ShareDone { array },
        After::Verified(share) => Phase::VerifyNext { array, share },
    })
}

/// Steps 1 to 3: is it done already? If not: what do the sources say?
pub(super) fn freeze(m: &mut Access, array: u8, line: u8, after: After) -> Step<Flow> {
    let next = m.next(array)?;
    let Group { sources, targets } = group(m, array, line.into(), next);
    if !m.plant(Plant::NoBornTest) {
        let mut born = true;
        for &target in &targets {
            born = born && m.is_born(target)?;
            if m.plant(Plant::BornTestOfOneTarget) {
                break;
            }
        }
        if born {
            return Ok(go_on(m, array, after));
        }
    }
    let mut moving = [Moving::default(); 2];
    let mut counts = [0; 2];
    for source in sources {
        let mut line = source;
        loop {
            let a = m.or_a(line, A::FROZEN)?;
            for cell in (0..m.config.cells).filter(|&cell| a.has(cell)) {
                let slot = if m.plant(Plant::NoMark) {
                    m.cell(line, cell)?.slot()
                } else {
                    m.mark_cell(line, cell)?
                };
                if m.plant(Plant::DeadLeftOut) && m.state(slot)? == State::DEAD {
                    continue;
                }
                let key = m.key(slot)?;
                let target = usize::from(m.config.line_of(next, key) != targets[0]);
                let place = moving[target].get_mut(counts[target]).ok_or(Stop::Spent)?;
                *place = slot | key << 5;
                counts[target] += 1;
            }
            if !a.is_chained() {
                break;
            }
            line = Config::overflow_line(a).into();
        }
    }
    Ok(Flow::To(Phase::Fill { array, line, after, target: 0, moving }))
}

/// Step 4, for one target.
pub(super) fn fill(
    m: &mut Access,
    array: u8,
    line: u8,
    after: After,
    target: u8,
    moving: [Moving; 2],
) -> Step<Flow> {
    let next = array + 1;
    let targets = group(m, array, line.into(), next).targets;
    let line_there = targets[usize::from(target)];
    let nodes: Vec<(u8, u8)> = moving[usize::from(target)]
        .iter()
        .filter(|&&node| node != 0)
        .map(|node| (node & 31, node >> 5))
        .collect();
    let (here, rest) = nodes.split_at(nodes.len().min(m.config.cells));
    let (mut a, b) = born_with(m, here.iter().map(|node| node.1));
    if m.plant(Plant::BornBeforeFilled) {
        m.give_birth(line_there, a)?;
    }
    for (cell, &(slot, _)) in here.iter().enumerate() {
        if m.plant(Plant::TargetStored) {
            m.store_cell(line_there, cell, Cell::plain(slot))?;
        } else {
            m.fill_cell(line_there, cell, slot)?;
        }
    }
    if here.len() > m.config.inline {
        m.fill_b(line_there, b)?;
    }
    if !rest.is_empty() && !m.is_born(line_there)? {
        let mut tail = None;
        for part in rest.chunks(m.config.cells).rev() {
            let (a, b) = born_with(m, part.iter().map(|node| node.1));
            let a = tail.map_or(a, |tail| a.chained_to(Config::overflow_number(tail)));
            let slots: Vec<u8> = part.iter().map(|&(slot, _)| slot).collect();
            tail = Some(m.overflow(next, private_line(a, b, &slots))?);
        }
        a = tail.map_or(a, |tail| a.chained_to(Config::overflow_number(tail)));
    }
    if rest.is_empty() || a.is_chained() {
        m.give_birth(line_there, a)?;
    }
    Ok(if usize::from(target) + 1 < targets.len() {
        Flow::To(Phase::Fill { array, line, after, target: target + 1, moving })
    } else {
        go_on(m, array, after)
    })
}

pub(super) fn begin(m: &mut Access) -> Step<Flow> {
    let array = m.root()?;
    if usize::from(array) + 1 >= m.config.levels.len() {
        return Ok(Flow::Done(0));
    }
    if m.next(array)? == 0 {
        m.link_next(array)?;
    }
    Ok(Flow::To(Phase::Share { array }))
}

/// Claims a share, if one is left.
pub(super) fn share(m: &mut Access, array: u8) -> Step<Flow> {
    let all = shares(m, array);
    let claimed = if m.plant(Plant::ClaimedByStore) {
        let claimed = m.cursor(array, "cursor", |array| array.claimed)?;
        if claimed < all {
            m.cursor(array, "cursor stored", |array| {
                array.claimed = claimed + 1;
                0
            })?;
        }
        claimed
    } else {
        // A load and a CAS; one that fails changes nothing.
        m.cursor(array, "CAS cursor", |array| {
            let claimed = array.claimed;
            array.claimed = (claimed + 1).min(all);
            claimed
        })?
    };
    Ok(Flow::To(if claimed < all {
        Phase::Freeze { array, line: line_of_share(m, array, claimed), after: After::Share }
    } else if m.plant(Plant::ClaimedIsDone) {
        Phase::Switch { array }
    } else {
        Phase::AllClaimed { array }
    }))
}

pub(super) fn share_done(m: &mut Access, array: u8) -> Step<Flow> {
    let all = shares(m, array);
    let done = m.cursor(array, "done += 1", |array| {
        array.done += 1;
        array.done
    })?;
    Ok(Flow::To(if done == all { Phase::Switch { array } } else { Phase::Share { array } }))
}

pub(super) fn all_claimed(m: &mut Access, array: u8) -> Step<Flow> {
    let all = shares(m, array);
    let done = m.cursor(array, "done", |array| u8::from(array.done >= all))?;
    Ok(Flow::To(match done {
        1 => Phase::Switch { array },
        _ if m.plant(Plant::WaitsForClaimer) => Phase::AllClaimed { array },
        _ => Phase::Verify { array },
    }))
}

/// Somebody is slow: goes over the shares again.
pub(super) fn verify(m: &mut Access, array: u8) -> Step<Flow> {
    let share = m.cursor(array, "verified", |array| array.verified)?;
    let line = line_of_share(m, array, share);
    Ok(Flow::To(if share == shares(m, array) {
        Phase::Switch { array }
    } else if m.plant(Plant::VerifiedUnseen) {
        Phase::VerifyNext { array, share }
    } else {
        Phase::Freeze { array, line, after: After::Verified(share) }
    }))
}

pub(super) fn verify_next(m: &mut Access, array: u8, share: u8) -> Step<Flow> {
    m.cursor(array, "CAS verified", |array| {
        if array.verified == share {
            array.verified += 1;
        }
        0
    })?;
    Ok(Flow::To(Phase::Verify { array }))
}

pub(super) fn switch(m: &mut Access, array: u8) -> Step<Flow> {
    m.switch_root(array)?;
    Ok(Flow::Done(0))
}
