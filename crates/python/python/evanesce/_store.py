"""KeyValueStore, the store of the origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Optional, TypeVar

from . import _core
from ._kin import UNSET, Kin

_K = TypeVar("_K")
_V = TypeVar("_V")

_ABSENT = object()


class KeyValueStore(_core.KeyValueStore[_K, _V], Kin[_K, _V]):
    """A store of keys and values in memory, whose entries can expire; for many threads at once.

    A key is what a dict takes. An entry stays until it is deleted, or for so many milliseconds as it was put with;
    then it is gone for every method. Threads never wait for each other but for the interpreter's own lock, where it has one.

    default_duration
        How long entries stay that are put without a duration: milliseconds, or a timedelta. None: until deleted.
    time_to_idle
        How long such an entry stays after a lookup has found it, or after the put; in place of a default_duration. An
        entry that is put with a duration keeps that. A lookup is get, [], in and get_or_put. One that comes within an
        eighth of the time after the one before changes nothing, so an entry stays for 7/8 of the time at least.
    maxsize
        How many entries there may be, or how much the sizes of their values may be together: an int. A put that takes
        the store past it ends others: those that have expired; that were not used since they came; that were not
        used for longest. With 0 it raises TooLargeError. None, or math.inf: any number.
    getsizeof
        A function that returns the size of a value, an int from 0 to 2**32 - 1; called once when it is put. A value
        larger than maxsize is refused with TooLargeError, which is a ValueError. One of size 0 never has to go. None:
        entries are counted.
    eviction_listener
        A function of key, value and cause that is told of the end of each entry: "expired"; "explicit" by a call that
        removes it; "replaced" by a put; "size" for the sake of maxsize. It is called behind the call that ended the entry,
        and of what has expired by whoever lets it go, the main thread between two of its steps; so it may use the
        store, but waits for nothing that the main thread may hold. What it raises goes to sys.unraisablehook. It is not
        told of what is there when the store goes.
    clock
        A ManualClock, for tests. None: the system's monotonic clock, which no one can set, exact to the nanosecond: what
        was put for 5 milliseconds is absent 5 milliseconds later.
    timer
        A function without arguments that returns the time in seconds, as time.monotonic does; called once in each call.
    sweep_interval
        How often, at most, the thread comes by that clears away what has expired in all stores: milliseconds, or a
        timedelta; 100 if it is not given. It sleeps while nothing is due. None: no thread; then puts and deletes clear a
        little, and sweep() all. With a ManualClock no thread is the default; with a timer there is none.

    >>> from evanesce import KeyValueStore
    >>> store = KeyValueStore()
    >>> store.put('foo', 'bar')
    'bar'
    >>> store.get('foo')
    'bar'
    >>> store.put('foo', 'bar', duration=5)
    'bar'
    >>> import time; time.sleep(.005)
    >>> store.get('foo')
    Traceback (most recent call last):
        ...
    KeyError: 'foo'
    """

    __module__ = "evanesce"
    __slots__ = ()

    def __init__(
        self,
        *,
        default_duration: Optional[_core._Duration] = None,
        time_to_idle: Optional[_core._Duration] = None,
        maxsize: Optional[float] = None,
        getsizeof: Optional[Callable[[_V], int]] = None,
        eviction_listener: Optional[Callable[[_K, _V, _core._RemovalCause], object]] = None,
        clock: Optional[_core.ManualClock] = None,
        timer: Optional[_core._Timer] = None,
        sweep_interval: Optional[_core._Duration] = UNSET,
    ) -> None:
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

    async def aget_or_put(
        self, key: _K, factory: Callable[[_K], Awaitable[_V]], duration: Optional[_core._Duration] = None
    ) -> _V:
        """Returns the value of key, after putting what `await factory(key)` returns if it is absent.

        Two tasks that miss at once may both await the factory; the value that is stored first stays, and both return
        that one. See acached for one flight for all. What the factory raises goes to the caller, and nothing is put.
        """
        found = self.get(key, _ABSENT)
        if found is not _ABSENT:
            return found  # type: ignore[return-value]
        return self.put_if_absent(key, await factory(key), duration)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} entries{self._shown_maxsize()}>"
