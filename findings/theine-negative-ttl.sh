#!/usr/bin/env bash
# Claim: theine (Python) stores an entry for ever if its TTL is negative. The docs of `set` say that a negative value
# panics; it is zero that raises. The same docs say that less than a second is rounded up to one; it is not.
#
# The guess that was wrong: by the docs, an exception. Without them: an entry that has expired already, as in
# cachetools and diskcache.
#
# Why it matters: a TTL is often a difference, the token's end less now. For a token that is just over it is negative,
# and the one entry that must not be served is then the one that never leaves.
#
# For our product: a TTL is a `Duration` in Rust and cannot be negative, and the Python class raises on negative
# numbers and timedeltas, which its tests hold. Nothing to do but to say it to those who come from theine: code that
# relied on the entry being stored gets an exception.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check theine==2.0.0
"$dir/venv/bin/python" - <<'PYTHON'
import os
import sys
import time
from datetime import timedelta
from unittest import mock

import theine

YEAR = 365 * 24 * 3600 * 10**9
cache = theine.Cache(100)
start = time.monotonic_ns()


def seen(ttl, later):
    """What a set with this TTL does, and whether get finds it some nanoseconds later. Reads theine's clock, set by us."""
    with mock.patch("time.monotonic_ns", lambda: start):
        try:
            cache.set("key", 1, ttl)
        except Exception as error:
            return f"raises {error!r}"
    with mock.patch("time.monotonic_ns", lambda: start + later):
        return "found" if cache.get("key") == (1, True) else "not found"


rows = [
    ("5 s, a year later", seen(timedelta(seconds=5), YEAR), "not found"),
    ("-5 s, a year later", seen(timedelta(seconds=-5), YEAR), "an exception, by the docs"),
    ("0 s", seen(timedelta(0), 0), "accepted or not: the docs name negative ones only"),
    ("10 ms, 20 ms later", seen(timedelta(milliseconds=10), 20 * 10**6), "found: less than 1 s counts as 1 s, by the docs"),
]
print("theine 2.0.0")
for what, found, expected in rows:
    print(f"ttl {what}: expected: {expected}; seen: {found}")

results = [found for _, found, _ in rows]
cache.close()
sys.stdout.flush()
if results[0] != "not found" or results[1] != "found" or "raises" not in results[2] or results[3] != "not found":
    sys.exit("changed: a negative TTL kept the entry, zero raised, and 10 ms was not rounded up")
PYTHON
