"""cached and acached: what is kept, for how long, and that one call is for all who come while it is on."""

import asyncio
import functools
import inspect
import threading

import pytest

from evanesce import CacheInfo, ManualClock, TtlMap, acached, cached


def test_results_are_kept_by_arguments():
    calls = []

    @cached
    def add(a, b=2, *more, **named):
        """Adds."""
        calls.append(a)
        return a + b

    assert (add(1), add(1), add(1, 2), add(1, b=2), add(1, 3)) == (3, 3, 3, 3, 4)
    assert len(calls) == 4, "as functools.lru_cache has it, an argument by name is another"
    assert add.cache_info() == CacheInfo(hits=1, misses=4, maxsize=None, currsize=4)
    assert (add.__name__, add.__doc__, add.__wrapped__(5)) == ("add", "Adds.", 7)
    assert add.cache[add.cache_key(1)] == 3 and len(add.cache) == 4
    assert add.cache_parameters() == {"maxsize": None, "typed": False, "ttl": None}
    add.cache_clear()
    assert add.cache_info() == CacheInfo(0, 0, None, 0) and add(1) == 3


def test_keys_are_those_of_lru_cache_or_of_a_function():
    def shape(*args, **kwargs):
        return object()

    for typed in [False, True]:
        ours, theirs = cached(typed=typed)(shape), functools.lru_cache(maxsize=None, typed=typed)(shape)
        for one, other in [((1,), (1.0,)), (("a",), ("a",)), ((1, 2), ((1, 2),)), ((1,), (True,))]:
            assert (ours(*one) is ours(*other)) == (theirs(*one) is theirs(*other))

    @cached(key=lambda self, n: n % 10)
    def tens(self, n):
        return n

    assert tens([], 7) == tens({}, 17) == 7
    with pytest.raises(TypeError, match="unhashable"):
        cached(shape)([])


def test_none_and_falsy_results_are_kept():
    calls = []
    for result in [None, 0, ...]:
        kept = cached(lambda result=result: calls.append(1) or result)
        assert kept() is result and kept() is result
    assert len(calls) == 3


def test_a_ttl_is_a_duration_or_a_function_of_the_result():
    clock = ManualClock()
    calls = []

    @cached(ttl=5, cache=TtlMap(clock=clock))
    def constant(n):
        calls.append(n)
        return n

    @cached(ttl=lambda result: result, cache=TtlMap(clock=clock, default_duration=7))
    def by_result(n):
        calls.append(n)
        return n

    for kept, argument, lives in [(constant, 1, 5), (by_result, 3, 3), (by_result, None, 7)]:
        del calls[:]
        assert kept(argument) == kept(argument) == argument
        clock.advance(lives - 1)
        assert kept(argument) == argument and len(calls) == 1
        clock.advance(1)
        assert kept(argument) == argument and len(calls) == 2
    assert by_result(0) == by_result(0) == 0 and len(calls) == 4, "0 is not kept"
    for wrong, error in [("5", TypeError), (-1, ValueError)]:
        with pytest.raises(error):
            cached(ttl=wrong)
            cached(ttl=wrong)(len)


def test_errors_are_not_kept_and_a_decorator_may_be_used_again():
    decorator = cached(ttl=5000)
    calls = []

    @decorator
    def fails(n):
        calls.append(n)
        raise KeyError(n)

    @decorator
    def works(n):
        return -n

    for _ in range(2):
        with pytest.raises(KeyError):
            fails(1)
    assert len(calls) == 2 and works(1) == -1 and works.cache is not fails.cache


def test_methods_are_bound():
    class Squares:
        @cached
        def of(self, n):
            return [n * n]

    one, other = Squares(), Squares()
    assert one.of(3) is one.of(3) == [9] and one.of(3) is not other.of(3)
    assert Squares.of.cache_info().currsize == 2


def wait_for(is_so):
    """For another thread to come to where it waits."""
    while not is_so():
        threading.Event().wait(0.001)


