"""Workers serve aggregates: recorded events are in the log, emitted ones in the outbox."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd.aggregate import Instance, Mark, Rejected
from modd.cqrs import Codec, Emit, Envelope, Event
from modd.middleware import Enqueue
from modd.ports import Stats
from modd.stores import MemoryStore
from modd.worker import Worker
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, recorded

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


class Receipt(Event):
    """An event that a command emits, and that is no part of the history."""

    invoice_id: str


CODEC = Codec([Issued, Paid, Receipt, Rejected])


def pays(invoice: Instance[Invoice], command: Pay, emit: Emit) -> Paid:
    emit(Receipt(command.invoice_id))
    return Paid(command.invoice_id)


async def work(queue: Any, bus: Any, number: int, **options: Any) -> None:
    """Have so many messages settled."""
    with anyio.fail_after(60):
        await Worker(queue, bus, max_messages=number, **options).run()


async def put(queue: Any, aggregate: Any, *commands: Any) -> None:
    await queue.put(*[aggregate.codec.encode(Envelope(each)) for each in commands])


async def in_outbox(store: Any) -> list[Any]:
    return [CODEC.decode(claim.body).message for claim in await store.outbox.claim(100, 30)]


async def test_recorded_events_are_in_the_log_alone_and_emitted_ones_in_the_outbox(store: Any) -> None:
    # WM-10
    aggregate, queue = invoices(pays, store=store), store.queue("payments")
    await put(queue, aggregate, Issue("7"), Pay("7"))
    await work(queue, aggregate, 2, inbox=store.inbox, outbox=store.outbox, concurrency=1)
    assert [change.event async for change in aggregate.history("7")] == [Issued("7"), Paid("7")]
    assert (await in_outbox(store), await queue.stats()) == ([Receipt("7")], EMPTY)


async def test_a_rejection_is_acknowledged_logged_and_released_as_a_message(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-10, WM-25
    caplog.set_level(logging.INFO, "modd.invoice")
    calls = list[str]()

    def refuses(invoice: Instance[Invoice], command: Pay, mark: Mark, emit: Emit) -> None:
        calls.append(command.invoice_id)
        emit(Receipt(command.invoice_id))
        mark.as_rejected("Not now.")

    aggregate, queue = invoices(refuses, store=store), store.queue("payments")
    await put(queue, aggregate, Pay("7"))
    await work(queue, aggregate, 1, inbox=store.inbox, outbox=store.outbox)
    assert (calls, await queue.stats(), await recorded(aggregate)) == (["7"], EMPTY, 0)
    assert await in_outbox(store) == [Rejected("Not now.", "Pay", "invoice", "7")]
    assert ("modd.invoice", logging.INFO, "Pay of invoice/7: Not now.") in caplog.record_tuples


@pytest.mark.costly
@pytest.mark.parametrize("inbox", [True, False])
async def test_a_command_that_is_delivered_twice_takes_effect_once(inbox: bool, store: Any) -> None:
    # WM-10, WM-33
    aggregate, queue = invoices(pays, store=store), store.queue("payments")
    body = aggregate.codec.encode(Envelope(Pay("7"), id="c-1"))
    options = {"inbox": store.inbox} if inbox else {}
    await queue.put(body)
    await work(queue, aggregate, 1, outbox=store.outbox, **options)
    await queue.put(body)
    await work(queue, aggregate, 1, outbox=store.outbox, **options)
    assert (await recorded(aggregate), await in_outbox(store)) == (1, [Receipt("7")])
    assert await queue.stats() == EMPTY


async def test_a_command_that_fails_is_handled_again_and_leaves_nothing_of_its_first_attempt(store: Any) -> None:
    # WM-10, WM-31
    seen = list[int]()

    def fails_once(invoice: Instance[Invoice], command: Pay, emit: Emit) -> Paid:
        seen.append(invoice.revision)
        emit(Receipt(command.invoice_id))
        if len(seen) == 1:
            raise ZeroDivisionError
        return Paid(command.invoice_id)

    aggregate, queue = invoices(fails_once, store=store), store.queue("payments")
    await aggregate.dispatch(Issue("7"))
    await put(queue, aggregate, Pay("7"))
    await work(queue, aggregate, 2, outbox=store.outbox, backoff="none")
    assert (seen, await recorded(aggregate), await in_outbox(store)) == ([1, 1], 2, [Receipt("7")])


@pytest.mark.costly
async def test_workers_of_two_stores_on_one_file_lose_no_command(stores: Any) -> None:
    # WM-10, WM-29
    def increases(invoice: Instance[Invoice], command: Pay) -> Issued:
        return Issued(command.invoice_id, invoice.state.amount + 1)

    aggregates = [invoices(increases, store=store) for store in stores]
    await put(stores[0].queue("payments"), aggregates[0], *[Pay("7")] * 12)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            workers = [
                Worker(store.queue("payments"), aggregate, outbox=store.outbox, attempts=1, poll=0.01)
                for store, aggregate in zip(stores, aggregates, strict=True)
            ]
            for worker in workers:
                tasks.start_soon(worker.run)
            while (last := await stores[0].events.last()) < 12:
                await stores[0].events.wait(last, 60)
            for worker in workers:
                worker.stop()
    assert [change.event.amount async for change in aggregates[0].history("7")] == [*range(1, 13)]
    assert await stores[0].queue("payments").stats() == EMPTY


async def test_one_command_that_two_workers_have_at_once_takes_effect_once(stores: Any) -> None:
    # WM-10, WM-33
    both, calls = anyio.Event(), list[str]()

    async def waits(invoice: Instance[Invoice], command: Pay, emit: Emit) -> Paid:
        calls.append(command.invoice_id)
        emit(Receipt(command.invoice_id))
        if len(calls) == 2:
            both.set()
        await both.wait()
        return Paid(command.invoice_id)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for store, name in zip(stores, "ab", strict=True):
                aggregate, queue = invoices(waits, store=store), store.queue(name)
                await queue.put(aggregate.codec.encode(Envelope(Pay("7"), id="c-1")))
                worker = Worker(queue, aggregate, outbox=store.outbox, attempts=3, backoff="none", max_messages=1)
                tasks.start_soon(worker.run)
    assert [event.stream async for event in stores[0].events.read_all()] == ["invoice/7"]
    assert await in_outbox(stores[0]) == [Receipt("7")]
    assert [await stores[0].queue(name).stats() for name in "ab"] == [EMPTY, EMPTY]


@pytest.mark.costly
async def test_commands_that_are_queued_by_their_instance_are_handled_in_order(store: Any) -> None:
    # WM-10, WM-30
    queue, aggregate = store.queue("payments"), invoices(store=store, commands={Issue: issue})
    queued = aggregate.stored(store, middleware=[Enqueue(queue, key=aggregate.key)])
    for amount in range(8):
        await queued.dispatch(Issue("7", amount))
    await work(queue, queued, 8, outbox=store.outbox)
    assert [change.event.amount async for change in aggregate.history("7")] == [*range(8)]


async def test_a_snapshot_that_is_due_in_a_worker_is_saved() -> None:
    # WM-34
    store = MemoryStore()
    queue, aggregate = store.queue("payments"), invoices(store=store, snapshots=2)
    await put(queue, aggregate, Issue("7"), Issue("7"))
    await work(queue, aggregate, 2, outbox=store.outbox)
    saved = await store.events.snapshot("invoice/7")
    assert saved is not None
    assert saved.revision == 2
