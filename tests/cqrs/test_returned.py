"""Nothing that a component or a handler returned is dropped: it is taken alike by every bus, or refused by an error."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import Bus, Message, NotAMessage, TurnFailed
from modd.cqrs import Command, CommandBus, Envelope, Event, EventBus, InvalidHandler, QueryBus
from modd.parts import threaded
from modd.testing import Recorder
from tests.cqrs.shop import Create, Created, Get, Welcomed

pytestmark = pytest.mark.anyio

W = Welcomed
ONE, TWO, THREE = W("1"), W("2"), W("3")


class Numbers:
    """An async iterator that is no generator."""

    def __init__(self, *messages: Any) -> None:
        self._left = [*messages]

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> Any:
        await anyio.lowlevel.checkpoint()
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class Connection:
    """A resource."""


class Later:
    """An awaitable that is no coroutine."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Any:
        yield from anyio.lowlevel.checkpoint().__await__()
        return self._value


def generator(*values: Any, returned: Any = None) -> Generator[Any, None, Any]:
    yield from values
    return returned


async def async_generator(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        await anyio.lowlevel.checkpoint()
        yield value


async def coroutine(value: Any) -> Any:
    await anyio.lowlevel.checkpoint()
    return value


SHAPES: list[tuple[Callable[[], Any], list[Message]]] = [
    (lambda: ONE, [ONE]),
    (lambda: None, []),
    (list, []),
    (tuple, []),
    (frozenset, []),
    (lambda: [ONE, None, TWO], [ONE, TWO]),
    (lambda: [ONE, [TWO, (THREE,)]], [ONE, TWO, THREE]),
    (lambda: ([], [ONE]), [ONE]),
    (lambda: {ONE}, [ONE]),
    (lambda: frozenset({ONE}), [ONE]),
    (lambda: deque([ONE, TWO]), [ONE, TWO]),
    (lambda: {"a": ONE, "b": TWO}.values(), [ONE, TWO]),
    (lambda: {ONE: 1, TWO: 2}.keys(), [ONE, TWO]),
    (lambda: map(W, "12"), [ONE, TWO]),
    (lambda: filter(None, [ONE, None]), [ONE]),
    (lambda: iter([ONE, {TWO}]), [ONE, TWO]),
    (lambda: zip([ONE], [TWO], strict=True), [ONE, TWO]),
    (lambda: (W(each) for each in "12"), [ONE, TWO]),
    (lambda: generator(ONE, returned=TWO), [ONE, TWO]),
    (lambda: generator(returned=[ONE, generator(TWO, returned=THREE)]), [ONE, TWO, THREE]),
    (lambda: generator(generator(ONE), map(W, "2")), [ONE, TWO]),
    (lambda: async_generator(ONE, [TWO], generator(returned=THREE)), [ONE, TWO, THREE]),
    (lambda: Numbers(ONE, {TWO}), [ONE, TWO]),
    (lambda: Later(ONE), [ONE]),
    (lambda: Later(Later([ONE])), [ONE]),
    (lambda: coroutine(coroutine(ONE)), [ONE]),
    (lambda: coroutine(map(W, "12")), [ONE, TWO]),
    (lambda: [coroutine(ONE), Later(TWO)], [ONE, TWO]),
]


def wrapped(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def bare(function: Callable[..., Any]) -> Any:
    return lambda message: function(message)


def awaiting(function: Callable[..., Any]) -> Any:
    async def wrapper(message: Any) -> Any:
        return function(message)

    return wrapper


def component_of(make: Callable[[], Any]) -> Any:
    return lambda message: make()


def bus_of(kind: str, handler: Any, told: Recorder) -> Any:
    """A bus with a component, or a typed bus with a handler, for `Created`."""
    if kind == "bus":

        def component(message: Created) -> Any:
            return handler(message)

        return Bus([component, told])
    return Bus([EventBus({Created: handler}, concurrent=kind == "events"), told])


@pytest.mark.costly
@pytest.mark.unmeasured
@pytest.mark.parametrize("decorate", [lambda function: function, wrapped, bare, awaiting])
@pytest.mark.parametrize("kind", ["bus", "events", "events in a row"])
@pytest.mark.parametrize(("make", "expected"), SHAPES)
async def test_every_shape_is_taken_alike_by_every_bus(
    make: Callable[[], Any], expected: list[Message], kind: str, decorate: Any
) -> None:
    # DF-4
    told = Recorder(Welcomed)
    await bus_of(kind, decorate(component_of(make)), told)(Created())
    assert told.messages == expected


@pytest.mark.costly
@pytest.mark.parametrize(("make", "expected"), SHAPES)
async def test_a_typed_bus_alone_and_beside_another_handler_releases_the_same(
    make: Callable[[], Any], expected: list[Message]
) -> None:
    other: Any = component_of(lambda: THREE)
    events = EventBus(concurrent=False)
    for handler in (component_of(make), other):
        events.register(Created, handler)
    assert (await events.dispatch(Created())).events == (*expected, THREE)
    assert (await EventBus({Created: component_of(make)}).dispatch(Created())).events == tuple(expected)


def yields(event: Created) -> Generator[Event, None, Event]:
    yield ONE
    return TWO


async def yields_later(event: Created) -> AsyncIterator[Event]:
    yield ONE
    yield TWO


class Yields:
    """An object whose call is a generator."""

    def __call__(self, event: Created) -> Iterator[Event]:
        yield ONE
        yield TWO


def yields_in_an_envelope(envelope: Envelope[Created]) -> Iterator[Event]:
    yield ONE
    yield TWO


@pytest.mark.parametrize("handler", [yields, yields_later, Yields(), yields_in_an_envelope, wrapped(yields)])
async def test_a_handler_of_events_may_yield(handler: Any) -> None:
    # DF-4
    dispatched = await EventBus([handler]).dispatch(Created())
    assert dispatched.events == (ONE, TWO) and dispatched.result == [ONE, TWO]


async def test_a_generator_is_drained_before_the_resources_of_its_handler_are_left() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        log.append("open")
        yield Connection()
        log.append("closed")

    def report(event: Created, connection: Connection) -> Iterator[Event]:
        yield ONE
        log.append(f"used {type(connection).__name__}")

    events = EventBus([report], resources={Connection: connect})
    assert (await events.dispatch(Created())).events == (ONE,)
    assert log == ["open", "used Connection", "closed"]


async def test_of_a_generator_that_fails_a_bus_keeps_the_messages_and_a_typed_bus_releases_none() -> None:
    closed: list[str] = []

    def fails(event: Created) -> Iterator[Event]:
        try:
            yield ONE
            raise ValueError("boom")
        finally:
            closed.append("closed")

    for kind, expected in (("bus", [ONE]), ("events", [])):
        told = Recorder(Welcomed)
        with pytest.raises(TurnFailed) as raised:
            await bus_of(kind, fails, told)(Created())
        assert str(raised.value.exceptions[0]) == "boom" and told.messages == expected
    assert closed == ["closed"] * 2


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: [ONE, 5], r"gave 5 \(int\)"),
    (lambda: ["text", {ONE}], r"gave 'text' \(str\)"),
    (lambda: {"key": ONE}, "gave {'key': Welcomed"),
    (lambda: {ONE: "value"}, "gave {Welcomed"),
    (lambda: generator(1, returned=ONE), r"gave 1 \(int\)"),
    (lambda: (each for each in [ONE, b"bytes"]), "gave b'bytes'"),
    (lambda: Welcomed, r"gave the class Welcomed; did you mean Welcomed\(\)\?"),
    (lambda: [Welcomed], "gave the class Welcomed"),
    (lambda: async_generator(ONE, range(2)), r"gave range\(0, 2\)"),
]


