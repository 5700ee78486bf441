"""Each method, with a key that is there, absent, or expired."""

import copy
import gc
import pickle
import weakref
from datetime import timedelta

import pytest

from evanesce import KeyValueStore, ManualClock, TtlMap
from conftest import Value


def test_an_expired_key_is_absent_for_every_method(store, clock):
    store.put("a", 1, duration=5)
    clock.advance(4.999999)
    assert store.get("a") == store["a"] == 1 and "a" in store
    clock.advance(0.000001)
    for look in [store.get, store.delete, store.ttl, store.__getitem__, store.__delitem__]:
        with pytest.raises(KeyError):
            look("a")
    assert "a" not in store and list(store) == [] and not store.touch("a", 5)
    assert store.get("a", None) is None
    assert store.put_if_absent("a", 2) == 2
    assert store.get("a") == 2 and store.ttl("a") is None


def test_put_replaces_value_and_duration(store, clock):
    store.put("a", 1, duration=5)
    store.put("a", 2)
    assert store.ttl("a") is None
    store.put("a", 3, duration=7)
    assert (store["a"], store.ttl("a"), len(store)) == (3, 7.0, 1)
    store["a"] = 4
    assert store.ttl("a") is None


def test_a_duration_of_zero_is_absent_at_once(store):
    assert store.put("a", 1, duration=0) == 1
    assert "a" not in store and len(store) == 0
    store.put("a", 1)
    store.put("a", 2, duration=0)
    assert "a" not in store
    assert store.put_if_absent("a", 3, duration=0) == 3 and "a" not in store
    store.put("a", 1)
    assert store.touch("a", 0) and "a" not in store


def test_touch_changes_the_time_and_nothing_else(store, clock):
    store.put("a", 1, duration=5)
    assert store.touch("a", 100) and store.ttl("a") == 100.0
    assert store.touch("a", timedelta(seconds=1)) and store.ttl("a") == 1000.0
    assert store.touch("a") and store.ttl("a") is None
    assert store["a"] == 1 and not store.touch("b", 1)


def test_put_if_absent_and_get_or_put_keep_what_is_there(store):
    assert store.put_if_absent("a", 1, duration=9) == 1
    assert store.put_if_absent("a", 2) == 1 and store.ttl("a") == 9.0
    asked = []
    assert store.get_or_put("a", asked.append) == 1 and not asked
    assert store.get_or_put("b", lambda key: key * 2, duration=8) == "bb"
    assert store.ttl("b") == 8.0
    with pytest.raises(ZeroDivisionError):
        store.get_or_put("c", lambda key: 1 / 0)
    assert "c" not in store
    # Someone else is first while the factory runs.
    assert store.get_or_put("d", lambda key: store.put(key, "first") and "second") == "first"


def test_none_and_ellipsis_are_values_and_keys_as_any_other(store):
    store.put(None, None)
    assert store.get(None) is None and store.get(None, 1) is None and None in store
    store.put(..., ...)
    assert store.get(..., 1) is ...
    assert store.get("absent", ...) is ...


def test_the_default_duration_is_for_puts_without_one(cls, clock):
    store = cls(default_duration=timedelta(seconds=1), clock=clock)
    store["a"] = 1
    store.put("b", 2)
    store.put("c", 3, duration=2000)
    assert [store.ttl(key) for key in "abc"] == [1000.0, 1000.0, 2000.0]
    store.put("d", 4, duration=10**30)
    assert store.ttl("d") is None


def test_keys_are_those_of_a_dict(cls):
    store = cls()
    store[1] = "int"
    assert store[1.0] == store[True] == "int" and len(store) == 1
    store[1.0] = "float"
    assert list(map(type, store)) == [int] and store[1] == "float", "the key that came first stays"
    store[b"a"], store["a"] = 1, 2
    assert (store[b"a"], store["a"]) == (1, 2)
    nan = float("nan")
    store[nan] = 3
    assert store[nan] == 3 and float("nan") not in store
    store[(1, "x")] = 4
    assert store[(1, "x")] == 4
    store[frozenset("ab")] = 5
    assert store[frozenset("ba")] == 5


def test_unhashable_keys_raise_type_error(cls):
    store = cls()
    for use in [
        lambda: store.get([]), lambda: store.put({}, 1), lambda: [] in store, lambda: store[[]],
        lambda: store.__delitem__([]), lambda: store.ttl([]), lambda: store.touch([], 1),
    ]:
        with pytest.raises(TypeError, match="unhashable type"):
            use()
    assert len(store) == 0


def test_five_thousand_keys_of_one_hash(store):
    keys = [n * (2**61 - 1) for n in range(5000)]
    assert {hash(key) for key in keys} == {0}
    for n, key in enumerate(keys):
        store.put(key, n)
    assert all(store.get(key) == n for n, key in enumerate(keys))
    for key in keys[::2]:
        store.delete(key)
    assert [key in store for key in keys] == [n % 2 == 1 for n in range(5000)]


def test_iteration_is_a_snapshot_and_never_raises(cls):
    store = cls()
    for n in range(1000):
        store[n] = n
    seen = []
    for key in store:
        seen.append(key)
        store[key + 1000] = key
        if key % 2:
            del store[key]
    assert sorted(seen) == list(range(1000))
    assert len(store) == 1500


