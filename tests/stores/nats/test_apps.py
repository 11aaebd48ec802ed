"""Workers, relays and timers on a store on a NATS server, as an app of several processes has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from modd.app.firing import Firing
from modd.cqrs import Command, CommandBus, Emit, Envelope, Event, EventBus, Next
from modd.middleware import Enqueue, Transactional
from modd.ports.transaction import open_transaction
from modd.relay import Relay
from modd.stores.nats.store import NatsStore
from modd.worker import Worker
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio

SLOT = 1_700_000_000.0


class PlaceOrder(Command[None]):
    cents: int


class OrderPlaced(Event):
    cents: int


async def place(order: PlaceOrder, emit: Emit) -> None:
    emit(OrderPlaced(order.cents))


async def in_no_transaction(call: Callable[..., Awaitable[object]], *args: Any) -> None:
    """Call a function in a task of its own, outside of the open transaction, as another process does."""

    async def run() -> None:
        open_transaction.set(None)
        await call(*args)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)


async def test_what_a_handler_emits_goes_to_the_outbox_and_from_there_to_the_handlers_of_events(
    nats_server: NatsServer,
) -> None:
    # NA-46
    seen: list[int] = []

    async def add(order: OrderPlaced) -> None:
        seen.append(order.cents)

    async with open_store(nats_server) as store:
        commands, events = store.queue("commands"), store.queue("events")
        desk = CommandBus([place], middleware=[Enqueue(commands)])
        await Worker(events, EventBus([add])).run_until_idle()  # announces its handlers
        async with desk:
            await desk.dispatch(PlaceOrder(7))
            await Worker(commands, desk).run_until_idle()
        assert await Relay(store.outbox, events).pass_on() == 1
        await Worker(events, EventBus([add])).run_until_idle()
        assert seen == [7]


async def test_a_dispatch_in_a_transaction_gets_through_though_other_processes_are_faster(
    nats_server: NatsServer,
) -> None:
    # NA-52
    attempts: list[int] = []
    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:

        async def add(order: PlaceOrder) -> None:
            sums = store.documents("sums")
            total = int(await sums.get("all") or b"0")
            attempts.append(total)
            if len(attempts) <= 4:
                await in_no_transaction(other.documents("sums").put, "all", str(total + 1).encode())
            await sums.put("all", str(total + order.cents).encode())

        await CommandBus([add], middleware=[Transactional(store)]).dispatch(PlaceOrder(100))
        assert attempts == [0, 1, 2, 3, 4]
        assert await store.documents("sums").get("all") == b"104"


async def test_of_two_processes_with_one_timer_one_fires_a_slot_and_the_other_does_not_fail(
    nats_server: NatsServer,
) -> None:
    # NA-51
    arrived: list[str] = []
    both_have_begun = anyio.Event()

    async def wait_for_the_other(envelope: Envelope[Command[None]], call_next: Next) -> None:
        arrived.append(envelope.message.__class__.__name__)
        if len(arrived) == 2:
            both_have_begun.set()
        await both_have_begun.wait()
        await call_next(envelope)

    def firing(store: NatsStore) -> Firing:
        desk = CommandBus([place], middleware=[wait_for_the_other, Enqueue(store.queue("commands"))])
        return Firing("rent", PlaceOrder(7), desk, store.inbox)

    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:
        firings = [firing(store), firing(other)]
        async with anyio.create_task_group() as tasks:
            for each in firings:
                tasks.start_soon(each.fire, SLOT)
        assert [each.problem for each in firings] == [None, None]
        assert (await store.queue("commands").stats()).ready == 1
