"""cachetools' own tests of its caches, by a TtlMap, and of its decorators, with a TtlMap for their cache. They are in its source distribution, whose folder
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
from tests import CacheTestMixin  # noqa: E402
from tests.test_cached import DecoratorTestMixin  # noqa: E402
from tests.test_cachedmethod import MethodDecoratorTestMixin  # noqa: E402

sys.path.remove(SDIST)


class TestDecorator(unittest.TestCase, DecoratorTestMixin):
    def cache(self, minsize, **options):
        return TtlMap()


class TestMethodDecorator(unittest.TestCase, MethodDecoratorTestMixin):
    def cache(self, minsize, **options):
        return TtlMap()


class TestCache(unittest.TestCase, CacheTestMixin):
    Cache = TtlMap
    # What a KeyError comes from is no part of what popitem promises.
    test_popitem_exception_context = None


class TestCacheOfATime(TestCache):
    @staticmethod
    def Cache(*data, **options):
        return TtlMap(*data, default_duration=3_600_000, **options)

    # It makes a subclass of the class.
    test_missing = test_missing_getsizeof = test_getsizeof_subclass = None
