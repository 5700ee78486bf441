//! Explores the line protocol of DESIGN.md, sections 4 to 6.
//!
//! The story, from the bottom: `words` are the packed words, `memory` is what threads share and how it
//! is reclaimed, `access` makes each access one step, and `steps` are the accesses; `protocol` is the operations; `config` says who
//! runs what, `monitor` whether the answers can be explained, `explore` tries every interleaving;
//! `plants` are bugs that must be caught; `run` and `options` are the command. README.md says what it
//! checks and what it is blind to.
//!
//! ```text
//! cargo run --release -p evanesce-explorer -- --help
//! ```

mod access;
mod config;
mod explore;
mod hash;
mod memory;
mod monitor;
mod options;
mod plants;
mod protocol;
mod run;
mod sizes;
mod steps;
mod words;

use std::process::ExitCode;

use options::{Command, HELP};

fn main() -> ExitCode {
    let well = match options::read(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(true)
        }
        Ok(Command::List) => run::list().map(|()| true),
        Ok(Command::Ci { jobs }) => run::ci(jobs),
        Ok(Command::Run(options)) => run::chosen(&options),
        Err(message) => Err(message),
    };
    match well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("evanesce-explorer: {message}");
            ExitCode::from(2)
        }
    }
}
