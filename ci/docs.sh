#!/usr/bin/env bash
# The documentation builds without a warning, and `Pinned` shows its calls by their weight: what everybody needs first.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc -p evanesce --no-deps --features async,rayon,serde
page="${CARGO_TARGET_DIR:-target}/doc/evanesce/struct.Pinned.html"
wanted="get insert remove ttl set_ttl update compute iter get_or_refresh get_by insert_by"
shown=$(grep -oE '<section id="method\.[a-z_]+"' "$page" | sed -E 's/.*method\.(.*)"/\1/' | grep -xE "${wanted// /|}" | tr '\n' ' ')
[ "$shown" = "$wanted " ] || { echo "Pinned shows $shown, and not $wanted"; exit 1; }
echo "Pinned shows in this order: $shown"
