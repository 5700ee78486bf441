#!/usr/bin/env bash
# Claim: in the memory backend of cashews (Python) a `set` without a TTL takes over the deadline of what it overwrites,
# also of an entry that has expired already and was not yet cleared away. Such a value is gone as `set` returns. It is
# there for good if somebody has looked for the key in between, or has deleted it. A
# `set` with a TTL of its own replaces the old deadline.
#
# The guess that was wrong: a `set` without a TTL is for ever, as in Redis, the library's other backend, where a SET
# drops the TTL. At worst it would keep a deadline that is still to come.
#
# Why it matters: a write that nobody can read, and that nothing reports, appears and goes with who has read what and
# when the cleaner last came. What is developed on `mem://` and run on Redis behaves otherwise there, and the other way.
#
# For our product: `insert` replaces the deadline together with the value (the guide, "choosing a TTL"), and what keeps
# it, `update` and its kin, finds nothing where an entry has expired.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cashews==7.6.0
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

from cashews import Cache

TTL = 0.05


async def found(before_set):
    """What is found of a value put without a TTL, after another one of the key has expired."""
    cache = Cache()
    cache.setup("mem://", check_interval=3600)  # the cleaner stays out of it
    await cache.set("k", "old", expire=TTL)
    await asyncio.sleep(TTL * 2)
    if before_set == "read":
        assert await cache.get("k") is None
    elif before_set == "delete":
        await cache.delete("k")
    await cache.set("k", "new", expire=3600 if before_set == "nothing, a TTL given" else None)
    return await cache.get("k")


async def main():
    ways = ("nothing, a TTL given", "delete", "read", "nothing")
    return {way: await found(way) for way in ways}


seen = asyncio.run(main())
print(f"cashews 7.6.0, mem://: an entry of {TTL} s expires, another is put without a TTL, and read at once")
print("expected: new, whatever was done between the two")
for way, value in seen.items():
    print(f"seen, {way}: {value}")
if list(seen.values()) != ["new", "new", "new", None]:
    sys.exit("changed: the new value was not there if nobody had looked at the expired one")
PYTHON
