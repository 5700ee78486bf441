#!/usr/bin/env bash
# Claim: async_lru's `ttl` and that of aiocache's memory cache are no deadlines that a read looks at: a timer of the
# event loop removes the entry. If the loop was busy past the time, the next read, in the same turn, gets the value,
# however long its time has been over.
#
# The guess that was wrong: an entry has a deadline, a hit compares it with the clock, and timers, if any, only give
# back the memory. cachetools, cachebox and theine do so.
#
# Why it matters: a loop is blocked by a slow parse, a library without async, a debugger, a machine that was suspended.
# What is handed out next is exactly what the TTL was to forbid, such as a token that ended meanwhile; and a test that
# passes time by `time.sleep` sees no expiry at all.
#
# For our product: the Python store compares at each read, and `acached` rests on that. Keep a test that blocks the loop
# past the time and reads in the same turn.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check async_lru==2.4.0 aiocache==0.12.3 cachetools==8.0.2
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import itertools
import sys
import time

import aiocache
import async_lru
import cachetools

TTL = 0.5
COUNT = itertools.count()


@async_lru.alru_cache(maxsize=10, ttl=TTL)
async def load(key):
    return next(COUNT)


async def main():
    memory = aiocache.SimpleMemoryCache()
    plain = cachetools.TTLCache(10, TTL)
    first = await load("k")
    await memory.set("k", 1, ttl=TTL)
    plain["k"] = 1
    time.sleep(TTL * 2)  # blocks the loop
    blocked = await load("k") == first, await memory.get("k") == 1, "k" in plain
    await asyncio.sleep(TTL * 2)  # lets the timers run
    later = await load("k") == first, await memory.get("k") == 1, "k" in plain
    return blocked, later


blocked, later = asyncio.run(main())
print(f"a value that lives {TTL} s; is it served after the loop was blocked for {TTL * 2} s, and after its next turns")
print("expected: (False, False)")
for name, found in zip(("async_lru 2.4.0", "aiocache 0.12.3", "cachetools 8.0.2"), zip(blocked, later)):
    print(f"seen, {name}: {found}")
if blocked != (True, True, False) or later != (False, False, False):
    sys.exit("changed: async_lru and aiocache served what had expired until the loop ran, cachetools did not")
PYTHON
