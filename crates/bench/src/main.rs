//! Measures evanesce beside its peers.
//!
//! The story, in the order it runs: `options` reads the command line; `run` starts a child process
//! for each row and keeps the bar; `child` is its other end, where a row of `rows` drives the maps
//! of `maps` over the keys of `keys` and says by `measure` and `memory` what it saw; `results` is the
//! file that a row leaves; `report` makes the table and the charts of all of them.
//!
//! ```text
//! cargo run --release -p evanesce-bench -- --help
//! ```

mod child;
mod inside;
mod keys;
mod maps;
mod measure;
mod memory;
mod options;
mod report;
mod results;
mod rows;
mod run;
mod settings;
mod told;

use std::process::ExitCode;

use options::{Command, HELP};

fn main() -> ExitCode {
    let command = match options::read() {
        Ok(command) => command,
        Err(message) => {
            eprintln!("evanesce-bench: {message}");
            return ExitCode::from(2);
        }
    };
    let ended = match command {
        Command::Help => {
            print!("{HELP}");
            Ok(())
        }
        Command::List => {
            for row in rows::ALL {
                println!("{:<8} {}", row.name(), row.title);
            }
            Ok(())
        }
        Command::Child(task) => {
            inside::main(task);
            Ok(())
        }
        Command::Report(folder) => report::write(&folder).map(|said| print!("{said}")),
        Command::Run(options) => run::main(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("evanesce-bench: {message}");
            ExitCode::FAILURE
        }
    }
}