def test_threads_that_miss_at_once_share_one_call():
    inside, goes_on, calls, results = threading.Event(), threading.Event(), [], []

    @cached
    def slow(n):
        calls.append(n)
        inside.set()
        goes_on.wait(60)
        if n == 2:
            raise ZeroDivisionError
        return [n]

    def come(n):
        try:
            results.append(slow(n))
        except ZeroDivisionError as error:
            results.append(error)

    for n in [1, 2]:
        del calls[:], results[:]
        inside.clear(), goes_on.clear()
        threads = [threading.Thread(target=come, args=(n,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        inside.wait(60)
        wait_for(lambda: slow.cache_info().misses == 5 * n)
        goes_on.set()
        for thread in threads:
            thread.join()
        if n == 1:
            assert len(calls) == 1 and all(result is results[0] for result in results)
        else:
            # One who comes when the first has landed calls anew.
            assert len(calls) <= 5 and all(type(result) is ZeroDivisionError for result in results)


def test_a_call_that_would_wait_for_itself_calls_the_function():
    @cached
    def down(n, outer=None):
        return down(0, outer=1) if n and outer is None else (n, outer)

    assert down(5) == (0, 1)

    depth = []

    @cached(key=lambda n: 0)
    def same(n):
        depth.append(n)
        return same(n - 1) if n else "end"

    assert same(3) == "end" and depth == [3, 2, 1, 0]


def test_two_calls_that_would_wait_for_each_other_do_not():
    seen, meets = [], threading.Barrier(2, timeout=60)

    @cached
    def a_waits_for_b(n):
        if len(seen) < 2:
            seen.append(n)
            meets.wait()
            return [n, a_waits_for_b(1 - n)]
        return [n]

    threads = [threading.Thread(target=a_waits_for_b, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert a_waits_for_b(0)[0] == 0 and a_waits_for_b(1)[0] == 1


def test_what_is_made_while_the_cache_is_cleared_is_not_kept():
    @cached
    def clears(n):
        clears.cache_clear()
        return n

    assert clears(1) == 1 and clears.cache_info().currsize == 0


def test_an_interrupt_is_not_for_those_who_wait():
    inside, goes_on, results, calls = threading.Event(), threading.Event(), [], []

    @cached
    def exits():
        calls.append(1)
        if len(calls) > 1:
            return "second"
        inside.set()
        goes_on.wait(60)
        raise SystemExit

    def ends():
        with pytest.raises(SystemExit):
            exits()

    first = threading.Thread(target=ends)
    first.start()
    inside.wait(60)
    second = threading.Thread(target=lambda: results.append(exits()))
    second.start()
    wait_for(lambda: exits.cache_info().misses == 2)
    goes_on.set()
    first.join(), second.join()
    assert results == ["second"]


def test_cached_is_not_for_async_functions():
    async def function():
        pass

    with pytest.raises(TypeError, match="acached is for an async function"):
        cached(function)


def test_tasks_that_miss_at_once_share_one_call():
    calls = []

    @acached(ttl=10**6)
    async def slow(n):
        calls.append(n)
        await asyncio.sleep(0)
        if n == 2:
            raise ZeroDivisionError
        return [n]

    async def run():
        results = await asyncio.gather(*(slow(1) for _ in range(5)))
        assert all(result is results[0] for result in results) and calls == [1]
        assert await slow(1) is results[0]
        failed = await asyncio.gather(*(slow(2) for _ in range(5)), return_exceptions=True)
        assert [type(error) for error in failed] == [ZeroDivisionError] * 5 and calls == [1, 2]
        with pytest.raises(ZeroDivisionError):
            await slow(2)

    asyncio.run(run())
    assert inspect.iscoroutinefunction(slow)
    assert slow.cache_info() == CacheInfo(hits=1, misses=11, maxsize=None, currsize=1)

    async def again():
        return await slow(1)

    assert asyncio.run(again()) == [1], "in another loop"


def test_a_cancelled_task_is_not_the_end_of_those_who_wait():
    calls = []

    @acached
    async def slow():
        calls.append(1)
        await asyncio.sleep(0 if len(calls) > 1 else 3600)
        return "second"

    async def run():
        first = asyncio.create_task(slow())
        await asyncio.sleep(0)
        others = [asyncio.create_task(slow()) for _ in range(3)]
        await asyncio.sleep(0)
        others[2].cancel()
        first.cancel()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, str, str, asyncio.CancelledError]

    asyncio.run(run())
    assert len(calls) == 2


def test_an_async_call_within_itself_calls_the_function():
    @acached(key=lambda n: 0)
    async def same(n):
        return await same(n - 1) if n else "end"

    assert asyncio.run(same(3)) == "end"
