"""Logger writes lines about dispatches and changes no outcome."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Mapping
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import pytest
import structlog

from modd import Message, Sensitive, Value
from modd.cqrs import (
    Actor,
    Command,
    CommandBus,
    Envelope,
    Event,
    EventBus,
    Failed,
    Handled,
    Next,
    NoHandler,
    NotOpen,
    Query,
    QueryBus,
    Stamp,
    Timings,
)
from modd.errors import InvalidOption
from modd.middleware.logger import Logger, structlog_adapter

pytestmark = pytest.mark.anyio


class Stranger(Command[None]):
    pass


class Address(Value, frozen=True):
    street: Annotated[str, Sensitive] = "hidden-street"


class Create(Command[int]):
    name: str = "Ada"
    password: Annotated[str, Sensitive] = "hidden-password"
    addresses: tuple[Address, ...] = (Address(),)


class Pay(Command[None]):
    card: Annotated[str, Sensitive]
    as_stamp: bool = False


class CreateAdmin(Create):
    pass


class Get(Query[Address]):
    pass


class Created(Event):
    pass


class Priority(Stamp):
    level: int = 1


class Unprintable(Message):
    def __repr__(self) -> str:
        raise ZeroDivisionError


class CreateUnprintable(Command[Any]):
    def __repr__(self) -> str:
        raise ZeroDivisionError


def create(command: Create) -> int:
    return 1


def boom(command: Create) -> int:
    raise ValueError("boom")


class Lines:
    """An adapter that remembers what it is given."""

    def __init__(self) -> None:
        self.all: list[tuple[int, str, Mapping[str, Any]]] = []

    def __call__(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        self.all.append((level, event, fields))

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.all]

    def field(self, name: str) -> list[Any]:
        return [fields.get(name) for _, _, fields in self.all]


class SlowLines(Lines):
    """The same, async, and slow until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = anyio.Event()

    async def __call__(self, level: int, event: str, fields: Mapping[str, Any]) -> None:  # type: ignore[override]  # pyright: ignore
        await self.go.wait()
        super().__call__(level, event, fields)


async def test_processing_and_processed_with_identity_message_results_and_other_stamps() -> None:
    # MI-47
    lines = Lines()
    bus = CommandBus([create], middleware=[Logger(lines)], name="users")
    envelope = (await bus.dispatch(Create(), Priority())).envelope
    shared = {
        "bus": "users",
        "type": "Create",
        "id": envelope.id,
        "correlation_id": envelope.id,
        "causation_id": None,
        "payload": "Create(name='Ada', password=***, addresses=(Address(street=***),))",
    }
    timings = envelope.last(Timings)
    assert timings is not None
    assert lines.all == [
        (logging.INFO, "processing", shared | {"results": [], "stamps": ["Priority"]}),
        (
            logging.INFO,
            "processed",
            shared | {"results": ["1"], "stamps": ["Priority", "Timings"], "total_ns": timings.total},
        ),
    ]


async def test_what_a_handler_asks_for_has_the_id_of_what_caused_it() -> None:
    # MI-47
    lines = Lines()
    logger = Logger(lines)
    queries = QueryBus({Get: lambda query: Address()}, middleware=[logger])

    async def ask(command: Create, envelope: Envelope[Create]) -> int:
        await queries.ask(Get())
        return 1

    envelope = (await CommandBus([ask], middleware=[logger]).dispatch(Create())).envelope
    assert lines.field("type") == ["Create", "Get", "Get", "Create"]
    assert lines.field("causation_id") == [None, envelope.id, envelope.id, None]
    assert set(lines.field("correlation_id")) == {envelope.id}


async def test_the_default_is_logging_with_the_fields_in_extra(caplog: pytest.LogCaptureFixture) -> None:
    # MI-47
    bus = CommandBus({Create: create, CreateAdmin: boom}, middleware=[Logger()], name="users")
    with caplog.at_level(logging.INFO, "modd.users"):
        await bus.dispatch(Create())
        with pytest.raises(ValueError, match="boom"):
            await bus.dispatch(CreateAdmin())
    payload = "(name='Ada', password=***, addresses=(Address(street=***),))"
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("modd.users", "INFO", f"processing Create{payload}"),
        ("modd.users", "INFO", f"processed Create{payload}"),
        ("modd.users", "INFO", f"processing CreateAdmin{payload}"),
        ("modd.users", "ERROR", f"error CreateAdmin{payload}: ValueError: boom"),
    ]
    assert vars(caplog.records[1])["event"] == "processed"
    assert vars(caplog.records[1])["results"] == ["1"]


