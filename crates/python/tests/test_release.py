"""When what a store holds is let go: at once, by whom, and cycles."""

import datetime
import gc
import os
import sys
import threading
import time
import weakref

import pytest

from evanesce import KeyValueStore, ManualClock, TtlMap
from conftest import Hash, Value


def put(store, key, value=None, **options):
    """Puts a value of its own and refers to it weakly."""
    value = Value() if value is None else value
    store.put(key, value, **options)
    return weakref.ref(value)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("end", [
    lambda store: store.delete("a") if isinstance(store, KeyValueStore) else store.pop("a"),
    lambda store: store.__delitem__("a"),
    lambda store: store.put("a", 1),
    lambda store: store.put("a", 1, duration=5),
    lambda store: store.__setitem__("a", 1),
    lambda store: store.put("a", 1, duration=0),
    lambda store: store.touch("a", 0),
    lambda store: store.clear(),
])
def test_a_value_is_let_go_at_once(cls, end):
    # No other thread is in a call of a store: neither is the sweeper's.
    store = cls(sweep_interval=None)
    value = put(store, "a")
    assert value() is not None
    end(store)
    assert value() is None


@pytest.mark.usefixtures("no_collection")
def test_a_key_is_let_go_with_its_entry(cls):
    for end in [lambda s, k: s.__delitem__(k), lambda s, k: s.clear(), lambda s, k: s.touch(k, 0)]:
        store, key = cls(), Value()
        refers = weakref.ref(key)
        store[key] = 1
        del key
        assert refers() is not None
        end(store, refers())
        assert refers() is None


@pytest.mark.usefixtures("no_collection")
def test_all_is_let_go_with_the_store(cls):
    store = cls()
    values = [put(store, n) for n in range(1000)]
    values += [put(store, ("x", n), duration=5) for n in range(1000)]
    del store
    assert not any(value() for value in values)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("write", [
    lambda store, n: store.put(("new", n), n),
    lambda store, n: store.put("other", n),
    lambda store, n: store.put("other", n, duration=1000),
    lambda store, n: store.touch("other", 1000),
    lambda store, n: store.put("other", n, duration=0) and store.put("other", n),
])
def test_what_has_expired_is_let_go_by_a_sweep_or_by_writes(store, clock, write):
    store.put("other", 0)
    values = [put(store, n, duration=5) for n in range(100)]
    clock.advance(5)
    assert all(value() for value in values), "nobody came by"
    assert store.sweep() == 100
    assert not any(value() for value in values)
    values = [put(store, n, duration=5) for n in range(100)]
    clock.advance(5)
    for n in range(2000):
        write(store, n)
    assert not any(value() for value in values)


@pytest.mark.usefixtures("no_collection")
def test_what_has_expired_is_let_go_by_the_main_thread_although_nobody_uses_the_store():
    store = KeyValueStore(sweep_interval=1)
    values = [put(store, n, duration=1) for n in range(30_000)]
    limit = time.monotonic() + 60
    while any(value() for value in values) and time.monotonic() < limit:
        time.sleep(0)  # lets the lock go, as any wait does: before 3.12 Python calls at no other time
    assert not any(value() for value in values)
    assert len(store) == 0


@pytest.mark.usefixtures("no_collection")
def test_a_value_that_a_get_returned_outlives_its_entry(store):
    put(store, "a")
    value = store.get("a")
    store.delete("a")
    assert isinstance(value, Value)
    other = Value()
    assert sys.getrefcount(value) == sys.getrefcount(other)


class Calls:
    """Calls a function when it is let go."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def test_del_may_call_the_store(cls):
    store, calls = cls(), []

    def call():
        calls.append(len(store))
        store["inner"] = len(calls)
        store.get("inner")
        store.pop("outer") if "outer" in store and cls is TtlMap else None
        store.sweep()
        if len(calls) < 50:
            store["next"] = Calls(call)
            del store["next"]

    for end in [lambda: store.__delitem__("a"), lambda: store.put("a", 1), lambda: store.clear()]:
        calls.clear()
        store["a"] = Calls(call)
        end()
        assert len(calls) == 50 and store["inner"] == 50


def test_del_of_a_store_that_is_dropped_may_not_meet_it():
    store = KeyValueStore()
    refers = weakref.ref(store)
    met = []
    for n in range(100):
        store.put(n, Calls(lambda: met.append(refers())))
    del store
    assert met == [None] * 100


def until_none(left, act):
    """What is left, for good. What the sweeper's thread may still see, as it was in a sweep just then, goes a bit later."""
    limit = time.monotonic() + 60
    while left() and time.monotonic() < limit:
        act()
    return left()


