#!/usr/bin/env bash
# The packaged crate as a user meets it: how many packages it brings into a Cargo.lock, that its README's program runs,
# that what the README links to is in the package, and that a user's own `--cfg loom` does not reach it.
set -euo pipefail
cd "$(dirname "$0")/.."
most=13
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# The program below builds it.
cargo package -p evanesce --allow-dirty --no-verify
root="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)"
# Side by side: what lies within the user's folder would be a member of its workspace.
dir="$root/user" package="$root/unpacked/evanesce-$version"
rm -rf "$dir" "$root/unpacked"
mkdir -p "$dir/src" "$root/unpacked"
tar -xzf "$root/package/evanesce-$version.crate" -C "$root/unpacked"

broken=0
for link in $(grep -oE '\]\([^)#]+' "$package/README.md" | cut -c3- | grep -vE '^https?:'); do
    [ -e "$package/$link" ] || { echo "the README links to $link, which is not in the package"; broken=1; }
done
[ "$broken" = 0 ]

awk '/^```rust$/ { on = 1; next } /^```$/ { if (on) exit } on' "$package/README.md" >"$dir/src/main.rs"
cat >"$dir/Cargo.toml" <<EOF
[package]
name = "user"
edition = "2024"

[dependencies]
evanesce = { path = "$package" }

[workspace]
EOF
cp Cargo.lock "$dir/Cargo.lock" # the same versions; what is not needed is left out
export CARGO_TARGET_DIR="$dir/target"
cargo run -q --manifest-path "$dir/Cargo.toml"
count=$(($(grep -c '^\[\[package\]\]' "$dir/Cargo.lock") - 1))
if [ "$count" -gt $most ]; then
    sed -n 's/^name = //p' "$dir/Cargo.lock"
    echo "a user's Cargo.lock has $count packages from us, more than $most"
    exit 1
fi
echo "package: $count packages in a user's Cargo.lock; the README's program runs"
RUSTFLAGS="--cfg loom --cfg shuttle" cargo check -q --manifest-path "$dir/Cargo.toml"
echo "package: a user's --cfg loom and --cfg shuttle leave it alone"
