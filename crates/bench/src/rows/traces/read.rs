//! The recorded request streams, and how one is read: decompressed where its name ends in `.gz` or `.xz`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::told::{Run, Stop};

/// A recorded stream of requests.
pub(in crate::rows) struct Trace {
    pub(in crate::rows) file: &'static str,
    /// Of what.
    pub(in crate::rows) what: &'static str,
    format: Format,
}

pub(in crate::rows) const WEB: Trace =
    Trace { file: "web12.trace.xz", what: "pages of a shop", format: Format::U32Be };
pub(in crate::rows) const SPRITE: Trace =
    Trace { file: "sprite.trace.gz", what: "a file system", format: Format::Lines };
pub(in crate::rows) const SCARAB: Trace =
    Trace { file: "scarab-recs.trace.xz", what: "recommendations", format: Format::U64Be };

impl Trace {
    /// The keys of all requests, in order; `None` if the folder has no such file.
    pub(in crate::rows) fn read(&self, folder: &Path) -> Result<Option<Vec<u64>>, Stop> {
        let path = folder.join(self.file);
        if !path.is_file() {
            return Ok(None);
        }
        read(&path, self.format).map(Some).map_err(Stop::Fail)
    }
}

/// Why a trace is skipped.
pub(in crate::rows) const ABSENT: &str = "not in the folder of traces";
pub(in crate::rows) const UNKNOWN: &str = "no --traces DIR and no EVANESCE_TRACES";

/// The folder of traces, if one was named.
pub(in crate::rows) fn folder(run: &Run) -> Option<&Path> {
    run.settings.traces.as_deref()
}

/// How the keys lie in a trace.
#[derive(Clone, Copy)]
enum Format {
    /// One decimal key a line.
    Lines,
    /// Big-endian keys of four bytes.
    U32Be,
    /// Big-endian keys of eight bytes.
    U64Be,
}

/// Enough for `xz -9`, whose dictionary is 64 MiB.
const XZ_MEMORY_KIB: u32 = 512 * 1024;

/// The keys of all requests, in order; at least one.
fn read(path: &Path, format: Format) -> Result<Vec<u64>, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    let bytes = bytes(path).map_err(|error| named(error.to_string()))?;
    let keys = match format {
        Format::Lines => lines(&bytes),
        Format::U32Be => words(&bytes, u32::from_be_bytes),
        Format::U64Be => words(&bytes, u64::from_be_bytes),
    };
    match keys {
        Ok(keys) if keys.is_empty() => Err(named("expected a request, found none".into())),
        keys => keys.map_err(named),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("gz") => MultiGzDecoder::new(file).read_to_end(&mut bytes),
        Some("xz") => XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB).read_to_end(&mut bytes),
        _ => file.read_to_end(&mut bytes),
    }?;
    Ok(bytes)
}

fn lines(bytes: &[u8]) -> Result<Vec<u64>, String> {
    let lines = bytes.trim_ascii_end().split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|_| !bytes.trim_ascii().is_empty())
        .map(|(number, line)| {
            let text = str::from_utf8(line.trim_ascii()).ok();
            text.and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("line {}: expected a decimal key below 2^64", number + 1))
        })
        .collect()
}

fn words<W: Into<u64>, const WIDTH: usize>(
    bytes: &[u8],
    decode: fn([u8; WIDTH]) -> W,
) -> Result<Vec<u64>, String> {
    let (words, rest) = bytes.as_chunks::<WIDTH>();
    if rest.is_empty() {
        Ok(words.iter().map(|word| decode(*word).into()).collect())
    } else {
        Err(format!("expected keys of {WIDTH} bytes, found {} bytes at the end", rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_each_format() {
        assert_eq!(lines(b"12\n7\r\n 3\n"), Ok(vec![12, 7, 3]));
        assert_eq!(lines(b""), Ok(vec![]));
        assert_eq!(lines(b"12\nx\n"), Err("line 2: expected a decimal key below 2^64".into()));
        assert_eq!(words(&[0, 0, 1, 0], u32::from_be_bytes), Ok(vec![256]));
        assert!(words(&[0, 0, 1, 0, 9], u32::from_be_bytes).is_err());
    }
}
