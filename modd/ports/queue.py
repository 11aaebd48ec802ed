"""The port for work that must not get lost."""

from __future__ import annotations

from typing import Protocol

from modd.ports.items import Claim, DeadLetter, Item, Stats


class Queue(Protocol):
    """Keeps items until somebody has done what they ask for: each is done at least once.

    A claim leases an item for a number of seconds. It is settled with `ack`, `retry`, `release` or `bury`; if its lease
    ends before, the item is ready again and its attempt counts. As long as nobody else has claimed the item, a claim
    can be extended and settled even then; after that, and once it is settled, each of these raises `LeaseLost`.

    Items are claimed in the order in which they were put, as far as they are due. Of the items of one key one is
    claimed at a time: it holds the key as long as any of its attempts counts, while it waits for a retry too, so until
    it is acked or buried, or released from its first attempt. An item that was put with a delay takes no part until it
    is due; then it stands where it was put.

    Times are in seconds. Raises `InvalidOption` for those that cannot be, and for a limit below 1.

    A make may have one more method, ``async def wait(self, seconds: float) -> None``, which returns as soon as there
    may be something to claim, at the latest after so many seconds. Workers then need not look again and again.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids, in their order, when they are safe.

        An id that the queue knows is not put again, and is returned all the same. The queue knows an id as long as it
        has the item, dead or alive.
        """
        ...

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, without waiting for any; their attempts count now."""
        ...

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease end ``lease`` seconds from now."""
        ...

    async def ack(self, *claims: Claim) -> None:
        """What the items asked for is done: forget them. All of them or, with `LeaseLost`, none."""
        ...

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """It failed: make the item ready again after ``delay`` seconds. Meanwhile it holds its key."""
        ...

    async def release(self, claim: Claim) -> None:
        """It was not tried: make the item ready again as if it had not been claimed; the attempt does not count."""
        ...

    async def bury(self, claim: Claim, reason: str) -> None:
        """It is no use to try again: put the item aside, for people, with the reason. Its key is free."""
        ...

    async def cancel(self, *ids: str) -> list[str]:
        """Forget items that have not been claimed, and return the ids of those.

        An item counts as not claimed while none of its attempts counts: one that waits for a retry or whose lease ended
        stays, as what it asks for may have been done in part.
        """
        ...

    async def stats(self) -> Stats:
        """How many items there are of each kind."""
        ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """The buried items, those that were buried first at the front."""
        ...

    async def redrive(self, *ids: str) -> list[str]:
        """Put buried items back, behind all others and with no attempts, and return the ids of those."""
        ...

    async def discard(self, *ids: str) -> list[str]:
        """Forget buried items, and return the ids of those."""
        ...