def cycles(cls, make):
    """How many of 200 stores that are part of a cycle are still there after a collection."""
    refers = []
    for _ in range(200):
        store = cls()
        make(store)
        refers.append(weakref.ref(store))
    del store
    gc.collect()
    return until_none(lambda: sum(store() is not None for store in refers), gc.collect)


class Node:
    pass


def test_cycles_by_a_value_are_collected(cls):
    def make(store):
        node = Node()
        node.store = store
        store["node"] = node

    assert cycles(cls, make) == 0


def test_cycles_by_a_key_are_collected(cls):
    def make(store):
        node = Node()
        node.store = store
        store[node] = 1

    assert cycles(cls, make) == 0


def test_cycles_by_the_store_itself_and_by_what_has_a_deadline_are_collected(cls):
    def make(store):
        store.put("self", store, duration=10**6)
        store["list"] = [store]

    assert cycles(cls, make) == 0


def test_cycles_by_what_has_expired_are_collected(cls):
    """Not swept, and nobody is there to sweep; or by the sweeper's thread, and on its list."""
    def make(store):
        node = Node()
        node.store = store
        store.put("node", node, duration=1)
        clock.advance(1)

    clock = ManualClock()
    for interval in [None, 0.1]:
        assert cycles(lambda: cls(clock=clock, sweep_interval=interval), make) == 0
    assert not [obj for obj in gc.get_objects() if type(obj) is Node]


def test_cycles_by_what_was_put_while_a_comparison_cleared_the_store_are_collected(cls):
    def make(store):
        store[Hash(7, lambda a, b: a is b)] = 1
        node = Node()
        node.store = store
        store[Hash(7, lambda a, b: store.clear())] = node

    assert cycles(cls, make) == 0


def test_options_are_part_of_no_cycle(cls):
    class Span(datetime.timedelta):
        pass

    refers = []
    for _ in range(20):
        span = Span(seconds=5)
        span.store = cls(default_duration=span)
        refers.append(weakref.ref(span.store))
    del span
    gc.collect()
    assert not any(store() for store in refers)


def test_a_chain_of_stores_ends_without_a_deep_stack(cls):
    outer = None
    for _ in range(100_000):
        store = cls(sweep_interval=None)
        store["next"] = outer
        outer = store
    del store, outer
    gc.collect()


@pytest.mark.usefixtures("no_collection")
def test_what_is_put_for_an_instant_is_let_go_with_it():
    store = KeyValueStore(sweep_interval=0.1)
    values = []
    for _ in range(20_000):
        store.put("a", 1, duration=10**6)
        values.append(put(store, "a", duration=0.000001))
    store.delete("a") if "a" in store else None
    assert not until_none(lambda: sum(value() is not None for value in values), store.sweep)


def test_a_collection_takes_nothing_that_is_reachable(cls):
    store = cls()
    for n in range(1000):
        store.put(n, [n], duration=10**6 if n % 2 else None)
    for _ in range(5):
        gc.collect()
    assert all(store[n] == [n] for n in range(1000))


def test_a_collection_beside_a_sweeper_takes_nothing_that_is_reachable():
    """What expires is moved by the sweeper's thread while the collector looks."""
    store = KeyValueStore(sweep_interval=0.1)
    alive = [[n] for n in range(200)]
    for n, value in enumerate(alive):
        store.put(("stays", n), value)
        store.put(("only here", n), [[n]])
    limit = time.monotonic() + 2
    rounds = 0
    while time.monotonic() < limit:
        for n in range(200):
            store.put(n, [alive[n], [n]], duration=0.2 + n % 5)
        gc.collect()
        rounds += 1
        assert all(value == [n] for n, value in enumerate(alive))
        assert all(store[("only here", n)] == [[n]] for n in range(200))
    assert rounds > 3


