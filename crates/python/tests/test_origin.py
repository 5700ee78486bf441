"""The usage of the origin, word for word."""

import doctest
import inspect
import pathlib
import subprocess
import sys
import threading
import time

import pytest

import evanesce
from evanesce import KeyValueStore


def test_put_returns_the_value_and_get_returns_it():
    store = KeyValueStore()
    value = object()
    assert store.put("foo", value) is value
    assert store.get("foo") is value


def test_get_of_an_absent_key_raises_key_error_with_the_key():
    store = KeyValueStore()
    for key in ["foo", ("a", "b"), (), None, 0]:
        with pytest.raises(KeyError) as error:
            store.get(key)
        assert error.value.args == (key,)


def test_an_entry_with_a_duration_is_gone_after_it():
    store = KeyValueStore()
    assert store.put("foo", "bar", duration=5) == "bar"
    assert store.put("other", "bar", 60_000) == "bar"
    time.sleep(0.005)
    with pytest.raises(KeyError) as error:
        store.get("foo")
    assert error.value.args == ("foo",)
    assert store.get("other") == "bar"


def test_delete_returns_nothing_or_raises_key_error():
    store = KeyValueStore()
    store.put("foo", "bar")
    assert store.delete("foo") is None
    with pytest.raises(KeyError) as error:
        store.delete("foo")
    assert error.value.args == ("foo",)


def test_many_threads_at_once():
    store = KeyValueStore()
    start = threading.Barrier(8)
    wrong = []

    def work(n):
        start.wait()
        for i in range(3000):
            key = f"{n}-{i % 100}"
            if store.put(key, i) != i or store.get(key) != i:
                wrong.append(key)
            store.put("shared", n)
            store.get("shared")
            if i % 3 == 0:
                store.delete(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store.get("shared") in range(8)


def test_docstrings_hold():
    readme = str(pathlib.Path(__file__).parents[1] / "README.md")
    for results in [doctest.testmod(evanesce), doctest.testfile(readme, module_relative=False)]:
        assert results.failed == 0 and results.attempted > 4
    runner, count = doctest.DocTestRunner(), 0
    for cls in [evanesce.KeyValueStore, evanesce.TtlMap, evanesce.ManualClock]:
        for name, member in [("", cls), *inspect.getmembers(cls)]:
            text = inspect.getdoc(member) or ""
            if ">>>" in text and not name.startswith("__"):
                test = doctest.DocTestParser().get_doctest(text, {}, f"{cls.__name__}.{name}", None, 0)
                runner.run(test)
                count += 1
    assert runner.summarize(verbose=False).failed == 0
    assert count >= 6


def test_help_and_signatures_read_well():
    assert str(inspect.signature(KeyValueStore.put)) == "(self, /, key, value, duration=None)"
    # As of dict.pop: no signature can say that a default need not be given.
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(KeyValueStore.get)
    assert inspect.getdoc(KeyValueStore.get).startswith("get(key[, default]): returns the value of key; or default")
    assert str(inspect.signature(KeyValueStore.delete)) == "(self, /, key)"
    shown = subprocess.run(
        [sys.executable, "-c", "import evanesce; help(evanesce.KeyValueStore)"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert "Puts value in the place of what key has, and returns it." in shown
    assert "put(self, /, key, value, duration=None)" in shown
    for cls in [evanesce.KeyValueStore, evanesce.TtlMap, evanesce.ManualClock]:
        for name, member in inspect.getmembers(cls):
            if not name.startswith("_"):
                assert inspect.getdoc(member), f"{cls.__name__}.{name}"
