"""Each method, with a key that is there, absent, or expired."""

import asyncio
import copy
import gc
import inspect
import pickle
import sys
import time
import warnings
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


def test_get_or_put_refuses_a_coroutine_and_aget_or_put_awaits_it(store):
    async def make(key):
        await asyncio.sleep(0)
        return key * 2

    async def fails(key):
        raise ZeroDivisionError

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a coroutine that nobody awaited
        with pytest.raises(TypeError, match="the factory returned a coroutine: await aget_or_put for an async factory"):
            store.get_or_put("a", make)
        gc.collect()
    assert "a" not in store

    async def run():
        both = await asyncio.gather(store.aget_or_put("a", make, 5), store.aget_or_put("a", make))
        with pytest.raises(ZeroDivisionError):
            await store.aget_or_put("b", fails)
        return both

    assert asyncio.run(run()) == ["aa", "aa"] and store.ttl("a") in (5.0, None) and "b" not in store
    assert asyncio.run(store.aget_or_put("a", fails)) == "aa"


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


def test_iteration_over_many_tells_each_once(cls):
    """In parts: what is put meanwhile may be told or not, what is there throughout is told once."""
    store = cls()
    for n in range(5000):
        store[n] = n
    for view, key in [(store, int), (store.keys(), int), (store.items(), lambda pair: pair[0])]:
        told = []
        for shown in view:
            told.append(key(shown))
            store[-1 - key(shown)] = 0
            del store[-1 - key(shown)]
        assert len(told) == len(set(told)) and set(range(5000)) <= set(told)
    assert sorted(store.values()) == list(range(5000))
    assert next(iter(store)) in store and next(iter(store.items()))[1] in store


def test_lookups_are_counted(cls, clock):
    store = cls(clock=clock)
    store.put("a", 1, duration=5)
    assert store["a"] and store.get("a") and "a" in store and "b" not in store
    clock.advance(5)
    assert store.get("a", None) is None
    store.put("a", 1), store.touch("a"), store.ttl("a"), store.pop("a")
    stats = store.stats()
    assert (stats["hits"], stats["misses"]) == (3, 2)


def test_expires_at_is_by_the_store_s_clock(cls, clock):
    store = cls(clock=clock)
    store["a"] = 1
    clock.advance(1000)
    store.put("b", 1, duration=500)
    assert (store.expires_at("a"), store.expires_at("b")) == (None, 1.5)
    with pytest.raises(KeyError):
        store.expires_at("c")
    real, before = cls(), time.monotonic()
    real.put("a", 1, duration=10_000)
    assert before + 9.9 < real.expires_at("a") < time.monotonic() + 10.1
    assert real.expires_at("a") == real.expires_at("a")


def test_a_timer_tells_the_time(cls):
    now, asked = [1000.0], []

    def timer():
        asked.append(len(asked))
        return now[0]

    store = cls(timer=timer, default_duration=timedelta(seconds=5))
    assert not asked
    store["a"] = 1
    assert store.expires_at("a") == 1005.0 and store.ttl("a") == 5000.0
    now[0] += 4.5
    store["b"] = 2
    assert sorted(store) == ["a", "b"] and store.copy()._options() == store._options()
    now[0] += 0.5
    assert "a" not in store and sorted(store.items()) == [("b", 2)] and len(store) == 1
    now[0] = 0  # which does not bring back what has expired
    assert "a" not in store and store.ttl("b") == 4500.0
    now[0] = 1009.5
    assert store.sweep() == 1 and store.stats()["len"] == 0


@pytest.mark.parametrize("told, error", [
    (lambda: "x", TypeError), (lambda: float("nan"), ValueError), (lambda: 1e999, ValueError),
    (lambda: 1 / 0, ZeroDivisionError),
])
def test_a_timer_that_is_wrong_changes_nothing(cls, told, error):
    tells = [lambda: 5]
    store = cls(timer=lambda: tells[0]())
    store["a"] = 1
    tells[0] = told
    for use in [lambda: store.get("a"), lambda: store.put("a", 2), lambda: len(store), lambda: list(store),
                lambda: store.touch("a"), lambda: store.pop("a"), lambda: store.ttl("a"), lambda: store.copy()]:
        with pytest.raises(error):
            use()
    tells[0] = lambda: 6
    assert store["a"] == 1


def test_a_timer_may_call_the_store_and_cycles_by_it_are_collected(cls):
    class Owner:
        inside = False

        def time(self):
            if not self.inside:
                self.inside = True
                self.store["inner"] = len(self.store)
                self.inside = False
            return 1

    owner = Owner()
    owner.store = cls(timer=owner.time)
    owner.store["a"] = 1
    assert sorted(owner.store) == ["a", "inner"]
    refers = weakref.ref(owner)
    del owner
    gc.collect()
    assert refers() is None


def test_pop_popitem_and_update(cls):
    store = cls()
    store.update({"a": 1}, b=2)
    store.update([("c", 3)])
    assert (store.pop("a"), store.pop("a", None), store.pop("a", 7)) == (1, None, 7)
    with pytest.raises(KeyError):
        store.pop("a")
    assert sorted([store.popitem(), store.popitem()]) == [("b", 2), ("c", 3)]
    with pytest.raises(KeyError):
        store.popitem()


