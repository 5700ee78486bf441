#!/usr/bin/env bash
# Claim: of diskcache's recipes with `expire`, `Lock.release` by a holder whose time is over takes the lock away from
# the one who holds it now; and a `BoundedSemaphore`, of which one holder has died, gets the place back only if nobody
# else uses it for the whole time: each `acquire` and `release` of others begins the time of all places anew.
#
# The guess that was wrong: a holder's time is its own. A lock knows who holds it, as `RLock` there does, and a place in
# a semaphore comes back `expire` after it was taken.
#
# Why it matters: `expire` is given for holders that die or hang. The lock of a slow holder then lets in a second, and
# through it a third. The semaphore of a busy service loses a place with each crash until none is left, and it is busy
# services that have semaphores.
#
# For our product: a lock kept in a map is released by `remove_if` with the holder's own token, never by the key alone,
# and places are one entry each with a deadline of its own, never a count with one deadline.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check diskcache==5.6.3
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import sys
import time

import diskcache

TTL = 1.0
cache = diskcache.Cache(sys.argv[1] + "/cache")

slow = diskcache.Lock(cache, "lock", expire=TTL / 10)
other = diskcache.Lock(cache, "lock", expire=3600)
slow.acquire()
time.sleep(TTL / 5)
other.acquire()
slow.release()
still_held = other.locked()


def places_left(busy):
    """The free places of two, after one holder died and 1.5 times its time is over, in which another came and went."""
    key = f"places, {busy}"
    semaphore = diskcache.BoundedSemaphore(cache, key, value=2, expire=TTL)
    for _ in range(20):
        cache.delete(key)
        semaphore.acquire()  # and dies
        start = last = time.monotonic()
        longest = 0
        while time.monotonic() - start < TTL * 1.5:
            if busy:
                semaphore.acquire()
                semaphore.release()
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
            time.sleep(TTL / 10)
        if longest < TTL / 2:  # else the machine paused
            return cache.get(key, default=2)
    sys.exit("the machine paused in each of 20 tries")


seen = [still_held, places_left(False), places_left(True)]
print("diskcache 5.6.3: whether a lock is held on when its former holder, out of time, releases it;")
print("the free places of two when the time of a dead holder is over, in an idle and in a busy semaphore")
print("expected: True, 2, 2")
print("seen:     {}, {}, {}".format(*seen))
if seen != [False, 2, 1]:
    sys.exit("changed: the lock was free, and the place came back in the idle semaphore only")
PYTHON
