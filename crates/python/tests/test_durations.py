"""What is a duration, and what is none."""

import math
import sys
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from evanesce import KeyValueStore


@pytest.mark.parametrize("duration, left", [
    (None, None),
    (1, 1.0),
    (1.5, 1.5),
    (0.000001, 0.000001),
    (1e-30, 0.000001),  # a fraction of a nanosecond is one
    (timedelta(days=2, milliseconds=1), 172_800_001.0),
    (timedelta(microseconds=1), 0.001),
    (2**40, float(2**40)),
    (2**63, None),
    (2**64, None),
    (10**400, None),
    (1e300, None),
    (sys.float_info.max, None),
    (timedelta.max, None),
    (math.inf, None),
    (Decimal("1.5"), 1.5),
    (Decimal("Infinity"), None),
    (Fraction(3, 2), 1.5),
])
def test_durations(store, duration, left):
    store.put("a", 1, duration)
    assert store.ttl("a") == left
    store.put("b", 1)
    assert store.touch("b", duration) and store.ttl("b") == left


@pytest.mark.parametrize("duration", [0, 0.0, -0.0, timedelta()])
def test_zero_is_absent_at_once(store, duration):
    store.put("a", 1, duration)
    assert "a" not in store


@pytest.mark.parametrize("duration", [True, False, "5", b"5", [], 1j, object()])
def test_other_types_raise_type_error(store, duration):
    store.put("a", 1)
    message = f"duration must be a number of milliseconds or a timedelta, not {type(duration).__name__}"
    for use in [store.put, store.put_if_absent]:
        with pytest.raises(TypeError, match=message):
            use("a", 2, duration)
    with pytest.raises(TypeError, match=message):
        store.touch("a", duration)
    with pytest.raises(TypeError, match=message):
        store.get_or_put("b", str, duration)
    assert store["a"] == 1 and store.ttl("a") is None and "b" not in store


@pytest.mark.parametrize("duration", [
    -1, -(10**400), -0.5, float("nan"), float("-inf"), Decimal("NaN"), Decimal(-1), Fraction(-1, 2), timedelta(microseconds=-1), timedelta.min,
])
def test_out_of_range_raises_value_error(store, duration):
    store.put("a", 1)
    with pytest.raises(ValueError, match="but must be zero or more milliseconds"):
        store.put("a", 2, duration)
    with pytest.raises(ValueError, match="duration is "):
        store.touch("a", duration)
    assert store["a"] == 1 and store.ttl("a") is None


def test_a_subclass_of_int_and_of_float_is_a_number(store):
    class Int(int):
        pass

    class Float(float):
        pass

    store.put("a", 1, Int(5))
    store.put("b", 1, Float(5))
    assert store.ttl("a") == store.ttl("b") == 5.0


def test_an_index_is_a_number_and_what_it_raises_reaches_the_caller(store):
    class Index:
        def __init__(self, n):
            self.n = n

        def __index__(self):
            return self.n or 1 // self.n

    store.put("a", 1, Index(5))
    assert store.ttl("a") == 5.0
    with pytest.raises(ZeroDivisionError):
        store.put("a", 2, Index(0))
    with pytest.raises(ValueError, match="duration is "):
        store.put("a", 2, Index(-1))
    assert store["a"] == 1 and store.ttl("a") == 5.0


def test_numbers_of_numpy(store):
    numpy = pytest.importorskip("numpy", reason="SKIPPED: durations of numpy: no numpy")
    for given, left in [
        (numpy.int64(5), 5.0), (numpy.uint8(5), 5.0), (numpy.float32(1.5), 1.5), (numpy.float64(1.5), 1.5),
        (numpy.float16("inf"), None), (numpy.timedelta64(5, "ms"), 5.0), (numpy.timedelta64(3, "s"), 3000.0),
        (numpy.timedelta64(1, "ns"), 0.000001), (numpy.timedelta64(10**9, "W"), None),
    ]:
        store.put("a", 1, given)
        assert store.ttl("a") == left, given
    for wrong in [numpy.int64(-1), numpy.float32("nan"), numpy.timedelta64(-1, "ms"), numpy.timedelta64("NaT")]:
        with pytest.raises(ValueError, match="duration is "):
            store.put("a", 2, wrong)
    for wrong in [numpy.bool_(True), numpy.complex64(1), numpy.timedelta64(1, "Y")]:
        with pytest.raises(TypeError):
            store.put("a", 2, wrong)
    assert store["a"] == 1


def test_infinity_is_for_ever_where_there_is_a_default(cls, clock):
    store = cls(clock=clock, default_duration=5)
    store.put("a", 1, math.inf)
    store["b"] = 2
    assert store.ttl("a") is None and store.ttl("b") == 5.0
    assert cls(default_duration=math.inf, sweep_interval=math.inf).put("a", 1) in (1, None)


def test_persist_lets_an_entry_stay(cls, clock):
    store = cls(clock=clock, default_duration=5)
    store["a"] = 1
    assert store.persist("a") and store.ttl("a") is None and not store.persist("b")
    clock.advance(5)
    assert store["a"] == 1
    store.put("a", 1)
    clock.advance(5)
    assert not store.persist("a"), "it has expired"


def test_durations_are_read_before_anything_is_changed():
    class Bad(KeyValueStore):
        pass

    store = Bad()
    with pytest.raises(TypeError):
        store.put([], 1, duration="x")
    assert len(store) == 0
