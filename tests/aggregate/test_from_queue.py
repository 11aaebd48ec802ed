"""Commands from a queue: a rejection is their end."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from modd import Bus
from modd.aggregate import Aggregate, Instance, Mark, Rejected
from modd.cqrs import Codec, Command, Emit, Envelope, EventBus
from modd.middleware import Enqueue
from modd.ports import Stats
from modd.stores import MemoryQueue, MemoryStore
from modd.testing import Recorder
from modd.worker import Worker
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, recorded
from tests.virtual import anyio_backend  # noqa: F401  # a fixture
from tests.worker.desk import work_off

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)
NO = Rejected("Not now.", "Pay", "invoice", "7")


class Refusing:
    """A command that is always rejected, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, invoice: Instance[Invoice], command: Pay, mark: Mark, emit: Emit) -> None:
        self.calls += 1
        invoice.publish(Paid(command.invoice_id))
        emit(Issued("emitted"))
        mark.as_rejected("Not now.")


async def put(queue: Any, bus: Any, *commands: Command[Any]) -> None:
    await queue.put(*[bus.codec.encode(Envelope(command)) for command in commands])


async def test_a_rejection_from_a_queue_is_acknowledged_logged_and_released(caplog: pytest.LogCaptureFixture) -> None:
    # WM-25
    caplog.set_level(logging.INFO, "modd.invoice")
    queue, refusing, recorder = MemoryQueue(), Refusing(), Recorder(Rejected, Issued, Paid)
    aggregate = invoices(refusing)
    bus = Bus([aggregate, recorder])
    await put(queue, aggregate, Pay("7"))
    await work_off(Worker(queue, bus, attempts=5))
    assert refusing.calls == 1
    assert await queue.stats() == EMPTY
    assert recorder.messages == [NO]
    assert await recorded(aggregate) == 0
    assert ("modd.invoice", logging.INFO, "Pay of invoice/7: Not now.") in caplog.record_tuples


async def test_a_rejection_from_a_queue_of_a_store_is_in_its_outbox() -> None:
    # WM-25
    store, refusing = MemoryStore(), Refusing()
    aggregate = invoices(refusing, store=store)
    queue = store.queue("payments")
    await put(queue, aggregate, Pay("7"))
    await work_off(Worker(queue, aggregate, inbox=store.inbox, outbox=store.outbox))
    assert refusing.calls == 1
    assert await queue.stats() == EMPTY
    codec = Codec([Rejected, Issued, Paid])
    assert [codec.decode(claim.body).message for claim in await store.outbox.claim(10, 30)] == [NO]
    assert await recorded(aggregate) == 0


async def test_the_rejection_of_a_queued_command_knows_its_command() -> None:
    # WM-25
    queue, envelopes = MemoryQueue(), list[Envelope[Any]]()

    async def sees(envelope: Envelope[Rejected]) -> None:
        envelopes.append(envelope)

    aggregate = invoices(Refusing())
    command = Envelope(Pay("7"), id="import-7")
    await queue.put(aggregate.codec.encode(command))
    await work_off(Worker(queue, Bus([aggregate, EventBus([sees])])))
    assert [(each.message, each.causation_id) for each in envelopes] == [(NO, "import-7")]


async def test_commands_from_a_queue_are_recorded_and_their_events_flow_on() -> None:
    # WM-25
    queue, recorder = MemoryQueue(), Recorder(Issued, Paid)
    aggregate: Aggregate[Invoice] = invoices()
    await put(queue, aggregate, Issue("7"), Pay("7"))
    await work_off(Worker(queue, Bus([aggregate, recorder]), concurrency=1))
    assert recorder.messages == [Issued("7"), Paid("7")]
    assert (await aggregate.get("7")).state == Invoice(10, "paid")


async def test_an_error_of_a_queued_command_is_retried() -> None:
    # WM-25
    queue, errors = MemoryQueue(), [ValueError("no"), ValueError("no")]

    def fails(invoice: Instance[Invoice], command: Pay) -> Paid:
        if errors:
            raise errors.pop()
        return Paid(command.invoice_id)

    aggregate = invoices(fails)
    await put(queue, aggregate, Pay("7"))
    await work_off(Worker(queue, aggregate, backoff="none"))
    assert (await queue.stats(), await recorded(aggregate)) == (EMPTY, 1)


async def test_a_misused_mark_of_a_queued_command_is_a_dead_letter_at_once() -> None:
    # WM-25, WM-13
    queue, calls = MemoryQueue(), list[str]()

    def forgets(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        calls.append(command.invoice_id)

    aggregate = invoices(forgets)
    await put(queue, aggregate, Pay("7"))
    await work_off(Worker(queue, aggregate))
    [dead] = await queue.dead()
    assert ("forgets" in dead.reason, calls) == (True, ["7"])


async def test_commands_are_queued_under_the_key_of_their_instance() -> None:
    # WM-25
    queue = MemoryQueue()
    aggregate = invoices(commands={Issue: issue})
    queued = aggregate.stored(aggregate.store, middleware=[Enqueue(queue, key=aggregate.key)])
    assert not (await queued.dispatch(Issue("7"))).answered
    assert aggregate.key(Envelope(Issue("7"))) == "invoice/7"
    assert await recorded(aggregate) == 0
    await work_off(Worker(queue, queued))
    assert (await aggregate.get("7")).state == Invoice(10, "issued")
