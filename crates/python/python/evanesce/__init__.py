"""Key-value stores in memory whose entries can expire, for many threads.

KeyValueStore has `get`, `put` and `delete`, and raises KeyError for what is not there. TtlMap is the same as a
mapping, with what a dict has but for an order. The decorators cached and acached keep what a function returns.
ManualClock is a clock for tests. TooLargeError is what a put raises of a value that is larger than a store may be.

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
>>> store.put('foo', 'bar')
'bar'
>>> store.delete('foo')
>>> store.delete('foo')
Traceback (most recent call last):
    ...
KeyError: 'foo'
"""

from ._cached import CacheInfo, acached, cached
from ._core import ManualClock, TooLargeError, __version__
from ._mapping import TtlMap
from ._store import KeyValueStore

__all__ = ["CacheInfo", "KeyValueStore", "ManualClock", "TooLargeError", "TtlMap", "__version__", "acached", "cached"]
