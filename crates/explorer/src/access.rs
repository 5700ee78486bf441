//! What a thread does to the shared memory: one access, one step.
//!
//! An operation is a row of *phases* (`protocol`). Within a phase it is a plain function, which is run
//! again from its beginning for each step, with the results of the steps so far from a log; the first
//! access behind the log is the step, and the next one pauses it. So the state of an operation is its
//! phase and its log, both plain data. Results that the phase does not use are not logged (a CAS whose
//! loss changes nothing, a `fetch_or` of bits that are wanted, not read): that merges states and loses
//! no behaviour.
//!
//! Two accesses are one step where nothing can come between them. A node's key does not change while
//! anyone may look at it, so it is read with its state. Whoever wins the CAS that ends or publishes a
//! node retires or publishes it in that step.

use std::hash::{Hash, Hasher};

use crate::config::Config;
use crate::memory::{Line, Memory};
use crate::plants::Plant;

const LOG: usize = 96;

/// What the steps of the present phase returned.
#[derive(Clone)]
pub(crate) struct Log {
    values: [u16; LOG],
    len: u8,
}

impl Default for Log {
    fn default() -> Log {
        Log { values: [0; LOG], len: 0 }
    }
}

impl Hash for Log {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(u64::from(self.len));
        for four in self.values[..usize::from(self.len)].chunks(4) {
            hasher.write_u64(four.iter().fold(0, |word, &value| word << 16 | u64::from(value)));
        }
    }
}

impl Log {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

/// Why an operation does not go on.
pub(crate) enum Stop {
    /// It took its step.
    Paused,
    /// The configuration has no more slots or overflow lines: the path is not followed.
    Spent,
    /// The protocol is broken.
    Broken(String),
}

pub(crate) type Step<T> = Result<T, Stop>;

pub(crate) struct Access<'a> {
    pub(crate) config: &'a Config,
    pub memory: &'a mut Memory,
    log: &'a mut Log,
    at: usize,
    /// Steps that it may still take.
    budget: &'a mut u32,
    trace: Option<&'a mut Vec<String>>,
    thread: usize,
}

impl<'a> Access<'a> {
    pub(crate) fn new(
        config: &'a Config,
        memory: &'a mut Memory,
        log: &'a mut Log,
        budget: &'a mut u32,
        thread: usize,
        trace: Option<&'a mut Vec<String>>,
    ) -> Access<'a> {
        Access { config, memory, log, at: 0, budget, trace, thread }
    }

    pub(crate) fn plant(&self, plant: Plant) -> bool {
        self.config.plant == Some(plant)
    }

    pub(crate) fn try_step(
        &mut self,
        act: impl FnOnce(&mut Memory, &Config) -> Result<u16, Stop>,
        say: impl FnOnce() -> String,
    ) -> Step<u16> {
        if let Some(&value) = self.log.values[..usize::from(self.log.len)].get(self.at) {
            self.at += 1;
            return Ok(value);
        }
        *self.budget = self.budget.checked_sub(1).ok_or(Stop::Paused)?;
        let result = act(self.memory, self.config);
        if let Some(trace) = &mut self.trace {
            let shown = match &result {
                Ok(value) => format!(" -> {value:#x}"),
                Err(_) => String::new(),
            };
            trace.push(format!("  thread {}: {}{shown}", self.thread, say()));
        }
        let value = result?;
        let Some(place) = self.log.values.get_mut(self.at) else {
            return Err(Stop::Broken(format!("more than {LOG} steps in one phase")));
        };
        *place = value;
        self.at += 1;
        self.log.len += 1;
        Ok(value)
    }

    pub(crate) fn step(
        &mut self,
        act: impl FnOnce(&mut Memory, &Config) -> Result<u16, String>,
        say: impl FnOnce() -> String,
    ) -> Step<u16> {
        self.try_step(|memory, config| act(memory, config).map_err(Stop::Broken), say)
    }

    /// One access to a line.
    pub(crate) fn on_line(
        &mut self,
        line: usize,
        act: impl FnOnce(&mut Line) -> u16,
        say: impl FnOnce() -> String,
    ) -> Step<u16> {
        self.step(
            |memory, config| {
                memory.check_line(config, line)?;
                Ok(act(&mut memory.lines[line]))
            },
            say,
        )
    }
}
