"""What the parts of the suite for queues share."""

from __future__ import annotations

from modd.ports.items import Claim
from modd.ports.queue import Queue
from modd.testing.conformance.base import Suite


class QueueSuite(Suite[Queue]):
    """Short ways to claim."""

    async def claim(self, queue: Queue, limit: int = 100, lease: float = 100) -> list[Claim]:
        """Claims with a lease of so many ticks."""
        return await queue.claim(limit, lease * self.tick)

    async def claim_one(self, queue: Queue, lease: float = 100) -> Claim:
        """The next claim; there must be one."""
        [claim] = await self.claim(queue, 1, lease)
        return claim

    async def bodies(self, queue: Queue) -> list[bytes]:
        """Claims all that can be claimed now, acks nothing."""
        return [claim.body for claim in await self.claim(queue)]
