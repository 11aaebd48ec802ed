"""The names of typed buses: by their place, and no two the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd import AlreadyOpen, Bus, Finding, InvalidWiring, Part, UnknownComponent
from modd.cqrs import CommandBus, Emit, Envelope, EventBus, Next, NotOpen, QueryBus, Sealed, TypedBus
from modd.middleware import Enqueue
from modd.parts import Filter
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.cqrs.shop import Create, Created, Get, Rename

pytestmark = pytest.mark.anyio


def create(message: Create, emit: Emit) -> int:
    emit(Created(message.name))
    return 1


def get(query: Get) -> str:
    return "Ada"


class Working:
    """A middleware with work for the background."""

    background_work = "failing"

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)


class Renaming(Part):
    """A part around one component."""


PLACES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "alone": (lambda bus: bus, "commands"),
    "in the outermost bus": (lambda bus: Bus([bus], name="app"), "commands"),
    "in a context": (lambda bus: Bus([Bus([bus], name="billing")], name="app"), "billing.commands"),
    "in a context of a context": (
        lambda bus: Bus([Bus([Bus([bus], name="billing")], name="sales")], name="app"),
        "sales.billing.commands",
    ),
    "in a bus without a name": (lambda bus: Bus([Bus([Bus([bus])], name="billing")]), "billing.commands"),
    "in parts": (lambda bus: Bus([Renaming(Bus([Filter(bus)], name="billing"))]), "billing.commands"),
    "in a part that is in no bus": (lambda bus: Renaming(Bus([bus], name="billing")), "commands"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_typed_bus_without_a_name_has_its_kind_behind_the_contexts_around_it(place: str) -> None:
    # DF-12
    put, expected = PLACES[place]
    bus, named = CommandBus([create]), CommandBus([create], name="desk")
    around = put(bus), put(named)
    assert around and (bus.name, named.name) == (expected, "desk")
    assert repr(bus) == f"<CommandBus {expected}: Create>"


def test_the_name_follows_from_the_place_and_of_several_places_the_first_counts() -> None:
    # DF-12
    events = EventBus({Created: print})
    billing = Bus([events], name="billing")
    shipping = Bus([events], name="shipping")
    assert events.name == "events"
    app = Bus([shipping, billing], name="app")
    assert events.name == "billing.events"
    app.remove(billing)
    other = Bus([app])
    assert events.name == "events", "billing is an outermost bus now, and still the first"
    billing.remove(events)
    assert events.name == "app.shipping.events" and other


async def test_errors_and_background_work_tell_the_name_of_the_place(caplog: pytest.LogCaptureFixture) -> None:
    # DF-12
    async def fail() -> None:
        raise ValueError("boom")

    bus = CommandBus([create], middleware=[Working()])
    app = Bus([Bus([bus], name="billing")])
    with pytest.raises(NotOpen, match=r"billing\.commands"):
        bus.start(fail)
    with caplog.at_level(logging.ERROR, "modd.billing.commands"):
        async with app:
            bus.start(fail)
            with pytest.raises(AlreadyOpen, match=r"billing\.commands"):
                await bus.__aenter__()
    assert "work in the background of billing.commands failed" in caplog.text
    with pytest.raises(Sealed, match=r"billing\.commands"):
        bus.add_handler(Rename, lambda command: None)


def test_a_context_finds_its_typed_bus_wherever_it_is() -> None:
    # DF-12
    commands, queries = CommandBus([create]), QueryBus([get], name="look")
    billing = Bus([commands, queries], name="billing")
    assert billing.find("commands") is commands
    app = Bus([Bus([billing], name="sales")], name="app")
    assert billing.find("commands") is commands and billing.find("look") is queries
    assert app.find("sales.billing.commands") is commands and app.find("look") is queries
    assert app.find("billing") is billing


def test_contexts_in_front_of_a_name_may_be_left_out_if_only_one_typed_bus_fits() -> None:
    # DF-12
    commands, queries, other = CommandBus([create]), QueryBus([get]), QueryBus([get])
    billing = Bus([commands, Bus([queries], name="search")], name="billing")
    app = Bus([Bus([billing], name="sales"), Bus([other], name="search")], name="app")
    assert app.find("commands") is app.find("billing.commands") is commands
    assert billing.find("queries") is billing.find("search.queries") is queries
    assert app.find("search.queries") is other, "the whole name counts most"
    for name in ("queries", "mmands", "stock.commands"):
        with pytest.raises(
            UnknownComponent, match=rf"no component '{name}' in app; it has: .*sales\.billing\.commands"
        ):
            app.find(name)


def same_names() -> dict[str, Bus]:
    """Return buses in each of which two typed buses, or two contexts, have one name, by that name."""
    return {
        "commands": Bus([CommandBus([create]), CommandBus({Rename: print})], name="app"),
        "books": Bus(
            [CommandBus([create], name="books"), Bus([EventBus({Created: print}, name="books")], name="billing")],
            name="app",
        ),
        "billing.commands": Bus(
            [CommandBus([create], name="billing.commands"), Bus([CommandBus({Rename: print})], name="billing")],
            name="app",
        ),
        "billing": Bus([Bus([print], name="billing"), Bus([print], name="billing")], name="app"),
        "events": Bus([Bus([EventBus({Created: print})]), Bus([EventBus({Created: print})])], name="app"),
    }


@pytest.mark.parametrize("name", same_names())
async def test_two_typed_buses_or_contexts_of_one_name_are_an_error_when_they_are_opened(name: str) -> None:
    # DF-12
    app = same_names()[name]
    [finding, *_] = app.check()
    assert isinstance(finding, Finding) and finding.error
    assert f"named {name!r}: <" in finding.text and " and <" in finding.text
    with pytest.raises(InvalidWiring, match=name) as caught:
        await app.__aenter__()
    assert (caught.value.bus, caught.value.findings) == ("app", (finding,))
    assert str(finding) in str(caught.value) and not app.is_open


@pytest.mark.parametrize("name", [name for name in same_names() if name != "billing"])
def test_a_worker_refuses_two_typed_buses_of_one_name_when_it_is_made(name: str) -> None:
    # DF-12
    app = same_names()[name]
    for bus in (app, app.components[0]):
        with pytest.raises(InvalidWiring, match=f"2 typed buses are named '{name}'"):
            Worker(MemoryQueue(), bus)


async def test_names_may_be_the_same_where_nothing_is_mistaken_for_another() -> None:
    # DF-12
    events = EventBus({Created: print})
    app = Bus(
        [
            Bus([print]),
            Bus([print]),
            Bus([CommandBus([create]), events, Bus([print], name="orders")], name="billing", inbound=[Create]),
            Bus([CommandBus({Rename: print}), events, Bus([print], name="orders")], name="shipping", inbound=[Rename]),
            QueryBus([get]),
        ],
        name="billing",
    )
    assert app.check() == ()
    async with app:
        assert await app.ask(Get()) == "Ada"


async def test_contexts_that_queue_their_events_in_one_queue_have_each_handler_run_once() -> None:
    # DF-12
    done: list[str] = []

    def context(name: str) -> Bus:
        def handle(event: Created) -> None:
            done.append(f"{name} {event.name}")

        events = EventBus(middleware=[Enqueue(queue)])
        events.register(Created, handle, name=f"handle in {name}")
        return Bus([events], name=name)

    queue = MemoryQueue()
    app = Bus([CommandBus([create]), context("billing"), context("shipping")], name="app")
    await app.ask(Create())
    with anyio.fail_after(60):
        await Worker(queue, app, max_messages=4).run()
    assert sorted(done) == ["billing Ada", "shipping Ada"]


def test_a_typed_bus_in_two_outermost_buses_keeps_the_name_of_the_first() -> None:
    # DF-12
    bus: TypedBus = QueryBus([get])
    contexts = Bus([bus], name="sales"), Bus([bus], name="stock")
    apps = [Bus([context]) for context in contexts]
    assert bus.name == "sales.queries" and len(apps) == 2
