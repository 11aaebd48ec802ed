"""The user's error stays the user's error, and every text made of it is safe and has no secrets of the message."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from modd import Bus, Failure, Journey, Message, Sensitive, TurnFailed
from modd.cqrs import (
    Codec,
    Command,
    CommandBus,
    Envelope,
    Event,
    EventBus,
    Failed,
    HandlersFailed,
    Middleware,
    Query,
    QueryBus,
    Retried,
)
from modd.middleware import Cacher, CircuitBreaker, Idempotency, Lock, Logger, Retryer, Timeout, Tracing
from modd.parts import ConsoleLog, Log
from modd.ports import Item
from modd.stores import MemoryQueue
from modd.stores.sqlite.store import SqliteStore
from modd.worker import Worker

pytestmark = pytest.mark.anyio
SECRET = "4111222233334444"


@dataclass(frozen=True)
class OutOfStock(Exception):
    sku: Annotated[str, Sensitive]


class Unshowable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class Charge(Command[int]):
    number: Annotated[str, Sensitive]


class Look(Query[int]):
    number: Annotated[str, Sensitive]


class Charged(Event):
    number: Annotated[str, Sensitive]


class Given(Message):
    number: Annotated[str, Sensitive]


class Passed(Message):
    number: Annotated[str, Sensitive]


def deep_group() -> Exception:
    error: Exception = ValueError(SECRET)
    for _ in range(1500):
        error = ExceptionGroup("g", [error])  # pyright: ignore[reportArgumentType]
    return error


def with_odd_notes() -> Exception:
    error = ValueError(SECRET)
    error.__notes__ = [{"row": 3}, SECRET]  # type: ignore[list-item]
    return error


def with_notes_of_no_kind() -> Exception:
    error = ValueError(SECRET)
    error.__notes__ = 3  # type: ignore[assignment]
    return error


ERRORS: dict[str, Any] = {
    "plain": lambda: KeyError(SECRET),
    "frozen": lambda: OutOfStock(SECRET),
    "no text": Unshowable,
    "odd notes": with_odd_notes,
    "no notes": with_notes_of_no_kind,
    "deep": deep_group,
}


@pytest.fixture(params=ERRORS)
def error(request: Any) -> Iterator[Exception]:
    made: Exception = ERRORS[request.param]()
    yield made
    while isinstance(made, ExceptionGroup):  # let go of it level by level: its repr would be too deep for pytest
        made = made.exceptions[0]


class Spans:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")

    def __str__(self) -> str:
        return "".join(span.to_json() for span in self.exporter.get_finished_spans())


MIDDLEWARE: dict[str, Any] = {
    "Retryer": lambda: Retryer(attempts=2, backoff="none"),
    "Timeout": lambda: Timeout(9),
    "Lock": lambda: Lock(lambda envelope: "k"),
    "Idempotency": Idempotency,
    "Tracing": lambda: Tracing(Spans().tracer),
    "CircuitBreaker": lambda: CircuitBreaker(3, reset_after=60),
    "Logger": Logger,
}


async def raised_by(bus: Any, intent: Any) -> BaseException:
    try:
        await bus.ask(intent)
    except Exception as raised:
        return raised
    raise AssertionError("nothing was raised")


@pytest.mark.costly
@pytest.mark.parametrize("name", MIDDLEWARE)
async def test_the_error_of_a_handler_passes_every_middleware_as_it_is(name: str, error: Exception) -> None:
    # DF-8
    def charge(command: Charge) -> int:
        raise error

    assert await raised_by(CommandBus([charge], middleware=[MIDDLEWARE[name]()]), Charge(SECRET)) is error


@pytest.mark.costly
async def test_the_error_of_a_handler_passes_a_cache_an_override_and_a_transaction(
    error: Exception, tmp_path: Any
) -> None:
    # DF-8
    def look(query: Look) -> int:
        raise error

    queries = QueryBus([look], middleware=[Cacher(stale_ttl=0)])
    assert await raised_by(queries, Look(SECRET)) is error
    async with SqliteStore(tmp_path / "a.db") as store, Bus([queries]) as bus:
        for immediate in (False, True):
            raised: BaseException | None = None
            try:
                async with store.transaction(immediate=immediate) as tx, tx.savepoint():
                    with bus.override({Look: look}):
                        await bus.ask(Look(SECRET))
            except Exception as caught:
                raised = caught
            assert raised is error


async def test_texts_of_a_failure_in_a_bus_have_no_secrets(error: Exception) -> None:
    # DF-8
    lines: list[str] = []
    failures: list[Failure] = []

    def give(message: Given) -> Passed:
        return Passed(message.number)

    def fail(message: Passed) -> None:
        raise error

    inner = Bus([fail], name="inner", inbound=[Passed])
    outer = Bus([give, inner, Log(), ConsoleLog(write=lines.append), failures.append], name="outer")
    with Journey(outer) as journey:
        raised: Any = None
        try:
            await outer(Given(SECRET))
        except TurnFailed as failed:
            raised = failed
    shown = [str(journey), journey.mermaid(), *lines, *map(str, failures)]
    assert all(SECRET not in text for text in shown) and len(lines) > 2
    assert raised is None or SECRET not in str(raised)


async def test_the_text_of_turn_failed_is_masked_by_the_message_at_hand_in_whichever_bus(error: Exception) -> None:
    # DF-8
    def open_up(message: Given) -> Passed:
        return Passed(SECRET)

    def fail(message: Passed) -> None:
        raise error

    async def pass_on(message: Message) -> None:
        await Bus([open_up, fail], name="inner")(message)

    def clumsy(failure: Failure) -> None:
        raise LookupError(SECRET)

    for bus in (Bus([pass_on], name="outer"), Bus([fail, clumsy], name="clumsy")):
        raised: Any = None
        try:
            await bus(Given("0000") if bus.name == "outer" else Passed(SECRET))
        except TurnFailed as failed:
            raised = failed
        assert raised is not None and SECRET not in str(raised)
        assert SECRET not in str(raised.derive(raised.exceptions))


async def test_texts_of_middleware_have_no_secrets(error: Exception) -> None:
    # DF-8
    rows: list[str] = []
    spans = Spans()

    def charge(command: Charge) -> int:
        raise error

    envelope = Envelope(Charge(SECRET))
    layers: list[Middleware] = [Logger(lambda *row: rows.append(str(row))), Tracing(spans.tracer), Retryer(attempts=1)]
    with suppress(type(error)):
        await CommandBus([charge], middleware=layers).dispatch(envelope)
    assert envelope.all(Retried) and SECRET not in str(envelope.all(Retried))
    assert len(rows) == 2 and SECRET not in str(rows)
    assert '"status_code": "ERROR"' in str(spans) and SECRET not in str(spans)


async def test_a_failed_stamp_is_shown_without_secrets() -> None:
    # DF-8
    rows: list[str] = []
    spans = Spans()

    async def note(envelope: Envelope[Any], call_next: Any) -> None:
        envelope.add(Failed(f"no account {SECRET}", at=1.0))

    layers: list[Middleware] = [
        Logger(lambda *row: rows.append(str(row))),
        Tracing(spans.tracer),
        Retryer(attempts=1),
        note,
    ]
    dispatched = await CommandBus([lambda_charge], middleware=layers).dispatch(Charge(SECRET))
    assert SECRET not in str(rows) + str(spans) + str(dispatched.envelope.all(Retried))
    assert "no account ***" in str(spans)


def lambda_charge(command: Charge) -> int:
    return 1


class Receipt(msgspec.Struct):
    number: Annotated[str, Sensitive]


class Print(Command[Receipt]): ...


async def test_a_result_with_secrets_is_logged_without_them() -> None:
    # DF-8
    rows: list[str] = []

    def print_receipt(command: Print) -> Receipt:
        return Receipt(SECRET)

    await CommandBus([print_receipt], middleware=[Logger(lambda *row: rows.append(str(row)))]).ask(Print())
    assert SECRET not in str(rows) and "'results': ['***']" in rows[-1]


async def test_the_text_of_several_failed_handlers_has_no_secrets(error: Exception) -> None:
    # DF-8
    def one(event: Charged) -> None:
        raise error

    def two(event: Charged) -> None:
        raise LookupError(SECRET)

    raised: Any = None
    try:
        await EventBus([one, two]).dispatch(Charged(SECRET))
    except HandlersFailed as failed:
        raised = failed
    assert raised.exceptions[0] is error
    assert SECRET not in str(raised) + str(raised.derive(raised.exceptions))


@pytest.mark.costly
async def test_a_dead_letter_and_the_log_of_a_worker_have_no_secrets(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    # DF-8
    caplog.set_level(logging.INFO)

    def charge(command: Charge) -> int:
        raise error

    queue = MemoryQueue()
    await queue.put(Item(Codec([Charge]).encode(Envelope(Charge(SECRET)))))
    worker = Worker(queue, CommandBus([charge]), attempts=2, backoff="none", max_messages=2)
    await worker.run()
    [dead] = await queue.dead()
    assert SECRET not in dead.reason and SECRET not in caplog.text
    assert "is tried again" in caplog.text and "becomes a dead letter" in caplog.text
    assert dead.reason.startswith(type(error).__name__)


async def test_an_error_passes_a_span_that_is_not_recorded(error: Exception) -> None:
    # DF-8
    def charge(command: Charge) -> int:
        raise error

    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    assert await raised_by(CommandBus([charge], middleware=[Tracing(tracer)]), Charge(SECRET)) is error
