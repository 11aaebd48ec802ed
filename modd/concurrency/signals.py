"""Waiting for one thing, in as little time as the loop allows: this is on the way of every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import anyio

Signal: TypeAlias = Any
"""What one task waits for: it is awaited, and set once."""


class EventSignal:
    """A signal on any loop."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def __await__(self) -> Any:
        return self._event.wait().__await__()

    def done(self) -> bool:
        """Whether it is set."""
        return self._event.is_set()

    def set_result(self, result: None) -> None:
        """Let the one who waits go on."""
        self._event.set()


def signals() -> Callable[[], Signal]:
    """What makes signals for the loop that runs here: on asyncio a future, at half the price of an event."""
    try:
        return asyncio.get_running_loop().create_future
    except RuntimeError:
        return EventSignal


def set_signal(signal: Signal) -> None:
    """Set it, unless it is set, or was cancelled with the one who waited for it."""
    if not signal.done():
        signal.set_result(None)