@pytest.mark.parametrize("kind", ["bus", "events"])
@pytest.mark.parametrize(("make", "text"), REFUSED)
async def test_other_values_beside_messages_are_refused_with_the_component_and_the_value(
    make: Callable[[], Any], text: str, kind: str
) -> None:
    # DF-4
    def report(message: Created) -> Any:
        return make()

    with pytest.raises(TurnFailed) as raised:
        await bus_of(kind, report, Recorder(Welcomed))(Created())
    [error] = raised.value.exceptions
    assert isinstance(error, NotAMessage)
    assert str(error).startswith("test_other_values_beside_messages" if kind == "events" else "bus_of.component")
    with pytest.raises(NotAMessage, match=text):
        raise error


@pytest.mark.parametrize("value", [5, "text", [1, 2], {"a": 1}, {1, 2}, object(), int, print, range(3), [[1], [2]]])
async def test_values_without_a_message_are_the_result_of_a_handler_of_events(value: Any) -> None:
    events = EventBus({Created: lambda event: value})
    for _ in range(2):
        dispatched = await events.dispatch(Created())
        assert dispatched.result is value and dispatched.events == ()
    drained = EventBus({Created: lambda event: map(str, [1, 2])})
    assert (await drained.dispatch(Created())).result == ["1", "2"]


