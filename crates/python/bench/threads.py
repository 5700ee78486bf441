"""Threads that use one store: python threads.py [--sizes 100k,1M] [--threads 1,2,4] [--only STORE,...] [--out FILE] [--quick]

For each store and size, what all threads together do in a second: lookups of keys that are there and of keys that are not,
overwrites, puts of fresh keys, and lookups beside a thread that overwrites all the time. It is meant for a Python
without the interpreter's lock, and runs with it as well. The result is a table in Markdown.

Each cell (store, size, round) is a process of its own, and the stores take turns. Keys are equal to the stored ones, not the
same objects, as those of a program that gets them from elsewhere. A figure is the median of the rounds.
"""

import argparse
import datetime
import gc
import json
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from machine import processor, version

SEED = 7


class Plain:
    """As a dict is used: `[]`, as `get` takes a lock of the dict's before 3.14, and `in` for what may be absent."""

    def __init__(self, store):
        self.store = store

    def get(self, keys):
        store = self.store
        for key in keys:
            store[key]

    def miss(self, keys):
        store = self.store
        for key in keys:
            key in store

    def put(self, keys, values):
        store = self.store
        for key, value in zip(keys, values):
            store[key] = value


class Locked(Plain):
    """The same under one lock."""

    def __init__(self, store):
        self.store, self.lock = store, threading.Lock()

    def get(self, keys):
        store, lock = self.store, self.lock
        for key in keys:
            with lock:
                store[key]

    def miss(self, keys):
        store, lock = self.store, self.lock
        for key in keys:
            with lock:
                key in store

    def put(self, keys, values):
        store, lock = self.store, self.lock
        for key, value in zip(keys, values):
            with lock:
                store[key] = value


def ours():
    from evanesce import TtlMap
    return Plain(TtlMap())


def ttl_cache():
    from cachetools import TTLCache
    return Locked(TTLCache(maxsize=1 << 60, ttl=3600))


def cachebox_cache():
    from cachebox import Cache
    return Plain(Cache(0))


def cachebox_ttl():
    from cachebox import VTTLCache
    return Plain(VTTLCache(0))


STORES = {
    "evanesce": ours,
    "dict": lambda: Plain({}),
    "dict and Lock": lambda: Locked({}),
    "cachetools TTLCache and Lock": ttl_cache,
    "cachebox Cache (no TTL)": cachebox_cache,
    "cachebox VTTLCache": cachebox_ttl,
}
OPERATIONS = ["get", "miss", "overwrite", "put", "get beside a writer", "the writer beside it"]


def keys_of(letter, numbers):
    return tuple(f"{letter}:key:{n:08d}" for n in numbers)


