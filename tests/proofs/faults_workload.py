"""Calls of every kind, each of which is made again until it went well, and what must be there in the end.

They are written as those who cannot know whether a call that failed was done have to write them: with ids, with
revisions, with an inbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from modd.ports import AlreadyHandled, Claim, Conflict, Item, LeaseLost
from modd.stores.sqlite.store import SqliteStore
from tests.proofs.power_ledger import Thing
from tests.proofs.power_workload import event_of, item_of

LEASE = 10.0
Call: TypeAlias = Callable[[], Awaitable[None]]


def body_of(id: str) -> bytes:
    """The content of an item: some pages."""
    return f"{id} ".encode() * 4000


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


EXPECTED: dict[Thing, Any] = {
    **dict([item_of(body_of(id), state, 0) for id, state in (("b", "dead"), ("c", "waiting"), ("d", "waiting"))]),
    **{("stream", name): revision for name, revision in (("s", 4), ("p", 1), ("q", 1))},
    ("inbox", "p"): 1,
    ("inbox", "q"): 1,
    ("account", "a"): 2,
    ("cache", "key"): b"value",
}
"""What is there in the end, but for the attempts: a call that failed may have claimed."""


class Work:
    """The calls, in the order in which they are made."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._queue = store.queue("orders")
        self._claims: dict[str, Claim] = {}

    def groups(self) -> Sequence[Sequence[Call]]:
        """Those of a group are made at once."""
        return (
            [self._table],
            [lambda: self._put("a", "b"), lambda: self._put("c", "d"), lambda: self._append(0, 3)],
            [lambda: self._pay("p", immediate=False)],
            [lambda: self._pay("q", immediate=True)],
            [self._give_up],
            [self._claim],
            [self._ack, self._bury, self._retry, self._look],
            [self._relay, self._keep],
            [lambda: self._append(3, 1), self._look],
        )

    async def _table(self) -> None:
        async with self._store.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER)")
            await tx.execute("INSERT OR IGNORE INTO accounts VALUES ('a', 0)")

    async def _put(self, *ids: str) -> None:
        items = [Item(body_of(id), id=id, key="key" if id in "cd" else None) for id in ids]
        assert [each.id for each in await self._queue.put(*items)] == [*ids]

    async def _append(self, expected: int, count: int) -> None:
        with suppress(Conflict):
            events = [event_of("s", expected + each + 1) for each in range(count)]
            await self._store.events.append("s", events, expected)

    async def _pay(self, id: str, immediate: bool) -> None:
        with suppress(AlreadyHandled):
            async with self._store.transaction(immediate=immediate) as tx:
                assert len(await tx.fetch("SELECT balance FROM accounts")) == 1
                await self._store.inbox.add(id)
                await tx.execute("UPDATE accounts SET balance = balance + 1")
                await self._store.events.append(id, [event_of(id, 1)], 0)
                await self._store.outbox.put(Item(b"", id=id))

    async def _give_up(self) -> None:
        with suppress(ValueError):
            async with self._store.transaction(immediate=True):
                await self._put("e", "f")
                await self._store.events.append("s", [b"never"] * 50, 3)
                raise ValueError

    async def _claim(self) -> None:
        """Claim all; what a call that failed had claimed comes again when its lease is over, one by one."""
        self._clock.now += 2 * LEASE
        self._claims = {}
        while claims := await self._queue.claim(10, LEASE):
            self._claims |= {claim.id: claim for claim in claims}
        assert sorted(self._claims) == ["a", "b", "c"]

    async def _ack(self) -> None:
        with suppress(LeaseLost):
            await self._queue.ack(self._claims["a"])

    async def _bury(self) -> None:
        with suppress(LeaseLost):
            await self._queue.bury(self._claims["b"], "no use")

    async def _retry(self) -> None:
        with suppress(LeaseLost):
            await self._queue.retry(self._claims["c"])

    async def _relay(self) -> None:
        self._clock.now += 2 * LEASE
        with suppress(LeaseLost):
            await self._store.outbox.ack(*await self._store.outbox.claim(5, LEASE))

    async def _keep(self) -> None:
        await self._store.cache.set("key", b"value", 1e6)
        assert await self._store.cache.get("key") == b"value"

    async def _look(self) -> None:
        assert (await self._queue.stats()).delayed == 0
        assert [event.revision async for event in self._store.events.read("s")][:3] == [1, 2, 3]
