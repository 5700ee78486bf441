//! Configurations: which threads run what, on which lines. They stand in `fast.txt` and `full.txt`.
//!
//! ```text
//! name: settings: (get 0; put 1=5) | ~(migrate)
//! ```
//!
//! A bar separates threads, parentheses are a guard, `~` marks a thread that may stop for ever at any
//! step. The settings, each with its default:
//!
//! | setting | | |
//! | --- | --- | --- |
//! | `cells=2` | cells of a line, 1 to 3 | |
//! | `inline=0` | how many of them, from the first, have their fingerprint in `A` | the others in `B` |
//! | `levels=0` | the levels of the arrays that follow on each other | one digit each, 0 to 2 |
//! | `slots=5` | slots of the slab, 1 to 9 | |
//! | `overflow=5` | overflow lines of all arrays | |
//! | `keys=012` | where keys 0, 1, 2 lie: their top two bits | |
//! | `prints=112` | their fingerprints, 1 to 3 | |
//! | `has=` | the keys that are there at first; behind `@` those whose entries expire at 1 | `has=01@2` |

use std::fmt;
use std::ops::Range;

use crate::plants::Plant;
use crate::sizes::{ARRAYS, CELLS, KEYS, LINES, OVERFLOW, SLOTS, THREADS};
use crate::words::A;

/// What a thread asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Get,
    /// Inserts, or replaces whatever is there; answers the value that was visible.
    Put,
    /// Inserts if the key is absent; answers the value that is visible otherwise.
    Try,
    /// Replaces what is visible, and keeps its deadline.
    Update,
    Remove,
    /// Sets the deadline of what is visible: never, or 1.
    Renew,
    /// Like `Try`, but its caller panics in the next comparison after it reserved a cell.
    Panic,
    Iterate,
    /// Ends every entry but that of `key`; of no key if it is `KEYS`.
    Clear,
    /// Claims what is due, by slot number.
    Sweep,
    /// Puts the next array in the place of the root.
    Migrate,
    /// The clock comes to 1.
    Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    pub(crate) key: u8,
    pub(crate) value: u8,
    /// The deadline is 1; otherwise never.
    pub(crate) due: bool,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Op { kind, key, value, due } = *self;
        match kind {
            Kind::Iterate | Kind::Sweep | Kind::Migrate | Kind::Tick => {
                return write!(f, "{kind:?}");
            }
            Kind::Clear if usize::from(key) < KEYS => write!(f, "Clear of all but key {key}")?,
            Kind::Clear => return write!(f, "Clear"),
            Kind::Get | Kind::Remove | Kind::Renew => write!(f, "{kind:?} of key {key}")?,
            Kind::Put | Kind::Try | Kind::Update | Kind::Panic => {
                write!(f, "{kind:?} of key {key}, value {value}")?;
            }
        }
        if due { write!(f, ", until 1") } else { Ok(()) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    Pin,
    Unpin,
    Op(Op),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) items: Vec<Item>,
    pub(crate) may_stop: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) cells: usize,
    pub(crate) inline: usize,
    pub(crate) levels: Vec<u8>,
    pub(crate) slots: usize,
    pub(crate) overflow: usize,
    pub(crate) place: [u8; KEYS],
    pub(crate) print: [u16; KEYS],
    /// Keys, and whether their entries expire at 1.
    pub(crate) has: Vec<(u8, bool)>,
    pub(crate) programs: Vec<Program>,
    pub(crate) plant: Option<Plant>,
    /// Programs and settings as they were written.
    pub(crate) text: String,
}

/// A cell, for messages.
pub(crate) struct Name(pub usize, pub usize);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "cell {} of line {}", self.1, self.0)
    }
}

impl Config {
    pub(crate) fn lines_of(&self, array: u8) -> Range<usize> {
        let lines = |level: &u8| 1_usize << level;
        let first: usize = self.levels[..usize::from(array)].iter().map(lines).sum();
        first..first + lines(&self.levels[usize::from(array)])
    }

