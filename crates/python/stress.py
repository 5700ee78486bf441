"""Threads that use one store at once, with checks: python stress.py [--calls N] [--threads N] [PART...]

Each part makes N calls a thread (20,000), with 8 threads. Where Python has no lock, what it looks for is a crash, a
wrong object, a lost value, or one that is never let go; with the lock it should pass all the more. It ends with 0 if all
is well.
"""

import argparse
import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
import warnings

from evanesce import KeyValueStore, TtlMap

KEYS = 16


class Value:
    """Says which key it belongs to, in two places: one that was let go too early says something else."""

    __slots__ = ("key", "parts", "__weakref__")

    def __init__(self, key, n):
        self.key, self.parts = key, [key, n, key]

    def check(self, key):
        assert type(self) is Value, f"a {type(self)} for {key}"
        assert self.key == key and self.parts[0] == key == self.parts[2], f"the value of {self.key} for {key}"


class Key:
    """Another object each time, compared by Python's code."""

    __slots__ = ("n",)

    def __init__(self, n):
        self.n = n

    def __hash__(self):
        return hash(self.n)

    def __eq__(self, other):
        return isinstance(other, Key) and self.n == other.n


def key_of(n):
    """A key, and what its values say."""
    number = n % KEYS
    kind = n % 3
    if kind == 0:
        return Key(number), ("compared", number)
    if kind == 1:
        return f"key{number}", ("text", number)
    return ("tuple", number), ("tuple", number)


def name_of(key):
    if isinstance(key, Key):
        return "compared", key.n
    return ("text", int(key[3:])) if isinstance(key, str) else ("tuple", key[1])


def in_threads(count, work):
    """Runs work(n) in so many threads; raises what one of them raised."""
    errors = []

    def run(n):
        try:
            work(n)
        except BaseException as error:  # noqa: B036
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def check_that_none_is_left():
    """The stores are gone. A collection leaves what another thread, which was pinned just then, may still have seen."""
    limit = time.monotonic() + 60
    while (left := sum(type(thing) is Value for thing in gc.get_objects())) and time.monotonic() < limit:
        gc.collect()
    assert left == 0, f"{left} values are never let go"


def displace(calls, threads, cls=TtlMap):
    """Half of the threads read, and the others put, remove, clear and let expire what they read."""
    store = cls(sweep_interval=1)
    take = store.pop

    def read(draw):
        key, name = key_of(draw(KEYS * 3))
        value = store.get(key, None)
        if value is not None:
            value.check(name)
        what = draw(400)
        if what == 0:
            for key, value in store.items():
                value.check(name_of(key))
        elif what == 1:
            for key, value in store.copy().items():
                value.check(name_of(key))
        elif what == 2:
            len(store), store.stats(), store.ttl(key) if key in store else None

    def read_or_gone(draw):
        try:
            read(draw)
        except KeyError:  # between `in` and `ttl`
            pass

    def write(draw, n):
        key, name = key_of(draw(KEYS * 3))
        what = draw(8)
        if what < 2:
            store.put(key, Value(name, n))
        elif what == 2:
            store.put(key, Value(name, n), draw(4) / 10)
        elif what == 3:
            value = take(key, None)
            if value is not None:
                value.check(name)
        elif what == 4:
            (store.setdefault if cls is TtlMap else store.put_if_absent)(key, Value(name, n)).check(name)
        elif what == 5:
            store.touch(key, draw(3))
        elif what == 6:
            try:
                held, value = store.popitem()
                value.check(name_of(held))
            except KeyError:
                pass
        elif draw(64) == 0:
            store.clear()
        elif draw(64) == 1:
            store.sweep()
        elif draw(64) == 2:
            gc.collect()

    def work(me):
        draw = random.Random(me).randrange
        for n in range(calls):
            if me % 2:
                read_or_gone(draw)
            else:
                write(draw, n)

    in_threads(threads, work)
    store.clear()
    assert len(store) == 0, store.stats()
    del store, take
    check_that_none_is_left()


def displace_from_a_store(calls, threads):
    """The same with a KeyValueStore."""
    displace(calls, threads, KeyValueStore)


