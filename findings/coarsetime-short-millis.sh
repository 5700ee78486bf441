#!/usr/bin/env bash
# Claim: coarsetime's `Duration::from_millis` takes what is left beyond whole seconds as 1/1024ths of a second. So
# `from_millis(999)` is 975 ms, `from_millis(1)` is less than 1 ms and reads back as 0, and from 999 to 1000 the
# length leaps by 24 ms. The conversion from `std::time::Duration` in the same crate is right.
#
# The guess that was wrong: the type counts 2^-32ths of a second, so the error is below a nanosecond, and
# `from_millis` agrees with `from(std::time::Duration::from_millis(..))`. "Approximate", in its docs, was taken to
# mean the clock.
#
# Why it matters: a TTL or a window of less than a second is up to 2.4 % too short, and a test at "just before the
# deadline" fails for a reason that is in neither the cache nor the clock. A TTL of 1 ms that is handed on by
# `as_millis` is 0.
#
# For our product: TTLs are std's `Duration`, to the nanosecond. Where the guide speaks of clocks of the user's own,
# it should say to convert coarsetime's by way of std's, from whole seconds or std durations only.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export CARGO_TARGET_DIR="$dir/target"
mkdir "$dir/src"
cat > "$dir/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
coarsetime = "=0.1.38"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;

fn main() {
    println!("coarsetime 0.1.38, `from_millis(n)`; expected: n ms within a nanosecond or so");
    let mut short = 0;
    for millis in [1, 10, 250, 500, 999, 1000, 1500] {
        let made = coarsetime::Duration::from_millis(millis);
        let converted = coarsetime::Duration::from(std::time::Duration::from_millis(millis));
        println!(
            "n = {millis}: seen {} ns, as_millis() {}; by way of std: {} ns",
            made.as_nanos(),
            made.as_millis(),
            converted.as_nanos()
        );
        if made.as_millis() + 1 < millis || made.as_millis() == 0 {
            short += 1;
        }
        if converted.as_nanos() + 2 < millis * 1_000_000 {
            eprintln!("changed: the conversion from std is off as well");
            exit(1);
        }
    }
    let made = coarsetime::Duration::from_millis(999).as_nanos();
    if short == 0 || made != 999 * 1_000_000_000 / 1024 {
        eprintln!("changed: from_millis(999) is {made} ns, no longer 999/1024 of a second");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
