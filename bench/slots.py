"""A queue whose messages are claimed for some free slots, as a worker does, and acknowledged one by one."""

from __future__ import annotations

from time import perf_counter
from typing import Protocol

import anyio

from bench.cases import expect
from bench.durable import payload
from modd.ports import Claim, Item, Queue

SLOTS = 8
"""Messages that a process has at a time."""
LEASE = 600.0


class WaitingQueue(Queue, Protocol):
    """A queue that can be waited at."""

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim."""
        ...


class Slots:
    """Claims for its free slots, as a worker does, and acknowledges each message in its slot."""

    def __init__(self, queue: WaitingQueue) -> None:
        self._queue, self._free, self.done = queue, anyio.Semaphore(SLOTS), 0

    async def work(self) -> None:
        """Work until none is left."""
        is_over = False
        async with anyio.create_task_group() as tasks:
            while not is_over:
                async with self._free:
                    claims = await self._queue.claim(self._free.value + 1, LEASE)
                for claim in claims:
                    self._free.acquire_nowait()
                    self.done += 1
                    tasks.start_soon(self._ack, claim)
                is_over = not claims and await self._is_done()

    async def _is_done(self) -> bool:
        stats = await self._queue.stats()
        if stats.ready + stats.leased == 0:
            return True
        await self._queue.wait(0.01)
        return False

    async def _ack(self, claim: Claim) -> None:
        await self._queue.ack(claim)
        self._free.release()


def waiting_items(number: int, keys: int) -> list[Item]:
    """Return items to put. keys: the number of their keys; 0 for none."""
    return [Item(payload(), key=f"key-{each % keys}" if keys else None) for each in range(number)]


async def work_off(queue: WaitingQueue, messages: int) -> float:
    """Claim and acknowledge all messages of a queue, and return the seconds. messages: how many it must have."""
    began, slots = perf_counter(), Slots(queue)
    await slots.work()
    expect(slots.done, messages)
    return perf_counter() - began
