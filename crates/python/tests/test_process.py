"""Ends of the interpreter, and forks: clean, and said clearly."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(code, **options):
    """Runs a program; it must end as it should, and say nothing else."""
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=120, **options,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_exit_with_a_live_sweeper():
    assert run("""
        from evanesce import KeyValueStore
        store = KeyValueStore(sweep_interval=0.1)
        for n in range(10_000):
            store.put(n, [n], duration=n % 7)
        print(len(store) <= 10_000)
    """) == "True\n"


def test_exit_with_pending_work():
    assert run("""
        from evanesce import KeyValueStore
        class Says:
            def __init__(self, n): self.n = n
            def __del__(self): seen.append(self.n)
        seen = []
        store = KeyValueStore(sweep_interval=1)
        for n in range(50_000):
            store.put(n, Says(n), duration=1)
        store.put('cycle', [store])
        print('end')
    """) == "end\n"


def test_exit_from_a_daemon_thread():
    for _ in range(5):
        run("""
            import threading, time
            from evanesce import KeyValueStore, TtlMap
            store, started = KeyValueStore(sweep_interval=0.1), threading.Barrier(5)
            def work():
                started.wait()
                n = 0
                while True:
                    n += 1
                    store.put(n % 1000, [n], duration=n % 3)
                    store.get(n % 500, None)
                    list(store)
            for _ in range(4):
                threading.Thread(target=work, daemon=True).start()
            started.wait()
        """)


def test_exit_from_a_daemon_thread_that_is_in_code_of_python_s_called_by_a_store():
    """Python ends the thread in there, and unwinds it before 3.14."""
    for where in ["__eq__", "__hash__", "__del__", "factory"]:
        for _ in range(4):
            run(f"""
                import threading, time
                from evanesce import KeyValueStore
                def runs(here):
                    if here == {where!r}:
                        for _ in range(100): pass
                class Key:
                    def __init__(self, n): self.n = n
                    def __hash__(self): runs('__hash__'); return self.n % 7
                    def __eq__(self, other): runs('__eq__'); return self.n == other.n
                class Value:
                    # The module's names may be gone by then.
                    def __del__(self, runs=runs): runs('__del__')
                store, started = KeyValueStore(sweep_interval=0.1), threading.Barrier(5)
                def make(key):
                    runs('factory')
                    return Value()
                def work():
                    started.wait()
                    n = 0
                    while True:
                        n += 1
                        store.put(Key(n % 40), Value(), duration=n % 3)
                        store.get(Key(n % 50), None)
                        store.get_or_put(Key(n % 60), make)
                for _ in range(4):
                    threading.Thread(target=work, daemon=True).start()
                started.wait()
                time.sleep(0.02)
            """)


def test_exit_while_the_sweeper_asks_the_main_thread():
    """Its calls come when the interpreter has begun to end."""
    for _ in range(3):
        run("""
            import atexit, sys, time
            from evanesce import KeyValueStore
            class Late:
                def __del__(self):
                    for _ in range(100): len('x')
                    time.sleep(0.001)
            late = Late()
            late.me = late
            sys.modules['aaa'] = late
            end = time.monotonic() + 0.3
            atexit.register(lambda: time.sleep(max(0, end - time.monotonic() + 0.02)))
            store = KeyValueStore(sweep_interval=1)
            for n in range(20_000):
                store.put(n, [n], duration=max(1, (end - time.monotonic()) * 1000))
        """)


def test_exit_from_a_daemon_thread_that_ends_stores():
    for _ in range(5):
        run("""
            import threading, time
            from evanesce import KeyValueStore
            class Value:
                def __del__(self):
                    for _ in range(200): pass
            def work():
                while True:
                    store = KeyValueStore(sweep_interval=None)
                    for n in range(20): store.put(n, Value())
                    del store
            for _ in range(4):
                threading.Thread(target=work, daemon=True).start()
            time.sleep(0.05)
        """)


def test_a_subinterpreter_is_refused():
    said = run("""
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        import evanesce
        other = interpreters.create()
        code = '''
        try:
            import evanesce
            said = 'imported'
        except ImportError as error:
            said = str(error)
        import os
        os.write(1, said.encode())
        '''
        import textwrap
        interpreters.run_string(other, textwrap.dedent(code))
        store = evanesce.KeyValueStore()
        store.put('a', 1)
    """)
    assert "main interpreter" in said or "not support" in said, said


def test_exit_with_stores_in_modules_and_cycles():
    run("""
        import sys, types, atexit
        from evanesce import KeyValueStore, TtlMap
        sys.modules['holds'] = module = types.ModuleType('holds')
        module.store = KeyValueStore()
        module.store.put('module', module, duration=1000)
        class Late:
            def __del__(self):
                self.store = KeyValueStore(sweep_interval=1)
                self.store.put('late', 1, duration=1)
        late = Late()
        late.self = late
        atexit.register(lambda: module.store.put('at exit', Late(), duration=10))
        made = TtlMap({'a': late})
        made['made'] = made
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SKIPPED: fork: this system has none")
def test_a_child_of_a_fork_has_a_store_that_works_and_a_sweeper():
    assert run("""
        import os, threading, time, warnings
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads
        from evanesce import KeyValueStore
        store = KeyValueStore(sweep_interval=0.1)
        stop = False
        def work():
            n = 0
            while not stop:
                n += 1
                store.put(n % 100, [n], duration=1 + n % 5)
                store.get(n % 100, None)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        def check():
            for n in range(20_000):
                store.put(('k', n % 100), [n], duration=0.5 if n % 2 else None)
                assert n % 2 or store[('k', n % 100)] == [n]
            for n in range(5000):
                store.put(n, n, duration=0.1)
            limit = time.monotonic() + 60
            while store.stats()['len'] > 100 and time.monotonic() < limit: pass
            assert store.stats()['len'] <= 100, store.stats()
            for n in range(100_000):
                store.put('x', n)
            assert store.stats()['pending_reclaim'] < 10_000, store.stats()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    stop = True
                    check()
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
        stop = True
        for thread in threads: thread.join()
        check()
        print('parent')
    """) == "parent\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SKIPPED: fork: this system has none")
