#!/usr/bin/env bash
# The library builds with the lowest versions that Cargo.toml lets in: of what it depends on itself, and of all.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: minimal versions: no nightly toolchain"
    exit 0
fi
root="${CARGO_TARGET_DIR:-target}"
mkdir -p "$root/minimal"
dir="$(cd "$root/minimal" && pwd)"
export CARGO_TARGET_DIR="$dir/target"
# The package alone, without what its tests and models depend on: those versions are not a user's.
rm -rf "$dir/package"
mkdir -p "$dir/package"
cp -r src docs build.rs README.md "$dir/package"
awk '/^\[/ { skip = /dev-dependencies|evanesce_(loom|shuttle)|^\[workspace\]/ } !skip && !/^(loom|shuttle) = /' \
    Cargo.toml >"$dir/package/Cargo.toml"
printf '\n[workspace]\n' >>"$dir/package/Cargo.toml"
for lowest in direct-minimal-versions minimal-versions; do
    rm -f "$dir/package/Cargo.lock"
    cargo +nightly generate-lockfile -q -Z "$lowest" --manifest-path "$dir/package/Cargo.toml"
    cargo check -q --locked --manifest-path "$dir/package/Cargo.toml" --features async,rayon,serde
    echo "minimal: builds with $lowest"
done
