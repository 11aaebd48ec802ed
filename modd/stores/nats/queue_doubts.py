"""Doubts: picks of which it is not known if their claims are stored. The record tells, or the server when asked."""

from __future__ import annotations

import anyio

from modd.stores.nats.access import NatsParts
from modd.stores.nats.queue_picks import Pick
from modd.stores.nats.queue_view import QueueView

DOUBT_SECONDS = 0.02
"""Seconds for which a lost pick waits for the record of the process that was faster, before the server is asked."""


class QueueDoubts:
    """Ends the doubts about the picks of a view.

    store: the store. view: the items, as far as this process knows.
    """

    def __init__(self, store: NatsParts, view: QueueView) -> None:
        self._store, self._view = store, view

    async def wait(self) -> None:
        """Wait for the records of the processes that were faster with lost picks, but not for long."""
        with anyio.move_on_after(DOUBT_SECONDS):
            while self._view.picks.doubts:
                await self._view.next_change()

    async def resolve(self) -> None:
        """Ask the server for the items of lost picks, and restore those that are as before."""
        for pick in [*self._view.picks.doubts.values()]:
            await self._resolve(pick)

    async def _resolve(self, pick: Pick) -> None:
        stream, write = self._store.stream, pick.write
        record = await stream.last(write.subject)
        last = await stream.last(write.expected_of) if write.expected_of else record
        await self._view.reach(max(each.sequence for each in (record, last) if each) if record and last else 0)
        picks = self._view.picks
        if picks.doubts.get(pick.item.id) is not pick:
            return  # its record has come by
        del picks.doubts[pick.item.id]
        if record is None:
            self._view.remove(pick.item.id)
        else:
            self._view.ends.correct(pick.item.id, write.expected or 0, last.sequence if last else 0)
            picks.restore(pick)
        self._view.notifier.notify()