def test_a_child_is_told_that_a_comparison_was_going_on():
    assert run("""
        import os, threading, warnings
        from evanesce import KeyValueStore
        class Key:
            def __hash__(self): return 7
            def __eq__(self, other): return compares()
        def waits():
            inside.set()
            goes_on.wait()
            return False
        inside, goes_on = threading.Event(), threading.Event()
        store = KeyValueStore()
        store.put(Key(), 1)
        def child_is_told(expected):
            with warnings.catch_warnings(record=True) as met:
                warnings.simplefilter('always')
                child = os.fork()
                if child == 0:
                    told = [str(w.message) for w in met if w.category is RuntimeWarning]
                    store.put('a', 1)
                    good = [('no store can use the memory' in text) for text in told] == [True] * expected
                    os._exit(0 if good and store.get('a') == 1 else 1)
                assert os.waitpid(child, 0)[1] == 0, expected
            return False
        # In the thread that forks it is its own, and goes on.
        compares = lambda: child_is_told(0)
        store.get(Key(), None)
        compares = waits
        thread = threading.Thread(target=lambda: store.get(Key(), None))
        thread.start()
        inside.wait()
        child_is_told(1)
        goes_on.set()
        thread.join()
        child_is_told(0)
    """) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SKIPPED: fork: this system has none")
def test_multiprocessing_by_fork():
    assert run("""
        import multiprocessing, warnings
        warnings.simplefilter('ignore', DeprecationWarning)
        from evanesce import KeyValueStore
        store = KeyValueStore(sweep_interval=1)
        store.put('a', 1, duration=10**6)
        def child(n):
            store.put(n, n, duration=10**6)
            return store['a'] + store[n]
        with multiprocessing.get_context('fork').Pool(2) as pool:
            print(pool.map(child, range(10)))
        print(len(store))
    """) == f"{list(range(1, 11))}\n1\n"
