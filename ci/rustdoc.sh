#!/bin/sh
# As `RUSTDOC` for `cargo test --doc`: rustdoc that also compares the codes of the errors which `compile_fail,E0505` names.
# It does so with nightly features on only, and this variable turns them on in a stable one.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
