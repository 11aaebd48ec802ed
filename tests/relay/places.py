"""Outboxes and targets for the tests of relays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from modd.ports import Claim, Item, PutResult, Queue
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue


class Refused(Exception):
    """Raised by a place that is down."""


class Unsteady:
    """A proxy of a place, which can be down or slow, and records the calls with their times."""

    def __init__(self, place: Any) -> None:
        self.place = place
        self.down: set[str] = set()
        self.down_after: set[str] = set()
        """Methods that fail after they have succeeded."""
        self.slow: dict[str, float] = {}
        """How many seconds a method takes."""
        self.calls: list[tuple[float, str]] = []

    async def call(self, name: str, *given: Any) -> Any:
        self.calls.append((anyio.current_time(), name))
        await anyio.sleep(self.slow.get(name, 0))
        if name in self.down:
            raise Refused(name)
        result = await getattr(self.place, name)(*given)
        if name in self.down_after:
            raise Refused(name)
        return result

    def times(self, name: str) -> list[float]:
        return [at for at, called in self.calls if called == name]

    async def put(self, *items: bytes | Item) -> list[str]:
        return await self.call("put", *items)  # type: ignore[no-any-return]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        return await self.call("claim", limit, lease)  # type: ignore[no-any-return]

    async def ack(self, *claims: Claim) -> None:
        await self.call("ack", *claims)

    async def release(self, *claims: Claim) -> None:
        await self.call("release", *claims)


class Joined:
    """An outbox and a queue of one store: writes in a transaction are applied at its end, or not at all."""

    def __init__(self) -> None:
        self.outbox, self.queue = JoinedOutbox(self), JoinedQueue(self)
        self.down = False
        """True if commits fail."""
        self.commits = 0
        self.writes: list[Callable[[], Any]] | None = None

    @asynccontextmanager
    async def transaction(self, *, immediate: bool = False) -> AsyncIterator[Any]:
        writes: list[Callable[[], Any]] = []
        self.writes = writes
        try:
            yield None
        finally:
            self.writes = None
        await checkpoint()
        if self.down:
            raise Refused("commit")
        with anyio.CancelScope(shield=True):
            for write in writes:
                await write()
        self.commits += 1


class JoinedOutbox(MemoryOutbox):
    """The outbox of a store with transactions."""

    def __init__(self, store: Joined) -> None:
        super().__init__()
        self.transaction = store.transaction
        self.store = store

    async def ack(self, *claims: Claim) -> None:
        if self.store.writes is None:
            await super().ack(*claims)
        else:
            self.store.writes.append(partial(super().ack, *claims))


class JoinedQueue(MemoryQueue):
    """The queue of a store with transactions; it knows no id that it does not have, as any queue."""

    def __init__(self, store: Joined) -> None:
        super().__init__()
        self.store = store

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        if self.store.writes is None:
            return await super().put(*items)
        self.store.writes.append(partial(super().put, *items))
        return []


async def bodies(place: Queue | MemoryOutbox) -> list[bytes]:
    """Claims all that there is."""
    return [claim.body for claim in await place.claim(1_000, 3600)]


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    """Run them for the block, and stop them at its end."""
    async with anyio.create_task_group() as tasks:
        for relay in relays:
            tasks.start_soon(relay.run)
        yield
        for relay in relays:
            relay.stop()
