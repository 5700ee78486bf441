"""What the tests share."""

import gc

import pytest

from evanesce import KeyValueStore, ManualClock, TtlMap


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=[KeyValueStore, TtlMap], ids=lambda cls: cls.__name__)
def cls(request):
    """Each class: both are made of one store."""
    return request.param


@pytest.fixture
def store(clock):
    return KeyValueStore(clock=clock)


class Value:
    """Something to hold, that can be referred to weakly."""


class Hash:
    """A key whose hash is given, and which calls a function of its own when it is looked for and compared. (A store,
    as a dict, asks the key that it holds.)"""

    def __init__(self, hash_, equal):
        self.hash, self.equal = hash_, equal

    def __hash__(self):
        return self.hash

    def __eq__(self, other):
        return getattr(other, "equal", self.equal)(self, other)


@pytest.fixture
def no_collection():
    """Objects go by their counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
