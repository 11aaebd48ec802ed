"""What a store is given to do while everything that reaches the disk is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from zlib import crc32

import anyio

from modd.ports import AlreadyHandled, Claim, Item
from modd.stores.sqlite.store import SqliteStore
from tests.proofs.power_ledger import Ledger, Step, Thing

LEASE = DELAY = 1000.0
CALLERS = 6


class Caller:
    """One of several who use the store at once. rounds: how often it does something."""

    def __init__(self, store: SqliteStore, ledger: Ledger, name: str, random: Random) -> None:
        self._store, self._ledger, self._name, self._random = store, ledger, name, random
        self._queue = store.queue("orders")
        self._count = self._revision = self._balance = 0

    async def run(self, rounds: int) -> None:
        """Do something, again and again, one after another."""
        actions: list[Callable[[], Awaitable[None]]] = [
            self.put, self.put, self.work, self.work, self.append, self.pay, self.pay_twice, self.keep, self.relay,
        ]  # fmt: skip
        for _ in range(rounds):
            await self._random.choice(actions)()

    async def open_account(self) -> None:
        """The row of a user's table that each payment changes."""
        with self._ledger.step() as step:
            self._change(step, ("account", self._name), 0)
            async with self._store.transaction() as tx:
                await tx.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER)")
                await tx.execute("INSERT INTO accounts VALUES (?, 0)", (self._name,))

    async def put(self) -> None:
        """Put several, of which some have a key."""
        with self._ledger.step() as step:
            await self._queue.put(*(self._new(step) for _ in range(self._random.randrange(1, 4))))

    async def work(self) -> None:
        """Claim some, and settle each in one of the ways."""
        with self._ledger.step() as step:
            claims = await self._queue.claim(self._random.randrange(1, 5), LEASE)
            for claim in claims:
                self._change(step, *item_of(claim.body, "leased", claim.attempt))
        for claim in claims:
            await self._random.choice((self._ack, self._ack, self._retry, self._settle, self.pay))(claim)

    async def append(self) -> None:
        """Append events to a stream of one's own."""
        with self._ledger.step() as step:
            await self._append(step, self._random.randrange(1, 4))

    async def pay(self, claim: Claim | None = None) -> None:
        """Something in each part of the store and SQL, in one transaction; the claim is acknowledged in it."""
        id = self._id()
        self._balance += 1
        with self._ledger.step() as step:
            for thing, value in (("account", self._name), self._balance), (("inbox", id), 1), (("outbox", id), 0):
                self._change(step, thing, value)
            async with self._store.transaction(immediate=self._random.random() < 0.3) as tx:
                await tx.execute("UPDATE accounts SET balance = balance + 1 WHERE name = ?", (self._name,))
                await self._store.inbox.add(id)
                await self._append(step, 1)
                await self._store.outbox.put(Item(self._body(id), id=id))
                await self._queue.put(self._new(step))
                if claim is not None:
                    await self._queue.ack(claim)
                    self._change(step, item_of(claim.body, "gone", 0)[0], None)

    async def pay_twice(self) -> None:
        """A payment that was handled before; nothing of it may be seen."""
        id = self._id()
        with self._ledger.step() as step:
            self._change(step, ("inbox", id), 1)
            await self._store.inbox.add(id)
        try:
            async with self._store.transaction() as tx:
                await tx.execute("UPDATE accounts SET balance = balance + 1 WHERE name = ?", (self._name,))
                await self._store.events.append(self._name, [b"never"], self._revision)
                await self._store.outbox.put(Item(b"never", id="never"))
                await self._store.inbox.add(id)
        except AlreadyHandled:
            pass

    async def keep(self) -> None:
        """Something in the cache."""
        with self._ledger.step() as step:
            value = self._body(self._id())
            self._change(step, ("cache", self._name), value)
            await self._store.cache.set(self._name, value, LEASE)

    async def relay(self) -> None:
        """Pass on what is in the outbox."""
        with self._ledger.step() as step:
            claims = await self._store.outbox.claim(self._random.randrange(1, 4), LEASE)
            for claim in claims:
                self._change(step, ("outbox", claim.id), claim.attempt)
        if claims:
            with self._ledger.step() as step:
                for claim in claims:
                    self._change(step, ("outbox", claim.id), None)
                await self._store.outbox.ack(*claims)

    async def _ack(self, claim: Claim) -> None:
        with self._ledger.step() as step:
            self._change(step, item_of(claim.body, "gone", 0)[0], None)
            await self._queue.ack(claim)

    async def _retry(self, claim: Claim) -> None:
        delay = self._random.choice((0.0, DELAY))
        with self._ledger.step() as step:
            self._change(step, *item_of(claim.body, "retrying" if delay else "waiting", claim.attempt))
            await self._queue.retry(claim, delay)

    async def _settle(self, claim: Claim) -> None:
        bury = self._random.random() < 0.5
        with self._ledger.step() as step:
            if bury:
                self._change(step, *item_of(claim.body, "dead", claim.attempt))
                await self._queue.bury(claim, "no use")
            else:
                self._change(step, *item_of(claim.body, "waiting", claim.attempt - 1))
                await self._queue.release(claim)

    async def _append(self, step: Step, count: int) -> None:
        expected = self._revision
        self._revision += count
        events = [event_of(self._name, expected + each + 1) for each in range(count)]
        self._change(step, ("stream", self._name), self._revision)
        await self._store.events.append(self._name, events, expected)

    def _new(self, step: Step) -> bytes | Item:
        body = self._body(self._id())
        self._change(step, *item_of(body, "waiting", 0))
        return body if self._random.random() < 0.5 else Item(body, {"by": self._name}, self._random.choice("abc"))

    def _body(self, id: str) -> bytes:
        return f"{id} ".encode() + self._random.randbytes(self._random.choice((0, 10, 300, 9000)))

    def _id(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"

    def _change(self, step: Step, thing: Thing, value: Any) -> None:
        step.changed(thing, self._ledger.rank(thing), value)


def item_of(body: bytes, state: str, attempts: int) -> tuple[Thing, Any]:
    """An item of the queue, and what is known of it."""
    return ("item", body.partition(b" ")[0].decode()), (state, attempts, crc32(body))


def event_of(stream: str, revision: int) -> bytes:
    """What is recorded as this event."""
    return f"{stream} {revision} ".encode() * (1 + revision % 40)


async def use(store: SqliteStore, ledger: Ledger, random: Random, part: str, rounds: int) -> None:
    """Several callers at once. part: of the run, which is in their names."""
    callers = [Caller(store, ledger, f"{part}{number}", random) for number in range(CALLERS)]
    await callers[0].open_account()
    async with anyio.create_task_group() as tasks:
        for caller in callers[1:]:
            tasks.start_soon(caller.open_account)
    async with anyio.create_task_group() as tasks:
        for caller in callers:
            tasks.start_soon(caller.run, rounds)
