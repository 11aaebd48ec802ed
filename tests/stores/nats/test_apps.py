"""Workers, relays and timers on a store on a NATS server, as an app of several processes has them."""

from __future__ import annotations

import anyio
import pytest

from modd.app.firing import Firing
from modd.cqrs import Command, CommandBus, Emit, Envelope, Event, EventBus, Next
from modd.middleware import Enqueue
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


async def test_what_a_handler_emits_goes_to_the_outbox_and_from_there_to_the_handlers_of_events(
    nats_server: NatsServer,
) -> None:
    # NA-50
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
