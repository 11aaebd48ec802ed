"""The check of the wiring: events that a context emits and keeps inside although a component beside it handles them."""

# mypy: disable-error-code="type-arg"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus, Message
from modd.core.bytecode import Use, uses_of
from modd.cqrs import CommandBus, Emit, Envelope, Event, EventBus, QueryBus
from modd.middleware import Enqueue, Timeout, Transactional
from modd.parts import Filter
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker
from tests.cqrs.shop import Charge, Create, Created, CreatedByAdmin, Get, Plain, Rename, Welcomed, stop
from tests.steps import calls_of


def create(command: Create, emit: Emit) -> int:
    emit(Created())
    return 1


def create_by_envelope(envelope: Envelope[Create]) -> int:
    envelope.emit(Created())
    return 1


def create_made_before(command: Create, emit: Emit) -> int:
    event = Created()
    emit(event)
    return 1


def create_two(command: Create, emit: Emit) -> int:
    emit(Welcomed(), Created())
    return 1


def rename(command: Rename, emit: Emit) -> None:
    emit(Welcomed())


def charge(command: Charge, emit: Emit) -> None:
    emit(Created())


def charge_anything(command: Charge, envelope: Envelope) -> None: ...
def get(query: Get) -> str: ...  # type: ignore[empty-body]
def hear(event: Created) -> None: ...
def hear_any(event: Event) -> None: ...
def log(message: Message) -> None: ...
def welcome(event: Created) -> Welcomed: ...  # type: ignore[empty-body]
def tell(message: Plain) -> Created | None: ...
async def send_on(event: Created) -> None: ...


def ordering(*components: Any, outbound: Any = (), middleware: Any = (), handler: Any = create) -> Bus:
    """Return a context that emits `Created`, with further components inside."""
    return Bus([CommandBus([handler], middleware=middleware), *components], name="ordering", outbound=outbound)


def billing(*components: Any, **options: Any) -> Bus:
    """Return a context that handles `Created`, with further components inside."""
    return Bus([EventBus([hear]), *components], name="billing", **options)


TEXT = "{} never gets Created, which ordering emits: the outbound of ordering does not list Created"


FOUND: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "a context beside it": (lambda: [ordering(), billing()], "billing"),
    "a context that handles all events": (lambda: [ordering(), Bus([EventBus([hear_any])], name="all")], "all"),
    "an event bus": (lambda: [ordering(), EventBus([hear])], "events"),
    "a function": (lambda: [ordering(), hear], "hear"),
    "several": (lambda: [ordering(), billing(), hear], "billing and hear"),
    "an envelope emits it": (lambda: [ordering(handler=create_by_envelope), billing()], "billing"),
    "a component returns it": (lambda: [Bus([tell], name="ordering"), billing()], "billing"),
    "a handler of events returns it": (
        lambda: [Bus([EventBus({Welcomed: tell})], name="ordering"), billing()],
        "billing",
    ),
    "a bus inside lets it out": (
        lambda: [Bus([Bus([tell], outbound=[Created])], name="ordering"), billing()],
        "billing",
    ),
    "middleware of modd": (lambda: [ordering(middleware=[Timeout(5)]), billing()], "billing"),
    "a log and a count inside": (lambda: [ordering(log, EventBus([hear])), billing()], "billing"),
    "the one beside it emits others": (lambda: [ordering(), billing(CommandBus([rename]))], "billing"),
    "another context emits others": (lambda: [ordering(), billing(), Bus([CommandBus([rename])], name="c")], "billing"),
    "something else is let out": (lambda: [ordering(outbound=[Welcomed]), billing()], "billing"),
}


SILENT: dict[str, Callable[[], list[Any]]] = {
    "it is let out": lambda: [ordering(outbound=[Created]), billing()],
    "a base of it is let out": lambda: [ordering(outbound=[Event]), billing()],
    "a subtype is let out": lambda: [ordering(outbound=[CreatedByAdmin]), billing()],
    "nothing beside it handles it": lambda: [ordering(), Bus([log], name="b", inbound=[Created]), log],
    "the inbound of the other hides it": lambda: [ordering(), billing(inbound=[Welcomed])],
    "it may be queued": lambda: [ordering(middleware=[Enqueue(MemoryQueue(), enabled=False)]), billing()],
    "it may be in an outbox": lambda: [ordering(middleware=[Transactional(SqliteStore(":unused:"))]), billing()],
    "a middleware is not known": lambda: [ordering(middleware=[stop]), billing()],
    "it is sent on inside": lambda: [ordering(EventBus([send_on])), billing()],
    "it is translated inside": lambda: [ordering(EventBus([welcome])), billing()],
    "a part inside gets it": lambda: [ordering(Filter(hear)), billing()],
    "the other emits it itself": lambda: [ordering(), billing(CommandBus([charge]))],
    "the other may emit it": lambda: [ordering(), billing(CommandBus([charge_anything]))],
    "the other has a middleware that is not known": lambda: [
        ordering(),
        billing(CommandBus([rename], middleware=[stop])),
    ],
    "another context lets it out": lambda: [
        ordering(),
        billing(),
        Bus([CommandBus([charge])], name="c", outbound=[Created]),
    ],
    "a component beside them returns it": lambda: [ordering(), billing(), tell],
    "it is not made where it is emitted": lambda: [ordering(handler=create_made_before), billing()],
    "a part around the context": lambda: [Filter(ordering()), billing()],
    "queries emit nothing": lambda: [Bus([QueryBus([get])], name="ordering"), billing()],
    "an intent": lambda: [Bus([EventBus({Created: lambda event: Rename()})], name="o"), CommandBus([rename])],
    "it is a bus and no context": lambda: [CommandBus([create]), billing()],
}


