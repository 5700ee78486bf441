"""A store that may hold so much: what has to go, when it goes, and sizes of values."""

import copy
import math
import pickle
import sys
import threading
import weakref

import pytest

from evanesce import KeyValueStore, ManualClock, TooLargeError, TtlMap, acached, cached
from conftest import Hash, Value


def test_there_are_never_more_than_maxsize_and_the_last_is_among_them(cls):
    for most in [1, 2, 10, 1000]:
        store = cls(maxsize=most)
        for n in range(3 * most):
            store[n] = n
            assert len(store) == min(n + 1, most) == store.currsize and store[n] == n
        assert store.stats()["evicted_total"] == 2 * most
        assert all(key == value for key, value in store.items())
        for n in range(3 * most, 6 * most):
            store.put(n, n, duration=1000)
            assert len(store) <= most and store[n] == n
        assert store.put_if_absent("a", 1) == 1 if cls is KeyValueStore else store.setdefault("a", 1) == 1
        assert store["a"] == 1 and len(store) == most


def test_a_value_in_the_place_of_another_ends_no_entry(cls):
    for options in [{}, {"getsizeof": lambda value: 1}, {"eviction_listener": lambda *end: None}]:
        store = cls(maxsize=10, **options)
        store.update((n, n) for n in range(10))
        for n in range(1000):
            store[n % 10] = n
            store.put(n % 10, n, duration=1000 if n % 2 else None)
        assert len(store) == 10 and store.stats()["evicted_total"] == 0


def test_what_is_used_stays_when_others_pass_by(cls):
    store = cls(maxsize=100)
    for n in range(50):
        store[n] = n
    for _ in range(3):
        assert [store[n] for n in range(50)] == list(range(50))
    store.update((n, n) for n in range(1000, 3000))
    assert sum(n in store for n in range(50)) == 50


def test_what_has_expired_goes_first(cls, clock):
    store = cls(maxsize=10, clock=clock)
    for n in range(5):
        store[n] = n
        store.put(("due", n), n, duration=5)
    clock.advance(5)
    store.update((("new", n), n) for n in range(5))
    assert len(store) == 10 and all(n in store and ("new", n) in store for n in range(5))
    assert store.stats()["evicted_total"] == 0


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("options", [{}, {"getsizeof": lambda value: 1}])
def test_what_has_to_go_is_let_go_at_once(cls, options):
    store, keys, values = cls(maxsize=10, **options), [], []
    for _ in range(100):
        key, value = Value(), Value()
        keys.append(weakref.ref(key))
        values.append(weakref.ref(value))
        store[key] = value
        del key, value
        assert sum(key() is not None for key in keys) == sum(value() is not None for value in values) == len(store)
    other = cls()
    for _ in range(1000):
        value = Value()
        values.append(weakref.ref(value))
        other[value] = value
    del value
    store.update(other)
    other.clear()
    assert len(store) == 10 == sum(value() is not None for value in values)
    store.clear()
    assert not any(value() for value in values)


def test_the_sizes_of_values_add_up(cls):
    store = cls(maxsize=10, getsizeof=lambda value: value)
    assert store.currsize == 0
    store["a"], store["b"], store["c"] = 3, 3, 4
    assert store.currsize == 10 and len(store) == 3
    store["a"] = 1
    assert store.currsize == 8 and len(store) == 3
    store.put("b", 5, duration=1000)
    assert store.currsize == 10 and dict(store.items()) == {"a": 1, "b": 5, "c": 4}
    store["d"] = 10
    assert store.currsize == 10 and dict(store.items()) == {"d": 10}
    store["e"] = 0
    assert len(store) == 2, "what is of no size has not to go, and none goes for it"
    del store["d"]
    assert store.currsize == 0
    store["f"] = 7
    store.clear()
    assert store.currsize == 0 and len(store) == 0


def test_sizes_of_what_has_expired_do_not_count(cls, clock):
    store = cls(maxsize=10, getsizeof=len, clock=clock)
    store.put("a", "xxx", duration=5)
    store["b"] = "xxxx"
    clock.advance(5)
    assert store.currsize == 4


def test_a_value_that_is_too_large_is_refused_and_nothing_changes(cls):
    store = cls(maxsize=10, getsizeof=len)
    store["a"], store["b"] = "xxx", "yyy"
    puts = [
        lambda value: store.__setitem__("a", value),
        lambda value: store.put("a", value, duration=5),
        lambda value: store.put("c", value),
        lambda value: store.update({"c": value}),
        lambda value: (store.put_if_absent if cls is KeyValueStore else store.setdefault)("c", value),
    ]
    for put in puts:
        with pytest.raises(TooLargeError, match="value too large: its size is 11, and maxsize is 10"):
            put("x" * 11)
        assert dict(store.items()) == {"a": "xxx", "b": "yyy"} and store.currsize == 6
    assert issubclass(TooLargeError, ValueError) and TooLargeError.__module__ == "evanesce"
    # Nothing is put where there is something.
    absent = store.put_if_absent if cls is KeyValueStore else store.setdefault
    assert absent("a", "x" * 11) == "xxx"
    with pytest.raises(TooLargeError):
        store.copy().update({"d": "x" * 11})


