"""The one thread that sweeps all stores: when it comes, what it costs, and what is without it."""

import os
import time

import pytest

from evanesce import KeyValueStore, ManualClock, TtlMap
from test_process import run

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="SKIPPED: threads: no /proc")


def wait_until(is_so, seconds=60):
    limit = time.monotonic() + seconds
    while not is_so() and time.monotonic() < limit:
        time.sleep(0.001)  # lets the lock go, without which Python makes no calls before 3.12, and uses no store
    assert is_so()


@needs_proc
def test_a_thousand_stores_have_one_thread_which_sleeps_until_something_is_due():
    assert run("""
        import pathlib, time
        from evanesce import KeyValueStore
        tasks = pathlib.Path('/proc/self/task')
        def name(task):
            try:
                return (task / 'comm').read_text()
            except OSError:  # it has ended
                return ''
        def sweepers():
            return [task for task in tasks.iterdir() if name(task).startswith('evanesce')]
        def wakes(task):
            lines = (task / 'status').read_text().splitlines()
            return sum(int(line.split()[1]) for line in lines if 'ctxt_switches' in line)
        before = len(list(tasks.iterdir()))
        stores = [KeyValueStore() for _ in range(1000)]
        for store in stores:
            store.put('stays', 1, duration=10**8)
            store.put('goes', 1, duration=1)
        while any(store.stats()['len'] > 1 for store in stores):
            time.sleep(0)
        task, = sweepers()
        assert len(list(tasks.iterdir())) == before + 1
        # It may be on its last round after the removals; then it sleeps.
        while True:
            first = wakes(task)
            time.sleep(0.3)
            if wakes(task) == first:
                break
        print('sleeps')
        del stores[:], store
        while sweepers():
            time.sleep(0)
        print('ended')
    """) == "sleeps\nended\n"


def test_where_no_thread_can_be_had_stores_work_and_writes_sweep():
    """The stack that std asks for is one that no system can map."""
    assert run("""
        from evanesce import KeyValueStore
        store = KeyValueStore()
        for n in range(10_000):
            store.put(n % 100, n, duration=0.000001)
            store.put(100 + n, n, duration=0.000001)
        assert store.stats()['len'] < 1000, store.stats()
        assert len(store) == 0
        print('works')
    """, env={**os.environ, "RUST_MIN_STACK": str(2**46)}) == "works\n"


@pytest.mark.parametrize("first, then", [(10**7, 1), (1, 10**7), (None, 1)])
def test_an_earlier_deadline_wakes_the_thread(cls, first, then):
    store = cls(sweep_interval=1)
    for n in range(10):
        store.put(n, n, duration=first)
        store.put(("then", n), n, duration=then)
    wait_until(lambda: store.stats()["len"] == 10)
    store.put("a", 1, duration=10**7)
    assert store.touch("a", 1)
    wait_until(lambda: store.stats()["len"] == 10)
    assert cls is TtlMap or store.put_if_absent("b", 1, 1)
    wait_until(lambda: store.stats()["len"] == 10)


def test_a_store_that_is_idle_gives_its_memory_back():
    """After all has expired, with no call that sweeps."""
    store = KeyValueStore(sweep_interval=1)
    for n in range(50_000):
        store.put(n, n, duration=10**7)
    most = store.stats()["bytes_allocated"]
    for n in range(50_000):
        store.touch(n, 1)
    wait_until(lambda: store.stats()["len"] == 0 and store.stats()["bytes_allocated"] < most / 5)


def test_a_store_on_a_clock_of_its_own_is_swept_at_its_interval(cls):
    clock = ManualClock()
    store = cls(clock=clock, sweep_interval=1)
    store.put("a", 1, duration=5)
    clock.advance(5)
    wait_until(lambda: store.stats()["len"] == 0)