@pytest.mark.parametrize("name", FOUND)
def test_an_event_that_a_context_keeps_from_the_one_that_handles_it_is_found(name: str) -> None:
    # DF-31
    make, there = FOUND[name]
    found = [each for each in Bus(make(), name="shop").check() if "never gets" in each.text]
    assert [each.text for each in found] == [TEXT.format(there)]
    assert found[0].cure == "list Created in the outbound of ordering" and not found[0].error


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_found_if_the_event_may_have_another_way(name: str) -> None:
    # DF-31
    assert not [each.text for each in Bus(SILENT[name](), name="shop").check() if "never gets" in each.text]


def test_nothing_is_found_if_a_worker_puts_the_events_into_an_outbox() -> None:
    # DF-31
    shop, store = Bus([ordering(), billing()], name="shop"), SqliteStore(":unused:")
    Worker(MemoryQueue(), shop)
    assert len(shop.check()) == 1
    Worker(store.queue("commands"), shop)
    assert shop.check() == ()


@pytest.mark.anyio
async def test_the_cure_of_the_finding_brings_the_event_there() -> None:
    # DF-31
    heard: list[Created] = []

    def note(event: Created) -> None:
        heard.append(event)

    outbounds: list[list[type[Message]]] = [[], [Created]]
    for outbound in outbounds:
        shop = Bus([ordering(outbound=outbound), EventBus([note])])
        await shop.dispatch(Create())
        assert heard == [Created()] * len(outbound)
        assert len(shop.check()) == 1 - len(outbound)


def test_several_messages_in_one_call_are_known_and_do_not_rule_out_others() -> None:
    # DF-31
    assert [*uses_of(create_two, ["emit"])] == [Use(Welcomed, alone=False)]
    assert CommandBus([create_two]).may_emit(Created) and not CommandBus([rename]).may_emit(Created)
    assert CommandBus([rename]).emitted == (Welcomed,)


def in_a_function_inside(command: Create, emit: Emit) -> int:
    def inner() -> None:
        emit(Created())

    inner()
    return 1


def handed_on(command: Create, emit: Emit) -> int:
    print(emit, emit=emit)  # type: ignore[call-overload]
    return 1


def never_used(command: Create, emit: Emit) -> int:
    return 1


@pytest.mark.parametrize("handler", [handed_on, never_used, create_made_before, create_by_envelope])
def test_a_handler_of_which_not_every_event_is_known_may_emit_any(handler: Any) -> None:
    # DF-31
    assert CommandBus([handler]).may_emit(Welcomed)


def test_events_that_are_emitted_in_a_function_inside_a_handler_are_known() -> None:
    # DF-31
    assert CommandBus([in_a_function_inside]).emitted == (Created,)


def test_without_columns_no_call_is_known_to_have_one_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    # DF-31
    code = rename.__code__.replace(co_linetable=b"")
    bare: Any = lambda command, emit: None  # noqa: E731
    bare.__code__ = code
    assert [*uses_of(bare, ["emit"])] == [Use(Welcomed, alone=False)]


def chain(length: int) -> Bus:
    """Return contexts each of which handles an event of the one before, and returns an event for the next one."""
    events: list[Any] = [type(f"Event{number}", (Event,), {}) for number in range(length + 1)]

    def context(number: int) -> Bus:
        def handle(event: Any) -> None: ...

        handle.__annotations__["return"] = events[number + 1]
        bus = EventBus({events[number]: handle})
        return Bus([bus], name=f"context{number}", outbound=[events[number + 1]] if number % 2 else [])

    return Bus(map(context, range(length)), name="chain")


def test_the_check_costs_in_proportion_to_the_number_of_contexts() -> None:
    # DF-31, DF-18
    few, many = chain(20), chain(40)
    assert len(few.check()) == 10 and len(many.check()) == 20
    assert calls_of(many.check) < 2.5 * calls_of(few.check)
