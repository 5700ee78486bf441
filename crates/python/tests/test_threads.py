"""Threads that use one store at once: stress.py, in small."""

import os
import subprocess
import sys

import pytest

STRESS = os.path.join(os.path.dirname(__file__), os.pardir, "stress.py")
PARTS = ["displace", "displace_from_a_store", "pass_on", "see_one_entry", "count", "collect", "fork"]


@pytest.mark.parametrize("part", PARTS)
def test_the_stress_in_small(part):
    ended = subprocess.run(
        [sys.executable, STRESS, "--calls", "1000", part], capture_output=True, text=True, timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("1 passed, 0 failed\n")
