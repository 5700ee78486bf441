"""eviction_listener: who is told of the end of an entry, why it ended, and when."""

import copy
import gc
import pickle
import sys
import threading
import time
import weakref

import pytest

from evanesce import KeyValueStore, TtlMap
from conftest import Hash, Value


@pytest.fixture
def ends():
    return []


@pytest.fixture
def told(cls, clock, ends):
    return cls(clock=clock, maxsize=1000, eviction_listener=lambda *end: ends.append(end))


@pytest.mark.parametrize("end, cause", [
    (lambda store: store.__delitem__("a"), "explicit"),
    (lambda store: store.pop("a"), "explicit"),
    (lambda store: store.popitem(), "explicit"),
    (lambda store: store.clear(), "explicit"),
    (lambda store: store.touch("a", 0), "explicit"),
    (lambda store: store.put("a", 2, duration=0), "explicit"),
    (lambda store: store.put("a", 2), "replaced"),
    (lambda store: store.put("a", 2, duration=9), "replaced"),
    (lambda store: store.__setitem__("a", 2), "replaced"),
    (lambda store: store.update({"a": 2}), "replaced"),
    (lambda store: store.update(TtlMap({"a": 2})), "replaced"),
    (lambda store: store.update((n, n) for n in range(1000)), "size"),
])
def test_causes(told, ends, end, cause):
    told["a"] = 1
    assert ends == []
    end(told)
    assert ends == [("a", 1, cause)]


@pytest.mark.parametrize("end", [
    lambda store: store.sweep(),
    lambda store: len(store),
    lambda store: store.put("a", 2),
    lambda store: store.setdefault("a", 2) if isinstance(store, TtlMap) else store.put_if_absent("a", 2),
    lambda store: store.clear(),
    lambda store: [store.put(n, n) for n in range(1000)],
])
def test_what_has_expired(told, ends, clock, end):
    told.put("a", 1, duration=5)
    clock.advance(5)
    assert told.get("a", None) is None
    end(told)
    assert ends == [("a", 1, "expired")]


def test_what_stays_is_not_told_of(told, ends, clock):
    told.put("a", 1, duration=5)
    assert told["a"] == 1 and told.touch("a", 9) and told.persist("a") and list(told) == ["a"]
    assert (told.setdefault if isinstance(told, TtlMap) else told.put_if_absent)("a", 2) == 1
    assert not told.touch("b", 0) and told.pop("b", None) is None
    told.copy()["a"] = 2
    ends.clear()  # of the copy, which has the same listener
    clock.advance(100)
    told.sweep()
    assert ends == [] and told["a"] == 1


def test_all_entries_of_a_store_are_told_of_once(told, ends):
    told.update((n, -n) for n in range(5000))
    while told.currsize > 500:
        key, value = told.popitem()
        assert ends[-1] == (key, value, "explicit")
    told.clear()
    assert sorted(ends) == sorted((n, -n, cause) for n, _, cause in ends) and len({key for key, *_ in ends}) == 5000
    causes = [cause for *_, cause in ends]
    assert [causes.count(cause) for cause in ["size", "explicit", "expired", "replaced"]] == [4000, 1000, 0, 0]


def test_a_call_is_over_when_it_is_told(cls):
    """The end is to be seen by then, and the new value."""
    seen = []
    store = cls(eviction_listener=lambda key, value, cause: seen.append((cause, store.get(key, None), len(store))))
    store["a"] = 1
    store["a"] = 2
    del store["a"]
    assert seen == [("replaced", 2, 1), ("explicit", None, 0)]