async def test_sensitive_content_appears_in_no_line(caplog: pytest.LogCaptureFixture) -> None:
    # MI-47
    lines = Lines()
    for logger in (Logger(), Logger(lines)):
        queries = QueryBus({Get: lambda query: Address()}, middleware=[logger])
        commands = CommandBus([boom], middleware=[logger])
        with caplog.at_level(logging.DEBUG):
            await queries.ask(Get(), Actor("ada", claims={"token": "hidden-token"}))
            with pytest.raises(ValueError, match="boom"):
                await commands.ask(Create())
    assert len(lines.all) == 4
    assert "hidden" not in str(lines.all) + str([vars(record) for record in caplog.records])


async def test_content_of_sensitive_fields_is_masked_in_the_texts_of_errors(caplog: pytest.LogCaptureFixture) -> None:
    # MI-47
    lines = Lines()

    def fail(envelope: Envelope[Pay]) -> None:
        if envelope.message.as_stamp:
            envelope.add(Failed(f"declined: {envelope.message.card}"))
        else:
            int(envelope.message.card)

    for logger in (Logger(), Logger(lines)):
        bus = CommandBus([fail], middleware=[logger])
        with caplog.at_level(logging.DEBUG):
            await bus.dispatch(Pay("4111x", as_stamp=True))
            with pytest.raises(ValueError, match="4111x"):
                await bus.dispatch(Pay("4111x"))
    errors = [fields["error"] for _, event, fields in lines.all if event == "error"]
    assert errors == ["declined: ***", "ValueError: invalid literal for int() with base 10: '***'"]
    assert "4111x" not in str([vars(record) for record in caplog.records])


async def test_the_time_is_noted_on_success_and_on_error_and_the_error_is_raised_as_it_is() -> None:
    # MI-48
    lines = Lines()
    error = ValueError("boom")

    def fail(command: CreateAdmin) -> int:
        raise error

    bus = CommandBus({Create: create, CreateAdmin: fail}, middleware=[Logger(lines)], clock=lambda: 5.0)
    for message in (Create(), CreateAdmin()):
        envelope: Envelope[Any] = Envelope(message)
        started = perf_counter_ns()
        raised = None
        try:
            await bus.dispatch(envelope)
        except ValueError as caught:
            raised = caught
        (timings,) = envelope.all(Timings)
        assert raised is (error if isinstance(message, CreateAdmin) else None)
        assert 0 < timings.total <= perf_counter_ns() - started
        assert timings.at == 5.0 and lines.field("total_ns")[-1] == timings.total
    assert lines.events == ["processing", "processed", "processing", "error"]
    assert lines.all[-1][0] == logging.ERROR
    assert lines.field("error") == [None, None, None, "ValueError: boom"]


async def test_a_new_failed_stamp_is_an_error_though_nothing_is_raised() -> None:
    # MI-47
    lines = Lines()

    def fail(command: Create, envelope: Envelope[Create]) -> int:
        envelope.add(Failed("out of stock"))
        return 0

    bus = CommandBus([fail], middleware=[Logger(lines)])
    await bus.dispatch(Create(), Failed("before"))
    assert lines.events == ["processing", "error"]
    assert lines.field("error") == [None, "out of stock"]


@pytest.mark.parametrize("collect", [False, True])
async def test_collect_writes_all_at_the_end_with_the_stamps_of_their_time(collect: bool) -> None:
    # MI-49 MI-13
    lines = Lines()
    seen: list[list[str]] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.add(Priority())
        seen.append(lines.events)
        await call_next(envelope)

    intents: Any = {CreateAdmin: {"collect": False}}
    bus = CommandBus(
        {Create: create, CreateAdmin: boom}, middleware=[Logger(lines, collect=collect, intents=intents), inner]
    )
    await bus.dispatch(Create())
    with pytest.raises(ValueError, match="boom"):
        await bus.dispatch(CreateAdmin())
    before = [] if collect else ["processing"]
    assert seen == [before, ["processing", "processed", "processing"]]
    assert lines.field("stamps") == [[], ["Priority", "Timings"]] * 2


async def test_collected_lines_are_written_after_an_error_too() -> None:
    # MI-49
    lines = Lines()
    bus = CommandBus([boom], middleware=[Logger(lines, collect=True)])
    with pytest.raises(ValueError, match="boom"):
        await bus.dispatch(Create())
    assert lines.events == ["processing", "error"]


