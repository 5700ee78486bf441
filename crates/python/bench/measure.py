"""Measures one store at one size with one count of threads, in a process of its own: `python measure.py JSON`.

Prints a line of JSON as soon as each operation is done, so that what was measured before the time limit is kept.
"""
from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import sys
import threading
import time
from typing import Any, Callable, Iterator, Optional, Sequence

from stores import BY_NAME, MISSING, OPERATIONS, WITH_VALUES, loop

CHECKED = 200  # keys looked at after each operation
WARM = 1000  # entries of the store that warms the code up
VALUES = {"put": 10**6, "overwrite": 10**8, "put_duration": 2 * 10**8}  # first of each operation's values


def resident() -> int | None:
    """Bytes of this process in memory, or None where the system does not tell."""
    for name, field in (("smaps_rollup", "Rss:"), ("status", "VmRSS:")):
        try:
            with open(f"/proc/self/{name}") as lines:
                return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
        except (OSError, StopIteration):
            pass
    return None


def emit(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def settle() -> None:
    """Collects cycles, and hands free pages back to the system where the C library can."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass


Slices = list[tuple[Sequence[str], Optional[Sequence[int]]]]

# Keys are told apart by their first letter: stored from the start, absent, or put with a duration.
LETTERS = {"miss": "m", "miss_default": "n", "put_duration": "d", "get_duration": "d"}
REST = "ey:%08d"


def make_keys(letter: str, numbers: Sequence[int]) -> Iterator[str]:
    """New strings: equal to the stored ones and not identical, their hash never asked for."""
    form = letter + REST
    return (form % i for i in numbers)


class Cell:
    def __init__(self, store: str, size: int, threads: int, round: int, seed: int, sample: int) -> None:
        self.store, self.size, self.threads = BY_NAME[store], size, threads
        self.sample = min((size + 1) // 2, sample)
        self.seed = f"{seed}/{size}/{round}"
        self.lock = threading.Lock()
        self.loops = {
            op: loop(statement, self.store.setup, op in WITH_VALUES) for op, statement in self.store.statements.items()
        }

    def numbers(self, op: str) -> Sequence[int]:
        if op == "put":
            return range(self.size)
        if op == "put_duration":
            return range(self.sample)
        stored = self.sample if op == "get_duration" else self.size
        return random.Random(f"{self.seed}/{op}").sample(range(stored), self.sample)

    def run(self) -> None:
        ops = [op for op in OPERATIONS if op in self.loops]
        self.warm_up(ops)
        # Nothing but what is put is made before memory is read: what the harness gives back would be used again
        # by the store, and not be counted.
        work = {"put": self.arguments("put")}
        settle()
        before = resident()
        store = self.store.make(self.size)
        put = self.timed(self.loops["put"], store, work["put"])
        after = resident()
        if before is not None and after is not None:
            emit(op="bytes", bytes=(after - before) / self.size)

        work.update((op, self.arguments(op)) for op in ops if op != "put")
        # The youngest only, as happens all the time: it frees the tuples above from being looked at. A full one would
        # take what the store holds out of the collector's view, which shows as longer collections afterwards.
        gc.collect(0)
        for values in (False, True):
            ns, _ = self.timed(loop("pass", values=values), None, work["overwrite"])
            emit(op="empty loop", values=values, ns=ns)
        for op in ops:
            ns, cpu = put if op == "put" else self.timed(self.loops[op], store, work[op])
            expected = self.expected(op)
            wrong = sum(self.store.read(store, key) != value for key, value in expected)
            emit(op=op, ns=ns, cpu_ns=cpu, wrong=wrong, checked=len(expected))
        emit(op="end")

    def arguments(self, op: str) -> Slices:
        """The keys of an operation, and its values, cut into a slice a thread.

        They are tuples, which the collector of cycles does not look at, so that it has the store alone to do.
        """
        numbers = self.numbers(op)
        first = VALUES.get(op)
        bounds = [len(numbers) * i // self.threads for i in range(self.threads + 1)]
        return [
            (
                tuple(make_keys(LETTERS.get(op, "k"), numbers[a:b])),
                None if first is None else tuple(range(first + a, first + b)),
            )
            for a, b in zip(bounds, bounds[1:])
        ]

    def warm_up(self, ops: list[str]) -> None:
        """Runs each loop over a small store, so that imports, threads and specialised bytecode are there."""
        store, numbers = self.store.make(WARM), tuple(range(WARM))
        for op in ops:
            if op == "delete" and self.threads > 1:
                continue  # here, each thread is given the same keys
            keys = tuple(make_keys("m" if op.startswith("miss") else "w", numbers))
            self.timed(self.loops[op], store, [(keys, numbers)] * self.threads)

    def expected(self, op: str) -> list[tuple[str, Any]]:
        """Some of an operation's keys, with what a read of them has to give after it."""
        numbers = self.numbers(op)
        letter = LETTERS.get(op, "k")
        stored = {"get": "put", "get_duration": "put_duration"}.get(op, op)
        answers = []
        for at in random.Random(f"{self.seed}/check/{op}").sample(range(len(numbers)), min(CHECKED, len(numbers))):
            offset = numbers[at] if op.startswith("get") else at
            answers.append((f"{letter}{REST % numbers[at]}", VALUES[stored] + offset if stored in VALUES else MISSING))
        return answers

    def timed(self, body: Callable[..., None], store: Any, slices: Slices) -> tuple[float, float]:
        """Nanoseconds an operation: of the wall clock, and of processor time over all threads."""
        count = sum(len(keys) for keys, _ in slices)
        cpu = time.process_time()
        if self.threads == 1:
            start = time.perf_counter()
            body(store, self.lock, *slices[0])
            wall = time.perf_counter() - start
        else:
            wall = self.together(body, store, slices)
        return wall / count * 1e9, (time.process_time() - cpu) / count * 1e9

    def together(self, body: Callable[..., None], store: Any, slices: Slices) -> float:
        barrier = threading.Barrier(len(slices))
        spans: list[tuple[float, float]] = []
        errors: list[BaseException] = []

        def worker(keys: list[str], values: list[int] | None) -> None:
            try:
                barrier.wait()
                start = time.perf_counter()
                body(store, self.lock, keys, values)
                spans.append((start, time.perf_counter()))
            except BaseException as error:
                errors.append(error)
                barrier.abort()

        workers = [threading.Thread(target=worker, args=piece) for piece in slices]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
        if errors:
            raise errors[0]
        return max(end for _, end in spans) - min(start for start, _ in spans)


def main() -> None:
    try:
        Cell(**json.loads(sys.argv[1])).run()
    except ImportError as error:
        emit(op="skipped", why=str(error))
    except BaseException as error:
        emit(op="failed", why=f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    os._exit(0)  # without taking 10M entries apart one by one


if __name__ == "__main__":
    main()
