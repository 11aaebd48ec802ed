"""The base classes of the suites: how to create an implementation, let time pass and claim items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import anyio

from modd.ports.events import EventStore, RecordedEvent
from modd.ports.items import Claim, Item

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

    has_gaps: bool = False
    """True for a store whose positions rise, perhaps with gaps; False, the default, for 1, 2, 3, and so on."""

    most: int = 10_000
    """Most events, and tags of events, that the store takes in one append; a suite with more appends several times."""

    async def append_many(self, store: EventStore, stream: str, events: Sequence[bytes | Item], size: int = 1) -> None:
        """Append events to a new stream, as many at once as the store takes.

        size: the number of things that an event has: itself, and its tags.
        """
        step = self.most // size
        for start in range(0, len(events), step):
            await store.append(stream, events[start : start + step], start)

    async def position_of(self, store: EventStore, number: int) -> int:
        """Return the position of an event by its number, from 1 in the order of positions; one above all for others."""
        if not self.has_gaps:
            return number
        positions = [0, *[event.position async for event in store.read_all()]]
        return positions[number] if number < len(positions) else positions[-1] + number

    async def numbers(self, store: EventStore, positions: Iterable[int]) -> list[int]:
        """Return the numbers of events, from 1 in the order of positions, by their positions; 0 for position 0."""
        if not self.has_gaps:
            return [*positions]
        every = [0, *[event.position async for event in store.read_all()]]
        return [every.index(position) for position in positions]


async def bodies(events: AsyncIterator[RecordedEvent]) -> list[bytes]:
    """Read events to their end and return their bodies."""
    return [event.body async for event in events]