def seconds(jobs, beside=None):
    """How long the jobs take, one a thread, from the first start to the last end; and how long one more thread called
    `beside` meanwhile."""
    barrier, spans, is_over = threading.Barrier(len(jobs) + bool(beside)), [], threading.Event()
    beside_spans = []

    def run(job):
        barrier.wait()
        began = time.perf_counter()
        job()
        spans.append((began, time.perf_counter()))

    def go_on():
        barrier.wait()
        began = time.perf_counter()
        while not is_over.is_set():
            beside()
        beside_spans.append((began, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    other = [threading.Thread(target=go_on)] if beside else []
    for thread in threads + other:
        thread.start()
    for thread in threads:
        thread.join()
    is_over.set()
    for thread in other:
        thread.join()
    return tuple(max(end for _, end in s) - min(began for began, _ in s) if s else 0 for s in (spans, beside_spans))


def measure(name, size, calls, counts):
    """Millions of operations a second, by operation and count of threads."""
    draw = random.Random(SEED)
    gc.disable()
    store, figures = STORES[name](), {}
    store.put(keys_of("k", range(size)), range(10**6, 10**6 + size))

    def values(n):
        return [draw.randrange(10**6, 10**9) for _ in range(n)]

    for count in counts:
        picks = [draw.choices(range(size), k=calls) for _ in range(count)]
        here, absent = ([keys_of(letter, pick) for pick in picks] for letter in "km")
        news = [values(calls) for _ in picks]
        share = size // count
        fresh = [(keys_of("p", range(n * share, (n + 1) * share)), values(share)) for n in range(count)]
        empty = STORES[name]()
        bodies = {
            "get": (calls, [lambda keys=keys: store.get(keys) for keys in here]),
            "miss": (calls, [lambda keys=keys: store.miss(keys) for keys in absent]),
            "overwrite": (calls, [lambda keys=keys, new=new: store.put(keys, new) for keys, new in zip(here, news)]),
            "put": (share, [lambda keys=keys, new=new: empty.put(keys, new) for keys, new in fresh]),
        }
        for operation, (each, jobs) in bodies.items():
            figures[operation, count] = each * count / seconds(jobs)[0] / 1e6
        if count == min(counts):
            continue
        # All but one of the threads read.
        written, chunk = [0], 1000
        more = (keys_of("k", draw.choices(range(size), k=chunk)), values(chunk))

        def overwrite():
            store.put(*more)
            written[0] += chunk

        read_for, written_for = seconds([lambda keys=keys: store.get(keys) for keys in here[1:]], overwrite)
        figures["get beside a writer", count] = calls * (count - 1) / read_for / 1e6
        figures["the writer beside it", count] = written[0] / written_for / 1e6
    return [[operation, count, figure] for (operation, count), figure in figures.items()]


def number(text):
    factor = {"k": 1000, "M": 10**6}.get(text[-1], 1)
    return int(text[:-1] if factor > 1 else text) * factor


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1k,100k,1M", help="numbers of keys (1k,100k,1M)")
    parser.add_argument("--threads", default="1,2,4", help="counts of threads (1,2,4)")
    parser.add_argument("--calls", type=int, default=200_000, help="of each thread and operation (200,000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(STORES), help="stores: " + ", ".join(STORES))
    parser.add_argument("--out", type=Path, help="a file for the tables, which are printed as well")
    parser.add_argument("--quick", action="store_true", help="10k keys, 20,000 calls, one round: to see that it runs")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    counts = [int(count) for count in given.threads.split(",")]
    if given.cell:
        name, size = given.cell
        try:
            print(json.dumps(measure(name, int(size), given.calls, counts)))
        except ImportError as error:
            print(json.dumps(str(error)))
        return
    if given.quick:
        given.sizes, given.calls, given.rounds = "10k", 20_000, 1
    names, sizes = given.only.split(","), [number(size) for size in given.sizes.split(",")]
    for name in names:
        if name not in STORES:
            parser.error(f"there is no store {name!r}; there are {', '.join(STORES)}")
    met, missing = {}, {}
    for n in range(given.rounds):
        turn = names[n % len(names):] + names[:n % len(names)]
        for size in sizes:
            for name in turn:
                if name in missing:
                    continue
                command = [sys.executable, __file__, "--cell", name, str(size)]
                command += ["--calls", str(given.calls), "--threads", given.threads]
                told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                if isinstance(told, str):
                    missing[name] = told
                    print(f"SKIPPED: {name}: {told}")
                    continue
                for operation, count, figure in told:
                    met.setdefault((size, name, operation, count), []).append(figure)
    tables = "\n".join(report(met, [name for name in names if name not in missing], sizes, counts, given))
    print(f"\n{tables}")
    if given.out:
        given.out.write_text(tables)


def report(met, names, sizes, counts, given):
    """The lines of the tables, and of what they were made on."""
    lock = "with" if getattr(sys, "_is_gil_enabled", lambda: True)() else "without"
    packages = ", ".join(f"{package} {version(package)}" for package in ("evanesce", "cachetools", "cachebox"))
    yield "# Threads that use one store\n"
    yield f"{packages}; {platform.python_implementation()} {platform.python_version()} {lock} the interpreter's lock;"
    yield f"{processor()}; {datetime.date.today()}. Medians of {given.rounds} rounds, {given.calls:,} calls of each thread.\n"
    yield f"Millions of operations a second, all threads together, by {' / '.join(map(str, counts))} threads. Beside a writer all but one"
    yield "of the threads read. How it is measured: `threads.py` begins with it.\n"
    for size in sizes:
        yield f"| {size:,} keys | " + " | ".join(OPERATIONS) + " |\n|" + " --- |" * (len(OPERATIONS) + 1)
        for name in names:
            cells = []
            for operation in OPERATIONS:
                rounds = [met.get((size, name, operation, count)) for count in counts]
                cells.append(" / ".join(f"{statistics.median(found):.2f}" if found else "-" for found in rounds))
            yield f"| {name} | " + " | ".join(cells) + " |"
        yield ""


if __name__ == "__main__":
    main()