def test_sweep_and_stats(store, clock):
    for n in range(100):
        store.put(n, n, duration=1 + n % 2)
    clock.advance(1)
    assert store.stats()["len"] == 100 and store.stats()["expired_unswept"] == 50
    assert store.sweep() == 50 and store.sweep() == 0
    assert len(store) == 50
    stats = store.stats()
    assert stats["len"] == 50 and stats["swept_total"] == 50 and stats["bytes_allocated"] > 0
    clock.advance(1)
    store.clear()
    assert len(store) == 0 and list(store) == []


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_hold_values_and_the_time_left(cls, protocol):
    clock = ManualClock(now=17)
    store = cls(clock=clock, default_duration=100)
    store["a"] = [1]
    store.put("b", 2, duration=10**30)
    clock.advance(40)
    loaded = pickle.loads(pickle.dumps(store, protocol))
    assert type(loaded) is cls and loaded["a"] == [1]
    assert (loaded.ttl("a"), loaded.ttl("b")) == (60.0, None)
    clock.advance(60)
    assert "a" in loaded, "its clock is another"
    loaded["c"] = 3
    assert loaded.ttl("c") == 100.0


def test_copies_share_values_and_the_clock(cls, clock):
    store = cls(clock=clock)
    value = [1]
    store.put("a", value, duration=10)
    clock.advance(4)
    for copied in [store.copy(), copy.copy(store)]:
        assert type(copied) is cls
        assert copied["a"] is value and copied.ttl("a") == 6.0
        copied["b"] = 1
        assert "b" not in store
    deep = copy.deepcopy(store)
    assert deep["a"] == value and deep["a"] is not value


def test_len_is_that_of_what_has_not_expired(cls, clock):
    store = cls(clock=clock)
    for n in range(100):
        store.put(n, n, duration=1 + n % 2)
    assert len(store) == 100
    clock.advance(1)
    assert len(store) == len(list(store)) == 50 and store
    clock.advance(1)
    assert len(store) == 0 and not store


def test_copies_of_subclasses_have_their_class_and_attributes():
    for store in [Sessions("web"), Named("web"), Plain()]:
        store["a"], store.name = 1, "web"
        for copied in [store.copy(), copy.copy(store), copy.deepcopy(store)]:
            assert (type(copied), copied.name, copied["a"]) == (type(store), "web", 1)
    named = Named("web", a=1)
    for joined in [named | {"b": 2}, {"b": 2} | named]:
        assert (type(joined), joined.name, dict(joined)) == (Named, "web", {"a": 1, "b": 2})
    assert Configured(default_duration=5, colour="red").colour == "red"
    for wrong in [lambda: Plain(1), lambda: Plain(colour=1), lambda: KeyValueStore(1)]:
        with pytest.raises(TypeError, match=r"\(\) (has no argument 'colour'|takes its arguments by name)"):
            wrong()


class Plain(KeyValueStore):
    pass


class Configured(KeyValueStore):
    def __init__(self, *, colour, **options):
        self.colour = colour


def test_a_store_that_holds_itself_is_pickled_and_shown(cls):
    store = cls()
    store["self"] = store
    loaded = pickle.loads(pickle.dumps(store))
    assert loaded["self"] is loaded
    assert "..." in repr(store) or cls is KeyValueStore
    store.clear(), loaded.clear()


def test_subclasses_have_attributes_constructors_and_pickles():
    store = Sessions("web")
    store["ada"] = 1
    assert (store.name, store["ada"], "Sessions" in repr(store)) == ("web", 1, True)
    loaded = pickle.loads(pickle.dumps(store))
    assert (loaded.name, loaded["ada"]) == ("web", 1)
    named = Named("x", a=1)
    assert named.name == "x" and named["a"] == 1


class Sessions(KeyValueStore):
    def __init__(self, name="", **options):
        self.name = name


class Named(TtlMap):
    def __init__(self, name="", **entries):
        super().__init__()
        self.name = name
        self.update(entries)


def test_stores_can_be_referred_to_weakly_and_subscripted(cls):
    store = cls()
    refers = weakref.ref(store)
    assert refers() is store
    del store
    gc.collect()
    assert refers() is None
    assert cls[str, int].__origin__ is cls
    assert repr(ManualClock(now=1.5)) == "ManualClock(now=1.5)"


def test_options_are_checked(cls):
    with pytest.raises(TypeError, match="default_duration must be a number of milliseconds or a timedelta, not str"):
        cls(default_duration="1")
    with pytest.raises(ValueError, match="sweep_interval is 0, but must be more, or None for no thread"):
        cls(sweep_interval=0)
    with pytest.raises(ValueError, match="sweep_interval is -1, but must be zero or more milliseconds"):
        cls(sweep_interval=-1)
    with pytest.raises(TypeError):
        cls(clock=1)
    with pytest.raises(TypeError):
        cls(colour=1)


def test_values_are_any_object(cls):
    store, value = cls(), Value()
    store["a"] = value
    assert store["a"] is value
