#!/usr/bin/env python3
"""Measures the Python package of evanesce beside the origin's design and other stores: see README.md."""
from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import report
from machine import processor, version
from stores import BY_NAME, OURS, STORES

HERE = Path(__file__).resolve().parent
SIZES = [100_000, 500_000, 1_000_000, 5_000_000, 10_000_000]
ROUNDS = {5_000_000: 3, 10_000_000: 3}  # elsewhere ROUNDS_SMALL
ROUNDS_SMALL = 5
SAMPLE = 200_000
# For the estimate before anything has been measured: microseconds a put and another operation, on one thread and
# on several; and those to prepare a key and to start a process.
ROUGH = {
    OURS: (0.7, 1.1, 1.2),
    "origin's design": (0.8, 1.8, 3.0),
    "dict alone": (0.3, 0.6, 1.0),
    "dict + Lock": (0.4, 0.8, 2.0),
    "cachetools TTLCache + Lock": (2.9, 3.2, 2.8),
    "cachebox VTTLCache": (0.6, 1.2, 1.2),
    "moka-py": (1.8, 2.2, 1.2),
    "theine": (4.0, 4.0, 2.0),
}
PREPARE_US, START_S = 0.5, 0.3
ENDED = {"over_s", "skipped", "failed"}  # what a result has that is not whole
BYTES_A_KEY = 700  # at most, of the keys, the values and the store: what a cell needs to start


@dataclass(frozen=True)
class Cell:
    store: str
    size: int
    threads: int
    round: int

    def rough_seconds(self, sample: int) -> float:
        put, other, threaded = ROUGH[self.store]
        m = min(sample, self.size // 2)
        work = self.size * put + 7 * m * other
        return START_S + (work * (threaded if self.threads > 1 else 1) + (self.size + 8 * m) * PREPARE_US) / 1e6

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"round {self.round + 1}: {self.size:,} keys, {threads}, {self.store}"


def plan(args: argparse.Namespace, stores: list[str]) -> list[Cell]:
    """Every size once before any twice, so that a run which ends early has all rows; who begins moves on."""
    cells = []
    for round in range(args.rounds or ROUNDS_SMALL):
        for size in args.sizes:
            if round >= (args.rounds or ROUNDS.get(size, ROUNDS_SMALL)):
                continue
            for threads in args.threads:
                turn = stores[round % len(stores) :] + stores[: round % len(stores)]
                cells += [Cell(s, size, threads, round) for s in turn if size <= (BY_NAME[s].most_keys or size)]
    return cells


class Results:
    """The cells measured so far, written after each one, so that a run which was stopped goes on."""

    def __init__(self, path: Path, settings: dict, again: bool) -> None:
        self.path = path
        self.data: dict[str, Any] = {"settings": settings, "cells": []}
        if not path.exists():
            return
        if again:
            path.replace(path.with_suffix(".old.json"))
            return
        try:
            old = json.loads(path.read_text())
            same = old["settings"] == settings
        except (ValueError, KeyError) as error:
            sys.exit(f"{path} is not a result of this script ({error}): give --again, or another --out")
        if not same:
            was, now = old["settings"], settings
            differ = "; ".join(f"{k}: {was.get(k)} then, {now.get(k)} now" for k in now if was.get(k) != now.get(k))
            sys.exit(f"{path} was measured otherwise ({differ}): give --again to measure anew, or another --out")
        self.data = old

    @property
    def cells(self) -> list[dict]:
        return self.data["cells"]

    def done(self) -> set:
        return {(c["store"], c["size"], c["threads"], c["round"]) for c in self.cells}

    def add(self, cell: dict) -> None:
        self.cells.append(cell)
        self.write()

    def write(self) -> None:
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text(json.dumps(self.data, indent=1) + "\n")
        scratch.replace(self.path)


def measure(cell: Cell, args: argparse.Namespace, limit: float) -> dict:
    """Runs one cell in a process of its own. What it had measured when it ended, or was ended, is kept."""
    # One hash seed a round, the same for every store.
    environment = {**os.environ, "PYTHONHASHSEED": str(args.seed * 1000 + cell.round), "PYTHONDONTWRITEBYTECODE": "1"}
    spec = json.dumps({**vars(cell), "seed": args.seed, "sample": args.sample})
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, str(HERE / "measure.py"), spec],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    result: dict[str, Any] = {**vars(cell), "ops": {}, "empty": {}}
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        result["over_s"] = round(limit)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    ended = False
    for line in out.splitlines():
        try:
            got = json.loads(line)
        except ValueError:
            continue  # cut off, or a package's own words
        op = got.pop("op")
        if op == "empty loop":
            result["empty"]["values" if got["values"] else "keys"] = got["ns"]
        elif op in ("skipped", "failed"):
            result[op] = got["why"]
        elif op == "end":
            ended = True
        else:
            result["ops"][op] = got
    if not ended and not ENDED & result.keys():
        last = err.strip().splitlines()[-1:] or ["nothing said"]
        result["failed"] = f"the process ended with {child.returncode}: {last[0]}"
    result["seconds"] = round(time.perf_counter() - started, 2)
    return result