def test_a_maxsize_of_zero_holds_nothing(cls):
    for options in [{}, {"getsizeof": len}]:
        store = cls(maxsize=0, **options)
        for put in [store.put, store.put_if_absent if cls is KeyValueStore else store.setdefault]:
            with pytest.raises(TooLargeError, match="value too large: its size is 1, and maxsize is 0"):
                put("a", "x")
        with pytest.raises(TooLargeError):
            store.update(cls({"a": "x"}) if cls is TtlMap else {"a": "x"})
        assert len(store) == store.currsize == 0 and store.maxsize == 0 and store.copy().maxsize == 0
    store["nothing"] = ""
    assert len(store) == 1

    @cached(maxsize=0)
    def double(n):
        return 2 * n

    assert [double(2), double(2)] == [4, 4] and double.cache_info() == (0, 2, 0, 0)


def test_getsizeof_is_a_method_as_well(cls):
    assert cls().getsizeof("xxx") == 1 and cls(maxsize=5, getsizeof=len).getsizeof("xxx") == 3


@pytest.mark.parametrize("made, error, text", [
    (-1, ValueError, "getsizeof returned -1, but must return an int from 0 to 4294967295"),
    (2**32, ValueError, "getsizeof returned 4294967296, but must return"),
    (2**70, ValueError, "getsizeof returned 1180591620717411303424, but must return"),
    (1.5, TypeError, "getsizeof returned 1.5, but must return an int"),
    (None, TypeError, "getsizeof returned None, but must return an int"),
])
def test_a_size_that_is_none_is_refused_and_nothing_changes(cls, made, error, text):
    sizes = [1]
    store = cls(maxsize=math.inf, getsizeof=lambda value: sizes[0])
    store["a"] = 1
    sizes[0] = made
    with pytest.raises(error, match=text):
        store["a"] = 2
    sizes[0] = 1
    assert store["a"] == 1 and store.currsize == 1
    store["b"] = 1
    assert store.currsize == 2