def test_without_containers_a_collection_looks_at_no_entry(cls):
    """Counted by what refers to what, as the collector asks: of strings and numbers, nothing."""
    store = cls()
    for n in range(1000):
        store[f"key{n}"] = n
        store[n] = float(n)
        store[b"%d" % n] = f"value{n}"
    assert not [r for r in gc.get_referents(store) if not isinstance(r, type)]
    store["list"] = []
    assert len([r for r in gc.get_referents(store) if not isinstance(r, type)]) == 6002
    store.clear()
    assert not [r for r in gc.get_referents(store) if not isinstance(r, type)]


def test_each_reference_is_visited_once(cls):
    store, value, key = cls(), [1], (1, 2)
    for n in range(100):
        store[n] = value
    store[key] = value
    referents = gc.get_referents(store)
    assert sum(r is value for r in referents) == 101
    assert sum(r is key for r in referents) == 1


def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="SKIPPED: memory: no /proc")
def test_a_million_cycles_leak_nothing(clock):
    store = KeyValueStore(clock=clock)
    shared = Value()

    def work(rounds):
        for n in range(rounds):
            key = f"key{n % 1000}"
            store.put(key, shared)
            store.put(key, [n])
            store.put(key, shared, duration=1 + n % 3)
            if n % 2:
                store.delete(key)
            if n % 100 == 0:
                clock.advance(1)
        clock.advance(10)
        store.sweep()
        gc.collect()

    work(20_000)
    counted, before, objects = sys.getrefcount(shared), rss(), len(gc.get_objects())
    work(250_000)  # four operations each
    assert sys.getrefcount(shared) == counted and len(store) == 0
    assert len(gc.get_objects()) <= objects + 10
    assert rss() - before < 4_000_000


def test_threads_that_put_and_end_leak_nothing():
    store, value = KeyValueStore(sweep_interval=1), Value()
    counted = sys.getrefcount(value)

    def work(n):
        for i in range(2000):
            store.put(i % 50, value, duration=0.5 if i % 2 else None)
            store.put((n, i), value, duration=0.1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.clear()
    del threads
    assert not until_none(lambda: sys.getrefcount(value) - counted, store.sweep)


@pytest.mark.parametrize("call", [
    lambda store, clock: store._put_all(store.copy(), False),
    lambda store, clock: store._first(True, 10**9),
    lambda store, clock: store._others(False, []),
    lambda store, clock: store._entries(),
    lambda store, clock: store.clear(),
    lambda store, clock: clock.advance(10**6) or store.sweep(),
    lambda store, clock: clock.advance(10**6) or len(store),
], ids=["put_all", "first", "others", "entries", "clear", "sweep", "len"])
def test_a_call_about_many_entries_lets_other_threads_run(cls, call):
    # Which thread runs is the system's choice, so one call of several is enough.
    assert any(turns_of_another_within(cls, call) > 2 for _ in range(20))


def turns_of_another_within(cls, call):
    """How often another thread ran during `call`, and just before and after it: two turns that are not the call's."""
    clock = ManualClock()
    store, goes_on, turns = cls(clock=clock), [True], []
    # So many that it takes a sweep, which lets others run every 2 ms, ten times as long, wherever it begins.
    for n in range(500_000):
        store.put(n, (n,), duration=10**6)

    def work():
        while goes_on[0]:
            turns.append(None)
            time.sleep(0)

    thread = threading.Thread(target=work)
    # Whoever lets the lock go takes it again before another thread has woken, but for one that has waited for this
    # long: to that one the lock is handed.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        while not turns:
            time.sleep(0)
        before = len(turns)
        call(store, clock)
        return len(turns) - before
    finally:
        goes_on[0] = False
        thread.join()
        sys.setswitchinterval(interval)


def test_a_comparison_keeps_its_key_alive():
    """The entry is removed, and its key let go, while `__eq__` of that key runs."""
    store = KeyValueStore()

    class Held:
        def __hash__(self):
            return 7

        def __eq__(self, other):
            store.clear()
            gc.collect()
            return bool(self.attribute)

    held = Held()
    held.attribute = [1]
    store.put(held, 1)
    del held
    assert store.get(Hash(7, lambda a, b: None), "gone") == "gone"
