"""A claim whose lease went to somebody else settles nothing, and what was done for it is undone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest

from modd.cqrs import Codec, CommandBus, Emit, Envelope
from modd.ports import Claim, Item, LeaseLost, Queue, Stats, Transaction
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker
from tests.proofs.orders import Place, Placed
from tests.proofs.workshop import opened, rows

pytestmark = pytest.mark.anyio

SHORT, LEASE = 0.01, 30.0
"""Seconds: of a lease that ends in a test, and of one that does not unless the clock is moved."""
Settle: TypeAlias = Callable[[Any, Claim], Awaitable[None]]
SETTLE: dict[str, Settle] = {
    "ack": lambda queue, claim: queue.ack(claim),
    "retry": lambda queue, claim: queue.retry(claim),
    "bury": lambda queue, claim: queue.bury(claim, "late"),
    "extend": lambda queue, claim: queue.extend(claim, LEASE),
    "release": lambda queue, claim: queue.release(claim),
}
HELD, EMPTY = (Stats(ready=0, delayed=0, leased=leased, dead=0) for leased in (1, 0))
WRITTEN = """SELECT (SELECT group_concat(what || number) FROM effects), (SELECT count(*) FROM modd_outbox),
    (SELECT count(*) FROM modd_inbox)"""


class Clock:
    """Seconds since 1970, as told."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Held:
    """A handler that the first who runs it does not get out of before it is let go."""

    def __init__(self) -> None:
        self.began, self.go = anyio.Event(), anyio.Event()

    async def place(self, order: Place, tx: Transaction, emit: Emit) -> None:
        first = not self.began.is_set()
        await tx.execute("INSERT INTO effects (what, number) VALUES (?, 1)", ("late" if first else "placed",))
        emit(Placed(order.number))
        self.began.set()
        if first:
            await self.go.wait()


@asynccontextmanager
async def queue_of(kind: str, folder: Path) -> AsyncIterator[Queue]:
    if kind == "memory":
        yield MemoryQueue()
        return
    async with SqliteStore(folder / "a.db") as store:
        yield store.queue("work")


async def claimed(queue: Any, lease: float) -> Claim:
    """An item, as soon as there is one."""
    claims: list[Claim] = []
    with anyio.fail_after(60):
        while not claims:
            await queue.wait(1.0)
            claims = await queue.claim(1, lease)
    return claims[0]


@pytest.mark.costly
@pytest.mark.parametrize("key", [None, "ada"])
@pytest.mark.parametrize("settle", SETTLE)
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_late_worker_settles_nothing(tmp_path: Path, kind: str, settle: str, key: str | None) -> None:
    # ST-3
    async with queue_of(kind, tmp_path) as queue:
        await queue.put(Item(b"", key=key))
        late, other = await claimed(queue, SHORT), await claimed(queue, LEASE)
        assert (other.id, late.suspect, other.suspect) == (late.id, False, True)
        with pytest.raises(LeaseLost) as lost:
            await SETTLE[settle](queue, late)
        assert lost.value.ids == (late.id,)
        assert await queue.stats() == HELD
        await SETTLE["extend"](queue, other)
        await queue.ack(other)
        assert await queue.stats() == EMPTY


@pytest.mark.parametrize("immediate", [False, True])
async def test_the_transaction_of_a_late_ack_leaves_nothing(tmp_path: Path, immediate: bool) -> None:
    async with opened(str(tmp_path / "a.db")) as store:
        queue = store.queue("work")
        await queue.put(b"")
        late, other = await claimed(queue, SHORT), await claimed(queue, LEASE)

        async def done(claim: Claim, what: str) -> None:
            async with store.transaction(immediate=immediate) as tx:
                await tx.execute("INSERT INTO effects (what, number) VALUES (?, 1)", (what,))
                await store.outbox.put(b"")
                await store.inbox.add(claim.id)
                await queue.ack(claim)

        with pytest.raises(LeaseLost):
            await done(late, "late")
        assert await rows(store, WRITTEN) == [(None, 0, 0)]
        await done(other, "placed")
        assert await rows(store, WRITTEN) == [("placed1", 1, 1)]


@pytest.mark.parametrize("with_inbox", [False, True])
async def test_what_a_late_worker_did_is_undone_and_what_the_other_did_stays(tmp_path: Path, with_inbox: bool) -> None:
    clock, held = Clock(), Held()
    async with opened(str(tmp_path / "a.db"), clock=clock) as store:
        queue, inbox = store.queue("commands"), store.inbox if with_inbox else None
        late, other = (
            Worker(queue, CommandBus([held.place]), lease=LEASE, inbox=inbox, max_messages=n) for n in (9, 1)
        )
        await queue.put(Item(Codec([Place]).encode(Envelope(Place(1)))))
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(late.run)
                await held.began.wait()
                assert late._run is not None
                late._run._occupant.process += 1  # as if it ran in another process
                clock.now += LEASE + 1
                await other.run()
                late.stop()
                held.go.set()
        assert await rows(store, WRITTEN) == [("placed1", 1, int(with_inbox))]
        assert await queue.stats() == EMPTY
