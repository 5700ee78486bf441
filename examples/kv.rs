//! A small line-by-line store whose keys can expire.
//!
//! ```text
//! $ cargo run --release --example kv
//! > put foo bar 5000
//! bar
//! > ttl foo
//! 4996
//! > delete foo
//! OK
//! > get foo
//! KeyError: foo
//! ```

mod usage;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use evanesce::{Budget, Sweeper, Ttl, TtlMap};

type Store = TtlMap<String, String>;

/// What `help` answers.
const HELP: &str = "\
put KEY VALUE [MILLISECONDS]  keep VALUE, for good or for so long; answers VALUE
get KEY                       answers the value
delete KEY                    forget KEY; answers OK
ttl KEY                       answers the milliseconds left, rounded up, or never
help                          answers this
quit                          ends, as the end of input does
An absent or expired key answers KeyError: KEY. Keys and values hold no spaces.";

const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
const SWEEP_BUDGET: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let about = format!("A small store by lines of standard input:\n\n{HELP}");
    usage::run("kv", &about, || match serve() {
        // Whoever reads our answers has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        served => served,
    })
}

/// Answers each line of standard input with one on standard output, until one of them ends.
fn serve() -> io::Result<()> {
    let store = Arc::new(Store::new());
    let _sweeper = Sweeper::spawn(&store, SWEEP_INTERVAL, Budget::time(SWEEP_BUDGET))?;
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let prompt = if io::stdin().is_terminal() { "> " } else { "" };
    let mut line = Vec::new();
    loop {
        write!(output, "{prompt}")?;
        output.flush()?;
        line.clear();
        let length = (input.read_until(b'\n', &mut line))
            .map_err(|error| io::Error::other(format!("cannot read standard input: {error}")))?;
        if length == 0 {
            return Ok(());
        }
        match parse(&line) {
            Ok(None) => {}
            Ok(Some(Command::Quit)) => return Ok(()),
            Ok(Some(command)) => writeln!(output, "{}", answer(&store, &command))?,
            Err(why) => writeln!(output, "error: {why}")?,
        }
    }
}

enum Command<'l> {
    Put {
        key: &'l str,
        value: &'l str,
        /// `None` keeps the value for good.
        ttl: Option<Duration>,
    },
    Get(&'l str),
    Delete(&'l str),
    Ttl(&'l str),
    Help,
    Quit,
}

fn answer(store: &Store, command: &Command<'_>) -> String {
    let pinned = store.pin();
    let (key, found) = match *command {
        Command::Put { key, value, ttl } => {
            match ttl {
                Some(ttl) => pinned.insert_with_ttl(key.to_owned(), value.to_owned(), ttl),
                None => pinned.insert(key.to_owned(), value.to_owned()),
            };
            (key, Some(value.to_owned()))
        }
        Command::Get(key) => (key, pinned.get(key).cloned()),
        Command::Delete(key) => (key, pinned.remove(key).map(|_| "OK".to_owned())),
        Command::Ttl(key) => (key, pinned.ttl(key).map(|ttl| remaining(&ttl))),
        Command::Help | Command::Quit => return HELP.to_owned(),
    };
    found.unwrap_or_else(|| format!("KeyError: {key}"))
}

/// Milliseconds rounded up, so that a key that is there has more than none left.
fn remaining(ttl: &Ttl) -> String {
    match ttl {
        Ttl::Never => "never".to_owned(),
        Ttl::Remaining(left) => left.as_nanos().div_ceil(1_000_000).to_string(),
    }
}

/// Reads a line; `None` when it is blank.
fn parse(line: &[u8]) -> Result<Option<Command<'_>>, String> {
    let line = str::from_utf8(line)
        .map_err(|error| format!("expected UTF-8, found byte {} broken", error.valid_up_to()))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let command = match words[..] {
        [] => return Ok(None),
        ["put", key, value] => Command::Put { key, value, ttl: None },
        ["put", key, value, milliseconds] => {
            Command::Put { key, value, ttl: Some(parse_milliseconds(milliseconds)?) }
        }
        ["get", key] => Command::Get(key),
        ["delete", key] => Command::Delete(key),
        ["ttl", key] => Command::Ttl(key),
        ["help"] => Command::Help,
        ["quit"] => Command::Quit,
        [verb, ..] => return Err(misused(verb)),
    };
    Ok(Some(command))
}

/// Says what a line that begins with `verb` should have been.
fn misused(verb: &str) -> String {
    match verb {
        "put" => "expected `put KEY VALUE [MILLISECONDS]`, no spaces in KEY or VALUE".to_owned(),
        "get" | "delete" | "ttl" => format!("expected `{verb} KEY`, no spaces in KEY"),
        "help" | "quit" => format!("expected `{verb}` alone"),
        _ => {
            format!("expected put, get, delete, ttl, help or quit, found `{}`", verb.escape_debug())
        }
    }
}

/// Reads a TTL; one too long for the clock means never.
fn parse_milliseconds(text: &str) -> Result<Duration, String> {
    (text.parse::<f64>().ok())
        .filter(|milliseconds| *milliseconds >= 0.0)
        .map(|milliseconds| {
            Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or(Duration::MAX)
        })
        .ok_or_else(|| {
            format!(
                "expected MILLISECONDS to be a number from 0 up, found `{}`",
                text.escape_debug()
            )
        })
}
