//! Replays a request stream through the map as a read-through cache.
//!
//! The story, in the order it runs: `options` reads the command line, `stream` holds the requests
//! (a file that `trace` has read, or draws from a Zipf distribution), `run` sends them through the
//! map with readers, writers and a sweeper while `progress` tells how far it is, and `report` prints what happened. `ttl` says how long
//! a value lives.
//!
//! ```text
//! cargo run --release --example replay
//! cargo run --release --example replay -- --help
//! ```

mod options;
mod progress;
mod report;
mod run;
mod stream;
mod trace;
mod ttl;

use std::io::{self, Write};
use std::process::ExitCode;

use options::{Command, Source};
use report::Closing;
use stream::Stream;

/// Why the program ends early.
pub(crate) enum Failure {
    /// The command line cannot be followed; exit status 2.
    Usage(String),
    /// The work cannot be done, or its answers were wrong; exit status 1.
    Run(String),
    /// Standard output does not take the answer.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

fn main() -> ExitCode {
    let (status, message) = match replay() {
        Ok(()) => return ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Failure::Output(error)) => (1, format!("cannot write the report: {error}")),
        Err(Failure::Run(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, format!("{message} (--help lists the options)")),
    };
    // With standard error closed as well, the status alone must do.
    let _ = writeln!(io::stderr(), "replay: {}", one_line(&message));
    ExitCode::from(status)
}

fn replay() -> Result<(), Failure> {
    let options = match options::from_command_line()? {
        Command::Help => return Ok(io::stdout().write_all(options::help().as_bytes())?),
        Command::Replay(options) => options,
    };
    let stream = match &options.source {
        Source::Zipf { keys, duration } => Stream::zipf(*keys, *duration, options.seed),
        Source::Trace { path, format } => Stream::of_trace(trace::read(path, *format)?),
    };
    let ttls = options.ttls_for(&stream);
    let outcome = run::run(&options, &stream, ttls.as_ref().map(|ttls| &ttls.mix))?;
    let closing =
        Closing { options: &options, stream: &stream, ttls: ttls.as_ref(), outcome: &outcome };
    if options.json {
        closing.write_json(&mut io::stdout())?;
    } else {
        closing.write_table(&mut io::stdout())?;
    }
    Ok(())
}

/// Escapes what would break a message into several lines, as a file name may.
pub(crate) fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
