//! The memory that the threads of a configuration share, and its reclamation.
//!
//! **Grace periods are exact.** A guard is a bit in `pins`. What is retired keeps the bits of the
//! guards that were held just then; a guard that ends takes its bit out everywhere; what has no bit
//! left is freed in that same step. So everything is freed at the earliest moment that is legal, and
//! an access after that is an error. A free slot is handed out again, the lowest first.

use std::hash::{Hash, Hasher};

use crate::config::{Config, Name};
use crate::sizes::{ARRAYS, CELLS, LINES, OVERFLOW, SLOTS};
use crate::words::{A, B, Cell, State};

/// Where a slot, or an array, is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Life {
    #[default]
    Free,
    /// A slot that its owner fills; an array that is not linked yet is free.
    Draft,
    Used,
    Retired,
    /// An array whose memory is gone. (Slots become free.)
    Gone,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Slot {
    pub(crate) life: Life,
    pub(crate) state: State,
    pub(crate) key: u8,
    pub(crate) value: u8,
    /// Key and value were taken out, by one whose draft was not wanted.
    pub(crate) emptied: bool,
    waits_for: u8,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Line {
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) cells: [Cell; CELLS],
    /// Of an overflow line: its array.
    pub(crate) array: u8,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Array {
    pub(crate) life: Life,
    /// 0: none. (Array 0 is nobody's next.)
    pub(crate) next: u8,
    pub(crate) claimed: u8,
    pub(crate) done: u8,
    pub(crate) verified: u8,
    waits_for: u8,
}

#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) root: u8,
    pub(crate) clock: u8,
    pub(crate) pins: u8,
    pub(crate) overflow_used: u8,
    pub(crate) arrays: [Array; ARRAYS],
    pub(crate) lines: [Line; LINES],
    pub(crate) slots: [Slot; SLOTS],
}

impl Memory {
    /// An empty map: the first array, with its lines born.
    pub(crate) fn new(config: &Config) -> Memory {
        let mut memory = Memory::default();
        memory.arrays[0].life = Life::Used;
        for line in config.lines_of(0) {
            memory.lines[line].a = A::born();
        }
        memory
    }

    /// The array of a line, if the line is in use.
    pub(crate) fn array_of(&self, config: &Config, line: usize) -> Option<u8> {
        if line >= OVERFLOW {
            return (line < OVERFLOW + usize::from(self.overflow_used))
                .then(|| self.lines[line].array);
        }
        (0..config.levels.len() as u8).find(|&array| config.lines_of(array).contains(&line))
    }

