"""Leases are renewed for as long as claims are worked on."""

from __future__ import annotations

import anyio
from anyio.abc import TaskGroup

from modd.cancelled import error_of
from modd.ports.errors import LeaseLost
from modd.worker.slots import Slot, Slots
from modd.worker.sources import LONGEST, SHORTEST, log
from modd.worker.work import Work


class Leases:
    """Looks at all that is worked on, three times in a lease, and renews what would not last.

    lease: for how many seconds.
    """

    def __init__(self, slots: Slots, lease: float) -> None:
        self._slots, self._lease, self._tick = slots, lease, lease / 3

    async def run(self) -> None:
        """Renew leases until it is cancelled; each beside the others, so that the store can write them together."""
        async with anyio.create_task_group() as tasks:
            while True:
                await anyio.sleep(self._tick)
                self._renew_all(tasks)

    def _renew_all(self, tasks: TaskGroup) -> None:
        soon = anyio.current_time() + self._lease - self._tick
        for slot, work in self._slots.busy:
            if work.until <= soon and not (work.settling or work.renewing):
                work.renewing = True
                tasks.start_soon(self._renew, slot, work)

    async def _renew(self, slot: Slot, work: Work) -> None:
        """Renew one; when the store fails, again and again for as long as it is worked on."""
        pause = SHORTEST
        while slot.work is work and not work.settling:
            error = await self._error_of(slot, work)
            if error is None:
                break
            log.warning("the lease of %s cannot be renewed; next try in %g s", work.claim.id, pause, exc_info=error)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST)
        work.renewing = False

    async def _error_of(self, slot: Slot, work: Work) -> Exception | None:
        until = anyio.current_time() + self._lease
        error = await error_of(work.source.queue.extend, work.claim, self._lease)
        if isinstance(error, LeaseLost):
            slot.lose(work)
            return None
        if error is None:
            work.until = until
        return error
