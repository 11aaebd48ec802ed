"""Log entries are messages, and logging never logs itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

from modd import Bus, Failure, InvalidOption, Message, NotAComponent, Sensitive, TurnFailed
from modd.parts import ConsoleLog, Filter, Level, Log, Logged
from tests.parts.components import Listener, Resource

pytestmark = pytest.mark.anyio


class Added(Message):
    sku: str
    card: Annotated[str, Sensitive] = "1234"


class Total(Message):
    n: int


def cart(message: Added) -> Total:
    return Total(1)


async def cart_async(message: Added) -> Total:
    return Total(1)


def cart_generator(message: Added) -> Iterator[Total]:
    yield Total(1)


async def cart_async_generator(message: Added) -> AsyncIterator[Total]:
    yield Total(1)


def entries(heard: Listener) -> list[Message]:
    return [message for message in heard.messages if isinstance(message, Logged)]


async def test_each_message_in_the_bus_is_logged_but_log_entries() -> None:
    # MO-12
    heard = Listener()
    await Bus([cart, Log(), Log(level=Level.DEBUG, describe=lambda message: type(message).__name__), heard])(Added("a"))
    added, total = "Added(sku='a', card=***)", "Total(n=1)"
    assert entries(heard) == [
        Logged(Level.INFO, added, "Log"),
        Logged(Level.DEBUG, "Added", "Log"),
        Logged(Level.INFO, total, "Log"),
        Logged(Level.DEBUG, "Total", "Log"),
    ]
    assert Log().accepts.takes(Logged) is False
    assert Log()(Logged(Level.INFO, "x")) is None


@pytest.mark.parametrize("component", [cart, cart_async, cart_generator, cart_async_generator])
async def test_around_a_component_it_logs_what_that_is_given_and_gives_back_its_results(
    component: Callable[..., Any],
) -> None:
    # MO-12
    heard = Listener()
    bus = Bus([Log(component), heard])
    await bus(Added("a"))
    assert heard.messages == [
        Added("a"),
        Logged(Level.INFO, "Added(sku='a', card=***)", component.__name__),
        Total(1),
    ]
    assert bus.components[0].accepts.types == (Added,)  # type: ignore[attr-defined]  # pyright: ignore


async def test_around_a_component_that_accepts_log_entries_it_passes_them_on_and_does_not_log_them() -> None:
    # MO-12
    heard = Listener()
    await Bus([Log(heard)])(Added("a"))
    assert heard.messages == [Added("a"), Logged(Level.INFO, "Added(sku='a', card=***)", "Listener")]


async def test_a_component_that_raises_was_logged_before() -> None:
    # MO-12
    def boom(message: Added) -> None:
        raise ValueError("boom")

    heard = Listener()
    with pytest.raises(TurnFailed):
        await Bus([Log(boom, describe=lambda message: "given"), heard])(Added("a"))
    assert entries(heard) == [Logged(Level.INFO, "given", "test_a_component_that_raises_was_logged_before.boom")]


async def test_a_failure_is_an_error_that_was_seen_and_not_handled() -> None:
    # MO-12
    def boom(message: Added) -> None:
        raise ValueError("boom")

    boom.name = "boom"  # type: ignore[attr-defined]  # pyright: ignore
    heard = Listener()
    bus = Bus([boom, Log(), heard])
    with pytest.raises(TurnFailed) as info:
        await bus(Added("a"))
    assert len(info.value.exceptions) == 1
    assert entries(heard)[1:] == [Logged(Level.ERROR, "Added(sku='a', card=***) failed: ValueError('boom')", "boom")]


async def test_around_a_handler_of_failures_it_logs_them_and_the_handler_handles_them() -> None:
    # MO-12
    handled: list[Failure] = []

    def boom(message: Added) -> None:
        raise ValueError("boom")

    def handle(failure: Failure) -> None:
        handled.append(failure)

    heard = Listener()
    await Bus([boom, Log(handle), heard])(Added("a"))
    assert len(handled) == 1
    assert [entry.level for entry in heard.messages if isinstance(entry, Logged)] == [Level.ERROR]


async def test_a_message_that_cannot_be_described_changes_no_outcome() -> None:
    # MO-12
    heard = Listener()
    await Bus([Log(cart, describe=lambda message: message.missing), Filter(heard, allow=[Logged, Total])])(Added("a"))
    first, *rest = heard.messages
    assert isinstance(first, Logged)
    assert first.text.startswith("Added that cannot be described (AttributeError(")
    assert rest == [Total(1)]


async def test_a_bus_in_a_log_keeps_its_boundary_and_is_opened() -> None:
    # MO-12 MO-6
    held, inside = Resource(), Listener()
    inner = Bus([cart, inside, Filter(held, allow=Total)], name="inner", inbound=[Added, Total], outbound=[Total])
    log = Log(inner)
    async with Bus([log]) as outer:
        await outer(Added("a"))
    assert inside.messages == [Added("a"), Total(1)]
    assert held.log == ["opened", "Total", "closed"]
    assert log.name == "Log(inner)"


async def test_components_log_by_giving_back_entries() -> None:
    # MO-12
    lines: list[str] = []

    def warn(message: Added) -> Logged:
        return Logged(Level.WARNING, "low on yoyos", "stock")

    await Bus([warn, ConsoleLog(write=lines.append)])(Added("a"))
    assert lines == ["WARNING stock: low on yoyos"]


async def test_the_console_shows_what_is_of_the_minimum_level_or_above() -> None:
    # MO-12
    shown: dict[Level, list[str]] = {}
    for minimum in Level:
        shown[minimum] = []
        bus = Bus([ConsoleLog(minimum, write=shown[minimum].append)])
        for level in Level:
            await bus(Logged(level, "text", "source"))
    lines = ["DEBUG   source: text", "INFO    source: text", "WARNING source: text", "ERROR   source: text"]
    assert shown == {level: lines[number:] for number, level in enumerate(Level)}


async def test_the_console_is_standard_error_and_shows_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    # MO-12
    bus = Bus([Log(), ConsoleLog()])
    await bus(Added("a"))
    await bus(Logged(Level.INFO, "two\nlines \x1b[31mred\u2028 grün", "x"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "INFO    Log: Added(sku='a', card=***)",
        "INFO    x: two\\nlines \\x1b[31mred\\u2028 grün",
    ]


async def test_a_writer_that_fails_changes_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    # MO-12
    def broken(line: str) -> None:
        raise BrokenPipeError

    heard = Listener()
    with caplog.at_level(logging.ERROR, "modd"):
        await Bus([cart, Log(), ConsoleLog(write=broken), heard])(Added("secret"))
    assert len(entries(heard)) == 2
    assert [record.getMessage() for record in caplog.records] == ["ConsoleLog could not write a line"] * 2


async def write_later(line: str) -> None: ...


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Log(level=20), r"level=20: give one of Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR"),  # type: ignore[arg-type]
        (lambda: Log(describe="{}"), "describe='{}': give a function"),  # type: ignore[arg-type]
        (lambda: ConsoleLog("INFO"), "minimum='INFO'"),  # type: ignore[arg-type]
        (lambda: ConsoleLog(write=write_later), "write=.*not async"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(make: Callable[[], Any], text: str) -> None:
    # MO-12 MO-13
    with pytest.raises(InvalidOption, match=text):
        make()
    with pytest.raises(NotAComponent):
        Log(3)  # type: ignore[arg-type]  # pyright: ignore
