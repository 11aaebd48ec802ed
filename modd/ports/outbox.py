"""The port for items that a relay publishes."""

from __future__ import annotations

from typing import Protocol

from modd.ports.items import Claim, Item


class Outbox(Protocol):
    """Stores items, in the order in which they were put, until a relay has published them.

    Handlers call ``put``. An implementation over your database joins the open transaction there, so that items are
    stored if and only if the transaction commits. The other methods are for the relay. Only one relay at a time has a
    lease, so
    that the order holds: while items are claimed and the lease has not ended, `claim` returns none. An implementation
    may also have ``wait(seconds)``, like a `Queue`.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again.

        An item with a delay is `InvalidOption`: put it into a queue. So is one with tags, which are for events.
        """
        ...

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while another relay has a lease."""
        ...

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims whose items are published: remove the items, all or, with `LeaseLost`, none."""
        ...

    async def release(self, *claims: Claim) -> None:
        """Release claims whose items are not published: all or, with `LeaseLost`, none can be claimed at once."""
        ...
