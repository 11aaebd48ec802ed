"""Spans that follow causation."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from modd import Bus
from modd.cqrs import Ask, Command, CommandBus, Emit, Envelope, Event, EventBus, Failed, Handled, Next, Query, QueryBus
from modd.errors import InvalidOption
from modd.middleware.trace_context import TraceContext
from modd.middleware.tracing import Tracing

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Create(Command[int]):
    name: str = "secret"


class Count(Query[int]):
    pass


class Created(Event):
    pass


class Welcome(Command[None]):
    pass


class Spans:
    """A tracer, and the spans that it has finished."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")

    @property
    def all(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def parent_of(self, name: str) -> str | None:
        parent = self.all[name].parent
        if parent is None:
            return None
        return next((n for n, s in self.all.items() if s.context and s.context.span_id == parent.span_id), "elsewhere")


@pytest.fixture
def spans() -> Spans:
    return Spans()


def create(command: Create) -> int:
    return 1


async def test_a_dispatch_has_a_span_with_its_ids_and_no_content(spans: Spans) -> None:
    bus = CommandBus([create], middleware=[Tracing(spans.tracer)], name="users")
    envelope = (await bus.dispatch(Create())).envelope
    span = spans.all["users Create"]
    assert span.parent is None and span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "modd.bus": "users",
        "modd.kind": "command",
        "modd.type": "Create",
        "modd.message_id": envelope.id,
        "modd.correlation_id": envelope.id,
    }
    assert "secret" not in span.to_json()
    assert not trace.get_current_span().get_span_context().is_valid


async def test_an_error_is_recorded_and_raised_as_it_is(spans: Spans) -> None:
    error = ValueError("boom")

    def fail(command: Create) -> int:
        raise error

    with pytest.raises(ValueError, match="boom") as info:
        await CommandBus([fail], middleware=[Tracing(spans.tracer)]).ask(Create())
    assert info.value is error
    span = spans.all["commands Create"]
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


async def test_a_new_failed_stamp_is_an_error_of_the_span(spans: Spans) -> None:
    def fail(command: Create, envelope: Envelope[Create]) -> int:
        envelope.add(Failed("out of stock"))
        return 0

    await CommandBus([fail], middleware=[Tracing(spans.tracer)]).dispatch(Create(), Failed("before"))
    status = spans.all["commands Create"].status
    assert (status.status_code, status.description) == (StatusCode.ERROR, "out of stock")


async def test_spans_follow_causation_in_a_turn(spans: Spans) -> None:
    # MI-15
    tracing = Tracing(spans.tracer)

    async def create_and_tell(command: Create, emit: Emit, ask: Ask) -> int:
        emit(Created())
        with spans.tracer.start_as_current_span("counting"):
            return await ask(Count())

    bus = Bus(
        [
            CommandBus({Create: create_and_tell, Welcome: lambda command: None}, middleware=[tracing], name="commands"),
            QueryBus({Count: lambda query: 3}, middleware=[tracing], name="queries"),
            EventBus({Created: lambda event: Welcome()}, middleware=[tracing], name="events"),
        ]
    )
    with spans.tracer.start_as_current_span("request"):
        assert await bus.ask(Create()) == 3
    assert spans.parent_of("request") is None
    assert spans.parent_of("commands Create") == "request"
    assert spans.parent_of("queries Count") == "counting"
    assert spans.parent_of("counting") == "commands Create"
    assert spans.parent_of("events Created") == "commands Create"
    assert spans.parent_of("commands Welcome") == "events Created"
    caused = dict(spans.all["events Created"].attributes or {})
    assert caused["modd.causation_id"] == dict(spans.all["commands Create"].attributes or {})["modd.message_id"]
    assert len({span.context.trace_id for span in spans.all.values() if span.context}) == 1


async def test_what_is_dispatched_anew_later_follows_the_span_that_produced_it(spans: Spans) -> None:
    # MI-10
    tracing = Tracing(spans.tracer)

    async def stop(envelope: Envelope[Any], call_next: Next) -> None:
        """Put it aside, as for a queue."""

    producing = CommandBus([create], middleware=[tracing, stop], name="producer")
    consuming = CommandBus([create], middleware=[tracing], name="worker")
    envelope = (await producing.dispatch(Create())).envelope
    with spans.tracer.start_as_current_span("polling"):
        await consuming.dispatch(envelope)
    assert spans.parent_of("worker Create") == "producer Create"


