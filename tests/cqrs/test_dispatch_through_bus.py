"""Dispatching through the bus around typed buses, with stamps, with an envelope, and of intents that are queued."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, Failure, Message, NotAMessage, TurnFailed
from modd.cqrs import (
    Actor,
    Ask,
    Command,
    CommandBus,
    Emit,
    Envelope,
    EventBus,
    Handled,
    MultipleHandlers,
    Next,
    NoHandler,
    NotAnswered,
    QueryBus,
    Queued,
)
from modd.middleware import Authorizer, Enqueue, Retryer, authenticated
from modd.parts import Filter
from modd.stores import MemoryQueue
from tests.cqrs.shop import Create, Created, Get, Rename, stop
from tests.cqrs.test_ask import every_bus, get

pytestmark = pytest.mark.anyio

ANN = Actor("ann")


class Pay(Command[None]):
    order: str = ""


def pay(command: Pay) -> None:
    """Nothing."""


async def create(message: Create, emit: Emit) -> int:
    emit(Created(message.name))
    return len(message.name)


def app(*middleware: Any, nested: bool = False, **options: Any) -> Bus:
    """Return a bus around commands, alone or in a context."""
    commands = CommandBus({Pay: pay}, middleware=middleware)
    return Bus([Bus([commands], name="context") if nested else commands], name="app", **options)


class Seen:
    """A middleware that keeps the ids and the actors of envelopes."""

    def __init__(self) -> None:
        self.actors: list[str | None] = []
        self.ids: list[str] = []

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        actor = envelope.first(Actor)
        self.actors.append(None if actor is None else actor.id)
        self.ids.append(envelope.id)
        await call_next(envelope)


@every_bus
@pytest.mark.parametrize("nested", [False, True])
async def test_an_intent_is_sent_dispatched_and_asked_with_stamps_and_in_an_envelope(
    options: dict[str, Any], nested: bool
) -> None:
    # DF-15
    seen = Seen()
    bus = app(seen, nested=nested, **options)
    assert await bus(Pay("1"), ANN) == ()
    for dispatched in (
        await bus.dispatch(Pay("1"), ANN),
        await bus.dispatch(Envelope(Pay("1"), ANN)),
        await bus.dispatch(Envelope(Pay("1"), id="k"), ANN),
    ):
        assert dispatched.answered and dispatched.envelope.has(Handled) and dispatched.envelope.has(Actor)
    assert dispatched.envelope.id == "k"
    await bus.ask(Pay("1"), ANN)
    await bus.ask(Envelope(Pay("1"), ANN))
    await bus.ask(Envelope(Pay("1"), id="l"), ANN)
    assert seen.actors == ["ann"] * 7
    assert (seen.ids[3], seen.ids[6]) == ("k", "l")


@every_bus
async def test_a_dispatch_returns_what_a_typed_bus_does_and_its_events_flow_on(options: dict[str, Any]) -> None:
    # DF-15
    heard: list[Message] = []
    bus = Bus([Bus([CommandBus([create])], name="context", outbound=[Created]), heard.append], **options)
    dispatched = await bus.dispatch(Create("Ada"))
    assert (dispatched.result, dispatched.results, dispatched.events) == (3, (3,), (Created("Ada"),))
    assert heard.count(Created("Ada")) == 1


@every_bus
async def test_a_dispatch_raises_as_an_ask_does(options: dict[str, Any]) -> None:
    # DF-15
    def boom(event: Created) -> None:
        raise ValueError("boom")

    def fail(query: Get) -> str:
        raise KeyError("get")

    bus = Bus([CommandBus([create]), EventBus([boom]), QueryBus([fail], name="q")], name="shop", **options)
    with pytest.raises(TurnFailed) as info:
        await bus.dispatch(Create("Ada"))
    assert info.value.result == 3
    with pytest.raises(KeyError, match="get"):
        await bus.dispatch(Get())
    with pytest.raises(NoHandler, match="no handler for Rename; shop handles: Create, Created, Get"):
        await bus.dispatch(Rename())
    bus.add(QueryBus([get], name="p"))
    with pytest.raises(MultipleHandlers, match="q, p"):
        await bus.dispatch(Envelope(Get()))
    with pytest.raises(NotAnswered):
        await Bus([Filter(QueryBus([get]), where=lambda query: False)]).dispatch(Get())


async def test_an_intent_that_a_middleware_stopped_has_no_result_in_a_dispatch_and_is_no_error() -> None:
    # DF-15
    dispatched = await app(stop).dispatch(Pay("1"))
    assert (dispatched.result, dispatched.answered) == (None, False)


@every_bus
@pytest.mark.parametrize("nested", [False, True])
async def test_to_ask_for_what_is_queued_for_later_is_an_error_and_nothing_is_queued(
    options: dict[str, Any], nested: bool
) -> None:
    # DF-15
    queue = MemoryQueue()
    bus = app(Retryer(), Authorizer({Pay: authenticated}), Enqueue(queue), nested=nested, **options)
    for asked in (Pay("1"), Envelope(Pay("1"), id="k")):
        with pytest.raises(NotAnswered, match=r"Pay got no result in (context\.)?commands"):
            await bus.ask(asked, ANN)
        commands: Any = bus.find("commands")
        with pytest.raises(NotAnswered):
            await commands.ask(asked, ANN)
    assert (await queue.stats()).ready == 0

    await bus(Pay("1"), ANN)
    dispatched = await bus.dispatch(Envelope(Pay("1"), id="k"), ANN)
    assert dispatched.envelope.has(Queued) and not dispatched.answered
    await commands.dispatch(Pay("2"), ANN)
    assert (await queue.stats()).ready == 3


async def test_a_handler_that_asks_for_what_is_queued_is_refused_and_what_it_sends_meanwhile_is_queued() -> None:
    # DF-15
    queue = MemoryQueue()

    async def handle(message: Create, ask: Ask) -> int:
        command = Pay("1")
        with pytest.raises(NotAnswered):
            await ask(command)
        await bus(command, ANN)
        return 1

    bus = Bus([CommandBus([handle], name="c"), CommandBus({Pay: pay}, middleware=[Enqueue(queue)])])
    assert await bus.ask(Create()) == 1
    assert (await queue.stats()).ready == 1


async def test_with_queueing_off_or_a_result_from_further_out_an_ask_is_answered() -> None:
    # DF-15
    queue = MemoryQueue()

    async def answer(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.note_result(None, "fake", 0.0)

    for middleware in ([Enqueue(queue, enabled=False)], [answer, Enqueue(queue)]):
        bus = app(*middleware)
        await bus.ask(Pay())
        assert (await bus.dispatch(Pay())).answered
    assert (await queue.stats()).ready == 0


@every_bus
async def test_stamps_of_a_send_go_to_each_typed_bus_that_gets_the_message_and_to_no_other(
    options: dict[str, Any],
) -> None:
    # DF-15
    one, two, beside, later = Seen(), Seen(), Seen(), Seen()
    elsewhere = Bus([EventBus({Created: lambda event: None}, middleware=[beside])], name="elsewhere")

    async def pass_on(event: Created) -> Rename:
        await elsewhere(event)
        return Rename()

    buses = [
        EventBus({Created: lambda event: None}, middleware=[one], name="one"),
        Bus([EventBus({Created: lambda event: None}, middleware=[two])], name="inner"),
        CommandBus({Rename: lambda message: None}, middleware=[later]),
    ]
    bus = Bus([*buses, pass_on], **options)
    await bus(Created("Ada"), ANN)
    assert (one.actors, two.actors, beside.actors, later.actors) == (["ann"], ["ann"], [None], [None])
    await bus(Created("Ada"))
    assert (one.actors, two.actors) == (["ann", None], ["ann", None])


async def test_stamps_that_no_typed_bus_gets_are_an_error() -> None:
    # DF-15
    with pytest.raises(NoHandler, match="no handler for Get; shop handles: Create"):
        await Bus([CommandBus([create]), lambda message: None], name="shop")(Get(), ANN)
    wrong: Any = Envelope(Get())
    for stamps in ((), (ANN,)):
        with pytest.raises(NotAMessage, match="send that, or give it to dispatch or ask"):
            await Bus([CommandBus([create])])(wrong, *stamps)


async def test_a_failure_of_a_send_with_stamps_is_handled_as_without() -> None:
    # DF-15
    handled: list[Any] = []

    def fail(query: Get) -> str:
        raise ValueError("no")

    def on_failure(failure: Failure) -> None:
        handled.append(failure.error)

    assert await Bus([QueryBus([fail]), on_failure])(Get(), ANN) == ()
    with pytest.raises(TurnFailed):
        await Bus([QueryBus([fail])])(Get(), ANN)
    assert len(handled) == 1


@every_bus
async def test_many_dispatch_at_once_and_each_gets_its_own(options: dict[str, Any]) -> None:
    # DF-15
    async def slow(query: Get) -> str:
        for _ in range(query.id % 3):
            await anyio.lowlevel.checkpoint()
        return f"user {query.id}"

    bus, results = Bus([QueryBus([slow])], **options), dict[int, str]()

    async def dispatch(number: int) -> None:
        results[number] = (await bus.dispatch(Get(number))).result

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(dispatch, number)
    assert results == {number: f"user {number}" for number in range(20)}