def test_no_thread_is_pinned_when_it_is_told(cls, clock):
    """Else what it removes could not be reclaimed."""
    pending = []

    def listener(key, value, cause):
        if key == "a":
            store.update((n, n) for n in range(1000))
            for n in range(1000):
                del store[n]
            for _ in range(3):
                store.sweep()
            pending.append(store.stats()["pending_reclaim"])

    store = cls(clock=clock, eviction_listener=listener)
    put_if_absent = store.put_if_absent if cls is KeyValueStore else store.setdefault
    for end in [
        lambda: store.__delitem__("a"), lambda: store.put("a", 2), store.clear, store.popitem,
        lambda: (clock.advance(5), store.sweep()), lambda: (clock.advance(5), put_if_absent("a", 2)),
        lambda: (clock.advance(5), [store.get("b", None) for _ in range(3)], store.put("b", 1), len(store)),
        lambda: store.update(cls({"a": 2}) if cls is TtlMap else [("a", 2)]),
    ]:
        store.clear()
        pending.clear()
        store.put("a", 1, duration=5)
        end()
        assert pending and not any(pending)


def test_what_it_raises_goes_to_the_unraisable_hook(cls, monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    def listener(key, value, cause):
        raise ZeroDivisionError(key)

    store = cls(maxsize=2, eviction_listener=listener)
    store.update((n, n) for n in range(4))
    del store[3]
    assert len(raised) == 3 and len(store) == 1
    assert all(each.object is listener and each.exc_type is ZeroDivisionError for each in raised)
    assert raised[-1].exc_value.args == (3,)
    raised.clear()  # the tracebacks


def test_it_may_end_entries_itself(cls, ends):
    """And is told of them when it returns, not within itself."""
    depth = [0]

    def listener(key, value, cause):
        depth[0] += 1
        assert depth[0] == 1
        ends.append((key, value, cause))
        if key > 0:
            store[key - 1] = value
            store.pop(key - 1)
            store.get(0, None)
            store.sweep()
        depth[0] -= 1

    store = cls(eviction_listener=listener)
    store[90] = "a"
    store[90] = "b"
    assert ends == [(90, "a", "replaced"), *((n, "a", "explicit") for n in range(89, -1, -1))]


def test_one_that_puts_each_entry_again_into_a_full_store_returns(cls):
    again = []

    def listener(key, value, cause):
        again.append(key)
        store[key] = value

    store = cls(maxsize=10, eviction_listener=listener)
    store.update((n, n) for n in range(11))
    assert len(again) < 1000 and len(store) == 10
    store.sweep()
    del store


def test_a_listener_of_a_store_may_end_entries_of_another_that_has_one(cls, ends):
    def first(key, value, cause):
        ends.append(("first", key))
        if key:
            two[key] = value
            del two[key]

    def second(key, value, cause):
        ends.append(("second", key))
        one[key - 1] = value
        del one[key - 1]

    one, two = cls(eviction_listener=first), cls(eviction_listener=second)
    one[2] = "a"
    del one[2]
    assert ends == [("first", 2), ("second", 2), ("first", 1), ("second", 1), ("first", 0)]


@pytest.mark.usefixtures("no_collection")
def test_what_has_ended_is_let_go_behind_it(cls, clock):
    refers, alive = [], []
    store = cls(clock=clock, eviction_listener=lambda key, value, cause: alive.append(key is not None))
    for end in [
        lambda: store.popitem() and None, store.clear, lambda: (clock.advance(5), store.sweep()),
        lambda: store.update((key, 1) for key in list(store)),
    ]:
        key, value = Value(), Value()
        refers[:] = weakref.ref(key), weakref.ref(value)
        store.put(key, value, duration=5)
        del key, value
        end()
        assert refers[1]() is None and (refers[0]() is None or len(store) == 1)
    assert alive == [True] * 4


def test_the_key_is_the_one_that_was_held(cls, ends):
    store = cls(eviction_listener=lambda *end: ends.append((type(end[0]), *end[1:])))
    store[1] = "a"
    store[True] = "b"
    store.pop(1.0)
    assert ends == [(int, "a", "replaced"), (int, "b", "explicit")]


def test_an_equal_that_changes_the_store_meanwhile(cls, ends):
    """Each entry ends once, whatever a comparison does."""
    count = [0]

    def equal(*keys):
        count[0] += 1
        if count[0] % 2:
            store["inner"] = count[0]
            store.pop("inner")
        return True

    store = cls(eviction_listener=lambda *end: ends.append(end))
    for n in range(20):
        store[Hash(5, equal)] = n
    store.pop(Hash(5, equal))
    assert [value for key, value, _ in ends if type(key) is Hash] == list(range(20))
    assert len(store) == 0


def test_the_main_thread_tells_of_what_the_thread_has_ended(cls):
    ends, threads = [], set()

    def listener(key, value, cause):
        ends.append((key, value, cause))
        threads.add(threading.get_ident())

    store = cls(sweep_interval=1, eviction_listener=listener)
    for n in range(2000):
        store.put(n, -n, duration=1)
    limit = time.monotonic() + 60
    while len(ends) < 2000 and time.monotonic() < limit:
        time.sleep(0)
    assert sorted(ends) == [(n, -n, "expired") for n in range(2000)] and threads == {threading.get_ident()}


def test_threads_that_write_at_once(cls):
    ends, begin = [], threading.Barrier(4)
    store = cls(maxsize=50, eviction_listener=lambda *end: ends.append(end))

    def work(number):
        begin.wait()
        for n in range(2000):
            store[number, n] = n
            if n % 3 == 0:
                store.pop((number, n), None)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    held = dict(store.items())
    store.sweep()
    assert len(ends) + len(held) == 8000 == len({key for key, *_ in ends} | set(held))


def remember(key, value, cause):
    REMEMBERED.append((key, value, cause))


REMEMBERED = []


def test_copies_and_pickles_have_it(cls):
    store = cls(eviction_listener=remember)
    store["a"] = 1
    for other in [store.copy(), copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))]:
        REMEMBERED.clear()
        other["a"] = 2
        assert REMEMBERED == [("a", 1, "replaced")]


