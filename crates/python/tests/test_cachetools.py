"""cachetools' own tests of its decorators, with a TtlMap for its cache. They are in its source distribution, whose folder
the variable CACHETOOLS_SDIST names (`ci/python.sh`)."""

import os
import sys
import unittest

import pytest

from evanesce import TtlMap

SDIST = os.environ.get("CACHETOOLS_SDIST")
if SDIST is None:
    pytest.skip("SKIPPED: cachetools' tests: CACHETOOLS_SDIST is not set", allow_module_level=True)
# Its package of tests has the name that ours would have.
sys.path.insert(0, SDIST)
from tests.test_cached import DecoratorTestMixin  # noqa: E402
from tests.test_cachedmethod import MethodDecoratorTestMixin  # noqa: E402

sys.path.remove(SDIST)


class TestDecorator(unittest.TestCase, DecoratorTestMixin):
    def cache(self, minsize, **options):
        return TtlMap()


class TestMethodDecorator(unittest.TestCase, MethodDecoratorTestMixin):
    def cache(self, minsize, **options):
        return TtlMap()
