//! The accesses that the protocol is made of, each one step.

use crate::access::{Access, Step, Stop};
use crate::config::{Config, Name};
use crate::memory::{Array, Life, Line, Memory};
use crate::plants::Plant;
use crate::sizes::{CELLS, OVERFLOW};
use crate::words::{A, B, Cell, State};

impl Access<'_> {
    // The root and the arrays.

    pub(crate) fn root(&mut self) -> Step<u8> {
        self.step(|memory, _| Ok(u16::from(memory.root)), || "root".into()).map(|array| array as u8)
    }

    pub(crate) fn next(&mut self, array: u8) -> Step<u8> {
        let load = |memory: &mut Memory, _: &Config| {
            memory.check_array(array)?;
            Ok(u16::from(memory.arrays[usize::from(array)].next))
        };
        self.step(load, || format!("next of array {array}")).map(|array| array as u8)
    }

    /// Links the next array, unless one is linked.
    pub(crate) fn link_next(&mut self, array: u8) -> Step<()> {
        let link = |memory: &mut Memory, _: &Config| {
            memory.check_array(array)?;
            if memory.arrays[usize::from(array)].next == 0 {
                memory.arrays[usize::from(array)].next = array + 1;
                memory.arrays[usize::from(array) + 1].life = Life::Used;
            }
            Ok(0)
        };
        self.step(link, || format!("CAS next of array {array} from null")).map(drop)
    }

    /// A step on the cursors of an array.
    pub(crate) fn cursor(
        &mut self,
        array: u8,
        what: &'static str,
        act: impl FnOnce(&mut Array) -> u8,
    ) -> Step<u8> {
        let act = |memory: &mut Memory, _: &Config| {
            memory.check_array(array)?;
            Ok(u16::from(act(&mut memory.arrays[usize::from(array)])))
        };
        self.step(act, || format!("{what} of array {array}")).map(|cursor| cursor as u8)
    }

    pub(crate) fn switch_root(&mut self, from: u8) -> Step<()> {
        let wait = !self.plant(Plant::ArrayFreedAtOnce);
        let switch = |memory: &mut Memory, _: &Config| {
            let won = memory.root == from;
            if won {
                memory.root = from + 1;
                memory.retire_array(from, wait);
            }
            Ok(u16::from(won))
        };
        self.step(switch, || format!("CAS root from {from} to {}, retires array {from}", from + 1))
            .map(drop)
    }

    // A line.

    pub(crate) fn a(&mut self, line: usize) -> Step<A> {
        self.on_line(line, |l| l.a.0, || format!("A of line {line}")).map(A)
    }

    pub(crate) fn is_born(&mut self, line: usize) -> Step<bool> {
        let born = |l: &mut Line| u16::from(l.a.is_born());
        self.on_line(line, born, || format!("line {line} is born?")).map(|born| born == 1)
    }

    pub(crate) fn or_a(&mut self, line: usize, bits: u16) -> Step<A> {
        let or = |l: &mut Line| {
            l.a.0 |= bits;
            l.a.0
        };
        self.on_line(line, or, || format!("A of line {line} |= {bits:#x}")).map(A)
    }

    /// A publication without a comparison: for a plant.
    pub(crate) fn publish_by_or(&mut self, line: usize, bits: A, slot: u8) -> Step<()> {
        let or = |memory: &mut Memory, config: &Config| {
            memory.check_line(config, line)?;
            memory.lines[line].a.0 |= bits.0;
            memory.publish(slot);
            Ok(0)
        };
        self.step(or, || format!("A of line {line} |= {:#x}, publishes slot {slot}", bits.0))
            .map(drop)
    }

    /// `fetch_and` of what is not the field of a cell: whether it was present. For a plant.
    pub(crate) fn take_off(&mut self, line: usize, cell: usize) -> Step<bool> {
        let and = |l: &mut Line| {
            let had = l.a.has(cell);
            l.a = l.a.without(cell);
            u16::from(had)
        };
        self.on_line(line, and, || format!("A of line {line} &= without cell {cell}"))
            .map(|had| had == 1)
    }

    /// CAS of `A`. The winner retires `retires` and has published `publishes`, if they are not 0.
    pub(crate) fn cas_a(
        &mut self,
        line: usize,
        from: A,
        to: A,
        retires: u8,
        publishes: u8,
    ) -> Step<bool> {
        let cas = |memory: &mut Memory, config: &Config| {
            memory.check_line(config, line)?;
            if memory.lines[line].a != from {
                return Ok(0);
            }
            memory.lines[line].a = to;
            memory.publish(publishes);
            if retires != 0 {
                memory.retire(retires)?;
            }
            Ok(1)
        };
        let (from, to) = (from.0, to.0);
        let say = || match (retires, publishes) {
            (0, 0) => format!("CAS A of line {line} from {from:#x} to {to:#x}"),
            (0, slot) => {
                format!("CAS A of line {line} from {from:#x} to {to:#x}, publishes slot {slot}")
            }
            (slot, _) => {
                format!("CAS A of line {line} from {from:#x} to {to:#x}, retires slot {slot}")
            }
        };
        self.step(cas, say).map(|won| won == 1)
    }

    /// CAS of `A` from zero: the birth of a target.
    pub(crate) fn give_birth(&mut self, line: usize, a: A) -> Step<()> {
        let birth = |l: &mut Line| {
            if l.a.0 == 0 {
                l.a = a;
            }
            0
        };
        self.on_line(line, birth, || format!("CAS A of line {line} from 0 to {:#x}", a.0)).map(drop)
    }

    pub(crate) fn b(&mut self, line: usize) -> Step<B> {
        self.on_line(line, |l| u16::from(l.b.0), || format!("B of line {line}")).map(|b| B(b as u8))
    }

    pub(crate) fn set_byte(&mut self, line: usize, cell: usize, print: u16) -> Step<()> {
        let set = |l: &mut Line| {
            l.b = l.b.with(cell, print);
            0
        };
        self.on_line(line, set, || format!("byte {cell} of B of line {line} := {print}")).map(drop)
    }

    /// CAS of `B` from zero.
    pub(crate) fn fill_b(&mut self, line: usize, b: B) -> Step<()> {
        let fill = |l: &mut Line| {
            if l.b.0 == 0 {
                l.b = b;
            }
            0
        };
        self.on_line(line, fill, || format!("CAS B of line {line} from 0 to {:#x}", b.0)).map(drop)
    }

    pub(crate) fn cell(&mut self, line: usize, cell: usize) -> Step<Cell> {
        self.on_line(line, |l| u16::from(l.cells[cell].0), || Name(line, cell).to_string())
            .map(|e| Cell(e as u8))
    }

    pub(crate) fn store_cell(&mut self, line: usize, cell: usize, to: Cell) -> Step<()> {
        let store = |l: &mut Line| {
            l.cells[cell] = to;
            0
        };
        self.on_line(line, store, || format!("{} := {:#x}", Name(line, cell), to.0)).map(drop)
    }

    /// DRAFT taken off by `fetch_and`: for a plant.
    pub(crate) fn take_draft_off(&mut self, line: usize, cell: usize) -> Step<()> {
        let and = |l: &mut Line| {
            l.cells[cell] = l.cells[cell].without_draft();
            0
        };
        self.on_line(line, and, || format!("{} &= !DRAFT", Name(line, cell))).map(drop)
    }

    /// `fetch_or` of MARK: the slot that the cell names from now on.
    pub(crate) fn mark_cell(&mut self, line: usize, cell: usize) -> Step<u8> {
        let mark = |l: &mut Line| {
            l.cells[cell].0 |= Cell::MARK;
            u16::from(l.cells[cell].slot())
        };
        self.on_line(line, mark, || format!("{} |= MARK", Name(line, cell))).map(|slot| slot as u8)
    }

    /// CAS of a cell; the winner retires `retires`, if it is not 0.
    pub(crate) fn cas_cell(
        &mut self,
        line: usize,
        cell: usize,
        from: Cell,
        to: Cell,
        retires: u8,
    ) -> Step<bool> {
        let cas = |memory: &mut Memory, config: &Config| {
            memory.check_line(config, line)?;
            if memory.lines[line].cells[cell] != from {
                return Ok(0);
            }
            memory.lines[line].cells[cell] = to;
            if retires != 0 {
                memory.retire(retires)?;
            }
            Ok(1)
        };
        let say = || {
            let retires =
                if retires == 0 { String::new() } else { format!(", retires slot {retires}") };
            format!("CAS {} from {:#x} to {:#x}{retires}", Name(line, cell), from.0, to.0)
        };
        self.step(cas, say).map(|won| won == 1)
    }

    /// CAS of a target's cell from zero.
    pub(crate) fn fill_cell(&mut self, line: usize, cell: usize, slot: u8) -> Step<()> {
        let fill = |l: &mut Line| {
            if l.cells[cell] == Cell::UNUSED {
                l.cells[cell] = Cell::plain(slot);
            }
            0
        };
        self.on_line(line, fill, || format!("CAS {} from 0 to {slot:#x}", Name(line, cell)))
            .map(drop)
    }

    /// Takes an overflow line of an array and fills it, while it is private.
    pub(crate) fn overflow(&mut self, array: u8, fill: Line) -> Step<usize> {
        let take = |memory: &mut Memory, config: &Config| {
            let line = OVERFLOW + usize::from(memory.overflow_used);
            if line >= OVERFLOW + config.overflow {
                return Err(Stop::Spent);
            }
            memory.overflow_used += 1;
            memory.lines[line] = fill;
            memory.lines[line].array = array;
            Ok(line as u16)
        };
        self.try_step(take, || format!("an overflow line of array {array}")).map(usize::from)
    }

    // Nodes.

    /// The state and the key of a node that was met in a present cell.
    pub(crate) fn node(&mut self, slot: u8) -> Step<(State, u8)> {
        let load = |memory: &mut Memory, _: &Config| {
            memory.node(slot).map(|node| u16::from(node.key) << 8 | u16::from(node.state.0))
        };
        self.step(load, || format!("key, state of slot {slot}"))
            .map(|word| (State(word as u8), (word >> 8) as u8))
    }

    pub(crate) fn state(&mut self, slot: u8) -> Step<State> {
        let load =
            |memory: &mut Memory, _: &Config| memory.node(slot).map(|node| u16::from(node.state.0));
        self.step(load, || format!("state of slot {slot}")).map(|state| State(state as u8))
    }

    /// The key of a node, whatever its state.
    pub(crate) fn key(&mut self, slot: u8) -> Step<u8> {
        let load =
            |memory: &mut Memory, _: &Config| memory.node(slot).map(|node| u16::from(node.key));
        self.step(load, || format!("key of slot {slot}")).map(|key| key as u8)
    }

    /// The state of any slot, as a sweep reads it: a hint, the slot may be at any point of its life.
    pub(crate) fn any_state(&mut self, slot: u8) -> Step<State> {
        let load = |memory: &mut Memory, _: &Config| {
            Ok(u16::from(memory.slots[usize::from(slot)].state.0))
        };
        self.step(load, || format!("hint: state of slot {slot}")).map(|state| State(state as u8))
    }

    /// The key32 of any slot: a hint too, and perhaps of another life than the state.
    pub(crate) fn any_key(&mut self, slot: u8) -> Step<u8> {
        let load =
            |memory: &mut Memory, _: &Config| Ok(u16::from(memory.slots[usize::from(slot)].key));
        self.step(load, || format!("hint: key of slot {slot}")).map(|key| key as u8)
    }

    /// The value of a node that was judged visible. It does not change, so it is no step.
    pub(crate) fn value(&self, slot: u8) -> Step<u8> {
        self.memory.node(slot).map(|node| node.value).map_err(Stop::Broken)
    }

    /// CAS of a state word. `moved` publishes the replacement.
    pub(crate) fn cas_state(&mut self, slot: u8, from: State, to: State) -> Step<bool> {
        let cas = |memory: &mut Memory, _: &Config| {
            let won = memory.node(slot)?.state == from;
            if won {
                memory.slots[usize::from(slot)].state = to;
                if to.is_moved() {
                    memory.publish(to.replacement());
                }
            }
            Ok(u16::from(won))
        };
        self.step(cas, || format!("CAS state of slot {slot} from {:#x} to {:#x}", from.0, to.0))
            .map(|won| won == 1)
    }

    pub(crate) fn store_state(&mut self, slot: u8, to: State) -> Step<()> {
        let store = |memory: &mut Memory, _: &Config| {
            memory.node(slot)?;
            memory.slots[usize::from(slot)].state = to;
            Ok(0)
        };
        self.step(store, || format!("state of slot {slot} := {:#x}", to.0)).map(drop)
    }

    // Drafts.

    pub(crate) fn take_slot(&mut self, key: u8, value: u8, state: State) -> Step<u8> {
        let take = |memory: &mut Memory, config: &Config| {
            memory.take_slot(config, key, value, state).map(u16::from).ok_or(Stop::Spent)
        };
        self.try_step(take, || format!("takes a slot for key {key}, value {value}"))
            .map(|slot| slot as u8)
    }

    /// The owner of a draft corrects its deadline.
    pub(crate) fn set_draft_state(&mut self, slot: u8, state: State) -> Step<()> {
        let set = |memory: &mut Memory, _: &Config| {
            memory.slots[usize::from(slot)].state = state;
            Ok(0)
        };
        self.step(set, || format!("draft {slot}: state := {:#x}", state.0)).map(drop)
    }

    /// Takes key and value out of a draft that is not wanted, then retires its slot or gives it back.
    pub(crate) fn end_draft(&mut self, slot: u8, retire: bool) -> Step<()> {
        let end = |memory: &mut Memory, _: &Config| {
            memory.slots[usize::from(slot)].emptied = true;
            if retire {
                memory.retire(slot)?;
            } else {
                memory.give_back(slot);
            }
            Ok(0)
        };
        let how = if retire { "retired" } else { "given back" };
        self.step(end, || format!("draft {slot} is emptied and {how}")).map(drop)
    }

    /// Hands a node to the collector, apart from the CAS that ended it: for plants.
    pub(crate) fn retire(&mut self, slot: u8) -> Step<()> {
        self.step(|memory, _| memory.retire(slot).map(|()| 0), || format!("retires slot {slot}"))
            .map(drop)
    }

    // The clock.

    pub(crate) fn clock(&mut self) -> Step<u8> {
        self.step(|memory, _| Ok(u16::from(memory.clock)), || "clock".into())
            .map(|clock| clock as u8)
    }

    pub(crate) fn tick(&mut self) -> Step<()> {
        let tick = |memory: &mut Memory, _: &Config| {
            memory.clock = 1;
            Ok(0)
        };
        self.step(tick, || "clock := 1".into()).map(drop)
    }
}

/// An overflow line as it is filled while it is private.
pub(crate) fn private_line(a: A, b: B, slots: &[u8]) -> Line {
    let mut cells = [Cell::UNUSED; CELLS];
    for (cell, &slot) in cells.iter_mut().zip(slots) {
        *cell = Cell::plain(slot);
    }
    Line { a, b, cells, array: 0 }
}
