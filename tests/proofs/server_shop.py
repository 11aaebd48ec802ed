"""Handlers that append events and emit in a store on a server, for the proof that each does so exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import anyio

from modd.cqrs import CommandBus, Emit, Envelope, EventBus
from modd.middleware import Enqueue
from modd.ports import Storage
from modd.relay import Relay
from modd.stores.errors import UnknownOutcome
from modd.worker import Worker
from tests.proofs.orders import Place, Placed, customer_of, key_of
from tests.proofs.zygote import Outside

LEASE = 1.0
"""Seconds for which a process that was killed holds its work up."""

A_STREAM = 20
"""Orders of a customer whose events are in one stream."""

ALL = 1_000_000
LOOK, PATIENCE = 0.2, 60.0
"""Seconds between two looks at what is left, and without a further event until it is given up."""


Effect: TypeAlias = Callable[[str, int], Awaitable[object]]
"""What a handler does besides, in the same transaction."""


class Shop:
    """Handlers that append to streams which they share, so that they are in each other's way."""

    def __init__(self, store: Storage, effect: Effect | None = None) -> None:
        self._store, self._effect = store, effect

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
        if self._effect is not None:
            await self._effect(what, number)


def workers(store: Storage, inbox: bool, effect: Effect | None) -> tuple[Worker, Worker, Relay]:
    """Return the workers of a shop and its relay. inbox: False for none, so that the acknowledgement alone counts."""
    shop, commands, events = Shop(store, effect), store.queue("commands"), store.queue("events")
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


async def place(store: Storage, orders: Sequence[int]) -> None:
    """Place orders."""
    queueing = Enqueue(store.queue("commands"), key=lambda envelope: key_of(envelope.message.number))
    desk = CommandBus([Shop(store).place], middleware=[queueing])
    for number in orders:
        is_placed = False
        while not is_placed:  # again, with the same id, if nobody knows: the inbox of the workers tells it apart
            with suppress(UnknownOutcome):
                await desk.dispatch(Envelope(Place(number), id=f"order-{number}"))
                is_placed = True


async def work(store: Storage, outside: Outside, inbox: bool, effect: Effect | None = None) -> None:
    """Work until the process is killed."""
    async with anyio.create_task_group() as tasks:
        for worker in workers(store, inbox, effect):
            tasks.start_soon(worker.run)
        outside.tell(ready=True)


async def finish(store: Storage, inbox: bool, orders: int, effect: Effect | None = None) -> None:
    """Do the rest while there is progress, as a machine may be slow; `zygote` ends a process that hangs."""
    async with anyio.create_task_group() as tasks:
        for worker in workers(store, inbox, effect):
            tasks.start_soon(worker.run)
        last, patience = -1, anyio.move_on_after(PATIENCE)
        with patience:
            while await waiting(store) or await left(store, orders):  # it reads the whole log, so it comes behind
                last, before = await store.events.last(), last
                if last != before:
                    patience.deadline = anyio.current_time() + PATIENCE
                await anyio.sleep(LOOK)
        tasks.cancel_scope.cancel()


async def waiting(store: Storage) -> list[str]:
    """Return which queues have items."""
    stats = {name: await store.queue(name).stats() for name in ("commands", "events")}
    return [f"{name}: {each}" for name, each in stats.items() if each.ready + each.leased + each.delayed + each.dead]


async def left(store: Storage, orders: int) -> list[str]:
    """Return what is not done yet."""
    items, missing = await waiting(store), 2 * orders - len({*await found(store)})
    return items + ([f"{missing} events are missing"] if missing > 0 else [])


async def found(store: Storage) -> list[str]:
    """Return what was appended."""
    return [event.body.decode() async for event in store.events.read_all()]


def problems_of(end: dict[str, Any]) -> list[str]:
    """Return what is wrong at the end. end: what was left, what was found in the events, and other effects."""
    doubled = [f"{body}: {times} times" for body, times in Counter(end["found"]).items() if times > 1]
    effects = Counter(end.get("effects", end["found"]))
    differing = [f"{body}: {times} effects" for body, times in effects.items() if times != 1]
    missing = [f"{body}: no effect" for body in {*end["found"]} - {*effects}]
    return [*end["left"], *doubled, *differing, *missing]
