"""The port for what is to be passed on."""

from __future__ import annotations

from typing import Protocol

from modd.ports.items import Claim, Item


class Outbox(Protocol):
    """Keeps items, in the order in which they were put, until a relay has passed them on.

    ``put`` is for those who write: a make over a database of your own joins the transaction that is open there, so that
    items are kept if and only if the rest of it is. The other methods are for a relay: there is one at a time, so that
    the order holds; as long as some items are claimed and the lease has not ended, nobody else gets any. A make may
    also have ``wait(seconds)``, as a `Queue` may.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; one that is known is not put again.

        An item with a delay is `InvalidOption`: what waits waits in a queue.
        """
        ...

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """The first items, up to ``limit``, for ``lease`` seconds, in order; none while somebody else has some."""
        ...

    async def ack(self, *claims: Claim) -> None:
        """They are passed on: forget them. All of them or, with `LeaseLost`, none."""
        ...

    async def release(self, *claims: Claim) -> None:
        """They are not passed on: somebody else may claim them, and at once. All or, with `LeaseLost`, none."""
        ...
