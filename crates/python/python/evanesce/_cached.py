"""cached and acached: what a function returned, for as long as it is good."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Optional, Protocol, TypeVar, Union, cast, overload

from . import _core
from ._mapping import TtlMap

if sys.version_info >= (3, 10):
    from typing import ParamSpec

    _P = ParamSpec("_P")
elif TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")
else:
    _P = TypeVar("_P")

_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_W = TypeVar("_W")

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    _Ttl: TypeAlias = Union[None, _core._Duration, Callable[[Any], Optional[_core._Duration]]]
    _Cache: TypeAlias = TtlMap[Any, Any]
    _KeyOf: TypeAlias = Optional[Callable[..., Hashable]]

_ABSENT: Any = object()

#: inspect.CO_COROUTINE
_IS_ASYNC = 0x80


class CacheInfo(NamedTuple):
    """The figures of a cache, as functools.lru_cache tells them."""

    hits: int
    misses: int
    maxsize: Optional[float]
    currsize: int


class Cached(Protocol[_P, _R_co]):
    """A function whose results are kept."""

    __wrapped__: Callable[..., Any]
    #: Where they are kept.
    cache: _Cache

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

    def __get__(self, instance: Any, owner: Any = None) -> Any: ...

    def cache_key(self, *args: _P.args, **kwargs: _P.kwargs) -> Hashable:
        """Returns the key under which the result for these arguments is kept."""

    def cache_info(self) -> CacheInfo:
        """Returns how often a result was there and was not, how much there may be, and how much there is."""

    def cache_clear(self) -> None:
        """Forgets all results, those as well that are being made."""

    def cache_parameters(self) -> dict[str, Any]:
        """Returns what the decorator was given, as functools.lru_cache does."""


class _Flight(Generic[_W]):
    """A call that others wait for, who came while it was on: with `landed`, of a thread or of a task."""

    def __init__(self, owner: Any, landed: _W) -> None:
        self.owner, self.landed = owner, landed
        self.result: Any = _ABSENT
        self.error: Optional[Exception] = None

    def outcome(self) -> Any:
        """The result, or _ABSENT if it ended without one that is for others: an exit, an interrupt, a cancellation."""
        if self.error is not None:
            raise self.error
        return self.result


class _Kept:
    """What a decorated function has beside it."""

    def __init__(
        self, cache: Optional[_Cache], maxsize: Optional[float], ttl: _Ttl, key: _KeyOf, typed: bool
    ) -> None:
        if cache is not None and maxsize is not None:
            raise TypeError("maxsize and cache are given, but a cache has its own maxsize")
        self.cache: _Cache = TtlMap(maxsize=maxsize) if cache is None else cache
        self.ttl, self.typed, self.key_of = ttl, typed, key
        #: Not held over a call of the function; of an __eq__ of a key, which may call it, it is.
        self.lock = threading.RLock()
        self.flights: dict[Any, _Flight[Any]] = {}
        #: Of which thread waits for which flight.
        self.waits: dict[int, _Flight[Any]] = {}
        if not callable(ttl) and ttl is not None:
            # That it is a duration, or the error.
            TtlMap[int, int](default_duration=ttl)
        self.counted_before = (0, 0)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.key_of is not None:
            return self.key_of(*args, **kwargs)
        return functools._make_key(args, kwargs, self.typed)

    def keep(self, key: Any, on: Any, flight: _Flight[Any], result: Any) -> None:
        """Keeps a result, unless the cache was cleared meanwhile."""
        duration = self.ttl(result) if callable(self.ttl) else self.ttl
        with self.lock:
            if self.flights.get(on) is flight:
                try:
                    self.cache.put(key, result, duration)
                except _core.TooLargeError:
                    pass  # as cachetools has it: the result is returned, and not kept

    def end(self, on: Any, flight: _Flight[Any]) -> None:
        with self.lock:
            if self.flights.get(on) is flight:
                del self.flights[on]

    def is_awaited_by_me(self, flight: _Flight[Any], me: int) -> bool:
        """Whether a flight cannot land before this thread goes on. Under the lock."""
        on: Optional[_Flight[Any]] = flight
        while on is not None:
            if on.owner == me:
                return True
            on = self.waits.get(on.owner)
        return False

    def info(self) -> CacheInfo:
        (hits, misses), (hits_before, misses_before) = self.cache._lookups(), self.counted_before
        return CacheInfo(hits - hits_before, misses - misses_before, self.cache.maxsize, self.cache.currsize)

    def clear(self) -> None:
        with self.lock:
            self.flights.clear()
            self.cache.clear()
            self.counted_before = self.cache._lookups()

    def parameters(self) -> dict[str, Any]:
        return {"maxsize": self.cache.maxsize, "typed": self.typed, "ttl": self.ttl}

    def dress(self, wrapper: Any, function: Callable[..., Any]) -> Any:
        functools.update_wrapper(wrapper, function)
        wrapper.cache = self.cache
        wrapper.cache_key = lambda *args, **kwargs: self.key(args, kwargs)
        wrapper.cache_info = self.info
        wrapper.cache_clear = self.clear
        wrapper.cache_parameters = self.parameters
        return wrapper


def _call_cached(kept: _Kept, function: Callable[..., Any]) -> Callable[..., Any]:
    get, key_of = kept.cache.get, kept.key

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = key_of(args, kwargs)
        result = get(key, _ABSENT)
        return result if result is not _ABSENT else _fly(kept, function, key, args, kwargs)

    return wrapper


def _fly(kept: _Kept, function: Callable[..., Any], key: Any, args: Any, kwargs: Any) -> Any:
    me = threading.get_ident()
    while True:
        with kept.lock:
            # It may have come meanwhile.
            result = kept.cache._peek(key, _ABSENT)
            if result is not _ABSENT:
                return result
            other = kept.flights.get(key)
            if other is None:
                flight = kept.flights[key] = _Flight(me, threading.Event())
                break
            waits = not kept.is_awaited_by_me(other, me)
            if waits:
                kept.waits[me] = other
        if not waits:
            # Within itself, or where each would wait for the other.
            return function(*args, **kwargs)
        try:
            other.landed.wait()
        finally:
            with kept.lock:
                kept.waits.pop(me, None)
        result = other.outcome()
        if result is not _ABSENT:
            return result
    try:
        result = function(*args, **kwargs)
        kept.keep(key, key, flight, result)
        flight.result = result
        return result
    except Exception as error:
        flight.error = error
        raise
    finally:
        kept.end(key, flight)
        flight.landed.set()


def _await_cached(kept: _Kept, function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    import asyncio  # not for those who do without

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = kept.key(args, kwargs)
        result = kept.cache.get(key, _ABSENT)
        if result is not _ABSENT:
            return result
        # A flight is for the tasks of one event loop.
        loop = asyncio.get_running_loop()
        task, on = asyncio.current_task(), (loop, key)
        while True:
            result = kept.cache._peek(key, _ABSENT)
            if result is not _ABSENT:
                return result
            with kept.lock:
                other = kept.flights.get(on)
                if other is None:
                    flight = kept.flights[on] = _Flight(task, loop.create_future())
                    break
                waits = not kept.is_awaited_by_me(other, cast("Any", task))
                if waits:
                    kept.waits[cast("Any", task)] = other
            if not waits:
                return await function(*args, **kwargs)
            try:
                await asyncio.shield(other.landed)
            finally:
                with kept.lock:
                    kept.waits.pop(cast("Any", task), None)
            result = other.outcome()
            if result is not _ABSENT:
                return result
        try:
            result = await function(*args, **kwargs)
            kept.keep(key, on, flight, result)
            flight.result = result
            return result
        except Exception as error:
            flight.error = error
            raise
        finally:
            kept.end(on, flight)
            if not flight.landed.done():
                flight.landed.set_result(None)

    return wrapper


@overload
def cached(function: Callable[_P, _R], /) -> Cached[_P, _R]: ...
@overload
def cached(
    function: None = None,
    /,
    *,
    ttl: _Ttl = None,
    maxsize: Optional[float] = None,
    key: _KeyOf = None,
    typed: bool = False,
    cache: Optional[_Cache] = None,
) -> Callable[[Callable[_P, _R]], Cached[_P, _R]]: ...
def cached(
    function: Any = None,
    /,
    *,
    ttl: _Ttl = None,
    maxsize: Optional[float] = None,
    key: _KeyOf = None,
    typed: bool = False,
    cache: Optional[_Cache] = None,
) -> Any:
    """Decorator: keeps what a function returns, by its arguments, as functools.lru_cache does, and for a time.

    Of threads that miss at once for the same arguments one calls the function; the others wait, and have its result, or
    its error, which is not kept. A call that would wait for itself, by way of other threads too, calls the function.

    ttl
        How long a result is good: milliseconds, a timedelta, or a function of the result that returns one of them.
        None is the default of the cache, and that is for ever, unless it was given; 0 is not to be kept.
    maxsize
        How many results are kept at most. None: any number, or as many as the cache takes.
    key
        A function of the arguments that returns the key. None: as functools.lru_cache makes them.
    typed
        Whether 1 and 1.0 are two keys. Not with a key function.
    cache
        The TtlMap to use, which may be for others as well; their lookups are counted too then.

    The result has what that of functools.lru_cache has: cache_info, cache_clear, cache_parameters and __wrapped__; and
    cache and cache_key.

    >>> from evanesce import cached
    >>> @cached(ttl=60_000)
    ... def square(n):
    ...     print('called')
    ...     return n * n
    >>> square(3), square(3)
    called
    (9, 9)
    >>> square.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=None, currsize=1)
    """
    def decorate(function: Callable[..., Any]) -> Any:
        # As inspect.iscoroutinefunction has it, of a function; importing inspect takes longer than all of this package.
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _IS_ASYNC:
            raise TypeError("cached is for what returns its result: acached is for an async function")
        kept = _Kept(cache, maxsize, ttl, key, typed)
        return kept.dress(_call_cached(kept, function), function)

    return decorate if function is None else decorate(function)


@overload
def acached(function: Callable[_P, Awaitable[_R]], /) -> Cached[_P, Awaitable[_R]]: ...
@overload
def acached(
    function: None = None,
    /,
    *,
    ttl: _Ttl = None,
    maxsize: Optional[float] = None,
    key: _KeyOf = None,
    typed: bool = False,
    cache: Optional[_Cache] = None,
) -> Callable[[Callable[_P, Awaitable[_R]]], Cached[_P, Awaitable[_R]]]: ...
def acached(
    function: Any = None,
    /,
    *,
    ttl: _Ttl = None,
    maxsize: Optional[float] = None,
    key: _KeyOf = None,
    typed: bool = False,
    cache: Optional[_Cache] = None,
) -> Any:
    """Decorator: as cached, for a function that is awaited.

    Of the tasks of an event loop that miss at once for the same arguments one calls the function. If it is cancelled
    another one does. A call that would wait for itself calls the function, unless it is by a task that it waits for.
    """
    def decorate(function: Callable[..., Any]) -> Any:
        kept = _Kept(cache, maxsize, ttl, key, typed)
        return kept.dress(_await_cached(kept, function), function)

    return decorate if function is None else decorate(function)