class Remembers(TtlMap):
    """Its listener is a method of its own."""

    def __init__(self, name):
        super().__init__(eviction_listener=self.remember)
        self.name, self.ends = name, []

    def remember(self, key, value, cause):
        self.ends.append((self.name, key))


def test_a_copy_has_a_method_of_its_own():
    first = Remembers("first")
    first["a"] = 1
    for other in [first.copy(), copy.deepcopy(first), pickle.loads(pickle.dumps(first))]:
        other.name, other.ends = "other", []
        del other["a"]
        assert other.ends == [("other", "a")] and first.ends == []


def test_it_is_not_told_when_the_store_goes(cls, ends):
    store = cls(eviction_listener=lambda *end: ends.append(end))
    store["a"] = 1
    del store
    gc.collect()
    assert ends == []


@pytest.mark.parametrize("option", ["eviction_listener", "getsizeof", "timer"])
def test_one_that_is_a_method_of_the_store_is_no_leak(cls, option):
    class Own(cls):
        def __init__(self):
            more = {"maxsize": 10} if option == "getsizeof" else {}
            super().__init__(**{option: self.own}, **more)

        def own(self, *arguments):
            return 1

    for is_used in [True, False]:
        store = Own()
        if is_used:
            store["a"] = Value()
            store["a"] = 2
        del store
    gc.collect()
    # A weak reference would tell nothing: the collector clears those first, also where it cannot break the cycle.
    assert not [met for met in gc.get_objects() if type(met) is Own]


def test_a_listener_may_drop_the_store(cls):
    held = []
    held.append(cls(eviction_listener=lambda *end: held.clear()))
    held[0]["a"] = Value()
    refers = weakref.ref(held[0])
    held[0].clear()
    gc.collect()
    assert not held and refers() is None


def test_it_is_checked(cls):
    with pytest.raises(TypeError, match="eviction_listener must be a function of key, value and cause, not int"):
        cls(eviction_listener=1)
