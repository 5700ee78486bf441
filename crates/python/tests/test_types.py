"""The stubs say what the module has, and what a type checker should know."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest

TYPED = str(pathlib.Path(__file__).with_name("typed.py"))


def needs(module, version=(3, 10)):
    """The tools' last releases for older versions of Python know less."""
    missing = importlib.util.find_spec(module) is None or sys.version_info < version
    return pytest.mark.skipif(missing, reason=f"SKIPPED: types: no {module}, or a Python before {version}")


def check(*arguments):
    ended = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs("mypy")
def test_stubs_agree_with_the_module():
    check("mypy.stubtest", "evanesce")


@needs("mypy")
def test_mypy_accepts_and_refuses_what_it_should():
    check("mypy", "--strict", "--warn-unused-ignores", TYPED)
    check("mypy", "--strict", "-p", "evanesce")


@needs("pyright")
def test_pyright_accepts_and_refuses_what_it_should(tmp_path):
    """Strict, and each `pyright: ignore` must be needed."""
    shutil.copy(TYPED, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(
        '{"strict": ["typed.py"], "enableTypeIgnoreComments": false, "reportUnnecessaryTypeIgnoreComment": "error"}'
    )
    check("pyright", "-p", str(tmp_path), "--pythonpath", sys.executable)
