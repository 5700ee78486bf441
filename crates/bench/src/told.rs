//! What a row, in a process of its own, is told, and tells; and how its entrants take turns.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::time::Duration;

use crate::measure::{Latencies, watch};
use crate::results::{Measured, Noise};
use crate::settings::{Mode, Settings};

/// How long the idle thread watches in each round.
const REST: Duration = Duration::from_millis(20);
/// Why a row measures nothing.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something it needs is not there.
    Skip(String),
    Fail(String),
}

/// What a row, in its process, is told, and tells.
pub(crate) struct Run {
    pub(crate) settings: Settings,
    steps: Cell<usize>,
    done: Cell<usize>,
    gaps: RefCell<Latencies>,
}

/// A row's results, each under its name.
pub(crate) type Results = Vec<(&'static str, Measured)>;

impl Run {
    pub(crate) fn new(settings: Settings) -> Self {
        let gaps = RefCell::new(Latencies::new());
        Self { settings, steps: Cell::new(0), done: Cell::new(0), gaps }
    }

    /// What fits the size of the run.
    pub(crate) fn pick<T>(&self, full: T, quick: T, smoke: T) -> T {
        match self.settings.mode {
            Mode::Full => full,
            Mode::Quick => quick,
            Mode::Smoke => smoke,
        }
    }

    /// Rounds of steady single operations.
    pub(crate) fn rounds(&self) -> usize {
        self.pick(11, 1, 1)
    }

    /// Says how many steps there will be.
    pub(crate) fn expect(&self, steps: usize) {
        self.steps.set(steps);
    }

    /// Says what is measured now.
    pub(crate) fn step(&self, what: &str) {
        tell(&format!("step {} {} {what}", self.done.get(), self.steps.get()));
        self.done.set(self.done.get() + 1);
    }

    /// Lets an idle thread watch the machine.
    pub(crate) fn rest(&self, watch: impl FnOnce(&mut Latencies)) {
        watch(&mut self.gaps.borrow_mut());
    }

    /// What the idle thread has seen so far.
    pub(crate) fn noise(&self) -> Option<Noise> {
        Noise::of(&self.gaps.borrow())
    }
}

/// Says something to the user, from within a row.
pub(crate) fn say(text: &str) {
    tell(&format!("say {text}"));
}

/// Tells the parent something, in a line.
pub(crate) fn tell(line: &str) {
    let mut out = io::stdout().lock();
    // With nobody to read it, the process is about to end.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// For rows that have no parts.
pub(crate) fn no_parts(_: &Run, part: &str) -> Result<serde_json::Value, Stop> {
    Err(Stop::Fail(format!("expected a row with parts, found `{part}`")))
}

/// Lets everyone take a pass in turn, `rounds` times. Who begins moves on by one each round, so that
/// a slow minute of a shared machine falls on all. Before each round the idle thread watches.
///
/// Answers one list an entrant, with what each of its passes returned. An entrant whose `pass` is
/// `None` sits a round out, and all that follow. The first failure ends it all.
pub(crate) fn interleave<T>(
    run: &Run,
    what: &str,
    entrants: &[&str],
    rounds: usize,
    mut pass: impl FnMut(usize, usize) -> Result<Option<T>, Stop>,
) -> Result<Vec<Vec<T>>, Stop> {
    let mut passes: Vec<Vec<T>> = entrants.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        run.rest(|gaps| watch(gaps, |time| time >= REST));
        for turn in 0..entrants.len() {
            let who = (round + turn) % entrants.len();
            run.step(&format!("{what}: {}", entrants[who]));
            if let Some(figure) = pass(round, who)? {
                assert_eq!(passes[who].len(), round, "{} came back", entrants[who]);
                passes[who].push(figure);
            }
        }
    }
    Ok(passes)
}
