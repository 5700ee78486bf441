//! The command line.

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Measures evanesce-tier beside other clients of Redis that keep what they read. It starts a server of its own, on a free port
of the loopback, and prints a page in Markdown.

    cargo run --release -p evanesce-tier-bench -- [OPTIONS] [PART..]

    PART        hits, misses, lease, race or memory; more than one may be named [all]
    --smoke     Small counts, to see that everything runs; times mean nothing, and no must is judged by them
    -h, --help  Say this

Exit status: 0; 1 if a must is missed, or something went wrong; 2 if the command line could not be followed.
";

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Hits,
    Misses,
    Lease,
    Race,
    Memory,
}

const PARTS: [(&str, Part); 5] = [
    ("hits", Part::Hits),
    ("misses", Part::Misses),
    ("lease", Part::Lease),
    ("race", Part::Race),
    ("memory", Part::Memory),
];

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) smoke: bool,
    pub(crate) parts: Vec<Part>,
}

/// Reads the command line; `None` for `--help`.
pub(crate) fn read(mut arguments: lexopt::Parser) -> Result<Option<Options>, String> {
    let mut options = Options { smoke: false, parts: Vec::new() };
    while let Some(argument) = arguments.next().map_err(|error| error.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("smoke") => options.smoke = true,
            Value(name) => {
                let name = name.to_string_lossy();
                let part = PARTS.iter().find(|(known, _)| *known == name);
                let found = name.escape_debug();
                let (_, part) = part.ok_or_else(|| {
                    format!("expected hits, misses, lease, race or memory, found `{found}`")
                })?;
                options.parts.push(*part);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    if options.parts.is_empty() {
        options.parts = PARTS.iter().map(|(_, part)| *part).collect();
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Options>, String> {
        read(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn all_parts_are_measured_unless_some_are_named() {
        assert_eq!(parse(&[]).unwrap().unwrap().parts.len(), PARTS.len());
        let options = parse(&["race", "--smoke"]).unwrap().unwrap();
        assert_eq!((options.parts, options.smoke), (vec![Part::Race], true));
        assert!(parse(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert!(parse(&["rice"]).unwrap_err().ends_with("found `rice`"));
        assert!(parse(&["--smok"]).unwrap_err().contains("--smok"));
    }
}