@pytest.mark.parametrize("collect", [False, True])
async def test_in_the_background_nobody_waits_and_the_order_of_lines_is_kept(collect: bool) -> None:
    # MI-50
    lines = SlowLines()
    bus = CommandBus([create], middleware=[Logger(lines, collect=collect, background=True)])
    async with bus:
        assert await bus.ask(Create()) == 1
        assert lines.events == []
        lines.go.set()
    assert lines.events == ["processing", "processed"]


async def test_without_background_an_async_adapter_is_waited_for() -> None:
    # MI-50
    lines = SlowLines()
    lines.go.set()
    await CommandBus([create], middleware=[Logger(lines)]).ask(Create())
    assert lines.events == ["processing", "processed"]


async def test_with_background_the_bus_has_to_be_open() -> None:
    # MI-50 MI-13
    with pytest.raises(NotOpen, match="writing log lines"):
        await CommandBus([create], middleware=[Logger(background=True)]).ask(Create())
    with pytest.raises(NotOpen):
        await CommandBus([create], middleware=[Logger(intents={Create: {"background": True}})]).ask(Create())
    assert Logger(background=True, intents={Create: {"background": False}}).background_work
    assert not Logger().background_work


async def test_what_ends_while_the_bus_closes_is_written_at_once() -> None:
    # MI-50
    lines, entered, go = Lines(), anyio.Event(), anyio.Event()

    async def wait(command: Create) -> int:
        entered.set()
        await go.wait()
        return 1

    bus = CommandBus([wait], middleware=[Logger(lines, background=True)])
    async with anyio.create_task_group() as tasks:
        async with bus:
            tasks.start_soon(bus.dispatch, Create())
            await entered.wait()
        assert lines.events == ["processing"]
        go.set()
    assert lines.events == ["processing", "processed"]


def broken(level: int, event: str, fields: Mapping[str, Any]) -> None:
    raise ConnectionError("no log")


async def broken_later(level: int, event: str, fields: Mapping[str, Any]) -> None:
    await anyio.lowlevel.checkpoint()
    raise ConnectionError("no log")


@pytest.mark.parametrize("adapter", [broken, broken_later])
@pytest.mark.parametrize("collect", [False, True])
@pytest.mark.parametrize("background", [False, True])
async def test_a_failing_adapter_changes_no_outcome_and_is_told(
    adapter: Any, collect: bool, background: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # MI-50
    logger = Logger(adapter, collect=collect, background=background)
    bus = CommandBus({Create: create, CreateAdmin: boom}, middleware=[logger], name="users")
    async with bus:
        dispatched = await bus.dispatch(Create())
        with pytest.raises(ValueError, match="boom"):
            await bus.dispatch(CreateAdmin())
    assert dispatched.result == 1 and dispatched.envelope.has(Timings)
    assert [(record.name, record.levelname) for record in caplog.records] == [("modd.users", "ERROR")] * 4
    assert sorted(record.getMessage() for record in caplog.records) == [
        "the log line 'error' could not be written",
        "the log line 'processed' could not be written",
        *["the log line 'processing' could not be written"] * 2,
    ]


async def test_where_logging_itself_fails_it_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    # MI-50
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise MemoryError("no log at all")

    broken_filter = Broken()
    logger = logging.getLogger("modd.broken")
    logger.addFilter(broken_filter)
    logger.setLevel(logging.INFO)
    try:
        assert await CommandBus([create], middleware=[Logger()], name="broken").ask(Create()) == 1
    finally:
        logger.removeFilter(broken_filter)
        logger.setLevel(logging.NOTSET)
    assert capsys.readouterr().err.count("MemoryError: no log at all\n") >= 2


async def test_not_even_without_standard_error_is_the_outcome_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    # MI-50
    def fail(*given: Any, **named: Any) -> None:
        raise OSError

    logger = logging.getLogger("modd.dumb")
    logger.addFilter(fail)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=fail))
    try:
        assert await CommandBus([create], middleware=[Logger(broken)], name="dumb").ask(Create()) == 1
    finally:
        logger.removeFilter(fail)  # type: ignore[arg-type]


