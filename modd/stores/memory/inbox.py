"""An inbox in the memory of this process."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from modd.checks import checked_span
from modd.ports.errors import AlreadyHandled
from modd.ports.inbox import WEEK
from modd.stores.memory.timers import Ranked


class MemoryInbox:
    """A `modd.ports.Inbox` of this process: for tests, and beside a queue that is lost with the process, too.

    keep: for how many seconds an id is known; longer than anything takes to come again. Raises `InvalidOption`.
    """

    def __init__(self, keep: float = WEEK) -> None:
        self._keep = checked_span("keep", keep)
        self._ends = Ranked()
        """The ids, by the time until which they are kept."""

    async def add(self, id: str) -> None:
        """Note that it is handled. Raises `AlreadyHandled` if it is noted."""
        await checkpoint()
        self._forget_those_over()
        if id in self._ends:
            raise AlreadyHandled(id)
        self._ends.put(id, anyio.current_time() + self._keep)

    async def has(self, id: str) -> bool:
        """Whether it is noted."""
        await checkpoint()
        self._forget_those_over()
        return id in self._ends

    def _forget_those_over(self) -> None:
        now = anyio.current_time()
        while self._ends.pop(now) is not None:
            pass
