"""Work that is cancelled at one of the points at which it waits."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

import anyio


async def cut_at(point: int, work: Coroutine[Any, Any, None]) -> bool:
    """Run work, and cancel it where it waits for the n-th time; return True if it waited so often."""
    with anyio.CancelScope() as scope:
        return await _count(point, work, scope)
    return True


@coroutine
def _count(point: int, work: Coroutine[Any, Any, None], scope: anyio.CancelScope) -> Generator[Any, Any, bool]:
    step, value, waits = work.send, None, 0
    while True:
        try:
            yielded = step(value)
        except StopIteration:
            return waits >= point
        waits += 1
        if waits == point:
            scope.cancel()
        try:
            value, step = (yield yielded), work.send
        except BaseException as error:
            value, step = error, work.throw