def test_what_getsizeof_raises_reaches_the_caller(cls):
    store = cls(maxsize=10, getsizeof=lambda value: 1 // value)
    store["a"] = 1
    for key in "ab":
        with pytest.raises(ZeroDivisionError):
            store[key] = 0
    assert dict(store.items()) == {"a": 1}


def test_getsizeof_may_use_the_store(cls):
    def size(value):
        if value > 0:
            store["inner", value] = value - 1
            store.pop(("inner", value - 3), None)
            store.sweep()
        return value

    store = cls(maxsize=100, getsizeof=size)
    store["a"] = 9
    assert store.currsize == 9 + sum(value for key, value in store.items() if key != "a") <= 100


def test_a_comparison_that_puts_another_value_leaves_the_size_of_this_one(cls):
    store = cls(maxsize=1000, getsizeof=lambda value: value)

    def equal(*keys):
        store["inner"] = 100
        return True

    store[Hash(5, equal)] = 1
    for put in [store.__setitem__, store.put_if_absent if cls is KeyValueStore else store.setdefault]:
        put(Hash(5, equal), 7)
        assert store.currsize == 107, "7 of this value, and 100 of the inner one"


def test_the_first_of_two_equal_keys_stays(cls):
    store = cls(maxsize=10, getsizeof=lambda value: 1)
    store[1] = "a"
    store[1.0] = store[True] = "b"
    assert [(type(key), value) for key, value in store.items()] == [(int, "b")]


@pytest.mark.parametrize("given, error", [
    (-1, ValueError), (-(10**30), ValueError), (1.5, ValueError), (math.nan, ValueError),
    (-math.inf, ValueError), (True, TypeError), ("10", TypeError), ([], TypeError),
])
def test_maxsize_is_checked(cls, given, error):
    with pytest.raises(error, match="maxsize is .*, but must be an int of 0 or more, math.inf or None"):
        cls(maxsize=given)


def test_other_options_are_checked(cls):
    with pytest.raises(TypeError, match="getsizeof must be a function of a value, not int"):
        cls(maxsize=1, getsizeof=1)
    with pytest.raises(ValueError, match="getsizeof is given without maxsize"):
        cls(getsizeof=len)


def test_a_maxsize_that_nothing_reaches(cls):
    for most in [math.inf, sys.maxsize, 10**30, 400_000_000]:
        for options in [{}, {"getsizeof": lambda value: value}]:
            store = cls(maxsize=most, **options)
            store.update((n, n) for n in range(100))
            assert len(store) == 100 and store.currsize == (sum(range(100)) if options else 100)
    assert cls().maxsize is None and cls(maxsize=math.inf).maxsize == math.inf and cls(maxsize=5).maxsize == 5


def twice(value):
    return 2 * value


def test_copies_and_pickles_keep_maxsize(cls):
    store = cls(maxsize=10, getsizeof=twice, default_duration=1000)
    store["a"], store["b"] = 1, 2
    others = [store.copy(), copy.copy(store), copy.deepcopy(store)]
    others += [pickle.loads(pickle.dumps(store, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for other in others:
        assert (other.maxsize, other.currsize, dict(other.items())) == (10, 6, {"a": 1, "b": 2})
        other["c"] = 4
        assert other.currsize <= 10 and other["c"] == 4
        with pytest.raises(ValueError, match="too large"):
            other["c"] = 6


def test_repr_tells_maxsize():
    assert repr(KeyValueStore(maxsize=3)) == "<KeyValueStore of 0 entries, maxsize=3>"
    assert repr(TtlMap({"a": 1}, maxsize=3)) == "TtlMap({'a': 1}, maxsize=3)"
    assert eval(repr(TtlMap({"a": 1}, maxsize=3))).maxsize == 3


def test_a_subclass_sets_and_reads_maxsize(cls):
    class Small(cls):
        def __init__(self, size):
            before = self.maxsize
            super().__init__(maxsize=size, getsizeof=self.size)
            assert before is None and self.maxsize == size

        def size(self, value):
            return len(value)

    store = Small(5)
    store["a"], store["b"] = "xxx", "xxx"
    assert store.currsize == 3 and Small(5).copy().maxsize == 5


class Sized(TtlMap):
    """With a getsizeof of its own, which asks that of the base."""

    def getsizeof(self, value):
        return super().getsizeof(value) + len(value)


def test_a_subclass_may_have_its_own_getsizeof():
    store = Sized({"a": "xx"}, maxsize=10)
    for m in [store, store.copy(), copy.deepcopy(store), pickle.loads(pickle.dumps(store))]:
        assert m.currsize == 3 and m.getsizeof("xxxx") == 5
        with pytest.raises(TooLargeError):
            m["b"] = "x" * 10
    assert Sized({"a": "xx"}, maxsize=10, getsizeof=len).currsize == 2
    assert Sized({"a": "x" * 100}).currsize == 1, "without a maximum nobody asks"


def test_threads_that_write_at_once_never_leave_more(cls):
    store = cls(maxsize=100, getsizeof=lambda value: value % 3)
    begin, wrong = threading.Barrier(4), []
    # Without the interpreter's lock the three others may be in the midst of a write, each with 2 on top.
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    most = 100 if has_lock else 106

    def work(seed):
        begin.wait()
        for n in range(5000):
            store[(n * seed) % 500] = n
            if store.currsize > most:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in [1, 3, 7, 11]]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong and store.currsize == sum(value % 3 for value in store.values()) <= 100


def test_cached_keeps_as_many_results_as_it_is_told():
    calls = []

    @cached(maxsize=2)
    def double(n):
        calls.append(n)
        return 2 * n

    assert [double(n) for n in [1, 2, 3, 3]] == [2, 4, 6, 6] and calls == [1, 2, 3]
    assert double.cache_info() == (1, 3, 2, 2) and double.cache_parameters()["maxsize"] == 2
    for decorator in [cached, acached]:
        with pytest.raises(TypeError, match="maxsize and cache are given"):
            decorator(maxsize=2, cache=TtlMap())(double)


def test_cached_returns_what_is_too_large_and_does_not_keep_it():
    @cached(cache=TtlMap(maxsize=10, getsizeof=len))
    def text(n):
        return "x" * n

    assert text(11) == "x" * 11 and text(3) == "xxx" and list(text.cache.values()) == ["xxx"]
    assert text.cache_info() == (0, 2, 10, 3)


def test_an_iteration_goes_on_while_entries_have_to_go(cls):
    store = cls({}, maxsize=2000) if cls is TtlMap else cls(maxsize=2000)
    store.update((n, n) for n in range(2000))
    seen = []
    for n in store:
        seen.append(n)
        store[n + 10_000] = n
    assert len(seen) == len(set(seen)) and len(store) == 2000
