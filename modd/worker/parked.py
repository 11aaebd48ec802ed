"""Rows whose handlers this worker does not have: parked for a few seconds, then released for other workers.

A worker cannot tell a queue which rows to skip. It leases such a row for a moment, so that it can claim what is behind
the row, then releases it and pauses the queue, so that a worker that has the handler may get it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from logging import WARNING

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.backoff import spread
from modd.concurrency.cancellation import error_of
from modd.core import log_error
from modd.ports.errors import LeaseLost
from modd.worker.claim import ClaimInHand
from modd.worker.source import log

PARK_MIN, PARK_MAX = 1.0, 3.0
"""Seconds that a row is parked: at first, and at most."""


RELEASE_INTERVAL = 1.0
"""Seconds between two releases: rows are released together, so that their queue pauses seldom."""


PAUSE, FULL_PAUSE = 0.4, 2.0
"""Seconds that a queue pauses when rows are released, and when they are released because `CAPACITY` was reached."""


PAUSE_JITTER = 0.25
"""Share by which pauses differ, so that workers without the handlers do not claim the rows from each other."""


CAPACITY = 1000
"""Most rows that are parked at a time."""


class ParkedRows:
    """The rows that are parked now.

    lease: seconds for which the rows were claimed; they are released long before.
    poll: seconds between two claims from a queue that cannot be waited for.
    on_release: called when there is room for more rows.
    """

    def __init__(self, lease: float, poll: float, on_release: Callable[[], None]) -> None:
        self._limit, self._poll, self._on_release = lease / 3, poll, on_release
        self._due: dict[ClaimInHand, float] = {}
        """The time to release each row, by the clock of the loop."""
        self._task_runs = False

    @property
    def count(self) -> int:
        """Number of rows that are parked."""
        return len(self._due)

    @property
    def room(self) -> int:
        """Number of rows that can be parked yet."""
        return CAPACITY - len(self._due)

    def add(self, tasks: TaskGroup, row: ClaimInHand, seconds: float) -> None:
        """Park a row for so many seconds, or for a third of its lease if that is less."""
        self._due[row] = anyio.current_time() + min(seconds, self._limit)
        if not self._task_runs:
            self._task_runs = True
            tasks.start_soon(self._run)

    async def _run(self) -> None:
        """Release rows when they are due, until none is left; release all when cancelled."""
        try:
            while self._due:
                await anyio.sleep(min(RELEASE_INTERVAL, self._limit))
                await self._release_due()
        finally:
            self._task_runs = False
            await self._release_all()

    async def _release_due(self) -> None:
        now, pause = anyio.current_time(), PAUSE
        due = [row for row, at in self._due.items() if at <= now]
        if self.room <= 0:
            due, pause = [*self._due], FULL_PAUSE
            log.warning(
                "%d rows for handlers that are not here were claimed; messages behind them wait until a worker with "
                "their handlers takes the rows, you discard them, or they become dead letters after the retention",
                len(due),
            )
        self._pause_sources(due, pause)
        async with anyio.create_task_group() as tasks:
            for row in due:
                tasks.start_soon(self._release, row)
        self._pause_sources(due, pause)
        self._on_release()

    def _pause_sources(self, rows: Iterable[ClaimInHand], seconds: float) -> None:
        """Pause the queues before and after rows are released: else this worker would claim the rows again."""
        for source in {row.source for row in rows}:
            source.pause(spread(seconds if source.can_wait else max(seconds, self._poll), PAUSE_JITTER))

    async def _release(self, row: ClaimInHand) -> None:
        """Release a row; a store that fails is asked again at the next release, until the lease ends."""
        error = await error_of(row.source.queue.release, row.claim)
        if error is None or isinstance(error, LeaseLost) or anyio.current_time() >= row.until:
            del self._due[row]
        else:
            text, message = "%s cannot be released for now", row.message
            log_error(log, text, row.claim.id, error=error, message=message, level=WARNING)

    async def _release_all(self) -> None:
        rows = [*self._due]
        self._due.clear()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for row in rows:
                    tasks.start_soon(row.release)


def parking_time(age: float) -> float:
    """Return the seconds to park a row that was created ``age`` seconds ago: longer for older rows."""
    return min(max(PARK_MIN, age / 2), PARK_MAX)
