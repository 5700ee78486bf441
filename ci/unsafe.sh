#!/usr/bin/env bash
# The inventory of unsafe code in docs/lab/unsafe.md is complete: it counts as many sites a file as there are.
set -euo pipefail
cd "$(dirname "$0")/.."
fail=0 total=0
while IFS=: read -r file count; do
    [ "$count" -gt 0 ] || continue
    total=$((total + count))
    if ! grep -qF "| \`${file#src/}\` | $count |" docs/lab/unsafe.md; then
        echo "docs/lab/unsafe.md does not list $file with $count unsafe sites"
        fail=1
    fi
done < <(find src -name '*.rs' -print0 | sort -z | xargs -0 grep -cE '\bunsafe (\{|impl|fn|trait|extern)')
[ "$fail" = 0 ]
echo "unsafe inventory: $total sites, all listed"
