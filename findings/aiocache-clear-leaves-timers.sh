#!/usr/bin/env bash
# Claim: aiocache's memory cache forgets its entries at `clear`, and not their timers. A value that is then put for a
# key that had a TTL before, without one of its own, is removed when the old entry's time is over. After `delete`, or a
# plain overwrite, it stays.
#
# The guess that was wrong: what is cleared is gone with all that belongs to it, so that a cleared cache is as a new
# one.
#
# Why it matters: "clear, then warm up with what is to stay" is how a cache is refilled after a deployment or a change
# of configuration. Minutes later the values that were to stay go missing, one by one, at times that nothing in the code
# names.
#
# For our product: a deadline belongs to one value of a key here (README: "A fresh value is never swept for an old one's
# deadline"), by `clear` as well; the Python tests should hold it for `clear` and a put without a duration.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aiocache==0.12.3
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

import aiocache

TTL = 0.05


async def survives(take_away):
    """Whether a value put for ever is there after the time of one that was taken away."""
    cache = aiocache.SimpleMemoryCache()
    await cache.set("k", "old", ttl=TTL)
    if take_away == "delete":
        await cache.delete("k")
    elif take_away == "clear":
        await cache.clear()
    assert await cache.set("k", "new")
    await asyncio.sleep(TTL * 10)
    return await cache.get("k") == "new"


async def main():
    return {way: await survives(way) for way in ("overwrite", "delete", "clear")}


seen = asyncio.run(main())
print(f"aiocache 0.12.3: a value of {TTL} s is taken away, another is put without a TTL; is it there later")
print("expected: True, in each way")
for way, found in seen.items():
    print(f"seen, {way}: {found}")
if seen != {"overwrite": True, "delete": True, "clear": False}:
    sys.exit("changed: the new value went with the old one's timer after clear, and stayed otherwise")
PYTHON
