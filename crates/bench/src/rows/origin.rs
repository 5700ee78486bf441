//! K1: the table of the library this one descends from, beside its design in Python.
//!
//! Each size and kind of key is measured in a process of its own, ours and Python's: first the bytes
//! of a store whose keys and values are made on the way in, then, with keys and values made before the
//! clock starts, the time to put all and to get all. A get brings an equal key that is another object,
//! in an order that is not that of the puts. Ours pins for each call, as a drop-in would.

use std::hash::Hash;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use evanesce::TtlMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::child::alone;
use crate::maps::{EVANESCE, Hasher, hasher};
use crate::measure::per;
use crate::memory::resident;
use crate::results::{Case, Measured, PUBLISHED, Target};
use crate::told::{Results, Run, Stop, interleave};

const PYTHON: &str = "origin_baseline.py";
const DRIVER: &str = include_str!("origin.py");

/// Keys, microseconds a write, bytes of all, microseconds a read: as published.
const TABLE: [(usize, f64, f64, f64); 5] = [
    (100_000, 2.713_226, 22_466_045.0, 4.922_529_841),
    (500_000, 2.720_855_647, 85_795_717.0, 5.634_520_947),
    (1_000_000, 2.689_814_867, 166_268_287.0, 5.540_252_914),
    (5_000_000, 3.165_717_206, 772_098_381.0, 5.834_589_481),
    (10_000_000, 2.933_934_68, 1_539_871_592.0, 7.706_967_25),
];

/// Get number `i` asks for key `i * STRIDE % n`: all of them, since this has no factor in common
/// with a size that is a power of ten, or half of one.
const STRIDE: usize = 61_803_399;

/// What one process saw.
#[derive(Serialize, Deserialize, Clone, Copy)]
struct Figures {
    write: f64,
    read: f64,
    /// Of a key, value and all; `None` where the system does not tell.
    bytes: Option<f64>,
}

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    const ENTRANTS: [&str; 3] = [EVANESCE, PYTHON, PUBLISHED];
    let sizes = run.pick(&TABLE[..], &TABLE[..2], &TABLE[..1]);
    let python = python(run);
    let mut measured = Measured::default();
    if let Err(why) = &python {
        measured.skip(PYTHON, why);
    }
    measured.note(
        "Published: the figures of the origin's description, measured on another machine with keys that \
         it does not describe; they are quoted, not compared. Microseconds a call; bytes are resident \
         bytes a key, with key and value, each an object of its own.",
    );
    let rounds = |n: usize| run.pick(if n <= 1_000_000 { 3 } else { 1 }, 1, 1);
    measured
        .parameter("rounds up to 1M, and above", format!("{}, {}", rounds(0), rounds(usize::MAX)));
    let steps: usize = sizes.iter().map(|(n, ..)| 3 * ENTRANTS.len() * rounds(*n)).sum();
    run.expect(steps);
    for kind in [Kind::Numbers, Kind::Texts, Kind::Both] {
        // Of the kind that says least, only what does not take minutes.
        let largest = if kind == Kind::Both { 1_000_000 } else { usize::MAX };
        for &(n, write, bytes, read) in sizes.iter().filter(|(n, ..)| *n <= largest) {
            let n = run.pick(n, n, 2_000);
            let what = format!("{}, {}", kind.name(), size(n));
            let published = Figures { write, read, bytes: Some(bytes / n as f64) };
            let passes =
                interleave(run, &what, &ENTRANTS, rounds(n), |_, who| match (who, &python) {
                    (0, _) => alone(run, "K1", &format!("{} {n}", kind.option())).map(Some),
                    (1, Ok(file)) => python_figures(file, kind, n).map(Some),
                    (1, Err(_)) => Ok(None),
                    _ => Ok(Some(published)),
                })?;
            judge(&mut measured, &what, &passes);
            for (name, unit, quantity) in QUANTITIES {
                let known: Vec<Vec<f64>> = passes
                    .iter()
                    .map(|passes| passes.iter().filter_map(quantity).collect())
                    .collect();
                let case = Case::new(format!("{name}, {what}"), unit, &ENTRANTS, &known, |it| *it);
                measured.add(case, &[]);
            }
        }
    }
    Ok(vec![("K1", measured)])
}

type Quantity = fn(&Figures) -> Option<f64>;

const QUANTITIES: [(&str, &str, Quantity); 3] = [
    ("write", "us", |figures| Some(figures.write)),
    ("read", "us", |figures| Some(figures.read)),
    ("memory", "bytes", |figures| figures.bytes),
];

