"""Context managers written as generators, like those of `contextlib`, that raise every error of their block as it is.

`contextlib` sets an attribute of the error, and so replaces an error that allows none, such as a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from functools import wraps
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, cast

from modd.errors import NotEntered

P = ParamSpec("P")
T = TypeVar("T")


def block(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """Return a function that makes a context manager of a generator with one ``yield``, for ``with``."""

    @wraps(function)
    def create(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        return _Block(cast("Generator[T, None, None]", function(*args, **kwargs)))

    return create


def async_block(function: Callable[P, AsyncIterator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Return a function that makes a context manager of an async generator with one ``yield``, for ``async with``."""

    @wraps(function)
    def create(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _AsyncBlock(cast("AsyncGenerator[T, None]", function(*args, **kwargs)))

    return create


class _Block(AbstractContextManager[T], Generic[T]):
    __slots__ = ("_entered", "_generator")

    def __init__(self, generator: Generator[T, None, None]) -> None:
        self._generator, self._entered = generator, False

    def __enter__(self) -> T:
        self._entered = True
        return next(self._generator)

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not self._entered:
            raise NotEntered(getattr(self._generator, "__qualname__", "the block"))
        try:
            if error is None:
                next(self._generator)
            else:
                self._generator.throw(error)
        except StopIteration as stop:
            return error is not None and stop is not error
        except BaseException as raised:
            if not _is_same(raised, error, trace):
                raise
            return False
        self._generator.close()
        raise AssertionError(f"{self._generator!r} has a second yield")


class _AsyncBlock(AbstractAsyncContextManager[T], Generic[T]):
    __slots__ = ("_entered", "_generator")

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator, self._entered = generator, False

    async def __aenter__(self) -> T:
        self._entered = True
        return await anext(self._generator)

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not self._entered:
            raise NotEntered(getattr(self._generator, "__qualname__", "the block"))
        try:
            if error is None:
                await anext(self._generator)
            else:
                await self._generator.athrow(error)
        except StopAsyncIteration as stop:
            return error is not None and stop is not error
        except BaseException as raised:
            if not _is_same(raised, error, trace):
                raise
            return False
        await self._generator.aclose()
        raise AssertionError(f"{self._generator!r} has a second yield")


def _is_same(raised: BaseException, error: BaseException | None, trace: TracebackType | None) -> bool:
    """Return True if a generator let the error of its block pass; then its own frames leave the traceback."""
    if isinstance(error, (StopIteration, StopAsyncIteration)) and raised.__cause__ is error:
        return True  # a generator cannot raise these as they are
    if raised is not error:
        return False
    with suppress(Exception):  # an error that allows no attribute keeps the longer traceback
        raised.__traceback__ = trace
    return True
