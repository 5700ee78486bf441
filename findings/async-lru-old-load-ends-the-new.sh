#!/usr/bin/env bash
# Claim: in async_lru a load that was invalidated while it ran still acts on its key when it ends, and meets what has
# taken its place. If it fails, the newer load is thrown out of the cache: whoever asks next starts a third one, and the
# second's value goes missing if it is done. If it succeeds, its TTL begins for the newer load, whose value is then
# removed early, counted from the end of the old one.
#
# The guess that was wrong: `cache_invalidate` cuts the old load off, so that it ends for those who wait for it and for
# nobody else. (What it did to the cache, it does by the key, and does not look whose entry is there.)
#
# Why it matters: an invalidation during a load is how a change meets a slow origin, and a load that fails, say by its
# time-out, is the slowest. Single flight, which is what the decorator is for, then ends when the origin is in trouble.
#
# For our product: a write during a load wins (the guide, "loading"), and who asks after it does not join the old load;
# tests/load holds it, and that the error of a load that was overtaken is not kept.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check async_lru==2.4.0
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

from async_lru import alru_cache

TTL = 0.5


def loader(ttl=None):
    """A cached function, and the loads that it has begun, each ended by whoever holds it."""
    loads = []

    @alru_cache(ttl=ttl)
    async def load(key):
        loads.append(asyncio.get_running_loop().create_future())
        return await loads[-1]

    return load, loads


async def begin(load, loads):
    """Asks for the key, and returns when a load of its own has begun."""
    count = len(loads)
    task = asyncio.ensure_future(load("k"))
    while len(loads) == count:
        await asyncio.sleep(0)
    return task


async def loads_after_failure(invalidate):
    """How many loads there are when one has failed, and two callers have asked after it was invalidated."""
    load, loads = loader()
    old = await begin(load, loads)
    if invalidate == "before it fails":
        load.cache_invalidate("k")
        new = await begin(load, loads)
        loads[0].set_exception(OSError("origin"))
        await asyncio.wait([old])
    else:
        loads[0].set_exception(OSError("origin"))
        await asyncio.wait([old])
        load.cache_invalidate("k")
        new = await begin(load, loads)
    old.exception()
    third = asyncio.ensure_future(load("k"))
    for _ in range(10):
        await asyncio.sleep(0)
    for future in loads[1:]:
        future.set_result("new")
    assert await asyncio.gather(new, third) == ["new", "new"]
    return len(loads)


async def age_at_end(invalidated):
    """The least age, in tenths of the TTL, at which the value of the second load is gone."""
    load, loads = loader(TTL)
    if invalidated:
        old = await begin(load, loads)
        load.cache_invalidate("k")
    new = await begin(load, loads)
    if invalidated:
        loads[0].set_result("old")
        assert await old == "old"
        await asyncio.sleep(TTL * 0.6)
    loads[-1].set_result("new")
    assert await new == "new"
    clock = asyncio.get_running_loop().time
    start = clock()
    while load.cache_info().currsize:
        await asyncio.sleep(TTL / 50)
    return (clock() - start) / TTL


async def main():
    for when, expected in (("after it fails", 2), ("before it fails", 3)):
        count = await loads_after_failure(when)
        print(f"seen, invalidated {when}: {count} loads")
        if count != expected:
            sys.exit("changed: a load that was invalidated, and fails later, made one load more")
    whole = await age_at_end(False)
    # A paused machine only makes an age larger: one of three that is short is enough.
    short = min([await age_at_end(True) for _ in range(3)])
    print(f"seen, share of its TTL that a value lived: {whole:.2f}, and {short:.2f} after an invalidated load")
    if whole < 0.95 or short > 0.8:
        sys.exit("changed: a value that was loaded after an invalidation lived less than its TTL")


print("async_lru 2.4.0: loads for one key, of which the first was invalidated, and two callers after that")
print("expected: 2 loads, whenever the first fails; and the value of the second lives for its whole TTL")
asyncio.run(main())
PYTHON
