"""Whether the sender was cancelled while a component failed (DESIGN 2.10)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

from anyio.lowlevel import checkpoint_if_cancelled


async def raise_if_cancelled(error: Exception) -> None:
    """Raise the cancellation that a component's error took the place of, if there was one.

    Trio and anyio scopes stay cancelled and are asked. A native ``task.cancel()`` is delivered once; it is found among
    the errors during whose handling the component raised, unless the sender was handling that one before.
    """
    await checkpoint_if_cancelled()
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no asyncio loop runs here
        return
    handled = [*_cancellations(sys.exc_info()[1])]
    if task is None or task.cancelling() <= bool(handled):
        return
    for cancelled in _cancellations(error):
        if cancelled not in handled:
            raise asyncio.CancelledError(*cancelled.args) from error


def _cancellations(error: BaseException | None) -> Iterator[asyncio.CancelledError]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, asyncio.CancelledError):
            yield error
        error = error.__context__
