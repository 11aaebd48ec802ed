"""The base classes of the suites: how to create an implementation, let time pass and claim items."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import anyio

from modd.ports.events import EventStore, RecordedEvent
from modd.ports.items import Claim

T = TypeVar("T")


class Suite(Generic[T]):
    """Tests of a port; a subclass defines `create`, which opens the implementation under test."""

    tick: float = 1.0
    """The unit of all times in the suite, in seconds. For a store with a real clock, as short as is reliable."""

    def create(self) -> AbstractAsyncContextManager[T]:
        """Open a new and empty implementation for one test: an async generator under ``@asynccontextmanager``."""
        # not abstract: pytest would skip a class that forgot it, and no test would fail
        raise NotImplementedError(
            f"define {type(self).__name__}.create, an async context manager that yields the store"
        )

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for the store: by default, sleep, which costs no time on a virtual clock."""
        await anyio.sleep(seconds)

    async def ticks(self, number: float) -> None:
        """Let a number of ticks pass."""
        await self.pass_time(number * self.tick)


class SupportsClaim(Protocol):
    """A queue or an outbox: any store of items that can be claimed."""

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each."""
        ...


C = TypeVar("C", bound=SupportsClaim)


class ClaimSuite(Suite[C]):
    """Tests of a port with items that can be claimed, and short forms of `claim`."""

    async def claim(self, store: C, limit: int = 100, lease: float = 100) -> list[Claim]:
        """Claim up to ``limit`` items with a lease of ``lease`` ticks."""
        return await store.claim(limit, lease * self.tick)

    async def claim_one(self, store: C, lease: float = 100) -> Claim:
        """Claim the next item; there must be one."""
        [claim] = await self.claim(store, 1, lease)
        return claim

    async def bodies(self, store: C) -> list[bytes]:
        """Claim all claimable items, settle none, and return their bodies."""
        return [claim.body for claim in await self.claim(store)]


class EventStoreSuite(Suite[EventStore]):
    """Tests of an event store."""


async def bodies(events: AsyncIterator[RecordedEvent]) -> list[bytes]:
    """Read events to their end and return their bodies."""
    return [event.body async for event in events]
