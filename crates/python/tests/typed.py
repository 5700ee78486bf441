"""Not run: what a type checker must accept, and what it must refuse."""

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Optional, Union

from evanesce import KeyValueStore, ManualClock, TooLargeError, TtlMap, acached, cached

store: KeyValueStore[str, int] = KeyValueStore(default_duration=timedelta(seconds=1))
number: int = store.get("a")
maybe: Optional[int] = store.get("a", None)
either: Union[int, str] = store.get("a", "b")
put: int = store.put("a", 1, duration=5)
store.put("a", "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
store.put("a", 1, duration="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
store.get(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
made: int = store.get_or_put("a", len, 1.5)
left: Optional[float] = store.ttl("a")
until: Optional[float] = store.expires_at("a")
stays: bool = store.persist("a")
keys: list[str] = list(store)
pairs: list[tuple[str, int]] = list(store.items())
removed: Union[int, None] = store.pop("a", None)
clock: ManualClock = ManualClock(now=5)
copied: KeyValueStore[str, int] = store.copy()
for duration in (math.inf, Decimal(1), timedelta(1)):
    store.put("a", 1, duration)
store.put("a", 1, Fraction(1, 2))

mapping: TtlMap[str, int] = TtlMap({"a": 1}, clock=clock)
items: list[tuple[str, int]] = list(mapping.items())
got: Optional[int] = mapping.get("a")
popped: Union[int, None] = mapping.pop("a", None)
joined: TtlMap[str, int] = mapping | {"b": 2}
TtlMap({"a": 1}, colour=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
from_keys: TtlMap[str, int] = TtlMap.fromkeys(["a"], 1)
from_nothing: TtlMap[str, Optional[Any]] = TtlMap.fromkeys(["a"])
TtlMap.fromkeys(["a"], 1)[1]  # type: ignore[index]  # pyright: ignore[reportArgumentType]


def on_end(key: str, value: int, cause: str) -> None:
    pass


def on_end_of_others(key: int, value: int, cause: str) -> None:
    pass


bounded: TtlMap[str, int] = TtlMap(
    {"a": 1}, maxsize=10, getsizeof=lambda value: value, time_to_idle=5, eviction_listener=on_end
)
most: Optional[float] = bounded.maxsize
used: int = bounded.currsize
bounded.maxsize = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
KeyValueStore[str, int](maxsize="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
KeyValueStore[str, int](eviction_listener=on_end_of_others)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
too_large: type[ValueError] = TooLargeError


class Named(KeyValueStore[str, int]):
    def __init__(self, name: str) -> None:
        super().__init__(default_duration=100)
        self.name = name


class NamedMap(TtlMap[str, int]):
    def __init__(self, name: str) -> None:
        super().__init__({"a": 1}, timer=lambda: 1.0)
        self.name = name


named: Named = Named("web").copy()
named_map: NamedMap = NamedMap("web").copy()
Named()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Named(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def use() -> int:
    async def make(key: str) -> int:
        return len(key)

    return await store.aget_or_put("a", make, duration=5)


@cached
def add(a: int, b: int = 0) -> int:
    return a + b


def by_number(n: int) -> str:
    return str(n)


@acached(ttl=lambda result: 5, maxsize=10, key=by_number)
async def later(n: int) -> str:
    return str(n)


total: int = add(1, b=2)
add("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
hits: int = add.cache_info().hits
add.cache_clear()


async def waits() -> str:
    return await later(1)
