"""Correlation and causation: who caused whom, without any work by the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd import Bus, Failure, Message, TurnFailed, detached
from modd.core import inside
from modd.cqrs import Actor, CommandBus, Emit, Envelope, EventBus, Next, QueryBus, TypedBus
from modd.parts import Filter, Outbound
from tests.cqrs.shop import Charge, Create, Created, Get, Plain, Rename, Welcomed, numbered

pytestmark = pytest.mark.anyio


class Way:
    """A middleware that notes the ids of all that it lets through."""

    def __init__(self) -> None:
        self.ids: dict[str, tuple[str, str, str | None]] = {}

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        name = type(envelope.message).__name__
        self.ids[name] = (envelope.id, envelope.correlation_id, envelope.causation_id)
        await call_next(envelope)


async def create(message: Create, emit: Emit) -> int:
    emit(Created())
    return 1


def rename_created(event: Created) -> Message:
    return Rename()


async def rename(message: Rename, emit: Emit) -> None:
    emit(Welcomed())


def welcomed(event: Welcomed) -> None:
    pass


Make = Callable[[], tuple[Way, list[Any]]]


def flat() -> tuple[Way, list[Any]]:
    way = Way()
    new_id = numbered()
    commands = CommandBus([create, rename], middleware=[way], new_id=new_id)
    events = EventBus([rename_created, welcomed], middleware=[way], new_id=new_id)
    return way, [commands, events]


def nested() -> tuple[Way, list[Any]]:
    way, (commands, events) = flat()
    contexts: list[Any] = [
        Bus([commands], name="commands context", outbound=[Created, Welcomed]),
        Bus([Bus([events], outbound=[Rename])], name="events context", outbound=[Message]),
    ]
    return way, contexts


def wrapped() -> tuple[Way, list[Any]]:
    way, (commands, events) = flat()
    return way, [Outbound(Filter(commands)), Filter(events)]


def over_plain_components() -> tuple[Way, list[Any]]:
    way, (commands, events) = flat()

    async def anything(event: Created) -> list[Plain]:
        return [Plain()]

    def back(message: Plain) -> Rename:
        return Rename()

    events = EventBus([welcomed], middleware=[way], new_id=numbered("e-"))
    return way, [commands, anything, Bus([back], outbound=[Rename]), events]


LINE = {
    "Create": ("id-1", "id-1", None),
    "Created": ("id-2", "id-1", "id-1"),
    "Rename": ("id-3", "id-1", "id-2"),
    "Welcomed": ("id-4", "id-1", "id-3"),
}
SHORT = {
    "Create": ("id-1", "id-1", None),
    "Rename": ("id-2", "id-1", "id-1"),
    "Welcomed": ("e-1", "id-1", "id-2"),
}


@pytest.mark.parametrize("make", [flat, nested, wrapped, over_plain_components])
@pytest.mark.parametrize("options", [{}, {"exclusive": False}, {"concurrent": True}], ids=str)
async def test_ids_follow_from_commands_to_events_to_commands(make: Make, options: dict[str, Any]) -> None:
    # MI-15
    expected = SHORT if make is over_plain_components else LINE
    way, components = make()
    await Bus(components, **options)(Create())
    assert way.ids == expected
    way, components = make()
    assert await Bus(components, **options).ask(Create()) == 1
    assert way.ids == expected


async def test_ids_that_are_made_when_read_follow_too() -> None:
    # MI-9 MI-15
    way = Way()
    commands = CommandBus([create, rename], middleware=[way])
    await Bus([commands, EventBus([rename_created], middleware=[way])])(Create())
    assert way.ids["Created"][1:] == (way.ids["Create"][0], way.ids["Create"][0])
    assert way.ids["Rename"][1:] == (way.ids["Create"][0], way.ids["Created"][0])


async def test_what_a_handler_dispatches_directly_is_caused_by_what_it_handles() -> None:
    # MI-15
    other = CommandBus({Charge: lambda message: "paid"}, new_id=numbered("o-"))
    found: list[Envelope[Any]] = []

    async def handle(message: Create) -> int:
        found.append((await other.dispatch(Charge())).envelope)
        found.append((await other.dispatch(Charge())).envelope)
        return 1

    await CommandBus([handle], new_id=numbered()).dispatch(Create(), Actor("ada"))
    assert [(each.id, each.correlation_id, each.causation_id) for each in found] == [
        ("o-1", "id-1", "id-1"),
        ("o-2", "id-1", "id-1"),
    ]
    assert [stamp.id for each in found for stamp in each.all(Actor)] == ["ada", "ada"]
    after = (await other.dispatch(Charge())).envelope
    assert after.causation_id is None and not after.has(Actor)


async def test_tasks_that_a_handler_starts_are_caused_by_it_until_it_is_done() -> None:
    # MI-15
    other = CommandBus({Charge: lambda message: "paid"})
    causes: dict[str, str | None] = {}
    done = anyio.Event()

    async def charge(name: str) -> None:
        causes[name] = (await other.dispatch(Charge())).envelope.causation_id

    async def later() -> None:
        await done.wait()
        await charge("after")

    async def handle(message: Create) -> int:
        outside.start_soon(later)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(charge, "within")
            with detached():
                tasks.start_soon(charge, "detached")
        return 1

    async with anyio.create_task_group() as outside:
        await CommandBus([handle], new_id=numbered()).dispatch(Create())
        done.set()
    assert causes == {"within": "id-1", "detached": None, "after": None}


async def test_an_own_envelope_and_a_redispatch_in_a_handler() -> None:
    # MI-10 MI-15
    other = CommandBus({Charge: lambda message: "paid"}, new_id=numbered("o-"))
    before = await other.dispatch(Charge())

    async def handle(message: Create) -> int:
        own = (await other.dispatch(Envelope(Charge(), id="own"))).envelope
        assert (own.id, own.correlation_id, own.causation_id) == ("own", "id-1", "id-1")
        again = (await other.dispatch(before.envelope)).envelope
        assert (again.id, again.correlation_id, again.causation_id) == ("o-1", "o-1", None)
        return 1

    assert await CommandBus([handle], new_id=numbered()).ask(Create()) == 1


async def test_a_redispatch_stays_in_its_line_and_so_does_what_it_causes() -> None:
    # MI-10
    inner = CommandBus({Charge: lambda message: "paid"}, new_id=numbered("c-"))
    envelopes: list[Envelope[Any]] = []

    async def handle(message: Create) -> int:
        envelopes.append((await inner.dispatch(Charge())).envelope)
        return 1

    await CommandBus([handle], new_id=numbered()).dispatch(Create())
    again = (await inner.dispatch(envelopes[0])).envelope
    assert (again.id, again.correlation_id, again.causation_id) == ("c-1", "id-1", "id-1")


async def test_an_envelope_that_is_dispatched_twice_at_once_is_two() -> None:
    # MI-10
    envelope, seen = Envelope(Create()), list[Envelope[Any]]()
    both = anyio.Event()

    async def handle(given: Envelope[Create]) -> int:
        seen.append(given)
        if len(seen) == 2:
            both.set()
        await both.wait()
        return len(seen)

    bus = CommandBus([handle])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.dispatch, envelope)
        tasks.start_soon(bus.dispatch, envelope)
    assert len(seen) == 2 and seen[0] is not seen[1] and seen[0].id == seen[1].id
    assert [len(each.stamps) for each in seen] == [2, 3]


async def test_what_is_asked_is_caused_by_who_asks() -> None:
    # MI-15 MO-27
    way = Way()
    queries = QueryBus({Get: lambda query: "Ada"}, middleware=[way], new_id=numbered("q-"))

    async def handle(message: Create) -> int:
        await bus.ask(Get(), Actor("system"))
        return 1

    bus = Bus([CommandBus([handle], new_id=numbered()), queries])
    assert await bus.ask(Create()) == 1
    assert way.ids == {"Get": ("q-1", "id-1", "id-1")}


async def test_what_follows_from_a_failure_is_in_the_line_of_what_failed() -> None:
    # MI-15
    way = Way()
    new_id = numbered()
    commands = CommandBus([create, rename], middleware=[way], new_id=new_id)

    def boom(event: Created) -> None:
        raise ValueError("boom")

    def compensate(failure: Failure) -> Rename:
        return Rename()

    await Bus([commands, boom, compensate])(Create())
    assert way.ids["Rename"] == ("id-2", "id-1", "id-1")


async def test_what_left_before_a_failure_keeps_its_line() -> None:
    # MI-15
    way = Way()

    def boom(message: Create) -> None:
        raise ValueError("boom")

    inner = Bus([CommandBus([create], new_id=numbered()), boom], outbound=[Created], name="inner")
    with pytest.raises(TurnFailed):
        await Bus([inner, EventBus({Created: lambda event: None}, middleware=[way], new_id=numbered("e-"))])(Create())
    assert way.ids == {"Created": ("e-1", "id-1", "id-1")}


@pytest.mark.parametrize("make", [flat, nested, wrapped])
async def test_on_whose_behalf_it_is_done_is_known_all_along(make: Make) -> None:
    # MI-8 MI-15
    actors: list[tuple[str, list[str]]] = []

    async def note(envelope: Envelope[Any], call_next: Next) -> None:
        actors.append((type(envelope.message).__name__, [stamp.id for stamp in envelope.all(Actor)]))
        await call_next(envelope)

    _, components = make()
    bus = Bus(components)
    for typed in inside(bus):
        if isinstance(typed, TypedBus):
            typed.use(note)
    await bus.ask(Create(), Actor("ada"))
    assert actors == [(name, ["ada"]) for name in LINE]


class Working:
    """A middleware with work for the background, so that its bus must be open."""

    background_work = "noting"

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        raise AssertionError("it must not run")


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_failure_of_a_bus_that_could_not_begin_is_in_no_other_line(exclusive: bool) -> None:
    # MI-15
    way = Way()

    def compensate(failure: Failure) -> Rename:
        return Rename()

    shut = CommandBus({Charge: lambda message: ""}, middleware=[Working()], name="shut")
    bus = Bus([CommandBus([create, rename], middleware=[way]), shut, compensate], exclusive=exclusive)
    await bus(Create())
    await bus(Charge())
    assert way.ids["Rename"][1:] == (way.ids["Rename"][0], None)


async def test_what_follows_from_a_failing_command_is_caused_by_it() -> None:
    # MI-15
    way = Way()

    def boom(message: Charge) -> str:
        raise ValueError("boom")

    def compensate(failure: Failure) -> Rename:
        return Rename()

    for wrap in (list, lambda components: [Filter(each) for each in components]):
        commands = CommandBus([boom, rename], middleware=[way], new_id=numbered())
        await Bus([*wrap([commands]), compensate])(Charge())
        assert way.ids["Rename"] == ("id-2", "id-1", "id-1")


@pytest.mark.parametrize("nested", [False, True])
async def test_a_failure_that_leaves_a_nested_bus_keeps_its_cause(nested: bool) -> None:
    # MI-15
    way = Way()

    def boom(message: Charge) -> str:
        raise ValueError("boom")

    def compensate(failure: Failure) -> Rename:
        return Rename()

    charges = CommandBus([boom], middleware=[way], new_id=numbered(), name="charges")
    inner = Bus([charges], name="inner", outbound=[Failure]) if nested else charges
    renames = CommandBus([rename], middleware=[way], name="renames")
    await Bus([inner, renames, compensate])(Charge())
    assert way.ids["Rename"][1:] == ("id-1", "id-1")
