from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Generic, SupportsIndex, TypeVar, final, overload
from typing_extensions import Self, TypeAlias
