"""What KeyValueStore and TtlMap have in common that is not native: views, update, copies, pickles."""

from __future__ import annotations

import copyreg
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, TypeVar, cast

from . import _core

_K = TypeVar("_K")
_V = TypeVar("_V")

if TYPE_CHECKING:
    from typing_extensions import Self


class _Unset(int):
    """Stands for an option that is not given, and is shown as what it is then."""

    __slots__ = ()


#: sweep_interval, where it is not given.
UNSET = _Unset(100)

#: Iteration begins with so many entries; the others are asked for when it comes to them.
_FIRST = 1024


def _parts(store: _core.Store[Any, Any], with_values: bool, first: list[Any]) -> Iterator[list[Any]]:
    yield first
    yield store._others(with_values, first)


def _walk(store: _core.Store[Any, Any], with_values: bool) -> Iterator[Any]:
    first = store._first(with_values, _FIRST)
    if len(first) < _FIRST:
        return iter(first)
    return chain.from_iterable(_parts(store, with_values, first))


class _Shown:
    """A view's repr, as a dict's."""

    __slots__ = ()

    def __repr__(self) -> str:
        view = cast("Any", self)
        name = type(self).__name__.lower()
        return f"{type(view._mapping).__name__}_{name}({list(view)!r})"


class Keys(_Shown, KeysView[_K]):
    """The keys of a store."""

    __slots__ = ()


class Items(_Shown, ItemsView[_K, _V]):
    """The keys and values of a store."""

    __slots__ = ()
    _mapping: Kin[_K, _V]

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return _walk(self._mapping, True)


class Values(_Shown, ValuesView[_V]):
    """The values of a store."""

    __slots__ = ()
    _mapping: Kin[Any, _V]

    def __iter__(self) -> Iterator[_V]:
        return map(itemgetter(1), _walk(self._mapping, True))

    def __contains__(self, value: object) -> bool:
        return any(v is value or v == value for v in self)


class _Own(NamedTuple):
    """Stands for a method of the store itself among its options, so that a copy has its own."""

    method: Any


def _made(cls: type[Any], options: dict[str, Any]) -> Any:
    """An object of a class with these options, without its own __new__ and __init__, which may want arguments."""
    base = _core.TtlMap if issubclass(cls, _core.TtlMap) else _core.KeyValueStore
    own = {name: option for name, option in options.items() if isinstance(option, _Own)}
    made = base.__new__(cls, **{name: option for name, option in options.items() if name not in own})
    if own:
        made._set_options(**{name: option.method.__get__(made) for name, option in own.items()})
    return made


class Kin(_core.Store[_K, _V]):
    """A base of KeyValueStore and TtlMap, beside their native ones."""

    __slots__ = ()

    def _configure(self, sweep_interval: Optional[_core._Duration], **options: Any) -> None:
        """Takes options that __init__ was given: __new__ has them as well, unless a subclass passes others on."""
        if type(self).getsizeof is not _core.Store.getsizeof and options["maxsize"] is not None:
            options["getsizeof"] = options["getsizeof"] or self.getsizeof
        given = {name: option for name, option in options.items() if option is not None}
        if sweep_interval is not UNSET:
            given["sweep_interval"] = sweep_interval
        if given:
            self._set_options(**given)

    def _shown_maxsize(self) -> str:
        return "" if self.maxsize is None else f", maxsize={self.maxsize}"

    def __iter__(self) -> Iterator[_K]:
        """Iterates over the keys."""
        return _walk(self, False)

    def keys(self) -> KeysView[_K]:
        """The keys, as a view."""
        return Keys(cast("Any", self))

    def items(self) -> ItemsView[_K, _V]:
        """The keys and values, as a view."""
        return Items(cast("Any", self))

    def values(self) -> ValuesView[_V]:
        """The values, as a view."""
        return Values(cast("Any", self))

    def update(self, other: Any = (), /, **entries: Any) -> None:
        """Puts the entries of a mapping, or of pairs, and of the keywords.

        Those of another TtlMap or KeyValueStore come with the time they have left; what stays there for ever stays
        here for the default duration, unless that one has a default of its own. All others are put with the default.
        """
        if isinstance(other, _core.Store):
            self._put_all(other, other._options()["default_duration"] is None)
        elif isinstance(other, Mapping) or hasattr(other, "keys"):
            for key in other.keys():
                self[key] = other[key]
        else:
            for key, value in other:
                self[key] = value
        for name, value in entries.items():
            cast("Any", self)[name] = value

    def _options_for_another(self) -> dict[str, Any]:
        return {
            name: _Own(option.__func__) if getattr(option, "__self__", None) is self and hasattr(option, "__func__")
            else option
            for name, option in self._options().items()
        }

    def _like(self) -> Self:
        """One of the same class with the same options and attributes, and no entries."""
        made = cast("Self", _made(type(self), self._options_for_another()))
        made._set_attributes(*self._attributes())
        return made

    def copy(self) -> Self:
        """Returns one of the same class with the same options, attributes and entries, each with the time it has left."""
        copy = self._like()
        copy._expect_entries_of(self)
        copy._put_all(self, False)
        return copy

    __copy__ = copy

    def _attributes(self) -> tuple[Optional[dict[str, Any]], Optional[dict[str, Any]]]:
        """Those of a subclass: in its __dict__, and in its slots."""
        slots = {}
        for name in getattr(copyreg, "_slotnames")(type(self)):
            try:
                slots[name] = getattr(self, name)
            except AttributeError:
                pass
        return getattr(self, "__dict__", None), slots or None

    def _set_attributes(self, attributes: Optional[dict[str, Any]], slots: Optional[dict[str, Any]]) -> None:
        if attributes:
            self.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            setattr(self, name, value)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self._entries(), *self._attributes())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        entries, attributes, slots = state
        self._set_attributes(attributes, slots)
        self._put_entries(entries)

    def __reduce__(self) -> tuple[Any, ...]:
        cls, state = type(self), self.__getstate__()
        # Those of a subclass, for its own __new__.
        if hasattr(self, "__getnewargs_ex__"):
            return getattr(copyreg, "__newobj_ex__"), (cls, *self.__getnewargs_ex__()), state
        if hasattr(self, "__getnewargs__"):
            return getattr(copyreg, "__newobj__"), (cls, *self.__getnewargs__()), state
        return _made, (cls, self._options_for_another()), state
