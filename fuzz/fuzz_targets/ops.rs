//! Operation sequences against the model of `tests/rungs/model.rs`, with the hash function and the options chosen too.
#![no_main]

#[path = "../../tests/common/changes.rs"]
mod changes;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/common/hashers.rs"]
mod hashers;
#[allow(dead_code, reason = "the target `bounded` uses the rest")]
#[path = "../../tests/common/ops.rs"]
mod ops;
#[path = "../../tests/common/tally.rs"]
mod tally;

libfuzzer_sys::fuzz_target!(|case: ops::Case| ops::run(&case));
