"""Rows for handlers that are not here: kept out of the way for a while, and given back for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.backoff import spread
from modd.concurrency.cancellation import error_of
from modd.ports.errors import LeaseLost
from modd.worker.claim import PATIENCE, Work
from modd.worker.source import log

TICK = 1.0
"""Seconds between two looks at what is to be given back: it is given back together, so that queues rest seldom."""


REST, LONG_REST = 0.4, 2.0
"""For how many seconds a queue is left alone then, for others to look into it, and when there were too many rows."""


JITTER = 0.25
"""By which share that differs, so that those who know none of the handlers do not take turns."""


MOST = 1000
"""So many rows are held at most."""


class Held:
    """Rows that this worker can do nothing about. As long as they are held, what is behind them can be claimed.

    lease: for how many seconds they were claimed; they are given back long before it ends. poll: how often those look
    into a queue who cannot wait at it, in seconds. changed: is told when there is room for more.
    """

    def __init__(self, lease: float, poll: float, changed: Callable[[], None]) -> None:
        self._longest, self._poll, self._changed = lease / 3, poll, changed
        self._due: dict[Work, float] = {}
        """When each may be given back, by the clock of the loop."""
        self._ticks = False

    @property
    def room(self) -> int:
        """How many more may be held."""
        return MOST - len(self._due)

    def add(self, tasks: TaskGroup, work: Work, seconds: float) -> None:
        """Hold a row for so many seconds, or for a third of its lease if that is less."""
        self._due[work] = anyio.current_time() + min(seconds, self._longest)
        if not self._ticks:
            self._ticks = True
            tasks.start_soon(self._tick)

    async def _tick(self) -> None:
        """Give back what is due, until nothing is held; when it is cancelled, all at once."""
        try:
            while self._due:
                await anyio.sleep(min(TICK, self._longest))
                await self._look()
        finally:
            self._ticks = False
            await self._end()

    async def _look(self) -> None:
        now, rest = anyio.current_time(), REST
        due = [work for work, at in self._due.items() if at <= now]
        if self.room <= 0:
            due, rest = [*self._due], LONG_REST
            log.warning(
                "%d rows for handlers that are not here were claimed; what is behind them in the queue waits until "
                "they are handled elsewhere or discarded, or have been there for keep_unknown seconds",
                len(due),
            )
        self._leave_alone(due, rest)
        async with anyio.create_task_group() as tasks:
            for work in due:
                tasks.start_soon(self._release, work)
        self._leave_alone(due, rest)
        self._changed()

    def _leave_alone(self, works: Iterable[Work], seconds: float) -> None:
        """Have their queues rest, before and after rows are given back: else they would be claimed here again."""
        for source in {work.source for work in works}:
            source.leave_alone(spread(seconds if source.waits else max(seconds, self._poll), JITTER))

    async def _release(self, work: Work) -> None:
        """Give a row back; when that fails, it is tried again at the next tick for as long as the lease lasts."""
        error = await error_of(work.source.queue.release, work.claim)
        if error is None or isinstance(error, LeaseLost) or anyio.current_time() >= work.until:
            del self._due[work]
        else:
            log.warning("%s cannot be left to others for now", work.claim.id, exc_info=error)

    async def _end(self) -> None:
        left = [*self._due]
        self._due.clear()
        with anyio.move_on_after(PATIENCE, shield=True):
            async with anyio.create_task_group() as tasks:
                for work in left:
                    tasks.start_soon(work.give_back)
