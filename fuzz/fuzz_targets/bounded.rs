//! The same as the target `ops`, on maps with a maximum of entries.
#![no_main]

#[path = "../../tests/common/changes.rs"]
mod changes;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/common/hashers.rs"]
mod hashers;
#[allow(dead_code, reason = "the target `ops` uses the rest")]
#[path = "../../tests/common/ops.rs"]
mod ops;
#[path = "../../tests/common/tally.rs"]
mod tally;

libfuzzer_sys::fuzz_target!(|case: ops::BoundedCase| ops::run_bounded(&case));