async def test_what_cannot_be_shown_changes_no_outcome_and_the_line_says_so() -> None:
    # MI-50
    class Silent(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    lines, error = Lines(), Silent()

    def fail(command: Create) -> int:
        raise error

    handlers: Any = {CreateUnprintable: lambda command: Unprintable(), Create: fail}
    bus = CommandBus(handlers, middleware=[Logger(lines)])
    assert isinstance(await bus.ask(CreateUnprintable()), Unprintable)
    with pytest.raises(Silent):
        await bus.ask(Create())
    assert lines.field("payload")[1] == "<CreateUnprintable, whose repr raised ZeroDivisionError>"
    assert lines.field("results")[1] == ["<Unprintable, whose repr raised ZeroDivisionError>"]
    assert lines.field("error")[-1] == "Silent, whose text raises ZeroDivisionError"


@pytest.mark.parametrize("collect", [False, True])
async def test_a_cancelled_dispatch_has_its_line_and_its_time(collect: bool) -> None:
    # MI-47 MI-48
    lines = Lines()
    envelope = Envelope(Create())

    async def forever(command: Create) -> int:
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    with anyio.CancelScope() as scope:
        await CommandBus([forever], middleware=[Logger(lines, collect=collect)]).dispatch(envelope)
    assert scope.cancelled_caught
    assert lines.events == ["processing", "cancelled"] and lines.all[-1][0] == logging.WARNING
    assert envelope.has(Timings)


async def test_cancelled_in_the_adapter_the_handler_does_not_run() -> None:
    # MI-50
    lines, envelope = SlowLines(), Envelope(Create())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await CommandBus([create], middleware=[Logger(lines)]).dispatch(envelope)
    assert scope.cancelled_caught
    assert not envelope.has(Handled) and lines.events == []


async def test_an_async_adapter_in_the_background_writes_about_a_cancelled_dispatch() -> None:
    # MI-50
    lines = SlowLines()

    async def forever(command: Create) -> int:
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    async with CommandBus([forever], middleware=[Logger(lines, background=True)]) as bus:
        with anyio.CancelScope() as scope:
            await bus.dispatch(Create())
        lines.go.set()
    assert lines.events == ["processing", "cancelled"]


async def test_the_adapter_may_differ_by_type_and_one_logger_serves_buses_of_all_kinds() -> None:
    # MI-13 MI-14 MI-47 MI-60
    lines, others = Lines(), Lines()
    logger = Logger(lines, intents={CreateAdmin: {"adapter": others}})
    await CommandBus({Create: create, CreateAdmin: create}, middleware=[logger]).dispatch(CreateAdmin())
    await QueryBus({Get: lambda query: Address()}, middleware=[logger], name="queries").dispatch(Get())
    await EventBus({Created: lambda event: None}, middleware=[logger]).dispatch(Created())
    assert others.field("bus") == ["commands"] * 2
    assert lines.field("bus") == ["queries", "queries", "events", "events"]


async def test_structlog_gets_level_event_and_fields() -> None:
    # MI-47
    out = io.StringIO()
    processors: list[Any] = [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
    log = structlog.wrap_logger(
        structlog.PrintLogger(out), processors, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )
    await CommandBus([create], middleware=[Logger(structlog_adapter(log))]).dispatch(Create())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["results"]) for line in lines] == [
        ("processing", "info", []),
        ("processed", "info", ["1"]),
    ]
    assert "hidden" not in out.getvalue()


async def test_structlog_over_logging_gets_no_name_that_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    # MI-47
    log = structlog.wrap_logger(
        logging.getLogger("users"),
        [structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    with caplog.at_level(logging.INFO, "users"):
        await CommandBus([create], middleware=[Logger(structlog_adapter(log))]).dispatch(Create())
    assert [record.getMessage() for record in caplog.records] == ["processing", "processed"]
    assert vars(caplog.records[1])["results"] == ["1"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"adapter": "stdout"}, "adapter='stdout'"),
        ({"collect": 1}, "collect=1"),
        ({"background": None}, "background=None"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(options: Any, text: str) -> None:
    # MI-13
    with pytest.raises(InvalidOption, match=text):
        Logger(**options)
    with pytest.raises(InvalidOption, match=text):
        Logger(intents={Create: options})
    with pytest.raises(InvalidOption, match="no such option"):
        Logger(intents={Create: {"colect": True}})  # type: ignore[typeddict-unknown-key]  # pyright: ignore
    with pytest.raises(NoHandler, match="Stranger"):
        CommandBus([create], middleware=[Logger(intents={Stranger: {"collect": True}})]).check()
