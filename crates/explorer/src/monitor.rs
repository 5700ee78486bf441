//! The monitor: does some order of the operations explain all that was answered?
//!
//! It holds every *world* that is still possible: what each key has, what the clock says, and which
//! of the operations that have begun have taken effect already, with which answer. An operation takes
//! effect at one instant between its beginning and its end. When it ends, the worlds in which it took
//! effect with the answer that it gave go on; if there are none, the answer is not explained.
//!
//! **Time.** An entry that is due reads as absent. When the clock advances, each world splits into
//! those in which any of the pending operations took effect before that. So an answer is explained by
//! the clock at an instant of the operation, as the map promises.
//!
//! *What expiry cannot promise* (DESIGN.md, section 5) is allowed here as well: a `put` or `renew` that
//! began before the deadline may take effect after it, over the entry that it judged visible, though a
//! `get` has already found it absent. `update` and `remove` get no such leave.

use std::hash::{Hash, Hasher};

use crate::config::{Kind, Op};
use crate::sizes::{KEYS, THREADS};

/// The operations of the threads, and behind them one for each key of a walk (iterate, clear).
pub(crate) const PENDING: usize = THREADS + KEYS;

/// Per key four bits of value and one that says that it expires at 1; the clock; eight bits for each
/// pending operation.
type World = u64;

const DONE: u8 = 0x80;

fn value(world: World, key: u8) -> u8 {
    (world >> (5 * key) & 15) as u8
}
fn is_due(world: World, key: u8) -> bool {
    clock(world) == 1 && world >> (5 * key + 4) & 1 == 1
}
fn with_value(world: World, key: u8, value: u8, expires: bool) -> World {
    let entry = u64::from(value) | u64::from(expires) << 4;
    world & !(31 << (5 * key)) | entry << (5 * key)
}
fn expires(world: World, key: u8) -> bool {
    world >> (5 * key + 4) & 1 == 1
}
fn clock(world: World) -> u8 {
    (world >> 15 & 1) as u8
}
fn pending(world: World, op: usize) -> u8 {
    (world >> (16 + 8 * op) & 255) as u8
}
fn with_pending(world: World, op: usize, what: u8) -> World {
    world & !(255 << (16 + 8 * op)) | u64::from(what) << (16 + 8 * op)
}

/// The worlds after an operation, with its answer.
fn apply(world: World, op: Op, began_at: u8, mut out: impl FnMut(World, u8)) {
    let (key, there) = (op.key, value(world, op.key));
    let put = |world| with_value(world, key, op.value, op.due);
    let over = there == 0 || is_due(world, key);
    // Over, and yet to be judged visible by one that began in time.
    let late = there != 0 && over && began_at == 0;
    let old = if over { 0 } else { there };
    match op.kind {
        Kind::Put => {
            out(put(world), old);
            if late {
                out(put(world), there);
            }
        }
        Kind::Try if over => out(put(world), 0),
        // It panics, and withdraws.
        Kind::Panic if over => {}
        Kind::Update if !over => out(with_value(world, key, op.value, expires(world, key)), old),
        Kind::Remove | Kind::Clear if !over => out(with_value(world, key, 0, false), old),
        Kind::Renew => {
            // A deadline of 1 that is set at 1 is over at once, for good.
            let ends = op.due && began_at == 1;
            let entry =
                |world| with_value(world, key, if ends { 0 } else { there }, op.due && !ends);
            if over {
                out(world, 0);
            }
            if !over || late {
                out(entry(world), there);
            }
        }
        _ => out(world, old),
    }
}

#[derive(Clone)]
pub(crate) struct Monitor {
    worlds: Vec<World>,
}

impl Hash for Monitor {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.worlds.iter().for_each(|&world| hasher.write_u64(world));
    }
}

impl Monitor {
    pub(crate) fn new(entries: &[(u8, u8, bool)]) -> Monitor {
        let put =
            |world, &(key, value, expires): &(u8, u8, bool)| with_value(world, key, value, expires);
        Monitor { worlds: vec![entries.iter().fold(0, put)] }
    }

    pub(crate) fn begins(&mut self, op: usize) {
        for world in &mut self.worlds {
            *world = with_pending(*world, op, 1 + clock(*world));
        }
    }

