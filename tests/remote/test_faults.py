"""Faults of calls to a context in another process: answers and requests that cannot be read, a link that is lost."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import InvalidOption, ModdError, NoHandler
from modd.cqrs import Codec, Command, CommandBus, DispatchTimeout, Envelope, Next, NotAnswered, RateLimited
from modd.middleware.trace_context import TraceContext
from modd.nats import Link, LinkLost
from modd.remote import Remote, RemoteError, Serve, UnreadableReply
from modd.remote.remote import handle_elsewhere
from tests.nats.server import NatsServer
from tests.remote.shop import Bill, Billing, GetBill, calling, new_name, serving

pytestmark = pytest.mark.anyio

LIMIT = 60
"""Seconds; a guard against hangs."""


class Undecided(UnicodeDecodeError):
    """An error that is not made without its five arguments."""


ANSWERS = [
    ({}, b'{"stream":"MODD_orders","seq":1}'),
    ({"modd-reply": "result"}, b'"one"'),
    ({"modd-reply": "result"}, b"\xff"),
    ({"modd-reply": "queued"}, b"7"),
    ({"modd-reply": "error"}, b"[]"),
    ({"modd-reply": "error"}, b'{"type":"Undecided","args":[1]}'),
    ({"modd-reply": "applause"}, b""),
]


async def test_an_answer_that_cannot_be_read_is_an_error_of_modd_without_its_values(nats_server: NatsServer) -> None:
    # RE-9
    name = new_name()

    async def answer() -> None:
        async for request in requests:
            headers, body = answers.pop(0)
            await link.publish(request.reply, body, headers)

    answers = [*ANSWERS]
    asking = calling(nats_server, name, errors=[Undecided])
    async with (
        Link(nats_server.url, name="other") as link,
        link.subscribe(f"modd.{name}.ask.>") as requests,
        asking as bus,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answer)
        for _ in ANSWERS:
            with pytest.raises(UnreadableReply, match="may have been handled") as raised:
                await bus.ask(Bill("Ada", 1))
            assert (raised.value.name, raised.value.intent) == (name, Bill) and "MODD" not in str(raised.value)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("result", "type"), [(object(), "TypeError"), ("x" * 2**21, "InvalidOption")])
async def test_a_result_that_cannot_cross_is_an_error_at_once(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture, result: object, type: str
) -> None:
    # RE-4: it is no JSON, or larger than the server takes
    def bill(command: Bill) -> Any:
        return result

    name = new_name()
    served = serving(nats_server, name, CommandBus({Bill: bill}), expose=[Bill])
    async with served, calling(nats_server, name) as bus:
        with pytest.raises(RemoteError) as raised:
            await bus.ask(Bill("Ada", 1))
    assert raised.value.type == type and raised.value.id in caplog.text


class Unusual(Exception):
    """An error whose attributes JSON does not have."""


async def test_attributes_of_errors_that_json_does_not_have_cross_as_texts(nats_server: NatsServer) -> None:
    # RE-4: of an error in an error crosses its type alone
    def bill(command: Bill) -> int:
        error = Unusual("\ud800", Bill, (2**70, [1]))
        error.cause, error.kind, error.data = KeyError("secret"), int, {"a": b"b"}  # type: ignore[attr-defined]
        raise error

    name = new_name()
    both: dict[str, Any] = {"errors": [Unusual]}
    served = serving(nats_server, name, CommandBus({Bill: bill}), expose=[Bill], **both)
    async with served, calling(nats_server, name, **both) as bus:
        with pytest.raises(Unusual) as raised:
            await bus.ask(Bill("Ada", 1))
    assert raised.value.args == ("'\\ud800'", Bill, (2**70, (1,)))
    del raised.value.__notes__
    assert vars(raised.value) == {"cause": "KeyError", "kind": "int", "data": {"a": "Yg=="}}


class Order(Command[None]):
    """A command without a handler."""


class CountAll(Command[int], tag="shop/count all"):
    pass


HEADERS = {"ce-id": "a", "ce-time": "2026-01-01T00:00:00Z"}
BODY = Codec([Bill]).encode_message(Bill("Ada", 1))
REQUESTS: list[tuple[str, dict[str, str], bytes, str]] = [
    ("Bill", {}, BODY, "KeyError"),
    ("Bill", HEADERS | {"ce-time": "yesterday"}, BODY, "ValueError"),
    ("Bill", HEADERS | {"ce-id": ""}, BODY, "InvalidOption"),
    ("Bill", HEADERS | {"modd-actor": "{"}, BODY, "DecodeError"),
    ("Bill", HEADERS, b"\xff{", "Undecodable"),
    ("GetBill", HEADERS, BODY, "UnknownType"),
    ("Bill.more", HEADERS, BODY, "NoHandler"),
    ("Other", HEADERS, BODY, "NoHandler"),
]


async def test_requests_that_cannot_be_read_are_refused_and_the_next_ones_are_handled(nats_server: NatsServer) -> None:
    # RE-2: a subject takes its own type alone, so that permissions for subjects hold
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus()), Link(nats_server.url, name="other", timeout=30) as link:
        for kind, headers, body, error in REQUESTS:
            reply = await link.request(f"modd.{name}.ask.{kind}", body, headers)
            assert reply.headers["modd-reply"] == "error" and error in reply.body.decode(), reply.body
        assert not billing.bills
        for timeout in ("soon", "nan", "inf"):
            reply = await link.request(f"modd.{name}.ask.Bill", BODY, HEADERS | {"modd-timeout": timeout})
            assert reply.headers["modd-reply"] == "result"
        await link.publish(f"modd.{name}.ask.Bill", BODY, HEADERS | {"modd-timeout": "-1"}, "answers")
        await link.publish(f"modd.{name}.ask.Bill", BODY, HEADERS)
        await link.request(f"modd.{name}.ask.Bill", BODY, HEADERS)
    assert len(billing.bills) == 5
    assert {each.correlation_id for each in billing.envelopes} == {"a"}


async def test_a_call_beyond_those_that_may_wait_names_its_type(nats_server: NatsServer) -> None:
    # RE-7
    name, billing, errors = new_name(), Billing(), list[RateLimited]()

    async def call(bus: Any) -> None:
        try:
            await bus.ask(Bill("slow", 1))
        except RateLimited as error:
            errors.append(error)
            reply = await link.request(f"modd.{name}.ask.Other", b"", {})
            assert b"RateLimited" in reply.body
            billing.going_on.set()

    async with (
        serving(nats_server, name, billing.bus(), concurrency=1),
        calling(nats_server, name) as bus,
        Link(nats_server.url, name="other", timeout=30) as link,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(6):
            tasks.start_soon(call, bus)
    assert [error.intent for error in errors] == [Bill]


async def test_a_call_that_is_cancelled_is_handled_to_its_end(nats_server: NatsServer) -> None:
    # RE-3: the other side is not told
    name, billing = new_name(), Billing()
    async with serving(nats_server, name, billing.bus()), calling(nats_server, name) as bus:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.ask, Bill("slow", 1))
            await billing.slow_began.wait()
            tasks.cancel_scope.cancel()
        billing.going_on.set()
        with anyio.fail_after(LIMIT):
            await billing.slow_ended.wait()
        assert await bus.ask(Bill("Ada", 2)) == 2


async def test_after_a_lost_link_calls_are_served_again(own_nats_server: NatsServer) -> None:
    # RE-8
    name, billing, errors = new_name(), Billing(), list[Exception]()

    async def call(bus: Any) -> None:
        with pytest.raises(LinkLost) as raised:
            await bus.ask(Bill("slow", 1))
        errors.append(raised.value)

    async with serving(own_nats_server, name, billing.bus()) as serve, calling(own_nats_server, name) as bus:
        assert serve.problem() is None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, bus)
            await billing.slow_began.wait()
            own_nats_server.kill()
        assert not isinstance(errors[0], DispatchTimeout)
        billing.going_on.set()
        with anyio.fail_after(LIMIT):
            while serve.problem() is None:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        own_nats_server.start()
        with anyio.fail_after(LIMIT):
            while await number_of_bills(bus) < 0:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert serve.problem() is None


async def number_of_bills(bus: Any) -> int:
    """Return the number of a new bill; -1 as long as the context is not served."""
    try:
        return int(await bus.ask(Bill("Ada", 2)))
    except ModdError:
        return -1


async def test_a_stop_without_a_connection_ends_in_order(own_nats_server: NatsServer) -> None:
    # RE-8
    async with Link(own_nats_server.url, name="billing", timeout=0.2) as link, anyio.create_task_group() as tasks:
        serve = Serve(link, new_name(), Billing().bus(), expose=[Bill])
        tasks.start_soon(serve.run)
        await serve.wait_ready()
        own_nats_server.kill()
        serve.stop()


async def test_names_that_a_subject_cannot_have_are_hashed_and_a_trace_needs_no_state(nats_server: NatsServer) -> None:
    # RE-5
    name, traces = new_name(), list[Any]()

    def count(envelope: Envelope[CountAll]) -> int:
        traces.append(envelope.last(TraceContext))
        return 7

    served = serving(nats_server, name, CommandBus({CountAll: count}), expose=[CountAll])
    async with served, Link(nats_server.url, name="shop", timeout=30) as link:
        dispatched = await Remote(link, name, [CountAll], timeout=30).dispatch(CountAll(), TraceContext("00-1-2-01"))
    assert dispatched.result == 7 and [(each.traceparent, each.tracestate) for each in traces] == [("00-1-2-01", "")]


async def drop(envelope: Envelope, call_next: Next) -> None:
    """Stand for a middleware that lets nothing through."""


async def test_a_call_that_no_handler_answered_is_refused(nats_server: NatsServer) -> None:
    # RE-4
    name = new_name()
    served = serving(nats_server, name, CommandBus({Bill: Billing().bill}, middleware=[drop]), expose=[Bill])
    async with served, Link(nats_server.url, name="shop", timeout=30) as link:
        with pytest.raises(NotAnswered):
            await Remote(link, name, [Bill], timeout=30).dispatch(Bill("Ada", 1))


class Unresolved(Command["Absent"]):  # type: ignore[name-defined]
    pass


async def test_a_result_type_that_is_not_defined_is_misuse() -> None:
    # RE-1
    with pytest.raises(InvalidOption, match="Absent"):
        Remote(Link("nats://localhost", name="a"), "billing", [Unresolved])
    with pytest.raises(NotImplementedError):
        handle_elsewhere(Bill("Ada", 1))


async def test_the_part_of_an_app_is_labelled_with_the_context() -> None:
    link = Link("nats://localhost", name="a")
    assert Serve(link, "billing", Billing().bus(), expose=[GetBill]).label == "serve billing"
    with pytest.raises(InvalidOption, match="expose"):
        Serve(link, "billing", Billing().bus(), expose=[int])  # type: ignore[list-item]
    with pytest.raises(NoHandler, match=r"handles: Bill$"):
        Serve(link, "billing", CommandBus({Bill: Billing().bill}), expose=[GetBill])
    with pytest.raises(NoHandler, match=r"handles: Bill, GetBill$"):
        Serve(link, "billing", Billing().bus(), expose=[Order])
