//! A process of its own for each row, so that each meets the same fresh heap: the child's end, and
//! how a row has parts measured in further ones.
//!
//! A child says on standard output, a line each: `step DONE TOTAL WHAT` before each pass, `say TEXT`
//! for what the user should know, and at the end `done JSON`, `skip WHY` or `fail WHY`. It ends when
//! its standard input does: with its parent.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde::de::DeserializeOwned;

use crate::measure::Latencies;
use crate::options::{Mode, Settings, Task};
use crate::results::{Measured, Noise};

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
    fn new(settings: Settings) -> Self {
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

fn tell(line: &str) {
    let mut out = io::stdout().lock();
    // With nobody to read it, the process is about to end.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Measures a row, or a part of it, in this process.
pub(crate) fn main(task: Task) {
    end_with_parent();
    let run = Run::new(task.settings);
    let result = match task.alone {
        None => (task.row.measure)(&run).and_then(|mut results| {
            for (_, measured) in &mut results {
                measured.noise = measured.noise.take().or_else(|| run.noise());
            }
            json(&results)
        }),
        Some(part) => (task.row.alone)(&run, &part).and_then(|value| json(&value)),
    };
    tell(&match result {
        Ok(json) => format!("done {json}"),
        Err(Stop::Skip(why)) => format!("skip {why}"),
        Err(Stop::Fail(why)) => format!("fail {why}"),
    });
}

fn json(value: &impl serde::Serialize) -> Result<String, Stop> {
    serde_json::to_string(value).map_err(|error| Stop::Fail(error.to_string()))
}

/// Ends this process when the other end of standard input is gone.
fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

/// Starts a child for a row, or for a part of it. It lives as long as its standard input is held.
pub(crate) fn start(row: &str, part: Option<&str>, settings: &Settings) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--child", row]);
    if let Some(part) = part {
        command.args(["--alone", part]);
    }
    match settings.mode {
        Mode::Full => {}
        Mode::Quick => drop(command.arg("--quick")),
        Mode::Smoke => drop(command.arg("--smoke")),
    }
    for (option, path) in [("--traces", &settings.traces), ("--origin", &settings.origin)] {
        if let Some(path) = path {
            command.arg(option).arg(path);
        }
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start a child process: {error}"))
}

/// Measures a part of a row in a process of its own, and waits for it.
pub(crate) fn alone<T: DeserializeOwned>(run: &Run, row: &str, part: &str) -> Result<T, Stop> {
    let failed = |why: String| Stop::Fail(format!("{row}, {part}: {why}"));
    let mut child = start(row, Some(part), &run.settings).map_err(failed)?;
    let mut answer = None;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            match parse(&line.map_err(|error| failed(error.to_string()))?) {
                Line::Say(text) => say(&text),
                Line::Step { .. } | Line::Noise => {}
                end => answer = Some(end),
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    match answer {
        Some(Line::Done(json)) => {
            serde_json::from_str(&json).map_err(|error| failed(error.to_string()))
        }
        Some(Line::Skip(why)) => Err(Stop::Skip(why)),
        Some(Line::Fail(why)) => Err(failed(why)),
        _ => Err(failed(format!("it ended without an answer, {status}"))),
    }
}

/// For rows that have no parts.
pub(crate) fn no_parts(_: &Run, part: &str) -> Result<serde_json::Value, Stop> {
    Err(Stop::Fail(format!("expected a row with parts, found `{part}`")))
}

/// What a child said.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Line {
    Step {
        done: usize,
        of: usize,
        what: String,
    },
    Say(String),
    Done(String),
    Skip(String),
    Fail(String),
    /// Not of this protocol.
    Noise,
}

pub(crate) fn parse(line: &str) -> Line {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "step" => {
            let mut parts = rest.splitn(3, ' ');
            let mut number = || parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
            let (done, of) = (number(), number());
            Line::Step { done, of, what: parts.next().unwrap_or("").into() }
        }
        "say" => Line::Say(rest.into()),
        "done" => Line::Done(rest.into()),
        "skip" => Line::Skip(rest.into()),
        "fail" => Line::Fail(rest.into()),
        _ => Line::Noise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_told() {
        let step = Line::Step { done: 3, of: 11, what: "hit, 1k: scc HashMap".into() };
        assert_eq!(parse("step 3 11 hit, 1k: scc HashMap"), step);
        assert_eq!(parse("skip no folder of traces"), Line::Skip("no folder of traces".into()));
        assert_eq!(parse("done {\"a\": 1}"), Line::Done("{\"a\": 1}".into()));
        assert_eq!(parse("hello"), Line::Noise);
    }
}