/// How many times as fast we are, and which share of the bytes we take.
fn judge(measured: &mut Measured, what: &str, passes: &[Vec<Figures>]) {
    let (ours, theirs) = (&passes[0], &passes[1]);
    let compared = |quotient: &dyn Fn(&Figures, &Figures) -> Option<f64>| -> Vec<f64> {
        ours.iter().zip(theirs).filter_map(|(us, them)| quotient(us, them)).collect()
    };
    let targets = [
        (
            "write",
            "times faster",
            Target::must(2.0).and_aim(4.0).at_least(),
            compared(&|us, them| Some(them.write / us.write)),
        ),
        (
            "read",
            "times faster",
            Target::must(10.0).and_aim(30.0).at_least(),
            compared(&|us, them| Some(them.read / us.read)),
        ),
        (
            "memory",
            "share of the bytes",
            Target::must(0.4).and_aim(0.25),
            compared(&|us, them| Some(us.bytes? / them.bytes?)),
        ),
    ];
    for (name, measure, target, rounds) in targets {
        if !rounds.is_empty() {
            let case = format!("{name}, {what}");
            measured.verdicts.push(target.judge(&case, EVANESCE, PYTHON, measure, &rounds));
        }
    }
}

/// Kinds of keys and values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Numbers,
    /// Keys of 12 characters, and numbers as values.
    Texts,
    /// Keys of 12 characters, and other such strings as values.
    Both,
}

impl Kind {
    fn option(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Texts => "texts",
            Self::Both => "both",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Numbers => "u64 to u64",
            Self::Texts => "12 characters to u64",
            Self::Both => "12 characters to 12 characters",
        }
    }
}

fn size(n: usize) -> String {
    if n >= 1_000_000 { format!("{}M", n / 1_000_000) } else { format!("{}k", n / 1_000) }
}

/// The file with the origin's design, if it and Python are there.
fn python(run: &Run) -> Result<std::path::PathBuf, String> {
    let file = run.settings.origin.clone();
    let file = file.ok_or("no --origin FILE and no EVANESCE_ORIGIN")?;
    if !file.is_file() {
        return Err("--origin names no file".into());
    }
    let version = Command::new("python3").arg("--version").stdin(Stdio::null()).output();
    match version {
        Ok(output) if output.status.success() => Ok(file),
        _ => Err("there is no python3".into()),
    }
}

fn python_figures(file: &Path, kind: Kind, n: usize) -> Result<Figures, Stop> {
    let failed = |why: String| Stop::Fail(format!("{PYTHON}, {} {n}: {why}", kind.option()));
    let mut child = Command::new("python3")
        .args(["-c", DRIVER])
        .arg(file)
        .args([kind.option(), &n.to_string(), &STRIDE.to_string()])
        .stdin(Stdio::piped()) // it ends when this process does
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut answer = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut answer).map_err(|error| failed(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    serde_json::from_str(&answer).map_err(|error| failed(error.to_string()))
}

/// K1, one size and kind of ours.
pub(super) fn part(_: &Run, part: &str) -> Result<Value, Stop> {
    let wrong = || Stop::Fail(format!("expected a kind of keys and a count, found `{part}`"));
    let (kind, n) = part.split_once(' ').ok_or_else(wrong)?;
    let n: usize = n.parse().map_err(|_| wrong())?;
    let figures = match kind {
        "numbers" => ours(n, number, number),
        "texts" => ours(n, text, number),
        "both" => ours(n, text, text),
        _ => return Err(wrong()),
    }?;
    serde_json::to_value(figures).map_err(|error| Stop::Fail(error.to_string()))
}

/// The `i`-th key; the driver in Python makes the same. Odd multiples are bijections modulo 2^64.
fn number(i: usize) -> u64 {
    (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The `i`-th key, in 12 hexadecimal digits: a bijection modulo 2^48.
fn text(i: usize) -> String {
    format!("{:012x}", (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4b) & 0xffff_ffff_ffff)
}

/// The value of the `i`-th key is what would be the key of this.
fn of_value(i: usize) -> usize {
    i + (1 << 32)
}

fn ours<K: Hash + Eq, V>(
    n: usize,
    make: fn(usize) -> K,
    make_value: fn(usize) -> V,
) -> Result<Figures, Stop> {
    let bytes = match resident() {
        Err(_) => None,
        Ok(before) => {
            let map: TtlMap<K, V, Hasher> = TtlMap::with_hasher(hasher());
            for i in 0..n {
                map.pin().insert(make(i), make_value(of_value(i)));
            }
            Some(resident()?.saturating_sub(before) as f64 / n as f64)
        }
    };
    let map: TtlMap<K, V, Hasher> = TtlMap::with_hasher(hasher());
    let entries: Vec<(K, V)> = (0..n).map(|i| (make(i), make_value(of_value(i)))).collect();
    let start = Instant::now();
    for (key, value) in entries {
        black_box(map.pin().insert(key, value));
    }
    let write = per(start, n) / 1e3;
    let order: Vec<K> = (0..n).map(|i| make(i * STRIDE % n)).collect();
    let mut found = 0;
    let start = Instant::now();
    for key in &order {
        found += usize::from(black_box(map.pin().get(black_box(key))).is_some());
    }
    let read = per(start, n) / 1e3;
    if found == n {
        Ok(Figures { write, read, bytes })
    } else {
        Err(Stop::Fail(format!("{found} of {n} keys are there")))
    }
}
