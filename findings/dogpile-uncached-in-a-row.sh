#!/usr/bin/env bash
# Claim: in dogpile.cache those who wait for a value get it only if it is stored. Where `should_cache_fn` says no, each
# of them makes its own, one after another, under the lock, so that the last of eight waits eight times as long. And if
# an expired value is there, it stays: after one caller was given the new value, another gets the expired one, whenever
# somebody is at making the next.
#
# The guess that was wrong: `should_cache_fn` decides what is stored and nothing else; those who wait share the result,
# as in other single flights, or at least do not wait for each other. And what was replaced for one caller is not
# handed out to the next.
#
# Why it matters: it is used to keep failures and empty answers out of the cache. So it says no just when the origin is
# slow and fails, and then the callers queue up one by one behind it, each for a whole time-out.
#
# For our product: an answer that was loaded goes to all who wait, an error too, whether it is kept or not (the guide,
# "loading"); a value in its grace is served by choice only, by `get_stale` or `get_or_refresh`.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check dogpile.cache==1.5.0
"$dir/venv/bin/python" - <<'PYTHON'
import sys
import threading
import time

from dogpile.cache import make_region

CALLERS = 8


def make():
    return make_region().configure("dogpile.cache.memory", expiration_time=3600)


def calls_and_most(keep):
    """How often the value was made for callers that ask at one time, and by how many at a time at most."""
    region = make()
    barrier = threading.Barrier(CALLERS)
    state = threading.Lock()
    figures = {"calls": 0, "now": 0, "most": 0}

    def create():
        with state:
            figures["calls"] += 1
            figures["now"] += 1
            figures["most"] = max(figures["most"], figures["now"])
        time.sleep(0.2)  # the other callers come meanwhile
        with state:
            figures["now"] -= 1
        return "value"

    def ask():
        barrier.wait()
        region.get_or_create("k", create, should_cache_fn=lambda value: keep)

    threads = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figures["calls"], figures["most"]


def answers_after_expiry():
    """What three callers are given, one after another, the third while a fourth is at making a value."""
    region = make()
    region.set("k", "expired")
    region.invalidate(hard=False)
    inside, leave = threading.Event(), threading.Event()

    def slow():
        inside.set()
        leave.wait()
        return "new"

    def ask(create=lambda: "new"):
        return region.get_or_create("k", create, should_cache_fn=lambda value: False)

    answers = [ask(), ask()]
    fourth = threading.Thread(target=ask, args=(slow,))
    fourth.start()
    inside.wait()
    answers.append(ask())
    leave.set()
    fourth.join()
    return answers


print(f"dogpile.cache 1.5.0: {CALLERS} callers at a time; (how often the value is made, by how many at a time)")
print("expected: (1, 1) if it is stored, and if not; then, of three callers after the expiry, new, new, new")
seen = [calls_and_most(True), calls_and_most(False), answers_after_expiry()]
print("seen:", *seen)
if seen != [(1, 1), (CALLERS, 1), ["new", "new", "expired"]]:
    sys.exit("changed: all made the value in a row if it was not stored, and the third caller got the expired one")
PYTHON
