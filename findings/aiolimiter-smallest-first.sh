#!/usr/bin/env bash
# Claim: the waiters of aiolimiter (Python) are served by how little they ask for, not by when they came. One that waits
# for 8 of 10 is passed by each that comes later and asks for 1, for as long as such come.
#
# The guess that was wrong: first come, first served, as with the locks and semaphores of asyncio, whose place the
# limiter takes in `async with`. It is so among those that ask for the same amount, which is the only case that most try.
#
# Why it matters: amounts are for requests of different weight. Under load, when a limiter matters, the heavy ones
# stand still and only the light ones go through; nothing times out by itself, and nothing is reported.
#
# For our product: the crate has no limiter that waits. One built on a map (the example `limiter`) answers at once, and who
# queues on that chooses the order.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aiolimiter==1.3.0
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

from aiolimiter import AsyncLimiter

LATER = 20


async def passed(amount):
    """How many that came later, one after the other, and ask for 1, were served before one that asks for `amount`."""
    limiter = AsyncLimiter(10, time_period=1)
    await limiter.acquire(10)  # it is full from here on
    first = asyncio.create_task(limiter.acquire(amount))
    await asyncio.sleep(0)  # it waits from here on
    count = 0
    for _ in range(LATER):
        await limiter.acquire(1)
        count += not first.done()
    await first
    return count


async def main():
    return {amount: await passed(amount) for amount in (1, 8)}


seen = asyncio.run(main())
print(f"aiolimiter 1.3.0, 10 a second, all taken: one waits, then {LATER} come, one after the other, and ask for 1 each")
print("expected: few of those are served before it")
for amount, count in seen.items():
    print(f"seen, if it asks for {amount}: {count} are")
if not (seen[1] <= 2 and seen[8] >= LATER * 3 // 4):
    sys.exit("changed: the one that asks for much is no longer passed by those that come later")
PYTHON
