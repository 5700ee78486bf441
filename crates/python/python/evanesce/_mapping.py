"""TtlMap: the native map, with what collections.abc makes of a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, overload

from . import _core
from ._kin import UNSET, Kin

if TYPE_CHECKING:
    from typing_extensions import Never, Self

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_S = TypeVar("_S")

_ABSENT: Any = object()


class TtlMap(_core.TtlMap[_K, _V], Kin[_K, _V], MutableMapping[_K, _V]):
    """A mapping whose entries can expire; for many threads at once.

    It is made as a dict is, but that keywords are options: those of KeyValueStore. Time is told by the same clock: the
    system's monotonic one, exact to the nanosecond. Iteration never raises RuntimeError. It has no order. A subclass
    may have a __missing__, as one of dict. `len` clears away what has expired. `dict(m)` looks each key up anew, and
    raises KeyError if one expires in between: use `dict(m.items())`.

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
        time_to_idle: Optional[_core._Duration] = None,
        maxsize: Optional[float] = None,
        getsizeof: Optional[Callable[[_V], int]] = None,
        eviction_listener: Optional[Callable[[_K, _V, _core._RemovalCause], object]] = None,
        clock: Optional[_core.ManualClock] = None,
        timer: Optional[_core._Timer] = None,
        sweep_interval: Optional[_core._Duration] = UNSET,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise TypeError(
                f"{type(self).__name__}() has no option {name!r}; entries are given as in TtlMap({{{name!r}: ...}})"
            )
        self._configure(
            sweep_interval,
            default_duration=default_duration,
            time_to_idle=time_to_idle,
            maxsize=maxsize,
            getsizeof=getsizeof,
            eviction_listener=eviction_listener,
            clock=clock,
            timer=timer,
        )
        self.update(data)

    def __init_subclass__(cls, **options: Any) -> None:
        """A subclass with a __missing__, as one of dict may have, pays for it, and others do not."""
        super().__init_subclass__(**options)
        if "__missing__" in cls.__dict__ and "__getitem__" not in cls.__dict__:
            setattr(cls, "__getitem__", _get_or_miss)

    @overload
    @classmethod
    def fromkeys(cls, keys: Iterable[_T], value: None = None) -> TtlMap[_T, Optional[Any]]: ...
    @overload
    @classmethod
    def fromkeys(cls, keys: Iterable[_T], value: _S) -> TtlMap[_T, _S]: ...
    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None) -> TtlMap[Any, Any]:
        """Returns a map of these keys, all with one value."""
        made: TtlMap[Any, Any] = cls()
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
        result._put_all(self, False)
        return result

    def __ior__(self, other: Union[Mapping[_K, _V], Iterable[tuple[_K, _V]]]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return _shown(self)


def _get_or_miss(self: Any, key: Any) -> Any:
    """m[key] of a class with a __missing__, which returns the value of a key that is absent."""
    value = _core.TtlMap.get(self, key, _ABSENT)
    return value if value is not _ABSENT else self.__missing__(key)


_shown: Callable[[TtlMap[Any, Any]], str] = recursive_repr("TtlMap({...})")(
    lambda shown: f"{type(shown).__name__}({dict(shown.items())!r}{shown._shown_maxsize()})"
)
