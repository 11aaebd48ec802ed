"""The writes of a flow for some events, or for what was due: instances, indexes and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from modd.follower.direct import DirectCommands
from modd.follower.instance_work import InstanceWork
from modd.follower.instances import DueEntry, FlowDocuments
from modd.follower.track import EventFailure
from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.ports.transaction import open_transaction


class FlowBatch:
    """A batch of a flow.

    documents: those of the flow. queue: gets the commands. works: the instances that were at work.
    on_done: called with the instances that were written, after the commit.
    failed: the event that could not be done, or None. stale: due times that no instance has.
    direct: handles a single command at once; None to put all into the queue.
    """

    def __init__(
        self,
        documents: FlowDocuments,
        queue: Queue,
        works: Iterable[InstanceWork],
        on_done: Callable[[Sequence[InstanceWork]], None],
        *,
        failed: EventFailure | None = None,
        stale: Sequence[DueEntry] = (),
        direct: DirectCommands | None = None,
    ) -> None:
        self._documents, self._queue, self._on_done = documents, queue, on_done
        self._changed = [work for work in works if work.has_changed]
        self._failed, self._stale, self._direct = failed, stale, direct
        self.has_appended = False
        """True if `write` has handled a command, whose events are in the log."""

    @property
    def failed(self) -> EventFailure | None:
        """The first event that could not be done."""
        return self._failed

    @property
    def is_empty(self) -> bool:
        """True if no instance has changed."""
        return not (self._changed or self._stale)

    async def write(self) -> None:
        """Write the instances, and put the commands into the queue."""
        for work in self._changed:
            await self._documents.write(work.key, work.stored, work.now)
        for entry in self._stale:
            await self._documents.forget_due(entry)
        items = [item for work in self._changed for item in work.items]
        if items and not await self._handle(items):
            await self._queue.put(*items)
            for work in self._changed:
                work.has_queued = work.has_queued or bool(work.items)

    async def _handle(self, items: Sequence[Item]) -> bool:
        """Handle a single command at once, if no earlier one of its instance can be in the queue."""
        transaction = open_transaction.get()
        if self._direct is None or len(items) > 1 or transaction is None:
            return False
        [work] = [work for work in self._changed if work.items]
        self.has_appended = not work.has_queued and await self._direct.handle(items[0], transaction)
        return self.has_appended

    def done(self) -> None:
        """Note that all is written."""
        for work in self._changed:
            work.written()
        self._on_done(self._changed)