    /// The operation has ended; `false`: no order explains its answer.
    #[must_use]
    pub(crate) fn answers(&mut self, op: usize, answer: u8, ops: &[Option<Op>; PENDING]) -> bool {
        self.close(ops, Some(op));
        self.worlds.retain(|&world| pending(world, op) == DONE | answer);
        for world in &mut self.worlds {
            *world = with_pending(*world, op, 0);
        }
        self.sort();
        !self.worlds.is_empty()
    }

    /// The operation ended without effect. `false`: some answer shows that it had one.
    #[must_use]
    pub(crate) fn withdraws(&mut self, op: usize) -> bool {
        self.worlds.retain(|&world| pending(world, op) & DONE == 0);
        for world in &mut self.worlds {
            *world = with_pending(*world, op, 0);
        }
        self.sort();
        !self.worlds.is_empty()
    }

    pub(crate) fn ticks(&mut self, ops: &[Option<Op>; PENDING]) {
        self.close(ops, None);
        for world in &mut self.worlds {
            *world |= 1 << 15;
        }
        self.sort();
    }

    /// Adds the worlds in which more of the pending operations took effect. Where it asks for one of
    /// them, there is no need to go on once that has.
    fn close(&mut self, ops: &[Option<Op>; PENDING], until: Option<usize>) {
        let mut next = 0;
        while let Some(&world) = self.worlds.get(next) {
            next += 1;
            if until.is_some_and(|op| pending(world, op) & DONE != 0) {
                continue;
            }
            for (number, op) in ops.iter().enumerate() {
                let (Some(op), began @ 1..=2) = (op, pending(world, number)) else { continue };
                apply(world, *op, began - 1, |after, answer| {
                    let after = with_pending(after, number, DONE | answer);
                    if !self.worlds.contains(&after) {
                        self.worlds.push(after);
                    }
                });
            }
        }
    }

    fn sort(&mut self) {
        self.worlds.sort_unstable();
        self.worlds.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(kind: Kind, value: u8) -> Op {
        Op { kind, key: 0, value, due: false }
    }

    fn two(first: Op, second: Op) -> [Option<Op>; PENDING] {
        let mut ops = [None; PENDING];
        (ops[0], ops[1]) = (Some(first), Some(second));
        ops
    }

    #[test]
    fn overlapping_operations_may_take_effect_in_either_order() {
        for seen in [0, 7] {
            let mut monitor = Monitor::new(&[]);
            let ops = two(op(Kind::Put, 7), op(Kind::Get, 0));
            monitor.begins(0);
            monitor.begins(1);
            assert!(monitor.answers(1, seen, &ops));
            assert!(monitor.answers(0, 0, &ops));
        }
    }

    #[test]
    fn an_answer_from_nowhere_is_not_explained() {
        let mut monitor = Monitor::new(&[(0, 5, false)]);
        monitor.begins(0);
        assert!(!monitor.answers(0, 7, &two(op(Kind::Get, 0), op(Kind::Get, 0))));
    }

    #[test]
    fn a_get_that_began_in_time_may_hit_or_miss_and_a_later_one_only_misses() {
        let ops = two(op(Kind::Get, 0), op(Kind::Get, 0));
        for seen in [0, 5] {
            let mut monitor = Monitor::new(&[(0, 5, true)]);
            monitor.begins(0);
            monitor.ticks(&ops);
            assert!(monitor.answers(0, seen, &ops));
            monitor.begins(1);
            assert!(!monitor.clone().answers(1, 5, &ops));
            assert!(monitor.answers(1, 0, &ops));
        }
    }

    #[test]
    fn a_renewal_may_land_late_only_if_it_began_in_time() {
        let ops = two(op(Kind::Renew, 0), op(Kind::Get, 0));
        for in_time in [true, false] {
            let mut monitor = Monitor::new(&[(0, 5, true)]);
            if in_time {
                monitor.begins(0);
            }
            monitor.ticks(&ops);
            if !in_time {
                monitor.begins(0);
            }
            monitor.begins(1);
            assert!(monitor.answers(1, 0, &ops));
            assert_eq!(monitor.answers(0, 5, &ops), in_time);
        }
    }
}