def too_little_memory(cell: Cell) -> str | None:
    need = cell.size * BYTES_A_KEY
    try:
        with open("/proc/meminfo") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return f"{need / 2**30:.1f} GiB wanted, {free / 2**30:.1f} GiB free" if free < need else None


def run(cells: list[Cell], results: Results, args: argparse.Namespace) -> None:
    started, deadline = time.monotonic(), time.monotonic() + args.minutes * 60
    done = results.done()
    left = [cell for cell in cells if (cell.store, cell.size, cell.threads, cell.round) not in done]
    rough = {cell: cell.rough_seconds(args.sample) for cell in left}
    total = sum(rough.values())
    kept = f", {len(cells) - len(left)} are there already" if len(left) < len(cells) else ""
    print(f"{len(cells)} cells{kept}: about {report.minutes(total)} (limits: {args.minutes:g} minutes in all, "
          f"{args.row_seconds:g} s a row; seed {args.seed})", flush=True)  # fmt: skip
    # Rows that went past their limit, or failed, are not tried again.
    hopeless = {(c["store"], c["size"], c["threads"]) for c in results.cells if ENDED & c.keys()}
    spent = believed = covered = 0.0
    with progress(total) as show:
        for number, cell in enumerate(left, 1):
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                print(f"{args.minutes:g} minutes are over: the last {len(left) - number + 1} cells were not measured; "
                      "the same command goes on from here")  # fmt: skip
                return
            row = (cell.store, cell.size, cell.threads)
            why = too_little_memory(cell)
            if row in hopeless:
                said = "not tried again"
            elif why:
                result = {**vars(cell), "ops": {}, "empty": {}, "skipped": f"memory: {why}", "seconds": 0}
                results.add(result)
                hopeless.add(row)
                said = outcome(result)
            else:
                show.start(cell)
                limit = min(args.row_seconds, seconds)
                result = measure(cell, args, limit)
                if "over_s" in result and limit < args.row_seconds:
                    continue  # the whole run's end, not the row's: to be measured when the run goes on
                results.add(result)
                if ENDED & result.keys():
                    hopeless.add(row)
                said = outcome(result)
                spent += result["seconds"]
                believed += rough[cell]
            covered += rough[cell]
            rest = (total - covered) * (spent / believed if believed else 1)
            show.end(f"[{number}/{len(left)}] {cell}: {said}", covered, min(rest, deadline - time.monotonic()))
    print(f"measured in {report.minutes(time.monotonic() - started)}")


