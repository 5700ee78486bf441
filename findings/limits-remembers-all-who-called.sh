#!/usr/bin/env bash
# Claim: the memory storage of limits (Python) keeps every client that was ever counted by a moving window, for good.
# When the window has passed, its list is emptied, and stays under its key until somebody clears or resets it. The two
# other strategies forget a client when its time is over.
#
# The guess that was wrong: the storage has a cleaner that runs after each hit and takes out what has expired, so what it
# holds goes with how many clients came in the last window.
#
# Why it matters: the keys are addresses or user names, so a server that runs for long grows by each new one. The
# cleaner goes through all of them, in a thread of its own, after nearly every hit. The docs set fixed window against moving
# window by what a key in use costs, which says nothing of those that are not in use.
#
# For our product: a counter is an entry with a deadline, and a sweep takes out the entry with its key (the example
# `limiter`).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check limits==5.8.0
"$dir/venv/bin/python" - <<'PYTHON'
import sys
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import STRATEGIES

CLIENTS = 500
PATIENCE = 6  # windows of a second; a sliding window needs two, and the cleaner some hundredths of a second


def left(strategy):
    """How many keys are there when all windows but one have passed."""
    storage = MemoryStorage()
    limiter = STRATEGIES[strategy](storage)
    limit = parse("5/second")
    for client in range(CLIENTS):
        assert limiter.hit(limit, str(client))
    for _ in range(PATIENCE):
        time.sleep(1)
        limiter.hit(limit, "one that keeps coming")  # each hit starts the cleaner
    time.sleep(0.5)
    return storage.reset()  # which says how many keys it has thrown out


seen = {strategy: left(strategy) for strategy in ("fixed-window", "sliding-window-counter", "moving-window")}
print(f"limits 5.8.0, memory: {CLIENTS} clients call once, and one keeps calling for {PATIENCE} windows more")
print("expected: two or three keys are left, those of the one that keeps calling")
for strategy, keys in seen.items():
    print(f"seen, {strategy}: {keys} keys")
*others, moving = seen.values()
if not (max(others) < 10 and moving >= CLIENTS):
    sys.exit("changed: the moving window no longer keeps all clients, or the others do as well")
PYTHON
