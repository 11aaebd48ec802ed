"""Processes whose handlers append events and emit on a NATS server, for the proof that each does so exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio

from modd.cqrs import CommandBus, Emit, Envelope, EventBus
from modd.middleware import Enqueue
from modd.relay import Relay
from modd.stores.nats.store import NatsStore
from modd.worker import Worker
from tests.proofs.nats_jobs import opened
from tests.proofs.orders import Place, Placed, customer_of, key_of
from tests.proofs.zygote import Outside

LEASE = 1.0
"""Seconds for which a process that was killed holds its work up."""

A_STREAM = 20
"""Orders of a customer whose events are in one stream."""

ALL = 1_000_000
LOOK = 0.05


class Shop:
    """Handlers that append to streams which they share, so that they are in each other's way."""

    def __init__(self, store: NatsStore) -> None:
        self._store = store

    async def place(self, order: Place, emit: Emit) -> None:
        """Append an event and emit one."""
        await self._append("placed", order.number)
        emit(Placed(order.number))

    async def count(self, order: Placed) -> None:
        """Append another event."""
        await self._append("counted", order.number)

    async def _append(self, what: str, number: int) -> None:
        stream, events = f"{what}-{customer_of(number)}-{number // A_STREAM}", self._store.events
        revision = len([event async for event in events.read(stream)])
        await events.append(stream, [b"%s %d" % (what.encode(), number)], revision)


def workers(store: NatsStore, inbox: bool) -> tuple[Worker, Worker, Relay]:
    """Return the workers of a shop and its relay. inbox: False for none, so that the acknowledgement alone counts."""
    shop, commands, events = Shop(store), store.queue("commands"), store.queue("events")
    options: dict[str, Any] = {
        "inbox": store.inbox if inbox else None,
        "outbox": store.outbox,
        "backoff": "none",
        "attempts": ALL,
        "lease": LEASE,
        "concurrency": 4,
    }
    return (
        Worker(commands, CommandBus([shop.place]), **options),
        Worker(events, EventBus([shop.count]), **options),
        Relay(store.outbox, events, batch=3, lease=LEASE),
    )


async def put(outside: Outside, urls: list[str], name: str, orders: Sequence[int]) -> None:
    """A process that places orders."""
    async with opened(urls, name, 60.0) as store:
        queueing = Enqueue(store.queue("commands"), key=lambda envelope: key_of(envelope.message.number))
        desk = CommandBus([Shop(store).place], middleware=[queueing])
        for number in orders:
            await desk.dispatch(Envelope(Place(number), id=f"order-{number}"))


async def work(outside: Outside, urls: list[str], name: str, inbox: bool) -> None:
    """A process that works until it is killed."""
    async with opened(urls, name, 60.0) as store, anyio.create_task_group() as tasks:
        for worker in workers(store, inbox):
            tasks.start_soon(worker.run)
        outside.tell(ready=True)


async def finish(outside: Outside, urls: list[str], name: str, inbox: bool, orders: int) -> None:
    """A process that does the rest, and tells what there is in the end."""
    async with opened(urls, name, 60.0) as store:
        async with anyio.create_task_group() as tasks:
            for worker in workers(store, inbox):
                tasks.start_soon(worker.run)
            with anyio.move_on_after(60):
                while await left(store, orders):  # noqa: ASYNC110  # no event tells of it
                    await anyio.sleep(LOOK)
            tasks.cancel_scope.cancel()
        outside.tell(left=await left(store, orders), found=await found(store))


async def left(store: NatsStore, orders: int) -> list[str]:
    """Return what is not done yet."""
    stats = {name: await store.queue(name).stats() for name in ("commands", "events")}
    waiting = [f"{name}: {each}" for name, each in stats.items() if each.ready + each.leased + each.delayed + each.dead]
    missing = 2 * orders - len({*await found(store)})
    return waiting + ([f"{missing} events are missing"] if missing > 0 else [])


async def found(store: NatsStore) -> list[str]:
    """Return what was appended."""
    return [event.body.decode() async for event in store.events.read_all()]


def problems_of(end: dict[str, Any]) -> list[str]:
    """Return what is wrong at the end. end: what `finish` told."""
    doubled = [f"{body}: {times} times" for body, times in Counter(end["found"]).items() if times > 1]
    return [*end["left"], *doubled]
