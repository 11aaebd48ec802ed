"""Closing what was opened, in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from modd.worker.sources import log


@asynccontextmanager
async def closed_by(context: AbstractAsyncContextManager[Any], deadline: Callable[[], float]) -> AsyncIterator[None]:
    """Enter a context for the block; what takes too long to leave it is cancelled, and that is logged.

    deadline: asked at the end of the block, by the clock of the loop.
    """
    error: BaseException | None = None
    with anyio.CancelScope() as scope:
        async with context:
            try:
                yield
            except BaseException as raised:
                error = raised
                raise
            finally:
                scope.deadline = deadline()
    if scope.cancelled_caught:
        log.warning("what was opened took too long to close and was cancelled")
        if error is not None:
            raise error
