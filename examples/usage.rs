//! The command line of an example that takes no options.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit status of each example whose command line cannot be followed.
pub(crate) const MISUSED: u8 = 2;

/// Runs `example`, or prints `about` for `--help`, or refuses whatever else stands on the command line.
pub(crate) fn run<E: Display>(
    name: &str,
    about: &str,
    example: impl FnOnce() -> Result<(), E>,
) -> ExitCode {
    let (status, message) = match env::args_os().nth(1) {
        None => match example() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Some(argument) if argument == "--help" || argument == "-h" => {
            let help = format!("{about}\n\nUsage: {name} [--help]\n");
            return if io::stdout().write_all(help.as_bytes()).is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        Some(argument) => {
            let found = argument.to_string_lossy();
            (MISUSED, format!("expected no arguments but --help, found `{}`", found.escape_debug()))
        }
    };
    // With standard error closed as well, the status alone must do.
    let _ = writeln!(io::stderr(), "{name}: {message}");
    ExitCode::from(status)
}