    pub(crate) fn check_array(&self, array: u8) -> Result<(), String> {
        match self.arrays[usize::from(array)].life {
            Life::Gone => Err(format!("access to array {array}, which is freed")),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_line(&self, config: &Config, line: usize) -> Result<(), String> {
        match self.array_of(config, line) {
            Some(array) => self.check_array(array),
            None => Err(format!("access to line {line}, which nobody uses")),
        }
    }

    /// Whoever looks into a node must have come to it by a present cell, under a guard.
    pub(crate) fn node(&self, slot: u8) -> Result<&Slot, String> {
        let node = &self.slots[usize::from(slot)];
        match node.life {
            _ if slot == 0 => Err("access to slot 0".into()),
            Life::Free | Life::Gone => Err(format!("access to slot {slot}, which is free")),
            Life::Draft => Err(format!("access to slot {slot}, an unpublished draft")),
            _ if node.emptied => Err(format!("access to slot {slot}, whose entry was taken out")),
            Life::Used | Life::Retired => Ok(node),
        }
    }

    pub(crate) fn publish(&mut self, slot: u8) {
        let node = &mut self.slots[usize::from(slot)];
        if node.life == Life::Draft {
            node.life = Life::Used;
        }
    }

    /// The lowest free slot.
    pub(crate) fn take_slot(
        &mut self,
        config: &Config,
        key: u8,
        value: u8,
        state: State,
    ) -> Option<u8> {
        let slot = (1..=config.slots).find(|&slot| self.slots[slot].life == Life::Free)?;
        self.slots[slot] = Slot { life: Life::Draft, state, key, value, ..Slot::default() };
        Some(slot as u8)
    }

    pub(crate) fn give_back(&mut self, slot: u8) {
        self.slots[usize::from(slot)] = Slot::default();
    }

    pub(crate) fn retire(&mut self, slot: u8) -> Result<(), String> {
        let node = &mut self.slots[usize::from(slot)];
        if !matches!(node.life, Life::Used | Life::Draft) {
            return Err(format!("slot {slot} is retired twice, or was not in use"));
        }
        node.life = Life::Retired;
        node.waits_for = self.pins;
        self.free();
        Ok(())
    }

    pub(crate) fn retire_array(&mut self, array: u8, wait: bool) {
        let waits_for = if wait { self.pins } else { 0 };
        let array = &mut self.arrays[usize::from(array)];
        array.life = Life::Retired;
        array.waits_for = waits_for;
        self.free();
    }

    pub(crate) fn pin(&mut self, thread: usize) {
        self.pins |= 1 << thread;
    }

    pub(crate) fn unpin(&mut self, thread: usize) {
        let others = !(1 << thread);
        self.pins &= others;
        self.slots.iter_mut().for_each(|slot| slot.waits_for &= others);
        self.arrays.iter_mut().for_each(|array| array.waits_for &= others);
        self.free();
    }

    fn free(&mut self) {
        for slot in &mut self.slots {
            if slot.life == Life::Retired && slot.waits_for == 0 {
                *slot = Slot::default();
            }
        }
        for array in &mut self.arrays {
            if array.life == Life::Retired && array.waits_for == 0 {
                array.life = Life::Gone;
            }
        }
    }

    /// What must hold when all operations have ended: nothing is lost, and nothing that is over is
    /// still named.
    pub(crate) fn check_rest(&self, config: &Config) -> Result<(), String> {
        let mut named = [false; SLOTS];
        for line in 0..LINES {
            if self.array_of(config, line) != Some(self.root) {
                continue;
            }
            let Line { a, cells, .. } = self.lines[line];
            for (number, cell) in cells.into_iter().enumerate().take(config.cells) {
                if a.has(number) {
                    named[usize::from(cell.slot())] = true;
                } else if !cell.names_none() {
                    return Err(format!(
                        "{} is lost: neither present nor empty",
                        Name(line, number)
                    ));
                }
            }
        }
        for (number, slot) in self.slots.iter().enumerate() {
            match slot.life {
                Life::Draft => return Err(format!("slot {number} is lost: a draft of nobody")),
                Life::Used if !named[number] => {
                    return Err(format!("slot {number} is lost: not named, not retired"));
                }
                Life::Used if slot.state.is_over() => {
                    return Err(format!("slot {number} is over and still named"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A word for each slot, line and array.
impl Hash for Memory {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let word = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        hasher.write_u64(word([self.root, self.clock, self.pins, self.overflow_used, 0, 0, 0, 0]));
        for array in &self.arrays {
            let Array { life, next, claimed, done, verified, waits_for } = *array;
            hasher.write_u64(word([life as u8, next, claimed, done, verified, waits_for, 0, 0]));
        }
        for line in &self.lines {
            let ([low, high], [c0, c1, c2]) = (line.a.0.to_le_bytes(), line.cells);
            hasher.write_u64(word([low, high, line.b.0, c0.0, c1.0, c2.0, line.array, 0]));
        }
        for slot in &self.slots {
            let Slot { life, state, key, value, emptied, waits_for } = *slot;
            hasher.write_u64(word([
                life as u8,
                state.0,
                key,
                value,
                u8::from(emptied),
                waits_for,
                0,
                0,
            ]));
        }
    }
}
