"""An inbox in the memory of this process."""

from __future__ import annotations

from threading import Lock

from anyio.lowlevel import checkpoint

from modd.checks import checked_span
from modd.concurrency.loops import steady_time
from modd.ports.errors import AlreadyHandled
from modd.ports.inbox import WEEK
from modd.stores.memory.timers import IndexedHeap


class MemoryInbox:
    """A `modd.ports.Inbox` of this process: for tests, and beside a queue that is lost with the process, too.

    retention: seconds for which an id is remembered, 7 days by default; choose it longer than the latest redelivery.

    Raises:
        InvalidOption: ``retention`` is not a number of seconds above 0.
    """

    def __init__(self, retention: float = WEEK) -> None:
        self._retention = checked_span("retention", retention)
        self._ends = IndexedHeap()
        """The ids, by the time at which they are forgotten."""
        self._lock = Lock()  # for loops in several threads

    async def add(self, id: str) -> None:
        """Record an id as handled. Raises `AlreadyHandled` if it is recorded."""
        await checkpoint()
        with self._lock:
            self._drop_expired()
            if id in self._ends:
                raise AlreadyHandled(id)
            self._ends.put(id, steady_time() + self._retention)

    async def has(self, id: str) -> bool:
        """True if the id is recorded."""
        await checkpoint()
        with self._lock:
            self._drop_expired()
            return id in self._ends

    def _drop_expired(self) -> None:
        for _ in self._ends.pop_all(steady_time()):
            pass
