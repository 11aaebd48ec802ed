"""A dispatch is used while it lasts, and with its own envelope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd import Bus, Message, detached
from modd.cqrs import (
    Codec,
    CommandBus,
    DispatchEnded,
    Emit,
    Envelope,
    EventBus,
    Next,
    WrongEnvelope,
)
from tests.cqrs.shop import Create, Created, Rename
from tests.cqrs.test_middleware_order import passing

pytestmark = pytest.mark.anyio


class Own(Envelope[Message]):
    """An envelope of a type of its own."""


# DF-7
@pytest.mark.parametrize("around", [False, True])
async def test_an_event_that_is_emitted_after_the_dispatch_is_an_error_that_says_so(around: bool) -> None:
    ended, heard, raised = anyio.Event(), list[Message](), list[Exception]()

    async def create(command: Create, emit: Emit) -> int:
        async def later() -> None:
            await ended.wait()
            try:
                emit(Created(command.name))
            except DispatchEnded as error:
                raised.append(error)

        with detached():
            tasks.start_soon(later)
        return 1

    commands = CommandBus([create])
    async with anyio.create_task_group() as tasks:
        bus: Any = Bus([commands, EventBus({Created: heard.append})]) if around else commands
        assert await bus.ask(Create("Ada")) == 1
        ended.set()
    assert heard == []
    assert str(raised[0]).startswith("emit after the dispatch of Create in commands has ended; ")


# DF-7
@pytest.mark.parametrize("fails", [False, True])
async def test_emit_is_refused_after_a_dispatch_that_succeeded_and_after_one_that_failed(fails: bool) -> None:
    stored = list[Any]()

    def create(command: Create, emit: Emit) -> int:
        stored.append(emit)
        return 1 // (not fails)

    bus = CommandBus([create])
    try:
        await bus.dispatch(Create())
    except ZeroDivisionError:
        assert fails
    with pytest.raises(DispatchEnded):
        stored[0](Created())


# DF-7
async def test_an_event_may_be_emitted_until_the_outermost_middleware_returns_and_before_the_dispatch() -> None:
    async def outer(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        envelope.emit(Created("after"))

    envelope = Envelope(Create())
    envelope.emit(Created("before"))
    dispatched = await CommandBus({Create: lambda command: 1}, middleware=[outer]).dispatch(envelope)
    assert dispatched.events == (Created("before"), Created("after"))


# DF-7
@pytest.mark.parametrize("inside", [0, 1])
@pytest.mark.parametrize("handlers", [1, 2])
async def test_the_rest_of_the_chain_is_refused_after_the_dispatch(inside: int, handlers: int) -> None:
    stored, done = list[Any](), list[Message]()

    async def store(envelope: Envelope[Any], call_next: Next) -> None:
        stored.append((envelope, call_next))
        await call_next(envelope)

    bus = CommandBus(middleware=[store, *[passing] * inside], multiple=True)
    for number in range(handlers):
        bus.add_handler(Create, done.append, f"{number}")
    await bus.dispatch(Create())
    [(envelope, call_next)] = stored
    with pytest.raises(DispatchEnded, match=r"^call_next after the dispatch of Create in commands has ended"):
        await call_next(envelope)
    assert len(done) == handlers


OTHERS: list[Callable[[Envelope[Any]], Any]] = [
    lambda envelope: Envelope(Create("other"), *envelope.stamps[1:]),
    lambda envelope: Envelope(Rename("other")),
    lambda envelope: envelope.again(),
    lambda envelope: Codec([Create]).decode(Codec([Create]).encode(envelope)),
    lambda envelope: envelope.message,
    lambda envelope: None,
]


# DF-7
@pytest.mark.parametrize("inside", [0, 1])
@pytest.mark.parametrize("handlers", [1, 2])
@pytest.mark.parametrize("other", OTHERS)
async def test_a_middleware_goes_on_with_its_own_envelope_or_it_is_an_error(
    other: Callable[[Envelope[Any]], Any], handlers: int, inside: int
) -> None:
    done = list[Message]()

    async def exchange(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(other(envelope))

    bus = CommandBus(middleware=[exchange, *[passing] * inside], multiple=True)
    for number in range(handlers):
        bus.add_handler(Create, done.append, f"{number}")
    with pytest.raises(
        WrongEnvelope, match=r"^a middleware of commands gave call_next .*; give it the envelope"
    ) as info:
        await bus.dispatch(Create())
    assert done == []
    assert info.value.bus == "commands"


# DF-7
async def test_the_envelope_of_a_dispatch_around_is_another_one() -> None:
    around = list[Envelope[Any]]()

    async def exchange(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(around[0])

    inner = CommandBus({Rename: lambda command: 1}, middleware=[exchange], name="inner")

    async def create(envelope: Envelope[Create]) -> int:
        around.append(envelope)
        await inner.ask(Rename())
        return 1

    with pytest.raises(WrongEnvelope, match="a middleware of inner"):
        await CommandBus([create]).ask(Create())


# DF-7
async def test_an_envelope_of_a_derived_type_is_its_own() -> None:
    bus = CommandBus({Create: lambda command: 1}, middleware=[passing, passing])
    assert (await bus.dispatch(Own(Create()))).result == 1
