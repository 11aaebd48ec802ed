"""Calls of the queue and the outbox on a NATS server, alone and in transactions: those that need not wait."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
import pytest

from modd.cqrs import Codec, Command, CommandBus, Emit, Envelope, Event
from modd.ports import Conflict, Item, LeaseLost, PutResult, ReadConflict, Stats, Subscription
from modd.ports.items import HANDLER
from modd.ports.transaction import open_transaction
from modd.stores import ResultNeeded
from modd.stores.nats import outbox as outbox_module
from modd.stores.nats.errors import TooMany
from modd.stores.nats.store import NatsStore
from modd.worker import Worker
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store
from tests.stores.nats.test_queue import TestNatsOutbox, TestNatsQueue

pytestmark = pytest.mark.anyio

BOOK, MAIL = Subscription("events", "Paid", "book"), Subscription("events", "Paid", "mail")


def without_waiting(suite: type) -> dict[str, Any]:
    """Return the tests of a suite that wait for no time, and None for the others."""
    names = [name for name in dir(suite) if name.startswith("test_")]
    waits = ("ticks(", "self.suspect(", "_around_a_retry", "_fill(", "after_its_time")
    return {name: None for name in names if any(each in inspect.getsource(getattr(suite, name)) for each in waits)}


TestQueueAtOnce = type("TestQueueAtOnce", (TestNatsQueue,), without_waiting(TestNatsQueue))
TestOutboxAtOnce = type("TestOutboxAtOnce", (TestNatsOutbox,), without_waiting(TestNatsOutbox))
del TestNatsQueue, TestNatsOutbox


def create_items(handlers: Sequence[Subscription]) -> list[Item]:
    """Return an item for each handler."""
    return [Item(b"", {HANDLER: each.handler}, id=each.handler) for each in handlers]


async def test_a_transaction_settles_and_puts_at_its_end_or_not_at_all(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue, events = store.queue("orders"), store.queue("events")
        await queue.put(Item(b"1", id="1"), Item(b"2", id="2"))
        first, second = await queue.claim(2, 60)
        async with store.transaction():
            results = await events.put(Item(b"new", id="e"), b"more")
            assert [result.duplicate for result in results] == [None, False]
            await queue.ack(first)
            await store.outbox.put(b"public")
            assert await events.stats() == Stats(0, 0, 0, 0)
        assert (await events.stats()).ready == 2 and len(await store.outbox.claim(9, 60)) == 1
        await fails(ZeroDivisionError, store, lambda: queue.ack(second), lambda: 1 / 0)
        await queue.extend(second, 60)
        await fails(LeaseLost, store, lambda: events.put(b"never"), lambda: queue.ack(first))
        assert (await events.stats()).ready == 2
        await queue.ack(second)


async def test_ids_that_are_known_are_dropped_by_a_transaction(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(Item(b"1", id="1"))
        async with store.transaction():
            for _ in range(2):
                results = await queue.put(Item(b"again", id="1"), b"2")
                assert [result.duplicate for result in results] == [None, False]
            await queue.put(Item(b"3", id="3"))
            await queue.put(Item(b"3", id="3"))
        assert sorted([claim.body for claim in await queue.claim(9, 60)]) == [b"1", b"2", b"2", b"3"]


async def test_a_deferred_transaction_has_no_results(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        calls: list[Callable[[], Any]] = [
            lambda: queue.claim(1, 60),
            lambda: queue.claim_left(["a"], 1, 60),
            lambda: queue.leave(claim, "a", 60),
            lambda: queue.forget("a"),
            lambda: queue.redrive("a"),
            lambda: queue.discard("a"),
            queue.clear,
            lambda: queue.fan_out(claim, ["a"], create_items),
            lambda: store.outbox.claim(1, 60),
        ]
        async with store.transaction():
            for call in calls:
                with pytest.raises(ResultNeeded):
                    await call()


async def test_what_a_transaction_has_read_of_a_queue_may_not_change(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue, other = store.queue("orders"), store.queue("other")
        await queue.put(Item(b"1", id="1"), Item(b"2", id="2"))

        reads: list[Callable[[], Any]] = [queue.stats, queue.dead, queue.subscriptions]
        changes: list[Callable[[], Any]] = [
            lambda: queue.put(b"3"),
            lambda: queue.put(b"4"),
            lambda: queue.announce(BOOK, retention=60),
        ]
        for read, change in zip(reads, changes, strict=True):
            await fails(ReadConflict, store, read, lambda: other.put(b"never"), partial(outside, change))
        assert await other.stats() == Stats(0, 0, 0, 0)
        async with store.transaction():
            assert await queue.cancel("2", "none") == ["2"]
        claim = partial(outside, lambda: queue.claim(1, 60))
        await fails(ReadConflict, store, lambda: queue.cancel("1"), claim)


async def fails(error: type[Exception], store: NatsStore, *calls: Callable[[], Any], immediate: bool = False) -> None:
    """Make calls in a transaction that raises an error."""

    async def run() -> None:
        async with store.transaction(immediate=immediate):
            for call in calls:
                await call()

    with pytest.raises(error):
        await run()


async def outside(call: Callable[[], Any]) -> None:
    """Await a call outside of the open transaction."""
    token = open_transaction.set(None)
    try:
        await call()
    finally:
        open_transaction.reset(token)


async def test_an_immediate_transaction_reads_its_own_changes_of_a_queue(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.announce(BOOK, MAIL, retention=60)
        await queue.put(Item(b"1", id="1", key="k"), Item(b"2", id="2", key="k"), Item(b"3", id="3"))
        async with store.transaction(immediate=True):
            first, third = await queue.claim(9, 60)
            assert [first.body, third.body] == [b"1", b"3"] and await queue.claim(9, 60) == []
            assert await queue.put(Item(b"", id="2"), Item(b"4", id="4")) == [
                PutResult("2", True),
                PutResult("4", False),
            ]
            await queue.ack(first)
            [second, fourth] = await queue.claim(9, 60)
            assert await queue.leave(second, "a", 60) and not await queue.leave(fourth, "a", 0)
            [second] = await queue.claim_left(["a"], 9, 60)
            await queue.bury(second, "no use")
            assert [letter.id for letter in await queue.dead()] == ["2"] and await queue.redrive("2") == ["2"]
            assert await queue.fan_out(fourth, ["Paid"], create_items) == 2
            assert await queue.stats() == Stats(ready=3, delayed=0, leased=1, dead=0)
            assert await queue.forget("mail") == 1
            assert [each.handler for each in await queue.subscriptions()] == ["book"]
            assert await queue.cancel("2", "book") == ["2", "book"]
        assert await queue.stats() == Stats(ready=0, delayed=0, leased=1, dead=0)
        await queue.ack(third)


async def test_an_immediate_transaction_that_another_process_overtakes_is_a_conflict(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        claim = partial(queue.claim, 9, 60)
        await fails(Conflict, store, claim, partial(outside, claim), immediate=True)
        assert (await queue.stats()).leased == 1


async def test_more_than_the_server_stores_at_once_is_refused_and_nothing_is_put(nats_server: NatsServer) -> None:
    # NA-1
    async with open_store(nats_server) as store:
        for part in (store.queue("orders"), store.outbox):
            with pytest.raises(TooMany):
                await part.put(*[b""] * (store.stream.publisher.most + 1))
            assert await part.claim(9, 60) == []


async def test_a_queue_has_a_name(nats_server: NatsServer) -> None:
    # NA-3
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        assert queue is store.queue("orders") and repr(queue) == f"<NatsQueue orders in <NatsStore {store.name}>>"


async def test_an_outbox_is_read_behind_the_tombstones_of_its_items(nats_server: NatsServer) -> None:
    # NA-1
    async with open_store(nats_server) as store:
        outbox = store.outbox
        await outbox.put(*[b"%d" % number for number in range(250)])
        bodies: list[bytes] = []
        while claims := await outbox.claim(60, 60):
            bodies += [claim.body for claim in claims]
            await outbox.ack(*claims)
        assert bodies == [b"%d" % number for number in range(250)]
        await outbox.put(b"last")
        [claim] = await outbox.claim(60, 60)
        assert (claim.body, claim.attempt) == (b"last", 1)
        async with store.transaction(immediate=True):
            await outbox.release(claim)
            await outbox.put(b"inside")
            first, second = await outbox.claim(9, 60)
            assert (first.attempt, second.body) == (2, b"inside")
            await outbox.ack(first, second)
        assert await outbox.claim(9, 60) == []
        await outbox.wait(0)


async def test_a_put_ends_a_wait_at_the_outbox(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # NA-1
    monkeypatch.setattr(outbox_module, "FIRST_POLL", 3_600.0)  # it is not the next look that ends it
    monkeypatch.setattr(outbox_module, "LAST_POLL", 3_600.0)
    has_looked, has_waited = anyio.Event(), anyio.Event()
    async with open_store(nats_server) as store:
        outbox = store.outbox
        look = outbox._look

        async def note() -> tuple[bool, float]:
            found = await look()
            has_looked.set()
            return found

        async def wait() -> None:
            await outbox.wait(60)
            has_waited.set()

        monkeypatch.setattr(outbox, "_look", note)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await has_looked.wait()
                while not has_waited.is_set():  # a put is heard before it is stored: the next one is heard after it
                    await outbox.put(b"mail")


async def test_a_wait_for_the_outbox_ends_with_the_lease_of_another_relay(nats_server: NatsServer) -> None:
    # NA-1
    async with open_store(nats_server) as store:
        await store.outbox.put(b"1", b"2")
        await store.outbox.claim(1, 0.05)
        await store.outbox.wait(60)
        [claim, _] = await store.outbox.claim(9, 60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.outbox.wait, 60)
            await store.outbox.put(b"3")
            await store.outbox.release(claim)
            tasks.cancel_scope.cancel()


@pytest.mark.unmeasured
async def test_a_handler_with_more_items_than_a_batch_is_forgotten_in_several(nats_server: NatsServer) -> None:
    # NA-56
    async with open_store(nats_server) as store:
        queue, headers = store.queue("orders"), {HANDLER: "mail"}
        for first in range(0, 1_100, 550):
            await queue.put(*[Item(b"", id=str(number), headers=headers) for number in range(first, first + 550)])
        await queue.put(b"other")
        [leased] = await queue.claim(1, 60)
        assert await queue.forget("mail") == 1_099
        assert await queue.stats() == Stats(ready=1, delayed=0, leased=1, dead=0)
        await queue.ack(leased)
        assert await queue.forget("mail") == 0


async def test_a_queue_with_more_items_than_a_batch_is_cleared_in_several(nats_server: NatsServer) -> None:
    # NA-56
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        for first in range(0, 1_100, 550):
            await queue.put(*[Item(b"", id=str(number)) for number in range(first, first + 550)])
        await queue.claim(1, 60)
        assert await queue.clear() == 1_100
        assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0)


class Ordered(Event):
    number: int


class PlaceOrder(Command[None]):
    number: int


def place_order(order: PlaceOrder, emit: Emit) -> None:
    emit(Ordered(order.number))


async def test_a_worker_puts_events_into_the_outbox_of_its_queue(nats_server: NatsServer) -> None:
    # NA-46: as for a queue of a SqliteStore, the worker needs no option for it
    codec = Codec([PlaceOrder])
    async with open_store(nats_server) as store, anyio.create_task_group() as tasks:
        queue = store.queue("orders")
        await queue.put(codec.encode(Envelope(PlaceOrder(7))))
        worker = Worker(queue, CommandBus([place_order]))
        tasks.start_soon(worker.run)
        with anyio.fail_after(60):
            await store.outbox.wait(60)
            [claim] = await store.outbox.claim(10, 60)
            assert claim.headers["modd-event"] == "Ordered"
        worker.stop()