async def test_a_trace_from_elsewhere_goes_on(spans: Spans) -> None:
    bus = CommandBus([create], middleware=[Tracing(spans.tracer)])
    envelope = (await bus.dispatch(Create(), TraceContext(PARENT, "vendor=1"))).envelope
    span = spans.all["commands Create"]
    assert span.context is not None and span.parent is not None
    assert f"{span.context.trace_id:032x}-{span.parent.span_id:016x}" == PARENT[3:-3]
    (stamp,) = envelope.all(TraceContext)
    assert stamp.traceparent == f"{PARENT[:36]}{span.context.span_id:016x}-01" and stamp.tracestate == "vendor=1"


@pytest.mark.parametrize("text", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 10_000])
async def test_what_is_no_trace_context_is_passed_over(spans: Spans, text: str) -> None:
    await CommandBus([create], middleware=[Tracing(spans.tracer)]).dispatch(Create(), TraceContext(text))
    assert spans.all["commands Create"].parent is None


async def test_a_long_line_of_causes_carries_one_trace_context(spans: Spans) -> None:
    tracing = Tracing(spans.tracer)
    carried: list[int] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        carried.append(len(envelope.all(TraceContext)))
        await call_next(envelope)

    async def count_down(command: Create) -> int:
        return 0 if len(carried) > 5 else await bus.ask(Create())

    bus = CommandBus([count_down], middleware=[tracing, inner])
    await bus.dispatch(Create())
    assert carried == [1] * 6


async def test_what_was_handled_before_stays_handled(spans: Spans) -> None:
    # MI-7 MI-12
    runs: list[int] = []

    async def twice(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        await call_next(envelope)

    def count(command: Create) -> int:
        runs.append(1)
        return 1

    bus = CommandBus([count], middleware=[twice, Tracing(spans.tracer)])
    dispatched = await bus.dispatch(Create())
    assert dispatched.results == (1, 1) and runs == [1, 1]
    runs.clear()
    mocked = CommandBus([count], middleware=[Tracing(spans.tracer)])
    assert (await mocked.dispatch(Create(), TraceContext(PARENT), Handled(9, "test"))).result == 9
    assert runs == []


async def test_cancelled_the_span_ends_and_is_no_error(spans: Spans) -> None:
    async def forever(command: Create) -> int:
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    with anyio.CancelScope() as scope:
        await CommandBus([forever], middleware=[Tracing(spans.tracer)]).dispatch(Create())
    assert scope.cancelled_caught
    span = spans.all["commands Create"]
    assert span.end_time is not None and span.status.status_code is StatusCode.UNSET
    assert not trace.get_current_span().get_span_context().is_valid


async def test_without_an_sdk_it_notes_nothing_and_changes_nothing() -> None:
    # MI-14
    bus = CommandBus([create], middleware=[Tracing()])
    dispatched = await bus.dispatch(Create())
    assert dispatched.result == 1 and not dispatched.envelope.has(TraceContext)
    queries = QueryBus({Count: lambda query: 3}, middleware=[Tracing()])
    assert await queries.ask(Count()) == 3


async def test_side_by_side_dispatches_do_not_mix(spans: Spans) -> None:
    tracing = Tracing(spans.tracer)
    here, go = [anyio.Event(), anyio.Event()], anyio.Event()

    async def wait(command: Create, ask: Ask) -> int:
        here[int(command.name)].set()
        await go.wait()
        return await queries.ask(Count())

    queries = QueryBus({Count: lambda query: 3}, middleware=[tracing])
    bus = CommandBus([wait], middleware=[tracing])
    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(bus.dispatch, Create(str(number)))
            await here[number].wait()
        go.set()
    finished = spans.exporter.get_finished_spans()
    parents = {span.parent.span_id for span in finished if span.parent is not None}
    assert len(finished) == 4 and len(parents) == 2


async def test_what_is_no_tracer_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="tracer"):
        Tracing("modd")  # type: ignore[arg-type]  # pyright: ignore
