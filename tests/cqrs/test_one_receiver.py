"""A handler is one receiver of a message, however many of its types the message has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from modd import Bus
from modd.cqrs import Ask, CommandBus, Emit, Envelope, Event, EventBus, OnlyHandler
from tests.cqrs.shop import Created, CreatedByAdmin, Rename

pytestmark = pytest.mark.anyio

heard: list[str] = []


class Loud(Event):
    """A base beside that of `Created`."""


class Both(CreatedByAdmin, Loud):
    """An event of four types that have handlers."""


class RenameLoudly(Rename):
    """A command with a base that has the same handlers."""


def rename(command: Rename | RenameLoudly) -> None:
    heard.append("rename")


def other_rename(command: Rename | RenameLoudly) -> None:
    heard.append("other")


class Mailer:
    """Handles events with methods, and by itself; equal to every other mailer."""

    def on(self, event: Created | CreatedByAdmin | Loud) -> None:
        heard.append("on")

    def __call__(self, event: Created | CreatedByAdmin | Loud) -> None:
        heard.append("call")

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def plain(event: Created | CreatedByAdmin | Loud) -> None:
    heard.append("plain")


async def asking(event: Created | CreatedByAdmin | Loud, ask: Ask) -> None:
    heard.append("asking")


async def emitting(event: Created | CreatedByAdmin | Loud, *, emit: Emit) -> None:
    heard.append("emitting")


async def other(event: Event) -> None:
    heard.append("other")


mailer = Mailer()
HANDLERS = [plain, asking, emitting, mailer, mailer.on, partial(plain)]


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("event", [Created(), CreatedByAdmin(), Both()])
async def test_a_handler_of_several_types_runs_once_for_a_message_that_has_them_all(
    handler: Any, event: Event, concurrent: bool, inside: bool
) -> None:
    # DF-3
    heard.clear()
    bus = EventBus([handler, other], concurrent=concurrent)
    await (Bus([bus])(event) if inside else bus.dispatch(event))
    assert len(heard) == 2 and "other" in heard
    assert len(bus.handler_names(type(event))) == 2
    heard.clear()
    await bus.dispatch(Loud())
    assert len(heard) == 2


@pytest.mark.parametrize("bases_first", [False, True])
async def test_registering_under_two_types_one_after_another_is_the_same(bases_first: bool) -> None:
    heard.clear()
    bus, kinds = EventBus(), (Created, CreatedByAdmin) if bases_first else (CreatedByAdmin, Created)
    for kind in kinds:
        bus.register(kind, mailer.on)
    bus.register(Created, Mailer().on)  # of an equal mailer, but another one
    await bus.dispatch(CreatedByAdmin())
    assert heard == ["on", "on"] and bus.types == kinds


async def test_a_built_in_method_is_known_by_its_object_and_its_name() -> None:
    first: list[Any] = []
    second: list[Any] = []
    bus = EventBus()
    for each in (first, second):
        bus.register(Created, each.append, f"append {id(each)}")
        bus.register(CreatedByAdmin, each.append, f"append {id(each)}")
    bus.register(Created, first.__contains__)
    bus.register(CreatedByAdmin, first.__contains__)
    await bus.dispatch(CreatedByAdmin())
    assert (first, second) == ([CreatedByAdmin()], [CreatedByAdmin()])
    assert len(bus.handler_names(CreatedByAdmin)) == 3


async def test_a_callable_with_two_names_is_two_handlers_that_can_be_run_one_by_one() -> None:
    heard.clear()
    bus = EventBus()
    bus.register(CreatedByAdmin, plain, "mail")
    bus.register(Created, plain, "audit")
    assert bus.handler_names(CreatedByAdmin) == ("mail", "audit")
    await bus.dispatch(CreatedByAdmin())
    await bus.dispatch(Envelope(CreatedByAdmin(), OnlyHandler("audit")))
    assert heard == ["plain"] * 3


async def test_several_handlers_of_a_command_are_told_apart_in_the_same_way() -> None:
    heard.clear()
    bus = CommandBus([rename, other_rename], multiple=True, concurrent=False)
    await bus.dispatch(RenameLoudly())
    assert heard == ["rename", "other"]


def fake(name: str) -> Callable[[Any], None]:
    return lambda event: heard.append(name)


async def test_a_fake_for_two_types_runs_once_and_what_it_stands_for_does_not_run_by_way_of_a_base() -> None:
    # DF-3
    bus = EventBus([plain, other], concurrent=False)
    one, two = fake("one"), fake("two")
    cases: list[tuple[dict[Any, Any], list[str]]] = [
        ({CreatedByAdmin: one}, ["one", "other"]),
        ({Created: one}, ["plain", "one", "other"]),
        ({CreatedByAdmin: one, Created: one}, ["one", "other"]),
        ({CreatedByAdmin: one, Created: two}, ["one", "two", "other"]),
        ({CreatedByAdmin: mailer.on, Created: mailer.on, Loud: mailer.on}, ["on", "other"]),
    ]
    for override, expected in cases:
        heard.clear()
        with bus.override(override):
            await bus.dispatch(CreatedByAdmin())
        assert heard == expected
