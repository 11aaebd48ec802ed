"""One run of a worker: its loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from modd.middleware.backoff import spread
from modd.worker.handling import Handling
from modd.worker.leases import Leases
from modd.worker.options import Options
from modd.worker.slots import Slots
from modd.worker.sources import Source, log
from modd.worker.waking import Waking
from modd.worker.work import Work

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
        self._tasks: Any = None
        self._stopping = False
        self._settled = 0

    @property
    def busy(self) -> int:
        """How many claims are worked on."""
        return self._options.concurrency - self._slots.free

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._waking.wake()

    async def run(self) -> None:
        """Work until it is stopped, and then until handlers have ended or were cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._leases.run)
            if self._options.max_age is not None:
                tasks.start_soon(self._stop_after, self._options.max_age)
            await self._work(tasks)
            with anyio.move_on_after(self._options.drain):
                while self.busy:
                    await self._waking.sleep()
            if self.busy:
                log.warning("%d messages are released: their handlers took too long to stop", self.busy)
            tasks.cancel_scope.cancel()

    async def _work(self, tasks: TaskGroup) -> None:
        while not self._stopping:
            room = self._room
            if room <= 0:
                await self._waking.sleep()
            elif not await self._claim(tasks, room):
                await self._waking.rest(self._look_later)

    @property
    def _room(self) -> int:
        """How many more may be claimed."""
        most = self._options.max_messages
        return self._slots.free if most is None else min(self._slots.free, most - self._settled - self.busy)

    async def _claim(self, tasks: TaskGroup, room: int) -> bool:
        """Claim from the queues in their order; whether to look again at once: a queue that tells when need not be."""
        again = False
        for source in self._sources:
            until = anyio.current_time() + self._options.lease
            claims = await source.claim(room, self._options.lease) if room and not source.rests else None
            if claims is None:
                continue
            self._polled()
            for claim in claims:
                self._slots.give(tasks, Work(source, claim, until))
            room -= len(claims)
            again = again or not room or (bool(claims) and not source.waits)
        return again

    async def _look_later(self) -> None:
        """Wait until there may be something in a queue, or it is time to look."""
        seconds = spread(self._options.poll, JITTER)
        waits = [source.wait for source in self._sources if source.waits and not source.rests]
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
            self._tasks.start_soon(_leave_to_others, work, work.rest, self._options.lease)
        elif not work.lost:
            self._settled += 1
        if self._settled == self._options.max_messages:
            self._stopping = True
        if self._waking.asleep or not work.source.waits:
            self._waking.wake()


async def _first(wait: Callable[[float], Any], seconds: float, others: TaskGroup) -> None:
    await wait(seconds)
    others.cancel_scope.cancel()


async def _leave_to_others(work: Work, seconds: float, lease: float) -> None:
    """Hold a claim for a while without working on it, and release it: so its attempts do not count."""
    try:
        await work.source.queue.extend(work.claim, seconds + lease)
        await anyio.sleep(seconds)
    except Exception as error:
        log.warning("%s cannot be held for others", work.claim.id, exc_info=error)
    finally:
        await work.give_back()
