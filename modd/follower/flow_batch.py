"""The writes of a flow for some events, or for what was due: instances, indexes and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from modd.follower.instance_work import InstanceWork
from modd.follower.instances import DueEntry, FlowDocuments
from modd.follower.track import EventFailure
from modd.ports.queue import Queue


class FlowBatch:
    """A batch of a flow.

    documents: those of the flow. queue: gets the commands. works: the instances that were at work.
    failed: the event that could not be done, or None. stale: due times that no instance has.
    on_done: called with the instances that were written, after the commit.
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
    ) -> None:
        self._documents, self._queue, self._on_done = documents, queue, on_done
        self._changed = [work for work in works if work.has_changed]
        self._failed, self._stale = failed, stale

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
        if items:
            await self._queue.put(*items)

    def done(self) -> None:
        """Note that all is written."""
        for work in self._changed:
            work.written()
        self._on_done(self._changed)
