#!/usr/bin/env bash
# Claim: cachebox (Python) counts its times to live on the wall clock. If that is set back by an hour, an entry of a
# minute is served for an hour more; if it is set forward, all entries are gone at once. cachetools and theine count on
# the monotonic clock, and see nothing of it.
#
# The guess that was wrong: a cache within one process measures spans, for which there is the monotonic clock; the
# best-known one in Python does so, and so do its peers.
#
# Why it matters: machines set their clocks: at the first contact with a time server, after a snapshot is restored,
# after a leap. A revoked token that "lives for a minute" then outlives it by the size of the step, and a step forward
# sends all requests of a fleet to the origin at once.
#
# For our product: the Python store counts on the monotonic clock, and its README says so; it should name this as what
# changes for those who come from cachebox.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
command -v cc > /dev/null || { echo "needs a C compiler"; exit 1; }
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cachebox==6.2.10 cachetools==8.0.2 theine==2.0.0

# What sets the wall clock, for this one process: it adds the seconds that the process has written to a variable.
cat > "$dir/clock.c" <<'C'
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

long wall_clock_step = 0;

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        now->tv_sec += wall_clock_step;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    now->tv_sec = spec.tv_sec;
    now->tv_usec = spec.tv_nsec / 1000;
    return 0;
}
C
cc -shared -fPIC -o "$dir/clock.so" "$dir/clock.c"
LD_PRELOAD="$dir/clock.so" "$dir/venv/bin/python" - "$dir/clock.so" <<'PYTHON'
import ctypes
import sys
import time
from datetime import timedelta

import cachebox
import cachetools
import theine

step = ctypes.c_long.in_dll(ctypes.CDLL(sys.argv[1]), "wall_clock_step")
start = time.time()
step.value = 3600
if time.time() - start < 3000:
    sys.exit("this Python does not read the wall clock by a call that can be replaced")
step.value = 0


class Theine:
    def __init__(self):
        self.cache = theine.Cache(100)

    def __setitem__(self, key, value):
        self.cache.set(key, value, timedelta(seconds=60))

    def get(self, key):
        return self.cache.get(key)[0]


def steps(cache):
    """Whether an entry of a minute is there after a step forward by an hour; whether one of a second is, two seconds
    later, after a step back."""
    step.value = 0
    cache[1]["k"] = 1
    step.value = 3600
    forward = cache[1].get("k") == 1
    step.value = 0
    if cache[0] is None:
        return forward, None
    cache[0]["k"] = 1
    step.value = -3600
    time.sleep(2)
    back = cache[0].get("k") == 1
    step.value = 0
    return forward, back


seen = {
    "cachetools 8.0.2 TTLCache": steps((cachetools.TTLCache(9, 1), cachetools.TTLCache(9, 60))),
    "theine 2.0.0 Cache": steps((None, Theine())),
    "cachebox 6.2.10 TTLCache": steps((cachebox.TTLCache(9, 1), cachebox.TTLCache(9, 60))),
}
print("the wall clock is set forward by an hour: is an entry of a minute still there; set back: is one of a second")
print("there two seconds later; expected: (True, False)")
for name, found in seen.items():
    print(f"seen, {name}: {found}")
sys.stdout.flush()
if list(seen.values()) != [(True, False), (True, None), (False, True)]:
    sys.exit("changed: a step of the wall clock is seen by cachebox alone")
PYTHON
