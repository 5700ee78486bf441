"""The stubs say what the module has, and what a type checker should know."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None or sys.version_info < (3, 10),
    reason="SKIPPED: types: no mypy, or the last one for Python 3.9, which knows less",
)


def check(*arguments):
    ended = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_mypy
def test_stubs_agree_with_the_module():
    check("mypy.stubtest", "evanesce")


@needs_mypy
def test_types_are_accepted_and_refused_as_they_should_be():
    check("mypy", "--strict", "--warn-unused-ignores", str(pathlib.Path(__file__).with_name("typed.py")))
    check("mypy", "--strict", "-p", "evanesce")
