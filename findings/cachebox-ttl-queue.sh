#!/usr/bin/env bash
# Claim: in cachebox's `TTLCache` a key that is overwritten gets a new deadline and keeps its old place in the queue.
# The queue is no longer in the order of deadlines then, and both who rely on it go wrong:
# - `expire()`, "removes all expired", stops at the first entry that lives, and expired ones behind it stay;
# - an overwrite by a larger value that needs room evicts the oldest entry, which may be the one just written: the
#   call returns without an error, the new value is within the limit, and the key is gone.
#
# The guess that was wrong: overwriting a key moves it to the end, as in cachetools' TTLCache, so that one queue
# serves for both eviction and expiry; and what `insert` accepts can be read back.
#
# Why it matters: one key that is refreshed in time keeps the memory of all entries put in after it, whatever their
# age. And a read after one's own write finds nothing.
#
# For our product: deadlines do not depend on an order of insertion here, and nothing is evicted. A test may hold it:
# one entry renewed again and again at the front, many that expire behind it, one sweep, and only the one is left.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cachebox==6.2.10 cachetools==8.0.2
"$dir/venv/bin/python" - <<'PYTHON'
import sys
import time

import cachebox
import cachetools

TTL = 1.0


def after_expire(renewed):
    """What is in the cache after expire(): three entries, the first or a fresh one written late, the rest expired."""
    for attempt in range(20):
        cache = cachebox.TTLCache(100, TTL)
        for key in ("first", "second", "third"):
            cache[key] = 0
        time.sleep(TTL * 0.6)
        cache[renewed] = 1
        time.sleep(TTL * 0.6)  # now the others have expired, and that one has not, unless this was much longer
        cache.expire()
        count = len(cache)
        live = [key for key in ("first", "second", "third", "fresh") if key in cache]
        if live == [renewed]:
            return count
    sys.exit("the machine is too busy: the renewed entry expired each time")


print("cachebox 6.2.10 TTLCache: one entry written late is live, all others have expired, then expire()")
fresh, overwritten = after_expire("fresh"), after_expire("first")
print("expected: len 1 both times, since the docs say that expire() removes all that have expired")
print(f"seen, a fresh key written late: len {fresh}")
print(f"seen, the first key overwritten late: len {overwritten}")

caches = {
    "cachebox": cachebox.TTLCache(10, 1000, getsizeof=lambda key, value: value),
    "cachetools": cachetools.TTLCache(10, 1000, getsizeof=lambda value: value),
}
print("room for 10: a is 5, b is 4, then a is made 9; expected: a is 9, b is evicted")
left = {}
for name, cache in caches.items():
    cache["a"] = 5
    cache["b"] = 4
    cache["a"] = 9
    left[name] = dict(cache.items())
    print(f"seen, {name}: {left[name]}")

if (fresh, overwritten) != (1, 3):
    sys.exit("changed: expire() left two expired entries behind an overwritten one, and none behind a fresh one")
if left != {"cachebox": {"b": 4}, "cachetools": {"a": 9}}:
    sys.exit("changed: cachebox evicted the entry just written, cachetools the other")
PYTHON