async def test_a_callable_beside_messages_is_a_component_for_a_bus_and_refused_by_a_typed_bus() -> None:
    # DF-4
    heard: list[Message] = []

    def listen(event: Welcomed) -> None:
        heard.append(event)

    await bus_of("bus", lambda message: [listen, ONE], Recorder())(Created())
    assert heard == [ONE]
    with pytest.raises(NotAMessage, match=r"gave <function .* is not a message"):
        await EventBus({Created: lambda event: [listen, ONE]}).dispatch(Created())


def generates(command: Any) -> Iterator[Any]:
    yield 1


async def generates_later(command: Any) -> AsyncIterator[Any]:
    yield 1


@pytest.mark.parametrize("decorate", [wrapped, bare, awaiting])
@pytest.mark.parametrize("function", [generates, generates_later])
async def test_the_generator_of_a_command_or_query_is_refused_because_its_code_would_not_run(
    function: Any, decorate: Any
) -> None:
    # DF-4
    for bus, intent in (
        (CommandBus({Create: decorate(function)}), Create()),
        (QueryBus({Get: decorate(function)}), Get()),
    ):
        with pytest.raises(InvalidHandler, match=r"it returned <(async_)?generator object .* emit events"):
            await bus.dispatch(intent)
    with pytest.raises(InvalidHandler, match="it yields"):
        CommandBus({Create: function})


class Anything(Command[Any]):
    """Returns anything."""


@pytest.mark.parametrize("value", [map(str, []), {ONE}, [ONE], ONE, int, {"a": ONE}, iter([])])
async def test_what_a_command_returns_is_its_result_as_it_is(value: Any) -> None:
    commands = CommandBus({Anything: lambda command: value})
    for _ in range(2):
        dispatched = await commands.dispatch(Anything())
        assert dispatched.result is value and dispatched.events == ()


@pytest.mark.parametrize(
    "make", [lambda: coroutine(coroutine(1)), lambda: Later(Later(1)), lambda: coroutine(Later(1))]
)
async def test_an_awaitable_in_an_awaitable_is_awaited(make: Callable[[], Any]) -> None:
    for handler in (lambda command: make(), wrapped(lambda command: make())):
        assert await CommandBus({Anything: handler}).ask(Anything()) == 1


async def test_a_command_that_returns_a_message_class_is_refused() -> None:
    # DF-4
    with pytest.raises(NotAMessage, match=r"the class Welcomed; did you mean Welcomed\(\)"):
        await CommandBus({Anything: lambda command: Welcomed}).dispatch(Anything())


async def test_a_component_in_a_thread_is_drained_there_with_the_value_that_it_returns() -> None:
    # DF-4
    def slow(message: Created) -> Generator[Any, None, Any]:
        yield [map(W, "1"), {TWO}]
        return THREE

    told = Recorder(Welcomed)
    await Bus([threaded(slow), told])(Created())
    assert told.messages == [ONE, TWO, THREE]
