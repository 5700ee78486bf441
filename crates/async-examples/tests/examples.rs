//! The examples that need an async runtime, used as a program would use them, and run as a reader would run them.

use evanesce_testkit::samples;

/// The examples themselves.
#[allow(dead_code, reason = "their `main` functions are not called here")]
mod examples {
    #[path = "../../../../examples/loader/main.rs"]
    pub(crate) mod loader;
    #[path = "../../../../examples/sessions/main.rs"]
    pub(crate) mod sessions;
    #[path = "../../../../examples/tokens.rs"]
    pub(crate) mod tokens;
}

#[path = "examples/loader.rs"]
mod loader;
#[path = "examples/sessions.rs"]
mod sessions;
#[path = "examples/tokens.rs"]
mod tokens;

#[test]
fn tokens_takes_no_arguments_but_help() {
    samples::takes_no_arguments("tokens");
}
