"""Keys whose __eq__ and __hash__ raise, let other threads run, or call the store."""

import dataclasses
import signal
import threading
import time

import pytest

from conftest import Hash, Value
from evanesce import TtlMap


def equal(a, b):
    return a is b


def boom(a, b):
    raise ZeroDivisionError


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, KeyboardInterrupt, SystemExit])
def test_an_error_in_eq_changes_nothing_and_reaches_the_caller(cls, error):
    def fail(a, b):
        raise error

    store = cls()
    held, wanted = Hash(7, equal), Hash(7, fail)
    store.put(held, 1, duration=10**6)
    left = store.ttl(held) > 0
    for use in [
        lambda: store.get(wanted), lambda: store.put(wanted, 2), lambda: store[wanted],
        lambda: wanted in store, lambda: store.__delitem__(wanted), lambda: store.touch(wanted, 5),
        lambda: store.ttl(wanted), lambda: store.put(wanted, 2, duration=0),
    ]:
        with pytest.raises(error):
            use()
    assert left and len(store) == 1 and store[held] == 1 and store.ttl(held) > 0
    store.put("other", 3)
    assert store["other"] == 3


def test_a_failed_put_inserts_no_duplicate(store):
    held = Hash(7, equal)
    store.put(held, 1)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            store.put(Hash(7, boom), 2)
        with pytest.raises(ZeroDivisionError):
            store.put_if_absent(Hash(7, boom), 2)
    assert list(store) == [held]


def test_an_error_in_hash_reaches_the_caller(cls):
    class Bad:
        def __hash__(self):
            raise MemoryError("no hash")

    store = cls()
    with pytest.raises(MemoryError, match="no hash"):
        store.put(Bad(), 1)
    assert len(store) == 0


@pytest.fixture
def interruptible():
    """A process that was begun in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_keyboard_interrupt_by_signal_leaves_the_store_usable(store):
    def interrupt(a, b):
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):  # Python looks for signals between its steps
            pass
        return False

    store.put(Hash(7, equal), 1)
    with pytest.raises(KeyboardInterrupt):
        store.put(Hash(7, interrupt), 2)
    with pytest.raises(KeyboardInterrupt):
        store.get_or_put("x", lambda key: interrupt(0, 0))
    assert len(store) == 1
    store.put("a", 1)
    assert store["a"] == 1


def test_eq_is_asked_only_of_keys_with_the_same_hash(store):
    for n in range(100):
        store.put(Hash(n, boom), n)
    assert store.get(Hash(1000, boom), None) is None


def test_eq_may_call_the_store(store):
    def reenters(a, b):
        store.put("inner", store.get("inner", 0) + 1)
        store.get("absent", None)
        list(store)
        return False

    store.put(Hash(7, equal), 1)
    key = Hash(7, reenters)
    store.put(key, 2)
    assert store["inner"] >= 1 and store.get(key) == 2


def test_eq_may_remove_the_entry_that_it_is_asked_about(store):
    held = Hash(7, equal)

    def removes(a, b):
        if held in store:
            store.delete(held)
        return True

    for use in [
        lambda key: store.get(key, "gone"), lambda key: store.put(key, 2), lambda key: store.touch(key, 5),
        lambda key: store.put_if_absent(key, 2), lambda key: key in store,
    ]:
        store.clear()
        store.put(held, Value())
        use(Hash(7, removes))
        assert held not in store or len(store) == 1
    store.clear()
    assert len(store) == 0


@pytest.mark.parametrize("duration", [None, 1000])
@pytest.mark.parametrize("deadlines", [False, True])
def test_a_value_is_put_although_eq_removes_the_entry_that_it_would_replace(store, duration, deadlines):
    held = Hash(7, equal)

    def removes(a, b):
        if held in store:
            store.delete(held)
        return True

    if deadlines:
        store.put("other", 1, duration=10**6)
    store.put(held, "old")
    key = Hash(7, removes)
    store.put(key, "new", duration)
    key.equal = equal
    assert store.get(key) == "new"


@pytest.mark.parametrize("make", [lambda n: Key(n), lambda n: Slow(n)], ids=["dataclass", "slow"])
def test_a_put_beside_a_pop_is_not_lost(make):
    """What a pop did not return is there."""
    store, rounds, popped = TtlMap(sweep_interval=None), 1000, []
    go = threading.Barrier(2)

    def pops():
        for _ in range(rounds):
            go.wait()
            popped.append(store.pop(make(1), None))
            go.wait()

    thread = threading.Thread(target=pops)
    thread.start()
    for n in range(rounds):
        store.put(make(1), ("old", n))
        go.wait()
        store.put(make(1), ("new", n))
        go.wait()
        left = store.pop(make(1), None)
        assert {popped[-1], left} - {None, ("old", n)} == {("new", n)}
    thread.join()


@dataclasses.dataclass(frozen=True)
class Key:
    n: int


class Slow(Key):
    """Lets other threads run while it is compared."""

    __hash__ = Key.__hash__

    def __eq__(self, other):
        time.sleep(0)
        return self.n == other.n


def test_eq_may_replace_the_value_that_is_looked_for(store):
    held = Hash(7, equal)

    def replaces(a, b):
        store.put(held, "new")
        return True

    store.put(held, "old")
    assert store.get(Hash(7, replaces)) == "new"
    store.put(Hash(7, replaces), "last")
    assert store[held] == "last" and len(store) == 1


def test_eq_may_set_a_deadline_that_a_put_takes_away(store, clock):
    held = Hash(7, equal)

    def touches(a, b):
        store.touch(held, 5)
        return True

    store.put(held, "old")
    store.put(Hash(7, touches), "new")
    assert store.ttl(held) is None
    clock.advance(5)
    assert store[held] == "new"


def test_eq_may_clear_the_store_and_drop_the_last_reference_to_the_key(store):
    def clears(a, b):
        store.clear()
        return False

    for _ in range(100):
        store.put(Hash(7, equal), Value())
        assert store.get(Hash(7, clears), None) is None
        assert len(store) == 0


def test_a_key_that_expires_while_it_is_compared(store, clock):
    held = Hash(7, equal)

    def expires(a, b):
        clock.advance(10)
        store.sweep()
        return True

    for use in [
        lambda key: store.get(key, "gone"), lambda key: store.ttl(key), lambda key: store.touch(key, 5),
    ]:
        store.clear()
        store.put(held, Value(), duration=5)
        try:
            assert use(Hash(7, expires)) in ("gone", False)
        except KeyError:
            pass
        assert held not in store


def test_threads_that_compare_let_others_run(store):
    """A comparison that waits for another thread, which uses the store meanwhile."""
    held = Hash(7, equal)
    store.put(held, "old")
    compares, goes_on = threading.Event(), threading.Event()

    def waits(a, b):
        compares.set()
        assert goes_on.wait(60)
        return b is held or a is held

    result = []
    thread = threading.Thread(target=lambda: result.append(store.get(Hash(7, waits), "gone")))
    thread.start()
    assert compares.wait(60)
    store.put("other", 1)
    store.put(held, "new")
    store.delete(held)
    goes_on.set()
    thread.join(60)
    assert result == ["gone"]


def test_reflected_and_odd_answers_of_eq(store):
    class Odd:
        def __init__(self, answer):
            self.answer = answer

        def __hash__(self):
            return 7

        def __eq__(self, other):
            return self.answer

    store.put(Odd(NotImplemented), 1)
    assert store.get(Hash(7, lambda a, b: "yes")) == 1, "a true value, by the other's"
    assert store.get(Odd([]), None) is None, "a false one"
