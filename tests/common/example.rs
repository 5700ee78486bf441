//! Runs the crate's examples as processes.

use std::path::PathBuf;
use std::process::Command;

/// A command that runs the example `name`, built beside the running test.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the running test has a path");
    // The test is target/PROFILE/deps/TEST-HASH, the example target/PROFILE/examples/NAME.
    let path: PathBuf = (test.ancestors().nth(2))
        .expect("the test lies in a profile's deps folder")
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "the example `{name}` is not built: `cargo test` builds it, `cargo test --test` does not; \
         run `cargo build --example {name}` (with the same profile) first"
    );
    Command::new(path)
}
