"""TtlMap: the native map, with what collections.abc makes of a mapping."""

from collections.abc import ItemsView, Mapping, MutableMapping, ValuesView
from reprlib import recursive_repr

from . import _core


class _Items(ItemsView):
    __slots__ = ()

    def __iter__(self):
        return iter(self._mapping._items())


class _Values(ValuesView):
    __slots__ = ()

    def __iter__(self):
        return iter([value for _, value in self._mapping._items()])

    def __contains__(self, value):
        return any(v is value or v == value for v in self)


class TtlMap(_core.TtlMap, MutableMapping):
    """A mapping whose entries can expire; for many threads at once.

    It is made as a dict is, but that keywords are options: those of KeyValueStore. Iteration goes over what is
    there when it begins, and never raises RuntimeError. `len` counts entries that have expired and are not
    cleared away yet.

    >>> from evanesce import ManualClock, TtlMap
    >>> clock = ManualClock()
    >>> sessions = TtlMap({'ada': 1}, clock=clock, default_duration=60_000)
    >>> sessions.put('bob', 2, duration=5)
    >>> dict(sessions)
    {'ada': 1, 'bob': 2}
    >>> clock.advance(5)
    >>> 'bob' in sessions, sessions.ttl('ada')
    (False, 59995.0)
    """

    # Without `__slots__`, so that instances can have attributes, as those of other Python classes.

    def __init__(self, data=(), /, *, default_duration=None, clock=None, sweep_interval=100):
        # The options are the constructor's, in `_core`.
        if data != () or isinstance(data, Mapping):
            self.update(data)

    def items(self):
        """The keys and values, as a view."""
        return _Items(self)

    def values(self):
        """The values, as a view."""
        return _Values(self)

    def copy(self):
        """Returns a map with the same options and entries, each with the time it has left."""
        copy = type(self)(**self._options())
        copy._put_all(self)
        return copy

    __copy__ = copy

    @classmethod
    def fromkeys(cls, keys, value=None):
        """Returns a map of these keys, all with one value."""
        made = cls()
        for key in keys:
            made[key] = value
        return made

    def __or__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        result = self.copy()
        result.update(other)
        return result

    def __ror__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        result = type(self)(other, **self._options())
        result._put_all(self)
        return result

    def __ior__(self, other):
        self.update(other)
        return self

    @recursive_repr("TtlMap({...})")
    def __repr__(self):
        return f"{type(self).__name__}({dict(self._items())!r})"


TtlMap.__module__ = "evanesce"