class Lines:
    """Progress without a terminal: a line a cell."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, cell: Cell) -> None:
        pass

    def end(self, said: str, _covered: float, rest: float) -> None:
        print(f"{said}; about {report.minutes(rest)} left", flush=True)


class Bar(Lines):
    def __init__(self, total: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            BarColumn(30), TextColumn("{task.percentage:3.0f}%"), TimeElapsedColumn(),
            TextColumn("{task.fields[rest]}"), TextColumn("{task.description}"),
        )  # fmt: skip
        self.task = self.progress.add_task("", total=total, rest="")

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def start(self, cell: Cell) -> None:
        self.progress.update(self.task, description=str(cell))

    def end(self, said: str, covered: float, rest: float) -> None:
        self.progress.console.print(said, highlight=False, markup=False)
        self.progress.update(self.task, completed=covered, rest=f"about {report.minutes(rest)} left;")


def progress(total: float) -> Lines:
    if sys.stdout.isatty():
        try:
            return Bar(total)
        except ImportError:
            print("SKIPPED: progress bar: pip install rich")
    return Lines()


def outcome(result: dict) -> str:
    if "skipped" in result:
        return f"SKIPPED: {result['skipped']}"
    if "failed" in result:
        return f"FAILED: {result['failed']}"
    if "over_s" in result:
        return f"over the row's limit of {result['over_s']} s, ended"
    return f"{result['seconds']:.1f} s"


def our_build() -> str:
    """Version and fingerprint of the installed package, so that no two builds share a table."""
    try:
        module = importlib.import_module("evanesce")
        module.KeyValueStore()
    except (ImportError, AttributeError) as error:
        sys.exit(f"evanesce cannot be imported ({error}). From the root of a clone:\n  pip install ./crates/python")
    digest = hashlib.sha256()
    for path in sorted(Path(str(module.__file__)).parent.glob("*")):
        if path.suffix in (".so", ".pyd", ".py"):
            digest.update(path.read_bytes())
    return f"{version('evanesce')}, build {digest.hexdigest()[:12]}"


def present(args: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """The stores to measure, and why others are not."""
    stores, skipped = [], {}
    for store in STORES:
        if args.only and store.name not in args.only:
            continue
        if store.package is not None:
            try:
                store.make(10)
            except Exception as error:
                skipped[store.name] = f"{type(error).__name__}: {error} (pip install {store.package})"
                print(f"SKIPPED: {store.name}: {skipped[store.name]}")
                continue
        stores.append(store.name)
    return stores, skipped


def counts(text: str) -> list[int]:
    units = {"k": 10**3, "m": 10**6}
    try:
        found = [int(float(t[:-1]) * units[t[-1]]) if t[-1] in units else int(t) for t in text.lower().split(",")]
    except (ValueError, IndexError):
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list like 100k,1M or 1,4")
    return sorted(set(found))


def store_names(text: str) -> set[str]:
    """Stores whose names begin as told; ours is always measured, since the ratios are to it."""
    names = {OURS}
    for part in text.split(","):
        found = {name for name in BY_NAME if name.lower().startswith(part.strip().lower()) and part.strip()}
        if not found:
            raise argparse.ArgumentTypeError(f"no store is called {part!r}: {', '.join(BY_NAME)}")
        names |= found
    return names


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog="A run that was stopped goes on with the same command.")
    parser.add_argument("--quick", action="store_true", help="100,000 keys and three rounds: two minutes at most")
    parser.add_argument("--sizes", type=counts, metavar="N,N", help="default: 100k,500k,1M,5M,10M")
    parser.add_argument("--threads", type=counts, metavar="N,N", default=[1, 4], help="default: 1,4")
    parser.add_argument("--only", type=store_names, metavar="NAME,NAME", help="these stores beside ours, e.g. cachebox,origin")
    parser.add_argument("--rounds", type=int, help="default: 5, and 3 from 5M keys on")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="operations a pass after the puts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--row-seconds", type=float, default=180, help="limit of one store at one size in one round (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=40, help="limit of the whole run (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--again", action="store_true", help="measure anew; the figures there are kept as results.old.json")
    parser.add_argument("--report", action="store_true", help="only make the table and charts from the figures there")
    args = parser.parse_args()
    if args.quick:
        args.sizes, args.rounds, args.minutes = args.sizes or [100_000], args.rounds or 3, min(args.minutes, 2)
        if args.out == HERE / "results":
            args.out = HERE / "results-quick"
    args.sizes = args.sizes or SIZES
    for name, least in (("rounds", 1), ("sample", 1), ("row_seconds", 1), ("minutes", 0.01), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name.replace('_', '-')} is {value}: at least {least}")
    return args


def main() -> int:
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.json"
    if args.report:
        if not path.exists():
            sys.exit(f"{path} is not there: run without --report first")
        return report.write(json.loads(path.read_text()), args.out)
    ours = our_build()
    stores, skipped = present(args)
    settings = {
        "evanesce": ours,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": processor(),
        "versions": {s.name: f"{s.package} {version(s.package)}" for s in STORES if s.package and s.name in stores},
        "skipped": skipped,
        "sizes": args.sizes, "threads": args.threads, "rounds": args.rounds, "sample": args.sample, "seed": args.seed,
        "only": sorted(args.only or []),
    }  # fmt: skip
    results = Results(path, settings, args.again)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves no process behind
    code = 0
    try:
        run(plan(args, stores), results, args)
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on from here; with --report it makes the table of what there is")
        code = 130
    if not results.cells:
        return code or 1
    return code or report.write(results.data, args.out)


if __name__ == "__main__":
    sys.exit(main())
