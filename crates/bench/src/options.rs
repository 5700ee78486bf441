//! The command line: what may be asked for, and what is said when it cannot be followed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::rows;
use crate::settings::{Mode, Settings};

pub(crate) const HELP: &str = "\
Measures evanesce beside its peers: a JSON file a row, a table, and charts.

    cargo run --release -p evanesce-bench -- [OPTIONS]

A row that has a result already is not measured again: a run that was ended goes on.

    --quick         One round of smaller counts, under 15 minutes; results go to target/bench-quick
    --smoke         Tiny counts, under 30 seconds, to see that everything runs; figures mean nothing
    --rows R1,W3    These rows only
    --again         Measure rows that have a result, too
    --out DIR       Where results go, instead of docs/results
    --report        Measure nothing; make the table and the charts from the results
    --traces DIR    Where the real traces are (or EVANESCE_TRACES)
    --origin FILE   The origin's design in Python (or EVANESCE_ORIGIN)
    --list          Name the rows
    --help          Say this
";

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    /// Only name the rows.
    List,
    Run(Options),
    /// Only the table and the charts of this folder.
    Report(PathBuf),
    /// Measure one row, in this process.
    Child(Task),
}

/// A run over some rows.
pub(crate) struct Options {
    pub(crate) rows: Vec<&'static rows::Row>,
    pub(crate) again: bool,
    pub(crate) out: PathBuf,
    pub(crate) settings: Settings,
}

/// One row, or what it measures in a process of its own.
pub(crate) struct Task {
    pub(crate) row: &'static rows::Row,
    pub(crate) alone: Option<String>,
    pub(crate) settings: Settings,
}

/// Reads the command line of this process.
pub(crate) fn read() -> Result<Command, String> {
    parse(lexopt::Parser::from_env())
}

fn parse(mut parser: lexopt::Parser) -> Result<Command, String> {
    let mut mode = Mode::Full;
    let (mut again, mut report) = (false, false);
    let (mut chosen, mut out, mut child, mut alone) = (None, None, None, None);
    let mut traces = from_environment("EVANESCE_TRACES");
    let mut origin = from_environment("EVANESCE_ORIGIN");
    while let Some(argument) = parser.next().map_err(in_a_line)? {
        match argument {
            Long("quick") => mode = set_mode(mode, Mode::Quick)?,
            Long("smoke") => mode = set_mode(mode, Mode::Smoke)?,
            Long("again") => again = true,
            Long("report") => report = true,
            Long("rows") => chosen = Some(find_rows(&text(&mut parser)?)?),
            Long("out") => out = Some(path(&mut parser)?),
            Long("traces") => traces = Some(path(&mut parser)?),
            Long("origin") => origin = Some(path(&mut parser)?),
            // For the children only, and so not in the help.
            Long("child") => child = Some(find_row(&text(&mut parser)?)?),
            Long("alone") => alone = Some(text(&mut parser)?),
            Long("list") => {
                return Ok(Command::List);
            }
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(in_a_line(other.unexpected())),
        }
    }
    let settings = Settings { mode, traces, origin };
    if let Some(row) = child {
        return Ok(Command::Child(Task { row, alone, settings }));
    }
    let out = out.unwrap_or_else(|| default_folder(mode));
    if report {
        return Ok(Command::Report(out));
    }
    let rows = chosen.unwrap_or_else(|| rows::ALL.iter().collect());
    Ok(Command::Run(Options { rows, again, out, settings }))
}

/// The folder for results: never the same for runs that mean something and those that do not.
fn default_folder(mode: Mode) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    root.join(match mode {
        Mode::Full => "docs/results",
        Mode::Quick => "target/bench-quick",
        Mode::Smoke => "target/bench-smoke",
    })
}

fn set_mode(old: Mode, new: Mode) -> Result<Mode, String> {
    if old == Mode::Full || old == new {
        Ok(new)
    } else {
        Err("expected one of --quick and --smoke, found both".into())
    }
}

fn find_rows(list: &str) -> Result<Vec<&'static rows::Row>, String> {
    let mut found: Vec<&rows::Row> = Vec::new();
    for name in list.split(',') {
        let row = find_row(name)?;
        // Two names may share a row.
        if !found.iter().any(|other| std::ptr::eq(*other, row)) {
            found.push(row);
        }
    }
    Ok(found)
}

fn find_row(name: &str) -> Result<&'static rows::Row, String> {
    let wanted = name.trim().to_ascii_uppercase();
    rows::ALL.iter().find(|row| row.ids.contains(&wanted.as_str())).ok_or_else(|| {
        let ids: Vec<&str> = rows::ALL.iter().flat_map(|row| row.ids).copied().collect();
        format!("in --rows: expected names out of {}, found `{}`", ids.join(","), name.trim())
    })
}

fn from_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(lexopt::ValueExt::string).map_err(in_a_line)
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    parser.value().map(|value: OsString| PathBuf::from(value)).map_err(in_a_line)
}

fn in_a_line(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedOption(option) => {
            format!("expected an option that --help names, found `{option}`")
        }
        lexopt::Error::UnexpectedArgument(value) => {
            format!("expected an option, found `{}`", value.to_string_lossy())
        }
        lexopt::Error::MissingValue { option: Some(option) } => {
            format!("expected a value after `{option}`")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn rows_are_found_once_whatever_they_are_called() {
        let Ok(Command::Run(options)) = parsed(&["--rows", "w2, R1,W1"]) else {
            panic!("a run was asked for")
        };
        let names: Vec<String> = options.rows.iter().map(|row| row.name()).collect();
        assert_eq!(names, ["W1+W2", "R1"]);
    }

    #[test]
    fn errors_name_the_offender_and_what_is_allowed() {
        let error = |arguments| parsed(arguments).err().unwrap();
        assert!(error(&["--rows", "R1,X9"]).starts_with("in --rows: expected names out of R1,"));
        assert!(error(&["--rows", "R1,X9"]).ends_with("found `X9`"));
        assert_eq!(error(&["--fast"]), "expected an option that --help names, found `--fast`");
        assert_eq!(error(&["--out"]), "expected a value after `--out`");
        assert_eq!(error(&["R1"]), "expected an option, found `R1`");
        assert!(error(&["--quick", "--smoke"]).contains("found both"));
    }

    #[test]
    fn quick_runs_never_overwrite_results() {
        let folder = |arguments: &[&str]| match parsed(arguments) {
            Ok(Command::Run(options)) => options.out,
            _ => panic!("a run was asked for"),
        };
        assert!(folder(&[]).ends_with("docs/results"));
        assert!(folder(&["--quick"]).ends_with("target/bench-quick"));
        assert!(folder(&["--smoke"]).ends_with("target/bench-smoke"));
    }
}
