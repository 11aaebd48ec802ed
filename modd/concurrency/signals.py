"""One-shot signals between tasks, as fast as the loop allows, because every write to a store waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import anyio

Signal: TypeAlias = Any
"""A one-shot signal: one task awaits it, and another task sets it once."""


class EventSignal:
    """A signal that works on any loop."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def __await__(self) -> Any:
        return self._event.wait().__await__()

    def done(self) -> bool:
        """True if the signal is set."""
        return self._event.is_set()

    def set_result(self, result: None) -> None:
        """Wake the waiting task."""
        self._event.set()


def signals() -> Callable[[], Signal]:
    """Return the constructor of signals for the running loop; on asyncio a future, at half the cost of an event."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return EventSignal
    if type(loop).create_future is asyncio.BaseEventLoop.create_future:
        return partial(asyncio.Future, loop=loop)  # as that method does, without the third of its time for a frame
    return loop.create_future


def set_signal(signal: Signal) -> None:
    """Set a signal, unless it is set already or the waiting task was cancelled."""
    if not signal.done():
        signal.set_result(None)
