"""One run of a worker: its loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.backoff import spread
from modd.worker.claim import PATIENCE, Work
from modd.worker.claim_handler import Handling
from modd.worker.options import Options
from modd.worker.parked import Held
from modd.worker.pool import Leases, Slots
from modd.worker.source import Source, log

JITTER = 0.25
"""By which share the time between two looks differs, so that workers do not all look at once."""


class Running:
    """Claims what there are free slots for, until it is stopped.

    polled: is told of each look into a queue that answered.
    """

    def __init__(
        self, sources: Sequence[Source], handling: Handling, options: Options, polled: Callable[[], None]
    ) -> None:
        self._sources, self._options, self._polled = sources, options, polled
        self._slots = Slots(options.concurrency, handling.handle, self._done)
        self._leases = Leases(self._slots, options.lease)
        self._waking = Waking()
        self._held = Held(options.lease, options.poll, self._waking.wake)
        self._tasks: Any = None
        self._looking = anyio.CancelScope()
        """In which queues are asked and waited at."""
        self._stopped_at: float | None = None
        self._settled = 0

    @property
    def busy(self) -> int:
        """How many claims are worked on."""
        return self._options.concurrency - self._slots.free

    @property
    def is_full(self) -> bool:
        """Whether it need not look into queues: it has no room for more, or is stopped."""
        return self._stopped_at is not None or self._room <= 0

    def stop(self) -> None:
        """Claim no more, be it in the middle of it."""
        if self._stopped_at is None:
            self._stopped_at = anyio.current_time()
            self._looking.cancel()

    def closed_by(self) -> float:
        """When everything is to have ended, by the clock of the loop."""
        stopped_at = anyio.current_time() if self._stopped_at is None else self._stopped_at
        return stopped_at + self._options.drain + PATIENCE

    async def run(self) -> None:
        """Work until it is stopped, and then until handlers have ended or were cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._leases.run)
            if self._options.max_age is not None:
                tasks.start_soon(self._stop_after, self._options.max_age)
            with self._looking:
                await self._work(tasks)
            with anyio.move_on_after(self._options.drain):
                while self.busy:
                    await self._waking.sleep()
            if self.busy:
                log.warning("%d messages are released: their handlers took too long to stop", self.busy)
            tasks.cancel_scope.cancel()

    async def _work(self, tasks: TaskGroup) -> None:
        while self._stopped_at is None:
            room = self._room
            if room <= 0:
                await self._waking.sleep()
            elif not await self._claim(tasks, room):
                await self._waking.rest(self._look_later)

    @property
    def _room(self) -> int:
        """How many more may be claimed."""
        most, room = self._options.max_messages, min(self._slots.free, self._held.room)
        return room if most is None else min(room, most - self._settled - self.busy)

    async def _claim(self, tasks: TaskGroup, room: int) -> bool:
        """Claim from the queues in their order; whether to look again at once: a queue that tells when need not be."""
        again = False
        for source in self._sources:
            until = anyio.current_time() + self._options.lease
            claims = await source.claim(room, self._options.lease) if room and not source.rests_for else None
            if claims is None:
                continue
            self._polled()
            for claim in claims:
                self._begin(tasks, Work(source, claim, until))
            room -= len(claims)
            again = again or not room or (bool(claims) and not source.waits)
        return again

    def _begin(self, tasks: TaskGroup, work: Work) -> None:
        """Work on a claim; one that was made while the worker was stopped goes back."""
        if self._stopped_at is None:
            self._slots.give(tasks, work)
        else:
            tasks.start_soon(work.give_back)

    async def _look_later(self) -> None:
        """Wait until there may be something in a queue, or it is time to look."""
        resting = [seconds for source in self._sources if (seconds := source.rests_for)]
        seconds = min([spread(self._options.poll, JITTER), *resting])
        waits = [source.wait for source in self._sources if source.waits and not source.rests_for]
        if len(waits) == 1 == len(self._sources):
            return await waits[0](seconds)
        async with anyio.create_task_group() as tasks:
            for wait in (*waits, anyio.sleep):
                tasks.start_soon(_first, wait, seconds, tasks)

    async def _stop_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.stop()

    def _done(self, work: Work) -> None:
        if work.rest is not None:
            self._held.add(self._tasks, work, work.rest)
        elif not work.lost:
            self._settled += 1
        if self._settled == self._options.max_messages:
            self.stop()
        if self._waking.asleep or not work.source.waits:
            self._waking.wake()


async def _first(wait: Callable[[float], Any], seconds: float, others: TaskGroup) -> None:
    await wait(seconds)
    others.cancel_scope.cancel()


class Waking:
    """Lets one task wait until it is woken; being woken before counts, so that nothing is missed."""

    def __init__(self) -> None:
        self._woken = False
        self._event: anyio.Event | None = None
        self._scope: anyio.CancelScope | None = None

    @property
    def asleep(self) -> bool:
        """Whether nothing but being woken is waited for."""
        return self._event is not None

    def wake(self) -> None:
        """End the wait that is going on, or the next one."""
        self._woken = True
        if self._event is not None:
            self._event.set()
        if self._scope is not None:
            self._scope.cancel()

    async def sleep(self) -> None:
        """Wait until it is woken."""
        if not self._woken:
            self._event = anyio.Event()
            try:
                await self._event.wait()
            finally:
                self._event = None
        self._woken = False

    async def rest(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something, or until it is woken."""
        if not self._woken:
            try:
                with anyio.CancelScope() as self._scope:
                    await wait()
            finally:
                self._scope = None
        self._woken = False
