"""An inbox in the memory of this process."""

from __future__ import annotations

from modd.checks import checked_span
from modd.concurrency.loops import steady_time
from modd.ports.errors import AlreadyHandled
from modd.ports.inbox import WEEK
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.timers import IndexedHeap


class MemoryInbox:
    """A `modd.ports.Inbox` of this process: for tests, and beside a queue that is lost with the process, too.

    retention: seconds for which an id is remembered, 7 days by default; choose it longer than the latest redelivery.
    owner: the `MemoryStore` that it is a part of; None, the default, for an inbox alone.

    Raises:
        InvalidOption: ``retention`` is not a number of seconds above 0.
    """

    def __init__(self, retention: float = WEEK, owner: MemoryOwner | None = None) -> None:
        self._retention = checked_span("retention", retention)
        self._ends = IndexedHeap()
        """The ids, by the time at which they are forgotten."""
        self._owner = owner or Alone()

    @property
    def retention(self) -> float:
        """The seconds for which an id is remembered."""
        return self._retention

    async def add(self, id: str) -> None:
        """Record an id as handled. Raises `AlreadyHandled` if it is recorded."""
        await self._owner.access("add").write(self._add, id)

    async def has(self, id: str) -> bool:
        """True if the id is recorded."""
        return await self._owner.access("has").read("an id of the inbox", self._has, id)

    def _add(self, id: str) -> None:
        self._drop_expired()
        if id in self._ends:
            raise AlreadyHandled(id)
        self._owner.undo_log.keep(self._end_of, self._set_end, id)
        self._ends.put(id, steady_time() + self._retention)

    def _has(self, id: str) -> bool:
        self._drop_expired()
        return id in self._ends

    def _end_of(self, id: str) -> float | None:
        return self._ends.place_of(id)[0] if id in self._ends else None

    def _set_end(self, id: str, end: float | None) -> None:
        if end is None:
            self._ends.remove(id)
        else:
            self._ends.put(id, end)

    def _drop_expired(self) -> None:
        for _ in self._ends.pop_all(steady_time()):
            pass
