//! Reads a recorded request stream and numbers its keys in the order they first appear.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::progress::Line;
use crate::{Failure, one_line};

/// How the keys lie in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One decimal key a line.
    Lines,
    /// Big-endian keys of four bytes.
    U32Be,
    /// Big-endian keys of eight bytes.
    U64Be,
}

/// The requests of a trace. A request is the number of its key.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) requests: Vec<u32>,
    pub(crate) keys: Vec<u64>,
}

/// Longer lines are refused; 2^64 has 20 digits, so this leaves room for blanks and zeros.
const LONGEST_LINE: u64 = 80;
/// Enough for `xz -9`, whose dictionary is 64 MiB.
const XZ_MEMORY_KIB: u32 = 512 * 1024;

/// Reads all of `path`, decompressing it when its name ends in `.gz` or `.xz`.
pub(crate) fn read(path: &Path, format: Format) -> Result<Trace, Failure> {
    let line = Line::on_stderr();
    line.show(|_| format!("reading {}", one_line(&path.display().to_string())));
    let trace = open(path).map_err(|error| error.to_string()).and_then(|mut bytes| {
        let mut numbering = Numbering::default();
        match format {
            Format::Lines => read_lines(&mut bytes, &mut numbering),
            Format::U32Be => read_words(&mut bytes, "u32be", u32::from_be_bytes, &mut numbering),
            Format::U64Be => read_words(&mut bytes, "u64be", u64::from_be_bytes, &mut numbering),
        }?;
        Some(numbering.trace)
            .filter(|trace| !trace.requests.is_empty())
            .ok_or_else(|| "expected at least one key, found an empty trace".to_owned())
    });
    drop(line);
    trace.map_err(|why| Failure::Run(format!("{}: {why}", path.display())))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = BufReader::new(File::open(path)?);
    Ok(match path.extension().and_then(OsStr::to_str) {
        Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Some("xz") => {
            let decoder = XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
            Box::new(BufReader::new(decoder))
        }
        _ => Box::new(file),
    })
}

fn read_lines(bytes: &mut dyn BufRead, numbering: &mut Numbering) -> Result<(), String> {
    let mut line = Vec::new();
    let mut offset = 0;
    for number in 1_u64.. {
        line.clear();
        let length = (bytes.take(LONGEST_LINE).read_until(b'\n', &mut line))
            .map_err(|error| unreadable(&error, offset + line.len() as u64))?;
        if length == 0 {
            break;
        }
        let key = decimal(&line).ok_or_else(|| {
            format!(
                "line {number} (byte {offset}): expected a decimal key below 2^64, found `{}`",
                excerpt(&line)
            )
        })?;
        numbering.request(key)?;
        offset += length as u64;
    }
    Ok(())
}

fn read_words<W: Into<u64>, const WIDTH: usize>(
    bytes: &mut dyn BufRead,
    format: &str,
    decode: fn([u8; WIDTH]) -> W,
    numbering: &mut Numbering,
) -> Result<(), String> {
    let mut word = [0; WIDTH];
    let mut offset = 0_u64;
    loop {
        let mut filled = 0;
        while filled < WIDTH {
            match bytes.read(&mut word[filled..]) {
                Ok(0) if filled == 0 => return Ok(()),
                Ok(0) => {
                    return Err(format!(
                        "truncated at byte {offset}: expected {WIDTH} bytes for a {format} key, \
                         found {filled}"
                    ));
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error, offset + filled as u64)),
            }
        }
        numbering.request(decode(word).into())?;
        offset += WIDTH as u64;
    }
}

/// Says that reading stopped, and where: compressed files count their decompressed bytes.
fn unreadable(error: &io::Error, offset: u64) -> String {
    if error.kind() == ErrorKind::UnexpectedEof {
        format!("truncated: the compressed data ends early, after {offset} decompressed bytes")
    } else {
        format!("cannot be read after {offset} bytes: {error}")
    }
}

fn decimal(line: &[u8]) -> Option<u64> {
    let digits = line.trim_ascii();
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

/// The start of a line, fit for a message.
fn excerpt(line: &[u8]) -> String {
    const SHOWN: usize = 24;
    let line = line.trim_ascii();
    let shown = line[..line.len().min(SHOWN)].escape_ascii();
    format!("{shown}{}", if line.len() > SHOWN { "…" } else { "" })
}

/// Numbers keys from 0 in the order of their first requests.
#[derive(Default)]
struct Numbering {
    numbers: HashMap<u64, u32>,
    trace: Trace,
}

impl Numbering {
    fn request(&mut self, key: u64) -> Result<(), String> {
        let keys = &mut self.trace.keys;
        let next = u32::try_from(keys.len())
            .map_err(|_| "more than 2^32 distinct keys, which is too many".to_owned())?;
        let number = *self.numbers.entry(key).or_insert_with(|| {
            keys.push(key);
            next
        });
        self.trace.requests.push(number);
        Ok(())
    }
}
