"""TtlMap: the native map, with what collections.abc makes of a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, ItemsView, Mapping, MutableMapping, ValuesView
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast

from . import _core

if TYPE_CHECKING:
    from typing import Optional

    from typing_extensions import Self

_K = TypeVar("_K")
_V = TypeVar("_V")


class _TtlItems(ItemsView[_K, _V]):
    __slots__ = ()
    _mapping: TtlMap[_K, _V]

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return iter(self._mapping._items())


class _TtlValues(ValuesView[_V]):
    __slots__ = ()
    _mapping: TtlMap[Any, _V]

    def __iter__(self) -> Iterator[_V]:
        return iter([value for _, value in self._mapping._items()])

    def __contains__(self, value: object) -> bool:
        return any(v is value or v == value for v in self)


class TtlMap(_core.TtlMap[_K, _V], MutableMapping[_K, _V]):
    """A mapping whose entries can expire; for many threads at once.

    It is made as a dict is, but that keywords are options: those of KeyValueStore. Iteration goes over what is
    there when it begins, and never raises RuntimeError. It has no order. `len` clears away what has expired.
    `dict(m)` looks each key up anew, and raises KeyError if one expires in between: use `dict(m.items())`.

    >>> from evanesce import ManualClock, TtlMap
    >>> clock = ManualClock()
    >>> sessions = TtlMap({'ada': 1}, clock=clock, default_duration=60_000)
    >>> sessions.put('bob', 2, duration=5)
    >>> sorted(sessions.items())
    [('ada', 1), ('bob', 2)]
    >>> clock.advance(5)
    >>> 'bob' in sessions, sessions.ttl('ada')
    (False, 59995.0)
    """

    __module__ = "evanesce"
    # Without `__slots__`, so that instances can have attributes, as those of other Python classes.

    def __init__(
        self,
        data: Union[Mapping[_K, _V], Iterable[tuple[_K, _V]]] = (),
        /,
        *,
        default_duration: Optional[_core._Duration] = None,
        clock: Optional[_core.ManualClock] = None,
        sweep_interval: Optional[_core._Duration] = 100,
    ) -> None:
        # The options are the constructor's, in `_core`.
        self.update(data)

    def update(self, other: Any = (), /, **entries: Any) -> None:
        """Puts the entries of another mapping, or of pairs, and of the keywords.

        Those of another TtlMap come with the time they have left, all others with the default duration.
        """
        if isinstance(other, _core.TtlMap):
            self._put_all(other)
            other = ()
        super().update(other, **entries)

    def items(self) -> ItemsView[_K, _V]:
        """The keys and values, as a view."""
        return _TtlItems(self)

    def values(self) -> ValuesView[_V]:
        """The values, as a view."""
        return _TtlValues(self)

    def copy(self) -> Self:
        """Returns a map with the same options, attributes and entries, each with the time it has left."""
        copy = self._like()
        copy._put_all(self)
        return copy

    __copy__ = copy

    @classmethod
    def fromkeys(cls, keys: Iterable[_K], value: Any = None) -> Self:
        """Returns a map of these keys, all with one value."""
        made = cls()
        for key in keys:
            made[key] = value
        return made

    def __or__(self, other: Mapping[_K, _V]) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        result = self.copy()
        result.update(other)
        return result

    def __ror__(self, other: Mapping[_K, _V]) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        result = self._like()
        result.update(other)
        result._put_all(self)
        return result

    def __ior__(self, other: Union[Mapping[_K, _V], Iterable[tuple[_K, _V]]]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return _shown(self)


_shown: Callable[[TtlMap[Any, Any]], str] = recursive_repr("TtlMap({...})")(
    lambda shown: f"{type(shown).__name__}({dict(shown._items())!r})"
)
