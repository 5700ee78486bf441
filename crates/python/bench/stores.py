"""What is measured: each store in its fastest documented way, by the statement that is timed.

Ours and the origin's design are driven by the origin's three methods. A store that threads may not share
is guarded by a lock, which its name says; the lock stands in the loop, with no call around it.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

HOUR_S = 3600
HOUR_MS = HOUR_S * 1000

MISSING = object()

# Operations in the order in which one pass does them, each with what the tables say of it.
OPERATIONS = {
    "put": "put of fresh keys, from empty",
    "get": "get",
    "miss": "miss, by `KeyError`",
    "miss_default": "miss, by a default",
    "overwrite": "overwrite",
    "delete": "delete",
    "put_duration": "put of fresh keys with a duration",
    "get_duration": "get of an entry with a duration",
}
WITH_VALUES = {"put", "overwrite", "put_duration"}


@dataclass(frozen=True)
class Store:
    name: str
    package: str | None  # what pip installs; None: nothing to install
    make: Callable[[int], Any]  # from the most entries that it will hold
    statements: dict[str, str]
    setup: str = "pass"  # names that a user would hold as well, bound once a loop
    read: Callable[[Any, str], Any] = field(default=lambda c, k: c.get(k, MISSING))  # for the checks, not timed
    most_keys: int | None = None  # larger sizes take too long
    remark: str = ""


def _by_key_error(c: Any, k: str) -> Any:
    try:
        return c.get(k)
    except KeyError:
        return MISSING


def _by_flag(c: Any, k: str) -> Any:
    value, found = c.get(k)
    return value if found else MISSING


def _ours(_most: int) -> Any:
    from evanesce import KeyValueStore

    return KeyValueStore()


def _origin(_most: int) -> Any:
    from baseline import KeyValueStore

    return KeyValueStore()


def _cachetools(_most: int) -> Any:
    from cachetools import TTLCache

    return TTLCache(maxsize=1 << 60, ttl=HOUR_S)


def _cachebox(_most: int) -> Any:
    from cachebox import VTTLCache

    return VTTLCache(0)


def _moka(most: int) -> Any:
    from moka_py import Moka

    return Moka(2 * most)


def _theine(most: int) -> Any:
    from theine import Cache

    return Cache(2 * most)


_METHODS = "get, put, delete = c.get, c.put, c.delete"
_THREE = {
    "put": "put(k, v)",
    "get": "get(k)",
    "miss": "try:\n    get(k)\nexcept KeyError:\n    pass",
    "overwrite": "put(k, v)",
    "put_duration": f"put(k, v, {HOUR_MS})",
    "get_duration": "get(k)",
    "delete": "delete(k)",
}

OURS, ORIGIN, LIMIT, CACHEBOX = "evanesce", "origin's design", "dict alone", "cachebox VTTLCache"

STORES = [
    Store(OURS, None, _ours, {**_THREE, "miss_default": "get(k, None)"}, _METHODS, _by_key_error),
    Store(ORIGIN, None, _origin, _THREE, _METHODS, _by_key_error),
    Store(
        LIMIT,
        None,
        lambda _most: {},
        {
            "put": "c[k] = v",
            "get": "c[k]",
            "miss": "try:\n    c[k]\nexcept KeyError:\n    pass",
            "miss_default": "get(k)",
            "overwrite": "c[k] = v",
            "delete": "del c[k]",
        },
        "get = c.get",
        remark="no peer but the limit: no lock, no durations, no call",
    ),
    Store(
        "dict + Lock",
        None,
        lambda _most: {},
        {
            "put": "with lock:\n    c[k] = v",
            "get": "with lock:\n    c[k]",
            "miss": "try:\n    with lock:\n        c[k]\nexcept KeyError:\n    pass",
            "miss_default": "with lock:\n    get(k)",
            "overwrite": "with lock:\n    c[k] = v",
            "delete": "with lock:\n    del c[k]",
        },
        "get = c.get",
        remark="has no durations",
    ),
    Store(
        "cachetools TTLCache + Lock",
        "cachetools",
        _cachetools,
        {
            "put": "with lock:\n    c[k] = v",
            "get": "with lock:\n    c[k]",
            "miss": "try:\n    with lock:\n        c[k]\nexcept KeyError:\n    pass",
            "miss_default": "with lock:\n    get(k)",
            "overwrite": "with lock:\n    c[k] = v",
            "put_duration": "with lock:\n    c[k] = v",
            "get_duration": "with lock:\n    c[k]",
            "delete": "with lock:\n    del c[k]",
        },
        "get = c.get",
        remark="has one duration for all its entries, so that all have one",
    ),
    Store(
        CACHEBOX,
        "cachebox",
        _cachebox,
        {
            "put": "insert(k, v)",
            "get": "get(k)",
            "miss": "try:\n    c[k]\nexcept KeyError:\n    pass",
            "miss_default": "get(k)",
            "overwrite": "insert(k, v)",
            "put_duration": f"insert(k, v, {HOUR_S}.0)",
            "get_duration": "get(k)",
            "delete": "del c[k]",
        },
        "get, insert = c.get, c.insert",
        remark="cachebox's store with a duration an entry; `del` is faster than its `pop`",
    ),
    Store(
        "moka-py",
        "moka-py",
        _moka,
        {
            "put": "set(k, v)",
            "get": "get(k)",
            "miss_default": "get(k)",
            "overwrite": "set(k, v)",
            "put_duration": f"set(k, v, {HOUR_S})",
            "get_duration": "get(k)",
            "delete": "remove(k)",
        },
        "get, set, remove = c.get, c.set, c.remove",
        most_keys=1_000_000,
    ),
    Store(
        "theine",
        "theine",
        _theine,
        {
            "put": "set(k, v)",
            "get": "get(k)",
            "miss_default": "get(k)",
            "overwrite": "set(k, v)",
            "put_duration": "set(k, v, hour)",
            "get_duration": "get(k)",
            "delete": "delete(k)",
        },
        "import datetime; hour = datetime.timedelta(hours=1); get, set, delete = c.get, c.set, c.delete",
        _by_flag,
        most_keys=1_000_000,
    ),
]
BY_NAME = {store.name: store for store in STORES}


def loop(statement: str, setup: str = "pass", values: bool = False) -> Callable[..., None]:
    """Compiles `statement` as the body of a loop over keys, or over keys and values, with nothing around it."""
    source = ["def loop(c, lock, keys, values):", f"    {setup}"]
    source.append("    for k, v in zip(keys, values):" if values else "    for k in keys:")
    source += [f"        {line}" for line in statement.splitlines()]
    names: dict[str, Any] = {}
    exec("\n".join(source), names)
    return names["loop"]
