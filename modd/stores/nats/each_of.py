"""One call for each of many values, several at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import anyio

A = TypeVar("A")
T = TypeVar("T")


async def each_of(call: Callable[[A], Awaitable[T]], values: Sequence[A], most: int) -> list[T]:
    """Return the result of a call for each value, in their order.

    most: most calls at a time. An error of a call ends the rest, and is raised as it is, in no group.
    """
    results: dict[int, T] = {}
    errors: list[Exception] = []
    waiting = iter(enumerate(values))
    async with anyio.create_task_group() as tasks:
        for _ in range(min(most, len(values))):
            tasks.start_soon(_work_off, call, waiting, results, errors, tasks.cancel_scope)
    if errors:
        raise errors[0]
    return [results[place] for place in range(len(values))]


async def _work_off(
    call: Callable[[A], Awaitable[T]],
    waiting: Iterator[tuple[int, A]],
    results: dict[int, T],
    errors: list[Exception],
    scope: anyio.CancelScope,
) -> None:
    try:
        for place, value in waiting:
            results[place] = await call(value)
    except Exception as error:
        errors.append(error)
        scope.cancel()
