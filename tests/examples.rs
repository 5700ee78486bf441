//! The examples, used as a program would use them, and run as a reader would run them.
//!
//! Their logic is compiled in here, with a clock that is set by hand; `kv` and `replay` have files of their own.
#![cfg(not(any(loom, shuttle, planted, tsan, asan)))] // where what the examples need is not there

mod common;

#[path = "common/example.rs"]
mod example;

/// The examples themselves.
#[allow(dead_code, reason = "their `main` functions are not called here")]
mod examples {
    #[path = "../../examples/dns.rs"]
    pub(crate) mod dns;
    #[path = "../../examples/flags.rs"]
    pub(crate) mod flags;
    #[path = "../../examples/limiter.rs"]
    pub(crate) mod limiter;
    #[cfg(feature = "async")]
    #[path = "../../examples/loader/main.rs"]
    pub(crate) mod loader;
    #[path = "../../examples/sessions/main.rs"]
    pub(crate) mod sessions;
    #[path = "../../examples/tokens.rs"]
    pub(crate) mod tokens;
}

#[path = "examples/dns.rs"]
mod dns;
#[path = "examples/flags.rs"]
mod flags;
#[path = "examples/limiter.rs"]
mod limiter;
#[cfg(feature = "async")]
#[path = "examples/loader.rs"]
mod loader;
#[path = "examples/sessions.rs"]
mod sessions;
#[path = "examples/tokens.rs"]
mod tokens;

use std::time::Duration;

use evanesce::{Builder, ManualClock, TtlMap};

const SECOND: Duration = Duration::from_secs(1);
const NANOSECOND: Duration = Duration::from_nanos(1);
/// After which what is waited for counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// All but a nanosecond of it.
fn nearly(time: Duration) -> Duration {
    time.saturating_sub(NANOSECOND)
}

/// A map on a clock that is set by hand, and the clock.
fn on_a_clock<K, V>(options: Builder<K, V>) -> (TtlMap<K, V>, ManualClock) {
    let clock = ManualClock::new();
    (options.clock(clock.clone()).build().expect("valid options"), clock)
}

/// Runs a test that waits for others, and fails when that takes too long.
fn in_time<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    common::within(PATIENCE, test)
}

/// Runs the example as its docs say, and compares what it prints with the sample there. Numbers of five digits
/// and more differ from run to run: ports, and counts of what threads did.
fn prints_its_sample(name: &str, source: &str) {
    let output = example::example(name).output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let command = format!("//! $ cargo run --release --example {name}");
    let sample: String = (source.lines().skip_while(|line| *line != command).skip(1))
        .take_while(|line| *line != "//! ```")
        .flat_map(|line| [line.strip_prefix("//! ").unwrap_or_default(), "\n"])
        .collect();
    assert!(sample.lines().count() > 3, "{sample}");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(masked(&printed), masked(&sample));
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
