"""Queues that fail or cannot be waited for, and a slow handler."""

from __future__ import annotations

from typing import Any

import anyio

from modd.ports import Claim, StoreError, Subscription
from modd.stores import MemoryQueue
from tests.worker.desk import Pay


class Flaky(MemoryQueue):
    """Fails as often as it is told, by the name of the method."""

    def __init__(self, **fails: int) -> None:
        super().__init__()
        self.fails, self.calls = fails, list[tuple[str, float]]()

    async def _ask(self, what: str) -> None:
        self.calls.append((what, anyio.current_time()))
        if self.fails.get(what, 0):
            self.fails[what] -= 1
            await anyio.lowlevel.checkpoint()
            raise StoreError("flaky", what)

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        await self._ask("claim")
        return await super().claim(limit, lease)

    async def extend(self, claim: Claim, lease: float) -> None:
        await self._ask("extend")
        await super().extend(claim, lease)

    async def ack(self, *claims: Claim) -> None:
        await self._ask("ack")
        await super().ack(*claims)

    async def release(self, claim: Claim) -> None:
        await self._ask("release")
        await super().release(claim)

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        await self._ask("announce")
        await super().announce(*subscriptions, retention=retention)

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        await self._ask("leave")
        return await super().leave(claim, name, retention)

    async def wait(self, seconds: float) -> None:
        await self._ask("wait")
        await super().wait(seconds)

    def at(self, what: str) -> list[float]:
        return [at for called, at in self.calls if called == what]


class Slow:
    """A handler that takes its time."""

    def __init__(self, seconds: float = 100.0) -> None:
        self.seconds, self.begun, self.ended, self.cancelled = seconds, 0, 0, 0

    async def __call__(self, pay: Pay) -> None:
        self.begun += 1
        try:
            await anyio.sleep(self.seconds)
        except BaseException:
            self.cancelled += 1
            raise
        self.ended += 1


class Plain:
    """A queue that cannot be waited at."""

    def __init__(self, queue: MemoryQueue) -> None:
        self.queue = queue

    def __getattr__(self, name: str) -> Any:
        if name == "wait":
            raise AttributeError(name)
        return getattr(self.queue, name)
