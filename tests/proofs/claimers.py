"""A process that claims, for the proof that several share a queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Any

from modd.ports import Claim
from modd.stores import SqliteStore
from tests.proofs.zygote import Outside

BATCH = 25
SHORT, LONG = 0.5, 60.0
"""Seconds of a lease: of one that is left to end, and of the others."""
FORGOTTEN = 16
"""Every so many-th batch is claimed for a short time and not acknowledged."""


class Claimer:
    """Claims and acknowledges, notes when, and how long it had to wait for the store.

    claimed: when a claim was asked for, when it was had, for how long it is leased, the ids, and whether it was
    acknowledged; times in seconds since 1970.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._queue = store, store.queue("work")
        self.claimed: list[tuple[float, float, float, list[str], bool]] = []
        self.longest = 0.0
        self.modes = set[str]()

    async def run(self) -> None:
        """Work until nothing is left."""
        number = 0
        while True:
            number += 1
            lease = SHORT if number % FORGOTTEN == 0 else LONG
            asked = time()
            claims: list[Claim] = await self._timed(self._queue.claim, BATCH, lease)
            self.modes.add(self._store.journal.mode)
            if claims:
                await self._settle(asked, time(), lease, claims)
            elif not any(vars_of(await self._timed(self._queue.stats))):
                return
            else:
                await self._queue.wait(SHORT)

    async def _settle(self, asked: float, had: float, lease: float, claims: list[Claim]) -> None:
        acks = lease == LONG
        if acks:
            await self._timed(self._queue.ack, *claims)
        self.claimed.append((asked, had, lease, [claim.id for claim in claims], acks))

    async def _timed(self, call: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        begun = monotonic()
        try:
            return await call(*given)
        finally:
            self.longest = max(self.longest, monotonic() - begun)


def vars_of(stats: Any) -> tuple[int, int]:
    """What is left to be done: ready, and leased."""
    return stats.ready, stats.leased


async def fill(outside: Outside, path: str, items: int) -> None:
    """A process that puts items."""
    async with SqliteStore(path) as store:
        results = await store.queue("work").put(*[b"%d" % number for number in range(items)])
        outside.tell(ids=[each.id for each in results])


async def claim(outside: Outside, path: str) -> None:
    """A process that works, when all others are there."""
    async with SqliteStore(path) as store:
        claimer = Claimer(store)
        outside.tell(ready=True)
        await outside.together()
        begun = time()
        try:
            await claimer.run()
        except Exception as error:
            outside.tell(error=repr(error))
        outside.tell(begun=begun, ended=time(), longest=claimer.longest, modes=sorted(claimer.modes))
        for each in claimer.claimed:
            outside.tell(claimed=each)
