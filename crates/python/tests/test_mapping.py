"""TtlMap is a mapping: what a dict's users expect, and CPython's own tests of mappings."""

import collections.abc
import sys

import pytest

from evanesce import ManualClock, TtlMap

try:
    from test import mapping_tests
except ImportError:  # a Python that comes without its tests
    mapping_tests = None


def test_it_is_a_mutable_mapping():
    assert issubclass(TtlMap, collections.abc.MutableMapping)
    assert isinstance(TtlMap(), collections.abc.MutableMapping)


def test_it_is_made_as_a_dict_is():
    assert dict(TtlMap()) == {}
    assert dict(TtlMap({"a": 1})) == dict(TtlMap([("a", 1)])) == dict(TtlMap(iter([("a", 1)]))) == {"a": 1}
    assert dict(TtlMap(TtlMap({"a": 1}))) == {"a": 1}
    assert dict(TtlMap.fromkeys("ab", 0)) == {"a": 0, "b": 0}
    with pytest.raises(TypeError):
        TtlMap(1)
    with pytest.raises(TypeError):
        TtlMap({}, {})
    with pytest.raises(TypeError, match=r"TtlMap\(\) has no option 'a'; entries are given as in TtlMap\(\{'a': \.\.\.\}\)"):
        TtlMap(a=1)


def test_get_pop_popitem_setdefault_update():
    m = TtlMap({"a": 1})
    assert (m.get("a"), m.get("b"), m.get("b", 2)) == (1, None, 2)
    assert m.setdefault("a", 5) == 1 and m.setdefault("c") is None and m.setdefault("d", 4) == 4
    assert m.pop("a") == 1 and m.pop("a", None) is None and m.pop("a", 7) == 7
    with pytest.raises(KeyError) as error:
        m.pop(("a",))
    assert error.value.args == (("a",),)
    assert sorted([m.popitem(), m.popitem()]) == [("c", None), ("d", 4)]
    with pytest.raises(KeyError):
        m.popitem()
    m.update({"x": 1}, y=2)
    m.update([("z", 3)])
    assert m == {"x": 1, "y": 2, "z": 3} and {"x": 1, "y": 2, "z": 3} == m and m != {"x": 1}


def test_a_subclass_may_have_a_missing():
    class Doubles(TtlMap):
        def __missing__(self, key):
            if key == "none":
                raise KeyError(key)
            self[key] = 2 * key
            return self[key]

    class Triples(Doubles):
        def __missing__(self, key):
            return 3 * key

    m = Doubles({1: 0})
    assert (m[1], m[2], m["a"]) == (0, 4, "aa") and m == {1: 0, 2: 4, "a": "aa"}
    assert m.get(5) is None and 5 not in m and m.pop(5, None) is None and Triples()[2] == 6
    for absent in [lambda: m["none"], lambda: m.pop(5), lambda: m.__delitem__(5)]:
        with pytest.raises(KeyError):
            absent()
    with pytest.raises(TypeError, match="unhashable"):
        m[[]]


def test_views():
    m = TtlMap({"a": 1, "b": 2})
    assert sorted(m.keys()) == ["a", "b"] and sorted(m.values()) == [1, 2]
    assert sorted(m.items()) == [("a", 1), ("b", 2)]
    assert m.keys() & {"a", "z"} == {"a"} and ("a", 1) in m.items() and ("a", 2) not in m.items()
    assert 2 in m.values() and 3 not in m.values() and len(m.items()) == len(m.values()) == 2
    views = m.keys(), m.values(), m.items()
    m["c"] = 3
    assert [len(list(view)) for view in views] == [3, 3, 3]


def test_views_skip_what_expires_meanwhile():
    clock = ManualClock()
    m = TtlMap(clock=clock)
    for n in range(10):
        m.put(n, n, duration=1 + n)
    items = iter(m.items())
    clock.advance(5)
    assert len(list(items)) == 10, "those of the beginning"
    assert sorted(m.items()) == [(n, n) for n in range(5, 10)]
    assert sorted(m) == sorted(m.values()) == list(range(5, 10))
    assert m == dict(m.items())


def test_or_keeps_durations_and_options():
    clock = ManualClock()
    m = TtlMap(clock=clock, default_duration=50)
    m.put("a", 1, duration=5)
    both = m | {"b": 2}
    assert type(both) is TtlMap and both == {"a": 1, "b": 2}
    assert (both.ttl("a"), both.ttl("b")) == (5.0, 50.0)
    other = {"a": 0, "c": 3} | m
    assert type(other) is TtlMap and other == {"a": 1, "c": 3} and other.ttl("a") == 5.0
    m |= {"d": 4}
    assert m["d"] == 4
    with pytest.raises(TypeError):
        m | 1


def test_update_from_another_keeps_the_time_and_meets_no_expiry_midway():
    clock = ManualClock()
    a, b = TtlMap(clock=clock), TtlMap(clock=clock)
    for n in range(100):
        a.put(n, n, duration=1 + n)
    b.update(a, x=1)
    a.update(a)
    assert (b.ttl(7), a.ttl(7), b.ttl("x"), len(b)) == (8.0, 8.0, None, 101)
    real = TtlMap(sweep_interval=None)
    for n in range(3000):
        real.put(n, n, duration=1 + n % 7)
    for _ in range(20):
        TtlMap(real), real | {"a": 1}, {"a": 1} | real, real == {}, dict(real.items())


def test_views_are_exact_where_entries_have_expired():
    clock = ManualClock()
    m = TtlMap(clock=clock)
    m.put("a", 1, duration=1)
    clock.advance(1)
    assert m.keys() == set() and m.items() == set() and m == {} and not m.values()
    while m:
        m.popitem()


def test_popitem_takes_all_in_time_for_each():
    """Each walk is for many: 100,000 in a moment. (A walk for each would take a minute and more.)"""
    m = TtlMap({n: n for n in range(100_000)})
    assert {m.popitem() for _ in range(100_000)} == {(n, n) for n in range(100_000)}
    assert not m
    m["a"] = 1
    assert m.popitem() == ("a", 1)


def test_it_cannot_be_hashed():
    with pytest.raises(TypeError, match="unhashable type"):
        hash(TtlMap())


def test_repr():
    assert repr(TtlMap()) == "TtlMap({})"
    m = TtlMap({"a": 1})
    assert repr(m) == "TtlMap({'a': 1})"
    m.clear()
    m["m"] = m
    assert repr(m) == "TtlMap({'m': TtlMap({...})})"
    m.clear()


if mapping_tests is None:
    @pytest.mark.skip(reason="SKIPPED: CPython's tests of mappings: this Python comes without them")
    def test_cpython_s_tests_of_mappings():
        pass
else:
    class TestBasicMapping(mapping_tests.BasicTestMappingProtocol):
        type2test = TtlMap

    class TestMapping(mapping_tests.TestMappingProtocol):
        """Beyond the basic ones: those of a dict's, but for what is not a mapping's."""

        type2test = TtlMap

        def test_constructor(self):
            """Theirs makes entries of keywords, which here are options: `test_it_is_made_as_a_dict_is`."""
            mapping_tests.BasicTestMappingProtocol.test_constructor(self)
