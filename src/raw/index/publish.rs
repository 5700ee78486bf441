//! How a new entry gets its name in a line: reserve, publish, flag off (DESIGN.md, section 5).

use super::{
    array::Root,
    line::{Cell, FIRST_CELL, Fingerprint, Line, Presence, in_second_word},
};
use crate::{
    raw::words::key::SlotIndex,
    sync::{Ordering, order, planted},
};

/// The line that a key's entry is to be published in: the last of its chain, as a search saw it.
pub(in crate::raw) struct Gap<'g> {
    pub(super) array: Root,
    pub(super) line: &'g Line,
    pub(super) presence: Presence,
    pub(super) fingerprint: Fingerprint,
}

/// What a draft has reserved. It outlives a search that came too late, since a draft never comes back to a cell
/// that it left (R6).
#[derive(Default)]
pub(in crate::raw) struct Reserved<'g> {
    cell: Option<(&'g Line, u32)>,
    /// An overflow line with the draft in it, for the next try in this array.
    overflow: Option<(Root, u32)>,
    /// Whether any cell ever named the slot: then it is free only after a grace period (R5).
    was_named: bool,
}

impl<'g> Gap<'g> {
    /// Publishes the entry in `slot`. Linearization: of an insert of a key that was not there. False if the line
    /// has changed: then the key is to be looked for again.
    #[inline]
    pub(in crate::raw) fn append(&self, slot: SlotIndex, reserved: &mut Reserved<'g>) -> bool {
        let Some(number) = self.reserve(slot, reserved) else { return self.chain(slot, reserved) };
        if !self.publish(slot, number) {
            reserved.keep(self.line, number);
            return false;
        }
        reserved.cell = None;
        true
    }

    /// The same for a slot that no cell named yet, if the line has a cell for it. If not, or if the line has changed: what
    /// it has reserved.
    #[inline]
    pub(in crate::raw) fn append_at_once(&self, slot: SlotIndex) -> Result<(), Reserved<'g>> {
        let mut reserved = Reserved::default();
        let Some(number) = self.reserve(slot, &mut reserved) else { return Err(reserved) };
        if !self.publish(slot, number) {
            reserved.keep(self.line, number);
            return Err(reserved);
        }
        Ok(())
    }

    /// Publishes the entry in `slot`, which has this cell; false if the line has changed.
    #[inline]
    fn publish(&self, slot: SlotIndex, number: u32) -> bool {
        let presence = if planted!(published_from_another_look) {
            let presence = self.line.presence();
            if presence.is_more() || presence.has(number) {
                return false;
            }
            presence
        } else {
            self.presence
        };
        let next = presence.with(number, self.fingerprint).counted();
        if !self.line.advance(presence, next) {
            return false;
        }
        // Release: whoever reads it without the flag sees the publication. It fails if the cell was swung, marked
        // or cleared since.
        let cell = self.line.cell(number);
        if planted!(flag_taken_off_blindly) {
            cell.store(Cell::of(slot), Ordering::Release); // planted
        }
        cell.replace(Cell::draft(slot), Cell::of(slot), order!(flag_taken_off, Release));
        if planted!(fingerprint_behind_the_publication) {
            self.line.set_fingerprint(number, self.fingerprint);
        }
        true
    }

    /// The cell that the draft has in this line, or gets. The caller keeps it, unless it is published at once.
    #[inline]
    pub(super) fn reserve(&self, slot: SlotIndex, reserved: &mut Reserved<'g>) -> Option<u32> {
        if let Some((line, number)) = reserved.cell {
            if core::ptr::eq(line, self.line) {
                return Some(number);
            }
            reserved.vacate();
        }
        let number = self.line.reserve(self.presence, slot)?;
        if !planted!(fingerprint_behind_the_publication) {
            self.line.set_fingerprint(number, self.fingerprint);
        }
        Some(number)
    }

    /// Publishes the entry in a new line behind this one, which has no cell to reserve.
    #[cold]
    fn chain(&self, slot: SlotIndex, reserved: &mut Reserved<'g>) -> bool {
        let number = match reserved.overflow {
            Some((array, number)) if array == self.array => number,
            _ => {
                // SAFETY: the array that the search went through, under its guard.
                let (number, line) = unsafe { self.array.array() }.new_overflow_line();
                // Relaxed: published with the number.
                line.cell(FIRST_CELL).store(Cell::of(slot), Ordering::Relaxed);
                let presence = Presence::BORN.with(FIRST_CELL, self.fingerprint);
                line.fill(presence, in_second_word(FIRST_CELL, self.fingerprint));
                reserved.overflow = Some((self.array, number));
                number
            }
        };
        self.line.advance(self.presence, self.presence.chained_to(number))
    }
}

impl<'g> Reserved<'g> {
    /// Keeps a cell that the draft has, for the next try.
    pub(super) fn keep(&mut self, line: &'g Line, number: u32) {
        self.cell = Some((line, number));
        self.was_named = true;
    }

    /// Whether it has a cell, which an earlier try has left it.
    pub(in crate::raw) fn has_cell(&self) -> bool {
        self.cell.is_some()
    }

    /// Whether the slot may be free at once if it is not wanted.
    pub(in crate::raw) fn was_never_named(&self) -> bool {
        !self.was_named
    }

    /// Leaves the cell, if there is one. For good: a draft that may still be published keeps it.
    #[inline]
    pub(in crate::raw) fn vacate(&mut self) {
        if let Some((line, number)) = self.cell.take() {
            line.cell(number).vacate(Cell::VACANT);
        }
    }
}

impl Drop for Reserved<'_> {
    #[inline]
    fn drop(&mut self) {
        self.vacate();
    }
}
