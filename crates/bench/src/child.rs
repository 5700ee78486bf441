//! A process of its own for each row, so that each meets the same fresh heap: how one is started and understood, and how
//! a row has parts measured in further ones.
//!
//! A child says on standard output, a line each: `step DONE TOTAL WHAT` before each pass, `say TEXT`
//! for what the user should know, and at the end `done JSON`, `skip WHY` or `fail WHY`. It ends when
//! its standard input does: with its parent.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde::de::DeserializeOwned;

use crate::settings::{Mode, Settings};
use crate::told::{Run, Stop, say};

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
