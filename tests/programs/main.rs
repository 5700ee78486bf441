//! The examples, used as a program would use them, and run as a reader would run them; and what the README says.
//!
//! The logic of some is compiled in here, with a clock that is set by hand; those that need an async runtime are tested
//! in `crates/async-examples`.
#![allow(
    clippy::duplicate_mod,
    reason = "each example has its command line as a module of its own"
)]
#![cfg(not(any(evanesce_loom, evanesce_shuttle, planted, tsan, asan)))] // where what the examples need is not there

use evanesce_testkit::samples;

/// The examples themselves.
#[allow(dead_code, reason = "their `main` functions are not called here")]
#[path = "../../examples"]
mod examples {
    #[path = "dns.rs"]
    pub(crate) mod dns;
    #[path = "flags.rs"]
    pub(crate) mod flags;
    #[path = "limiter.rs"]
    pub(crate) mod limiter;
}

mod dns;
mod flags;
mod kv;
mod limiter;
mod progress;
mod readme;
mod replay;

#[test]
fn examples_without_options_say_so() {
    for name in ["dns", "flags", "kv", "limiter"] {
        samples::takes_no_arguments(name);
    }
}
