"""What the parts of the suite for event stores share."""

from __future__ import annotations

from collections.abc import AsyncIterator

from modd.ports.events import EventStore, Recorded
from modd.testing.conformance.base import Suite


class EventStoreSuite(Suite[EventStore]):
    """The base of the parts."""


async def bodies(events: AsyncIterator[Recorded]) -> list[bytes]:
    """The bodies of all that is read."""
    return [event.body async for event in events]