    pub(crate) fn level(&self, array: u8) -> u8 {
        self.levels[usize::from(array)]
    }

    /// The line of an array that has the keys of a place.
    pub(crate) fn line_at(&self, array: u8, place: u8) -> usize {
        self.lines_of(array).start + usize::from(place >> (2 - self.level(array)))
    }

    pub(crate) fn line_of(&self, array: u8, key: u8) -> usize {
        self.line_at(array, self.place[usize::from(key)])
    }

    /// What `A` says of a present cell with this key.
    pub(crate) fn presence(&self, cell: usize, key: u8) -> u16 {
        if cell < self.inline { self.print[usize::from(key)] } else { 1 }
    }

    /// The line that a chained line leads to.
    pub(crate) fn overflow_line(a: A) -> u8 {
        (OVERFLOW as u16 + a.next_line()) as u8
    }

    /// The number by which a line is chained.
    pub(crate) fn overflow_number(line: usize) -> u16 {
        (line - OVERFLOW) as u16
    }

    fn new(name: &str, text: &str) -> Config {
        Config {
            name: name.into(),
            cells: 2,
            inline: 0,
            levels: vec![0],
            slots: 5,
            overflow: 5,
            place: [0, 1, 2],
            print: [1, 1, 2],
            has: Vec::new(),
            programs: Vec::new(),
            plant: None,
            text: text.into(),
        }
    }

