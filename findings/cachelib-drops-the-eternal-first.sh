#!/usr/bin/env bash
# Claim: cachelib's `SimpleCache` (that of Flask-Caching) makes room by removing what expires first, and takes an entry
# that never expires (`timeout=0`) for one that expires before all others. One write above the threshold removes entries
# for ever before those of ten seconds. Reads do not matter: there is no LRU.
#
# The guess that was wrong: what never expires stays, or goes by use like the rest; what has the least time left goes
# first.
#
# Why it matters: `timeout=0` is given to what is dear and does not change, such as settings and templates. Short-lived
# entries then push out exactly those, again and again, and hit ratios look fine.
#
# For our product: where a full map evicts, it does so by use, and an entry is none the worse for having no deadline.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cachelib==0.17.0
"$dir/venv/bin/python" - <<'PYTHON'
import sys

from cachelib import SimpleCache


def kept(timeout):
    """Which of four old entries are there, all but read at each turn, when short-lived ones have come."""
    cache = SimpleCache(threshold=6)
    for name in "abcd":
        cache.set(name, 1, timeout=timeout)
    for number in range(6):
        cache.set(f"short {number}", 1, timeout=10)
        cache.get_many(*"abcd")
    short = sum(cache.has(f"short {number}") for number in range(6))
    return [name for name in "abcd" if cache.has(name)], short


for_ever, an_hour = kept(0), kept(3600)
print("cachelib 0.17.0, room for six: four old entries, read all the time, and six of 10 s; the old ones kept, how many new")
print("expected: old ones for ever are kept as those of an hour are")
print(f"seen, old ones for ever:   {for_ever}")
print(f"seen, old ones of an hour: {an_hour}")
if for_ever[0] != [] or an_hour[0] != list("abcd"):
    sys.exit("changed: none of those for ever was kept, all of those of an hour")
PYTHON