def test_update_from_another_takes_its_times_and_the_default_where_it_has_none(cls, clock):
    source = cls(clock=clock)
    source["stays"] = 1
    source.put("goes", 1, duration=5)
    store = cls(clock=clock, default_duration=50)
    store.update(source)
    assert (store.ttl("stays"), store.ttl("goes")) == (50.0, 5.0)
    other = cls(clock=clock, default_duration=7)
    other.put("stays", 1, duration=float("inf"))
    store.update(other)
    assert store.ttl("stays") is None, "it was put there to stay"
    assert source.copy().ttl("stays") is None
    nothing = cls(clock=clock, default_duration=0)
    nothing.put("stays", 1, duration=9)
    nothing.update(source)
    assert list(nothing) == ["goes"] and len(nothing) == 1
    source.update(source)
    assert source.ttl("stays") is None and len(source) == 2


def test_views_are_shown_as_a_dict_s(cls):
    store = cls()
    store["a"] = 1
    name = cls.__name__
    assert [repr(store.keys()), repr(store.values()), repr(store.items())] == [
        f"{name}_keys(['a'])", f"{name}_values([1])", f"{name}_items([('a', 1)])",
    ]
    assert store.keys() & {"a", "b"} == {"a"} and ("a", 1) in store.items() and 1 in store.values()


def test_a_size_counts_what_was_allocated(cls):
    store = cls()
    empty = sys.getsizeof(store)
    for n in range(10_000):
        store[n] = n
    assert sys.getsizeof(store) > empty + 10_000 * 8


def test_signatures_are_those_to_be_used(cls):
    shown = str(inspect.signature(cls))
    assert "default_duration" in shown and "sweep_interval" in shown and "= 100" in shown
    for method in ["put", "touch", "update", "persist", "expires_at", "copy", "items"]:
        assert "Ellipsis" not in str(inspect.signature(getattr(cls, method)))
    for method in ["get", "pop"]:  # which no signature can tell: they have a default that need not be given
        try:
            assert "Ellipsis" not in str(inspect.signature(getattr(cls, method)))
        except ValueError:
            pass


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
        with pytest.raises(TypeError, match=r"__init__\(\) (got an unexpected keyword argument 'colour'|takes 1 pos)"):
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


def passes_on(cls):
    """A subclass whose constructor passes options of its own on to `__init__`."""
    class PassesOn(cls):
        def __init__(self, name, **more):
            super().__init__(default_duration=100, clock=ManualClock(), sweep_interval=None, **more)
            self.name = name

    return PassesOn


def test_options_that_a_subclass_passes_on_to_init_count(cls):
    store = passes_on(cls)("web")
    store["a"] = 1
    assert (store.name, store.ttl("a")) == ("web", 100.0)
    other = passes_on(cls)("web", timer=None)
    assert other.copy()._options() == other._options()
    with pytest.raises(ValueError, match="timer and clock are given, but only one can tell the time"):
        passes_on(cls)("web", timer=int)
    with pytest.raises(TypeError, match="colour"):
        passes_on(cls)("web", colour=1)


def test_options_that_come_after_the_first_use_are_refused(cls):
    class Late(cls):
        def __init__(self, **options):
            self["a"] = 1
            super().__init__(**options)

    assert Late()["a"] == 1
    for name, given in [("default_duration", 5), ("clock", ManualClock()), ("sweep_interval", None)]:
        store = cls()
        store["a"] = 1
        with pytest.raises(RuntimeError, match=f"{name} comes too late: it must be set before the first use"):
            store.__init__(**{name: given})
        assert store.ttl("a") is None


class Slots(KeyValueStore):
    __slots__ = ("name", "__secret", "never_set")

    def __init__(self, name, secret):
        self.name, self.__secret = name, secret

    def secret(self):
        return self.__secret


class SlotsAndDict(TtlMap):
    __slots__ = ("name",)


class OwnNew(KeyValueStore):
    def __new__(cls, name, /):
        made = super().__new__(cls, default_duration=70_000)
        made.name = name
        return made

    def __init__(self, name, /):
        pass


class OwnArguments(TtlMap):
    def __new__(cls, name, *, size):
        made = super().__new__(cls)
        made.made_with = (name, size)
        return made

    def __init__(self, name, *, size):
        super().__init__()

    def __getnewargs_ex__(self):
        return ("pickled",), {"size": 1}


def copies(store):
    return [store.copy(), copy.copy(store), copy.deepcopy(store)] + [
        pickle.loads(pickle.dumps(store, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ]


def test_copies_and_pickles_have_slots_and_need_no_arguments():
    slots = Slots("web", 1)
    slots["a"] = 1
    for copied in copies(slots):
        assert (type(copied), copied.name, copied.secret(), copied["a"]) == (Slots, "web", 1, 1)
        assert not hasattr(copied, "never_set") and not hasattr(copied, "__dict__")
    both = SlotsAndDict({"a": 1})
    both.name, both.other = "web", 2
    for copied in copies(both):
        assert (copied.name, copied.other, copied["a"]) == ("web", 2, 1)
    own = OwnNew("web")
    own["a"] = 1
    for copied in copies(own):
        assert (copied.name, copied["a"]) == ("web", 1) and copied.ttl("a") <= 70_000
        copied["b"] = 1
        assert copied.ttl("b") <= 70_000
    own = OwnArguments("web", size=2)
    own["a"] = 1
    for copied in copies(own):
        assert copied["a"] == 1 and copied.made_with == ("web", 2), "attributes come last"
    assert OwnArguments("web", size=2).__reduce__()[1][1:] == (("pickled",), {"size": 1})


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
    for shorter in [0, 1e-6, 0.099, timedelta()]:
        with pytest.raises(ValueError, match="sweep_interval is .*, but must be 0.1 milliseconds or more, or None"):
            cls(sweep_interval=shorter)
    with pytest.raises(TypeError, match="timer must be a function without arguments, not int"):
        cls(timer=1)
    with pytest.raises(ValueError, match="sweep_interval must be None with a timer"):
        cls(timer=int, sweep_interval=5)
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