    fn parse(line: &str) -> Result<Config, String> {
        let mut parts = line.splitn(3, ':').map(str::trim);
        let (Some(name), Some(settings), Some(programs)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err("not of the form `name: settings: programs`".into());
        };
        let mut config = Config::new(name, &format!("{settings}: {programs}"));
        for setting in settings.split_whitespace() {
            config.set(setting)?;
        }
        config.programs =
            programs.split('|').map(|p| program(p.trim())).collect::<Result<_, _>>()?;
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, setting: &str) -> Result<(), String> {
        let (name, value) = setting.split_once('=').ok_or(format!("`{setting}` is no setting"))?;
        let all = digits(&value.replace('@', ""))?;
        let one = || all.first().copied().map(usize::from).ok_or(format!("`{name}` has no value"));
        let keys = || {
            <[u8; KEYS]>::try_from(&all[..]).map_err(|_| format!("`{name}` takes {KEYS} digits"))
        };
        match name {
            "cells" => self.cells = one()?,
            "inline" => self.inline = one()?,
            "slots" => self.slots = one()?,
            "overflow" => self.overflow = one()?,
            "levels" => self.levels = all,
            "keys" => self.place = keys()?,
            "prints" => self.print = keys()?.map(u16::from),
            "has" => {
                let lasting = value.find('@').unwrap_or(value.len());
                self.has = all.iter().enumerate().map(|(i, &key)| (key, i >= lasting)).collect();
            }
            _ => return Err(format!("there is no setting `{name}`")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let ops = || self.programs.iter().flat_map(|p| &p.items);
        let known = |key: u8| usize::from(key) < KEYS;
        let walks = |item: &Item| matches!(item, Item::Op(op) if matches!(op.kind, Kind::Iterate | Kind::Clear));
        let right = [
            (1..=CELLS).contains(&self.cells) && self.inline <= self.cells,
            (1..SLOTS).contains(&self.slots) && self.overflow <= LINES - OVERFLOW,
            (1..=ARRAYS).contains(&self.levels.len())
                && self.levels.iter().all(|&level| level <= 2),
            self.levels.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1),
            self.levels.iter().map(|level| 1_usize << level).sum::<usize>() <= OVERFLOW,
            self.place.iter().all(|&place| place < 4),
            self.print.iter().all(|print| (1..4).contains(print)),
            self.has.len() <= 3 && self.has.iter().all(|&(key, _)| known(key)),
            (1..=THREADS).contains(&self.programs.len()),
            self.programs.iter().filter(|p| p.items.iter().any(walks)).count() <= 1,
            ops().all(|item| match item {
                Item::Op(op) => op.value < 13 && (known(op.key) || op.kind == Kind::Clear),
                _ => true,
            }),
        ];
        match right.iter().position(|right| !right) {
            Some(number) => {
                Err(format!("check {number} of `Config::check` fails: something is out of range"))
            }
            None => Ok(()),
        }
    }
}

fn digits(text: &str) -> Result<Vec<u8>, String> {
    let digit =
        |c: char| c.to_digit(10).map(|digit| digit as u8).ok_or(format!("`{c}` is no digit"));
    text.chars().map(digit).collect()
}

fn program(text: &str) -> Result<Program, String> {
    let (may_stop, text) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let mut items = Vec::new();
    for guard in text.split_inclusive(')') {
        let inner = guard.trim().strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
        let inner =
            inner.ok_or(format!("`{guard}` is no guard: it does not stand in parentheses"))?;
        items.push(Item::Pin);
        for op in inner.split(';') {
            items.push(Item::Op(operation(op.trim())?));
        }
        items.push(Item::Unpin);
    }
    Ok(Program { items, may_stop })
}

fn operation(text: &str) -> Result<Op, String> {
    let wrong = || format!("`{text}` is no operation");
    let (name, argument) = text.split_once(' ').unwrap_or((text, ""));
    let (argument, due) = argument.strip_suffix('@').map_or((argument, false), |rest| (rest, true));
    let (key, value) = argument.split_once('=').unwrap_or((argument, "0"));
    let kind = match name {
        "get" => Kind::Get,
        "put" => Kind::Put,
        "try" => Kind::Try,
        "update" => Kind::Update,
        "remove" => Kind::Remove,
        "renew" => Kind::Renew,
        "panic" => Kind::Panic,
        "iterate" => Kind::Iterate,
        "clear" | "retain" => Kind::Clear,
        "sweep" => Kind::Sweep,
        "migrate" => Kind::Migrate,
        "tick" => Kind::Tick,
        _ => return Err(wrong()),
    };
    let wants_key = !matches!(name, "iterate" | "clear" | "sweep" | "migrate" | "tick");
    let wants_value = matches!(kind, Kind::Put | Kind::Try | Kind::Update | Kind::Panic);
    if wants_key == key.is_empty() || wants_value != argument.contains('=') {
        return Err(wrong());
    }
    let none = if kind == Kind::Clear { KEYS as u8 } else { 0 };
    let key = if wants_key { key.parse().map_err(|_| wrong())? } else { none };
    Ok(Op { kind, key, value: value.parse().map_err(|_| wrong())?, due })
}

/// Reads a table: a configuration a line; `#` begins a comment.
fn table(text: &str) -> Result<Vec<Config>, String> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Config::parse(line).map_err(|why| format!("{line}\n  {why}"))).collect()
}

/// Those that CI runs, in seconds.
pub(crate) fn fast() -> Result<Vec<Config>, String> {
    table(include_str!("fast.txt"))
}

/// The others.
pub(crate) fn full() -> Result<Vec<Config>, String> {
    table(include_str!("full.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_can_be_read_and_has_a_name_of_its_own() {
        let mut names: Vec<String> =
            fast().unwrap().into_iter().chain(full().unwrap()).map(|config| config.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_a_reason() {
        for (line, why) in [
            ("no programs: cells=2", "not of the form"),
            ("a: cells: (get 0)", "`cells` is no setting"),
            ("a: sells=2: (get 0)", "no setting `sells`"),
            ("a: cells=4: (get 0)", "out of range"),
            ("a: levels=02: (get 0)", "out of range"),
            ("a: : (got 0)", "`got 0` is no operation"),
            ("a: : (put 0)", "`put 0` is no operation"),
            ("a: : (get)", "`get` is no operation"),
            ("a: : (get 3)", "out of range"),
            ("a: : get 0", "is no guard"),
        ] {
            let error = Config::parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
