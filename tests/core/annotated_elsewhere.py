"""Generic bases, decorators and aliases of another module, with names that mean other types where they are used."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, NewType, TypeVar

from modd import Message


class Moved(Message):
    """The name of another type in the module of the tests."""


M = TypeVar("M", bound=Message)
ByName = TypeVar("ByName", bound="Moved")
Special = NewType("Special", "Moved")


class Handler(Generic[M]):
    """A base whose call is annotated with a type variable."""

    def __call__(self, message: M) -> None:
        self.handle(message)

    def handle(self, message: M) -> None: ...

    @classmethod
    def of_class(cls, message: M) -> None: ...

    @functools.lru_cache  # noqa: B019
    def cached(self, message: M) -> None: ...

    def union(self, message: M | Moved) -> None: ...

    def moved(self, message: Moved) -> None: ...


class Named(Handler["Moved"]):
    """Names its type by a text, in this module."""


class timed:  # as a library names its decorator
    """A decorator that is a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def traced(function: Callable[..., Any]) -> Any:
    """A decorator that is a function."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def bound_by_name(message: ByName) -> None: ...
def new_type_by_name(message: Special) -> None: ...