def pass_on(calls, threads):
    """Tokens wander from key to key by pop and setdefault: none is lost, and none is there twice."""
    store, places = TtlMap(sweep_interval=1), 32
    for n in range(places):
        store[n] = Value(n, n)
    held = [[] for _ in range(threads)]

    def work(me):
        draw, mine = random.Random(me).randrange, held[me]
        for n in range(calls):
            place = draw(places)
            if mine and draw(2):
                token = mine.pop()
                while store.setdefault(place, token, 10**7 if n % 2 else None) is not token:
                    place = draw(places)
            elif (token := store.pop(place, None)) is not None:
                mine.append(token)

    in_threads(threads, work)
    tokens = sorted(token.key for token in [*store.values(), *(token for mine in held for token in mine)])
    assert tokens == list(range(places)), tokens


def see_one_entry(calls, threads):
    """Value and deadline come together: one that was put for ever is never met with the time of another."""
    store = TtlMap(sweep_interval=1)
    store["a"] = "for ever"

    def work(me):
        for n in range(calls):
            if me == 0:
                store.put("a", "for a time", 10**6)
                store.put("a", "for ever")
            elif me % 2:
                assert store["a"] in ("for ever", "for a time")
            else:
                for key, value, time_left in store._entries():
                    assert (time_left is None) == (value == "for ever"), (value, time_left)

    in_threads(threads, work)


def count(calls, threads):
    """No lookup is counted twice, or not at all; a timer never runs ahead."""
    started = time.monotonic()
    store = KeyValueStore(timer=time.monotonic)
    store.put("a", 1, 10**9)

    def work(me):
        for n in range(calls):
            store.get("a" if n % 2 else "b", None)

    in_threads(threads, work)
    figures = store.stats()
    assert (figures["hits"], figures["misses"]) == (threads * calls // 2, threads * (calls - calls // 2)), figures
    assert store.expires_at("a") <= time.monotonic() + 10**6
    passed = 10**6 - store.ttl("a") / 1000
    assert passed <= time.monotonic() - started, (passed, time.monotonic() - started)


def collect(calls, threads):
    """Stores in cycles, made and dropped while others collect; and what is reachable is never taken."""
    kept = TtlMap(sweep_interval=1)

    def work(me):
        for n in range(calls // 20):
            store = TtlMap()
            store["self"], store["value"] = [store], Value("own", n)
            store.put("self too", store, 10**6)
            kept[me] = store
            kept.put(("short", n % 7), [Value("short", n)], draw_time(n))
            kept[("kept", me)] = [Value(me, n)]
            kept[("kept", me)][0].check(me)
            assert kept[me]["self"][0] is kept[me]
            if n % 97 == me:
                gc.collect()

    def draw_time(n):
        return (n % 5 + 1) / 10

    in_threads(threads, work)
    kept.clear()
    del kept
    check_that_none_is_left()


def fork(calls, threads):
    """Forks beside threads that write: the child's store works, and so does the parent's."""
    if not hasattr(os, "fork"):
        return
    store, is_over = TtlMap(sweep_interval=1), threading.Event()
    warnings.simplefilter("ignore")

    def child():
        signal.alarm(300)  # ends a child that hangs
        for n in range(500):
            store.put(("child", n), [n], 1 if n % 2 else None)
            assert n % 2 or store["child", n] == [n]
        store.sweep(), len(store), store.copy().clear()
        TtlMap(sweep_interval=1).put("a", 1, 1)

    def work(me):
        n = 0
        while not is_over.is_set():
            n += 1
            store.put(f"key{n % 500}", [me, n], 5 if n % 3 else None)
            store.get(f"key{n * 7 % 500}"), store.pop(f"key{n * 3 % 500}", None)
            if n % 16 == 0:
                # Its end waits for the sweeper's thread.
                TtlMap(sweep_interval=1).put("a", [n], 5)

    def forks():
        for _ in range(max(1, calls // 400)):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    child()
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0, "the child failed"

    def either(me):
        if me:
            return work(me)
        try:
            forks()
        finally:
            is_over.set()

    in_threads(min(threads, 5), either)


PARTS = {part.__name__: part for part in
         [displace, displace_from_a_store, pass_on, see_one_entry, count, collect, fork]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000, help="of each thread")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, []], help=", ".join(PARTS))
    given = parser.parse_args()
    faulthandler.enable()
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, {'with' if has_lock else 'without'} the lock", flush=True)
    for name in given.parts or PARTS:
        began = time.monotonic()
        PARTS[name](given.calls, given.threads)
        took = time.monotonic() - began
        print(f"{name}: {given.calls} calls by each of {given.threads} threads, {took:.0f} s", flush=True)
    print(f"{len(given.parts or PARTS)} passed, 0 failed")


if __name__ == "__main__":
    main()
