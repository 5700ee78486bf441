//! What is printed: Markdown.

use std::{fs, process::Command, thread};

/// A claim that is judged by this run.
pub(crate) struct Must {
    pub(crate) claim: &'static str,
    is_met: bool,
    seen: String,
    is_time: bool,
}

impl Must {
    /// One about time, of which a short run says nothing.
    pub(crate) fn time(claim: &'static str, is_met: bool, seen: String) -> Self {
        Self { claim, is_met, seen, is_time: true }
    }

    /// One about a number of things, which must be so in every run.
    pub(crate) fn count(claim: &'static str, is_met: bool, seen: String) -> Self {
        Self { claim, is_met, seen, is_time: false }
    }

    /// Whether it is judged in such a run, and missed.
    pub(crate) fn is_missed(&self, smoke: bool) -> bool {
        !(self.is_met || smoke && self.is_time)
    }

    fn verdict(&self, smoke: bool) -> &str {
        match self {
            Self { is_time: true, .. } if smoke => "not judged by a short run",
            Self { is_met: true, .. } => "met",
            _ => "MISSED",
        }
    }
}

pub(crate) fn musts(musts: &[Must], smoke: bool) {
    println!("\n## Musts\n");
    let rows: Vec<_> = (musts.iter())
        .map(|must| vec![must.claim.into(), must.seen.clone(), must.verdict(smoke).into()])
        .collect();
    table(&["must", "seen", ""], &rows);
}

/// A table.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

pub(crate) fn nanos(time: f64) -> String {
    format!("{time:.1}")
}

/// Microseconds of nanoseconds.
pub(crate) fn micros(time: f64) -> String {
    format!("{:.1}", time / 1e3)
}

/// When, where and with what this was measured.
pub(crate) fn heading(server: &str, smoke: bool) {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    println!("# The near tier beside others\n");
    if smoke {
        println!("A short run: times mean nothing.\n");
    }
    println!("- {}", said("date", "+%F").unwrap_or_else(unknown));
    println!("- {}, {cores} cores, load {}", processor().unwrap_or_else(unknown), load());
    println!("- {server}, on the loopback; {}", said("rustc", "-V").unwrap_or_else(unknown));
    let packages = ["redis", "moka", "fred", "rustis", "tokio"];
    let versions = packages.map(|name| format!("{name} {}", version(LOCK, name)));
    println!("- evanesce-tier {}, {}", version(LOCK, "evanesce-tier"), versions.join(", "));
}

const LOCK: &str = include_str!("../../../../Cargo.lock");

/// The version of a package that this was built with.
fn version<'l>(lock: &'l str, name: &str) -> &'l str {
    let name = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| **line != name).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.map_or("unknown", |version| version.trim_matches('"'))
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// How many processes wanted a processor in the last minute: with more than the cores have, times say little.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"moka\"\nversion = \"0.12.16\"\n";
        assert_eq!(version(lock, "moka"), "0.12.16");
        assert_eq!(version(lock, "fred"), "unknown");
        assert_ne!(version(LOCK, "fred"), "unknown");
    }

    #[test]
    fn a_short_run_judges_counts_and_no_times() {
        let time = Must::time("", false, String::new());
        let count = Must::count("", false, String::new());
        assert!(time.is_missed(false) && !time.is_missed(true));
        assert!(count.is_missed(false) && count.is_missed(true));
        assert!(!Must::count("", true, String::new()).is_missed(false));
    }
}
