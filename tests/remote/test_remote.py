"""Calls to a context in another process: results, errors, what crosses."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd import InvalidOption, NoHandler
from modd.cqrs import (
    Actor,
    Command,
    CommandBus,
    DispatchTimeout,
    Envelope,
    Event,
    Forbidden,
    NotAnswered,
    Query,
    Queued,
    RateLimited,
)
from modd.middleware import Enqueue
from modd.middleware.trace_context import TraceContext
from modd.nats import Link
from modd.ports import AlreadyHandled
from modd.remote import NotServed, Remote, RemoteError, Serve
from modd.stores import MemoryInbox, MemoryQueue
from tests.nats.server import NatsServer
from tests.remote.shop import Bill, Billing, GetBill, Overdue, calling, new_name, serving
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio


async def test_a_call_is_the_same_as_if_the_context_were_here(nats_server: NatsServer) -> None:
    # RE-1: asked and dispatched, with the result as its declared type
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus()), calling(nats_server, name) as bus:
        assert await bus.ask(Bill("Ada", 10)) == 1
        assert (await bus.dispatch(Bill("Bob", 20))).result == 2
        assert await bus.ask(GetBill(2)) == ("Bob", 20)
        await bus(Bill("Eve", 30))
        assert billing.bills == [("Ada", 10), ("Bob", 20), ("Eve", 30)]


async def test_a_context_that_nobody_serves_is_told_at_once(nats_server: NatsServer) -> None:
    # RE-3
    async with calling(nats_server, new_name(), timeout=600) as bus:
        with anyio.fail_after(20):
            with pytest.raises(NotServed, match="no process serves"):
                await bus.ask(Bill("Ada", 10))


async def test_a_store_of_the_same_name_takes_no_calls(nats_server: NatsServer) -> None:
    # RE-3: its stream would acknowledge them
    name = new_name()
    async with open_store(nats_server, name), calling(nats_server, name) as bus:
        with pytest.raises(NotServed):
            await bus.ask(Bill("Ada", 10))


async def test_a_call_without_an_answer_in_time_is_cancelled_on_the_other_side(nats_server: NatsServer) -> None:
    # RE-3
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus()):
        async with calling(nats_server, name, timeout=0.2) as bus:
            while not billing.slow_began.is_set():  # on a slow machine, a call may be over before it arrives
                with pytest.raises(DispatchTimeout):
                    await bus.ask(Bill("slow", 1))
        with anyio.fail_after(20):
            await billing.slow_ended.wait()
    assert billing.bills == []


async def test_errors_that_both_sides_list_and_refusals_of_modd_are_raised_as_themselves(
    nats_server: NatsServer,
) -> None:
    # RE-4
    def forbid(command: Bill) -> int:
        raise Forbidden(Bill, "ada", "the rule says no")

    name = new_name()
    both = {"errors": [Overdue]}
    async with serving(nats_server, name, Billing().bus(), **both), calling(nats_server, name, **both) as bus:
        with pytest.raises(Overdue, match="bill 7 is overdue") as overdue:
            await bus.ask(Bill("overdue", 7))
        assert overdue.value.number == 7
    forbidding = serving(nats_server, name, CommandBus({Bill: forbid}), expose=[Bill])
    async with forbidding, calling(nats_server, name) as bus:
        with pytest.raises(Forbidden, match="ada may not Bill: the rule says no") as forbidden:
            await bus.ask(Bill("Ada", 7))
        assert (forbidden.value.intent, forbidden.value.actor) == (Bill, "ada")


async def test_of_any_other_error_no_text_crosses(nats_server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    # RE-4: the log of the server has it under the id
    name = new_name()
    async with serving(nats_server, name, Billing().bus(), errors=[Overdue]), calling(nats_server, name) as bus:
        with pytest.raises(RemoteError) as raised:
            await bus.dispatch(Envelope(Bill("shaky", 1), id="bill-1"))
        assert (raised.value.name, raised.value.type, raised.value.id) == (name, "Shaky", "bill-1")
        assert "secret" not in str(raised.value)
        with pytest.raises(RemoteError, match="Overdue"):
            await bus.ask(Bill("overdue", 1))
    [first] = [record for record in caplog.records if record.name == "modd.remote"]
    assert first.levelno == logging.ERROR and "bill-1" in first.getMessage() and first.exc_info is not None


async def test_ids_actor_and_trace_cross(nats_server: NatsServer) -> None:
    # RE-5
    name, billing = new_name(), Billing()
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1")
    actor = Actor("ädä", roles=("customer",))
    async with serving(nats_server, name, billing.bus()), calling(nats_server, name) as bus:
        await bus.dispatch(Envelope(Bill("Ada", 1), id="bill\n1 %"), actor, trace)
        await bus.ask(Bill("Bob", 2))
    first, second = billing.envelopes
    assert (first.id, first.correlation_id, first.causation_id) == ("bill\n1 %", "bill\n1 %", None)
    carried = first.last(TraceContext)
    assert first.last(Actor) == actor and carried is not None
    assert (carried.traceparent, carried.tracestate) == (trace.traceparent, trace.tracestate)
    assert second.last(Actor) is None and second.last(TraceContext) is None


class Order(Command[int]):
    customer: str


async def test_the_cause_of_an_intent_crosses(nats_server: NatsServer) -> None:
    # RE-5
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus()), Link(nats_server.url, name="shop") as link:
        remote = Remote(link, name, [Bill])

        async def order(command: Order) -> int:
            return await remote.ask(Bill(command.customer, 1))

        await CommandBus({Order: order}).dispatch(Envelope(Order("Ada"), id="order-1"))
    [envelope] = billing.envelopes
    assert (envelope.causation_id, envelope.correlation_id) == ("order-1", "order-1")


async def test_a_request_is_a_cloud_event(nats_server: NatsServer) -> None:
    # RE-5: in binary mode
    name = new_name()
    async with Link(nats_server.url, name="other") as link, link.subscribe(f"modd.{name}.ask.Bill") as requests:
        async with calling(nats_server, name, timeout=0.3) as bus:
            with pytest.raises(DispatchTimeout):
                await bus.ask(Envelope(Bill("Ada", 1), id="bill-1"))
        request = await anext(requests)
    assert request.headers["ce-specversion"] == "1.0"
    assert (request.headers["ce-id"], request.headers["ce-type"]) == ("bill-1", "Bill")
    assert (request.headers["ce-source"], request.headers["content-type"]) == ("shop", "application/json")


async def test_a_type_that_is_not_exposed_has_no_handler(nats_server: NatsServer) -> None:
    # RE-2
    name = new_name()
    async with serving(nats_server, name, Billing().bus(), expose=[GetBill]), calling(nats_server, name) as bus:
        with pytest.raises(NoHandler, match="no handler for Bill"):
            await bus.ask(Bill("Ada", 1))


async def test_several_processes_share_the_work(nats_server: NatsServer) -> None:
    # RE-2: each call is handled once
    name, first, second = new_name(), Billing(), Billing()
    both = serving(nats_server, name, first.bus()), serving(nats_server, name, second.bus())
    async with both[0], both[1], calling(nats_server, name) as bus:
        for number in range(40):
            await bus.ask(Bill("Ada", number))
    assert len(first.bills) + len(second.bills) == 40 and first.bills and second.bills


async def test_an_intent_that_is_queued_there_is_queued_here(nats_server: NatsServer) -> None:
    """As for the gateway, which answers 202 for it; a sender who asks is refused, and nothing is queued."""

    class Note(Command[None]):
        text: str

    name, queue = new_name(), MemoryQueue()
    notes = CommandBus({Note: lambda note: None}, middleware=[Enqueue(queue)])
    async with serving(nats_server, name, notes, expose=[Note]), Link(nats_server.url, name="shop") as link:
        remote = Remote(link, name, [Note])
        dispatched = await remote.dispatch(Envelope(Note("a"), id="note-1"))
        assert dispatched.envelope.last(Queued) is not None and not dispatched.answered
        with pytest.raises(NotAnswered):
            await remote.ask(Note("b"))
        assert (await queue.stats()).ready == 1


async def test_the_same_id_twice_is_an_error_with_an_inbox(nats_server: NatsServer) -> None:
    # RE-6
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus(), inbox=MemoryInbox()), calling(nats_server, name) as bus:
        await bus.ask(Envelope(Bill("Ada", 1), id="a"))
        with pytest.raises(AlreadyHandled):
            await bus.ask(Envelope(Bill("Ada", 1), id="a"))
    assert billing.bills == [("Ada", 1)]


async def test_an_intent_that_failed_is_handled_when_it_comes_again_and_then_no_more(nats_server: NatsServer) -> None:
    # RE-6: an id is noted after its intent is handled, so that no failure loses a command that is sent again
    name, errors, bills = new_name(), [ConnectionError("the database is away")], list[Bill]()

    def bill(command: Bill) -> int:
        if errors:
            raise errors.pop()
        bills.append(command)
        return len(bills)

    bus = CommandBus({Bill: bill})
    async with serving(nats_server, name, bus, expose=[Bill], inbox=MemoryInbox()), calling(nats_server, name) as shop:
        with pytest.raises(RemoteError, match="ConnectionError"):
            await shop.ask(Envelope(Bill("Ada", 1), id="a"))
        assert await shop.ask(Envelope(Bill("Ada", 1), id="a")) == 1
        with pytest.raises(AlreadyHandled):
            await shop.ask(Envelope(Bill("Ada", 1), id="a"))
    assert bills == [Bill("Ada", 1)]


async def test_an_intent_whose_sender_waits_no_longer_is_handled_when_it_comes_again(nats_server: NatsServer) -> None:
    # RE-6
    name, billing = new_name(), Billing()
    serving_it = serving(nats_server, name, billing.bus(), inbox=MemoryInbox())
    async with serving_it, calling(nats_server, name, timeout=1) as impatient, calling(nats_server, name) as patient:
        while not billing.slow_began.is_set():  # a request may come too late to a machine that stands still
            with pytest.raises(DispatchTimeout):
                await impatient.ask(Envelope(Bill("slow", 1), id="a"))
        await billing.slow_ended.wait()
        billing.going_on.set()
        assert await patient.ask(Envelope(Bill("slow", 1), id="a")) == 1


async def test_the_second_of_two_calls_with_one_id_waits_for_the_end_of_the_first(nats_server: NatsServer) -> None:
    # RE-6
    name, billing, inbox, results = new_name(), Billing(), MemoryInbox(), list[object]()

    async def call(bus: Any) -> None:
        try:
            results.append(await bus.ask(Envelope(Bill("slow", 1), id="a")))
        except AlreadyHandled as error:
            results.append(type(error))

    serving_it = serving(nats_server, name, billing.bus(), inbox=inbox)
    async with serving_it as serve, calling(nats_server, name) as bus, anyio.create_task_group() as tasks:
        tasks.start_soon(call, bus)
        tasks.start_soon(call, bus)
        while not waits_for(serve, "a"):  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(0.001)
        billing.going_on.set()
    assert {*results} == {1, AlreadyHandled} and billing.bills == [("slow", 1)]


def waits_for(serve: Serve, id: str) -> bool:
    """True if a call waits for the end of another one with the same id."""
    lock = serve._in_hand.get(id)
    return lock is not None and lock.statistics().tasks_waiting > 0


async def test_beyond_those_that_may_wait_calls_are_refused(nats_server: NatsServer) -> None:
    # RE-7
    name, billing = new_name(), Billing()
    refused: list[float] = []

    async def call(bus: Any) -> None:
        try:
            await bus.ask(Bill("slow", 1))
        except RateLimited as limited:
            refused.append(limited.retry_after)
            billing.going_on.set()

    slow = serving(nats_server, name, billing.bus(), concurrency=1)
    async with slow, calling(nats_server, name) as bus, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(call, bus)
    assert refused == [1.0] and len(billing.bills) == 5


async def test_what_has_come_before_the_stop_is_answered(nats_server: NatsServer) -> None:
    # RE-7
    name, billing, results = new_name(), Billing(), list[int]()

    async def call(bus: Any) -> None:
        results.append(await bus.ask(Bill("slow", 1)))

    serving_it = serving(nats_server, name, billing.bus())
    async with calling(nats_server, name) as bus:
        async with anyio.create_task_group() as tasks, serving_it as serve:
            tasks.start_soon(call, bus)
            await billing.slow_began.wait()
            serve.stop()
            billing.going_on.set()
        assert results == [1]
        with pytest.raises(NotServed):
            await bus.ask(Bill("Ada", 1))


class Happened(Event):
    pass


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"link": None}, "link"),
        ({"name": "a b"}, "name"),
        ({"types": []}, "types"),
        ({"types": [Happened]}, "types"),
        ({"types": [int]}, "types"),
        ({"timeout": 0}, "timeout"),
        ({"errors": ["Overdue"]}, "errors"),
        ({"errors": [type("Forbidden", (Exception,), {})]}, "errors"),
    ],
)
async def test_misuse_of_remote_fails_when_it_is_made(options: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {"link": Link("nats://localhost", name="a"), "name": "billing", "types": [Bill], **options}
    with pytest.raises(InvalidOption, match=text):
        Remote(**given)


async def test_a_result_that_json_does_not_have_is_misuse() -> None:
    class Odd:
        pass

    class GetOdd(Query[Odd]):
        pass

    with pytest.raises(InvalidOption, match="result"):
        Remote(Link("nats://localhost", name="a"), "billing", [GetOdd])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"link": None}, "link"),
        ({"name": ""}, "name"),
        ({"bus": None}, "bus"),
        ({"expose": []}, "expose"),
        ({"concurrency": 0}, "concurrency"),
        ({"inbox": object()}, "inbox"),
    ],
)
async def test_misuse_of_serve_fails_when_it_is_made(options: dict[str, Any], text: str) -> None:
    link = Link("nats://localhost", name="a")
    given: dict[str, Any] = {"link": link, "name": "billing", "bus": Billing().bus(), "expose": [Bill], **options}
    with pytest.raises(InvalidOption, match=text):
        Serve(**given)
