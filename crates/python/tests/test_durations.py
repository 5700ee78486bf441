"""What is a duration, and what is none."""

import sys
from datetime import timedelta
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


@pytest.mark.parametrize("duration", [True, False, "5", b"5", [], Fraction(1, 2), 1j, object()])
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
    -1, -(10**400), -0.5, float("nan"), float("inf"), float("-inf"), timedelta(microseconds=-1), timedelta.min,
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


def test_durations_are_read_before_anything_is_changed():
    class Bad(KeyValueStore):
        pass

    store = Bad()
    with pytest.raises(TypeError):
        store.put([], 1, duration="x")
    assert len(store) == 0
