"""time_to_idle: entries that expire when nobody has looked them up for a time."""

import copy
import pickle
import time

import pytest

from evanesce import KeyValueStore, TtlMap, cached


@pytest.fixture
def idle(cls, clock):
    return cls(time_to_idle=80, clock=clock)


LOOKS = [
    lambda store: store["a"],
    lambda store: store.get("a"),
    lambda store: "a" in store,
    lambda store: store.get_or_put("a", None) if isinstance(store, KeyValueStore) else store.setdefault("a"),
    lambda store: store.put("a", 2),
    lambda store: store.__setitem__("a", 3),
    lambda store: store.touch("a"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_looked_up_stays(idle, clock, look):
    idle["a"] = 1
    for _ in range(5):
        clock.advance(60)
        look(idle)
        assert idle.ttl("a") == 80.0
    clock.advance(80)
    assert "a" not in idle and idle.sweep() + len(idle) <= 1


@pytest.mark.parametrize("look", [
    lambda store: store.ttl("a"),
    lambda store: store.expires_at("a"),
    lambda store: list(store.items()),
    lambda store: store.copy(),
    lambda store: store.stats(),
])
def test_other_calls_leave_no_trace(idle, clock, look):
    idle["a"] = 1
    clock.advance(60)
    look(idle)
    assert idle.ttl("a") == 20.0
    clock.advance(20)
    assert "a" not in idle


def test_a_look_within_an_eighth_of_the_time_changes_nothing(idle, clock):
    idle["a"] = 1
    clock.advance(9.9)
    assert idle["a"] == 1 and idle.ttl("a") == 70.1
    clock.advance(0.1)
    assert idle["a"] == 1 and idle.ttl("a") == 80.0


def test_a_duration_of_its_own_is_kept(idle, clock):
    idle["a"] = 1
    idle.put("a", 1, duration=100)
    idle.put("b", 2, duration=100)
    idle["c"] = 3
    assert idle.touch("c", 100)
    clock.advance(60)
    assert [idle[key] for key in "abc"] == [1, 2, 3]
    assert [idle.ttl(key) for key in "abc"] == [40.0] * 3
    # And given up, for the time to idle or for ever.
    idle["a"] = 4
    assert idle.touch("b") and idle.persist("c")
    assert [idle.ttl(key) for key in "abc"] == [80.0, 80.0, None]
    clock.advance(60)
    assert [idle[key] for key in "abc"] == [4, 2, 3]
    assert [idle.ttl(key) for key in "abc"] == [80.0, 80.0, None]
    idle["c"] = 5
    assert idle.ttl("c") == 80.0


def test_copies_and_pickles_keep_it(idle, clock):
    idle["a"] = 1
    idle.put("b", 2, duration=100)
    clock.advance(30)
    for other in [idle.copy(), copy.deepcopy(idle), pickle.loads(pickle.dumps(idle))]:
        # What hits renew begins anew.
        assert (other.ttl("a"), other.ttl("b")) == (80.0, 70.0)
        other_clock = other._options()["clock"]
        other_clock.advance(60)
        assert other["a"] == 1 and other["b"] == 2 and (other.ttl("a"), other.ttl("b")) == (80.0, 10.0)
        other["a"] = 3
        assert idle.get("a", None) in (1, None)


def test_update_between_stores(cls, idle, clock):
    idle["a"] = 1
    idle.put("b", 2, duration=100)
    clock.advance(30)
    plain = cls(clock=clock)
    plain["b"] = 0
    plain.update(idle)
    assert (plain.ttl("a"), plain.ttl("b")) == (50.0, 70.0)
    plain["c"] = 3
    other = cls(time_to_idle=40, clock=clock)
    other["a"] = 0
    other.update(idle)
    other.update(plain)
    assert (other.ttl("a"), other.ttl("b"), other.ttl("c")) == (50.0, 70.0, 40.0)
    other.update(idle)
    assert other.ttl("a") == 40.0


def test_it_is_checked(cls):
    with pytest.raises(ValueError, match="time_to_idle is 0, but must be more than zero, or None"):
        cls(time_to_idle=0)
    with pytest.raises(ValueError, match="time_to_idle is -1, but must be"):
        cls(time_to_idle=-1)
    with pytest.raises(TypeError, match="time_to_idle must be a number of milliseconds or a timedelta, not str"):
        cls(time_to_idle="1")
    with pytest.raises(ValueError, match="default_duration and time_to_idle are given, but an entry expires by one"):
        cls(time_to_idle=1, default_duration=1)
    forever = cls(time_to_idle=float("inf"))
    forever["a"] = 1
    assert forever.ttl("a") is None


def test_with_a_maxsize_and_a_listener(cls, clock):
    ends = []
    store = cls(time_to_idle=80, maxsize=2, clock=clock, eviction_listener=lambda *end: ends.append(end))
    store["a"] = 1
    clock.advance(60)
    assert store["a"] == 1 and store.ttl("a") == 80.0
    store["a"] = 2
    assert store.touch("a")
    assert ends == [("a", 1, "replaced")]
    clock.advance(80)
    store.sweep()
    assert ends[1:] == [("a", 2, "expired")]


def test_by_a_timer(cls):
    now = [0.0]
    store = cls(time_to_idle=80, timer=lambda: now[0])
    store["a"] = 1
    for _ in range(3):
        now[0] += 0.06
        assert store["a"] == 1
    now[0] += 0.08
    assert "a" not in store


def test_the_thread_ends_what_is_idle(cls):
    store = cls(time_to_idle=20, sweep_interval=1)
    store.update((n, n) for n in range(1000))
    limit = time.monotonic() + 60
    while store.stats()["swept_total"] < 1000 and time.monotonic() < limit:
        time.sleep(0.001)
    assert store.stats()["swept_total"] == 1000


def test_cached_with_it(clock):
    calls = []

    @cached(cache=TtlMap(time_to_idle=80, clock=clock))
    def double(n):
        calls.append(n)
        return 2 * n

    for _ in range(4):
        assert double(1) == 2
        clock.advance(60)
    assert calls == [1]
    clock.advance(80)
    assert double(1) == 2 and calls == [1, 1]
