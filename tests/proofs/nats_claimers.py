"""Processes that put into a queue on a NATS server and claim from it, for the proof that several share one."""

from __future__ import annotations

from time import monotonic, perf_counter, process_time

import anyio
from anyio.lowlevel import checkpoint

from modd.nats import Link
from modd.ports import Claim, Item
from modd.stores.nats.store import NatsStore
from tests.proofs.zygote import Outside

LEASE = 600.0
"""Seconds: longer than any proof takes."""

PUTS = 64
"""Tasks that put at a time."""


def item(number: int, keys: int) -> Item:
    """Return an item with its number, and one of so many keys; 0 for none."""
    return Item(b"%d" % number, {"modd-type": "Order"}, f"k{number % keys}" if keys else None)


class Claimer:
    """Works in several slots, and notes when it had which item.

    claimed: the times at which a claim was there and at which its item was done, the number of the item, and its key.
    """

    def __init__(self, store: NatsStore, slots: int) -> None:
        self._queue, self._free = store.queue("work"), anyio.Semaphore(slots)
        self.claimed: list[tuple[float, float, int, str | None]] = []

    async def run(self) -> None:
        """Work until nothing is left: as a worker does, claim for all free slots, else wait."""
        async with anyio.create_task_group() as tasks:
            while True:
                await self._free.acquire()
                self._free.release()
                claims = await self._queue.claim(self._free.value, LEASE)
                for claim in claims:
                    self._free.acquire_nowait()
                    tasks.start_soon(self._handle, claim)
                if not claims:
                    stats = await self._queue.stats()
                    if not stats.ready + stats.leased:
                        return
                    await self._queue.wait(0.2)

    async def _handle(self, claim: Claim) -> None:
        had = monotonic()
        await checkpoint()
        self.claimed.append((had, monotonic(), int(claim.body), claim.key))
        await self._queue.ack(claim)
        self._free.release()


async def fill(outside: Outside, url: str, name: str, items: int, keys: int) -> None:
    """A process that puts items: those of a key in their order."""
    async with (
        Link(url, name="fill", connect_timeout=60) as link,
        NatsStore(link, name, timeout=60, durable="unchecked") as store,
    ):
        queue, begun, used = store.queue("work"), perf_counter(), process_time()

        async def put(part: int) -> None:
            for number in range(part, items, parts):
                await queue.put(item(number, keys))

        parts = keys or PUTS
        async with anyio.create_task_group() as tasks:
            for part in range(parts):
                tasks.start_soon(put, part)
        outside.tell(seconds=perf_counter() - begun, cpu=process_time() - used)


async def claim(outside: Outside, url: str, name: str, slots: int) -> None:
    """A process that works, when all others are there."""
    async with (
        Link(url, name="claim", connect_timeout=60) as link,
        NatsStore(link, name, timeout=60, durable="unchecked") as store,
    ):
        claimer = Claimer(store, slots)
        await store.queue("work").stats()
        outside.tell(ready=True)
        await outside.together()
        begun, used = monotonic(), process_time()
        await claimer.run()
        outside.tell(claimed=claimer.claimed, begun=begun, ended=monotonic(), cpu=process_time() - used)
