"""Not run: what a type checker must accept, and what it must refuse."""

from datetime import timedelta
from typing import Optional, Union

from evanesce import KeyValueStore, ManualClock, TtlMap

store: KeyValueStore[str, int] = KeyValueStore(default_duration=timedelta(seconds=1))
number: int = store.get("a")
maybe: Optional[int] = store.get("a", None)
either: Union[int, str] = store.get("a", "b")
put: int = store.put("a", 1, duration=5)
store.put("a", "text")  # type: ignore[arg-type]
store.put("a", 1, duration="5")  # type: ignore[arg-type]
store.get(1)  # type: ignore[call-overload]
made: int = store.get_or_put("a", len, 1.5)
left: Optional[float] = store.ttl("a")
keys: list[str] = list(store)
clock: ManualClock = ManualClock(now=5)
copied: KeyValueStore[str, int] = store.copy()

mapping: TtlMap[str, int] = TtlMap({"a": 1}, clock=clock)
items: list[tuple[str, int]] = list(mapping.items())
got: Optional[int] = mapping.get("a")
popped: Union[int, None] = mapping.pop("a", None)
joined: TtlMap[str, int] = mapping | {"b": 2}
TtlMap({"a": 1}, colour=1)  # type: ignore[call-arg]
