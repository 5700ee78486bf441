//! What the tests of the examples share.
use std::time::Duration;

use evanesce::{Builder, ManualClock, TtlMap};

pub use super::example::example;

pub const SECOND: Duration = Duration::from_secs(1);
pub const NANOSECOND: Duration = Duration::from_nanos(1);
/// After which what is waited for counts as broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// All but a nanosecond of it.
pub fn nearly(time: Duration) -> Duration {
    time.saturating_sub(NANOSECOND)
}

/// A map on a clock that is set by hand, and the clock.
pub fn on_a_clock<K, V>(options: Builder<K, V>) -> (TtlMap<K, V>, ManualClock) {
    let clock = ManualClock::new();
    (options.clock(clock.clone()).build().expect("valid options"), clock)
}

/// Runs a test that waits for others, and fails when that takes too long.
pub fn in_time<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    super::within(PATIENCE, test)
}

/// Runs the example as its docs say, and compares what it prints with the sample there. Numbers of five digits
/// and more differ from run to run: ports, and counts of what threads did.
pub fn prints_its_sample(name: &str, source: &str) {
    let output = example(name).output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let sample = sample_of(name, source);
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(masked(&printed), masked(&sample));
}

/// What the docs of the example show behind its command without options.
pub fn sample_of(name: &str, source: &str) -> String {
    let command = format!(" --example {name}");
    let is_command =
        |line: &str| line.starts_with("//! $ cargo run --release") && line.ends_with(&command);
    let sample: String = (source.lines().skip_while(|line| !is_command(line)).skip(1))
        .take_while(|line| *line != "//! ```")
        .flat_map(|line| [line.strip_prefix("//! ").unwrap_or_default(), "\n"])
        .collect();
    assert!(sample.lines().count() > 3, "{sample}");
    sample
}

/// Checks that the example refuses the command line by one line on standard error that says `says`, with status 2.
pub fn refuses(name: &str, arguments: &[&str], says: &str) {
    let output = example(name).args(arguments).output().expect("the example starts");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    assert!(said.starts_with(&format!("{name}: ")) && said.contains(says), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Checks that the example prints its help, on standard output and with status 0; returns it.
pub fn help_of(name: &str) -> String {
    let outputs = ["--help", "-h"]
        .map(|option| example(name).arg(option).output().expect("the example starts"));
    for output in &outputs {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    let help = String::from_utf8(outputs[0].stdout.clone()).expect("text");
    assert_eq!(help.as_bytes(), outputs[1].stdout);
    assert!(help.contains(&format!("Usage: {name}")), "{help}");
    help
}

/// Checks an example without options.
pub fn takes_no_arguments(name: &str) {
    help_of(name);
    for arguments in [&["5"][..], &["--port", "1"], &["a\nb"], &["x", "--help"]] {
        refuses(name, arguments, "expected no arguments but --help, found `");
    }
}

/// The text with `#####` for each number of five digits and more.
fn masked(text: &str) -> String {
    let (mut masked, mut digits) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            masked += if digits.len() < 5 { &digits } else { "#####" };
            digits.clear();
            masked.push(c);
        }
    }
    masked
}
