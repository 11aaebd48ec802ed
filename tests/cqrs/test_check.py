"""The check of the wiring: what `Bus.check` returns, what opening refuses, and what it logs."""

# mypy: disable-error-code="type-arg"

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from modd import Bus, Component, Failure, InvalidWiring, Message
from modd.core.flow import asked_by, may_emit, may_return
from modd.cqrs import Ask, Command, CommandBus, Emit, Envelope, Event, EventBus, QueryBus
from modd.middleware import Enqueue
from modd.parts import Filter, Spawn
from modd.stores import MemoryQueue
from tests.cqrs.shop import Charge, Create, Created, CreatedByAdmin, Find, Get, Plain, Rename, Welcomed, stop
from tests.names import A

pytestmark = pytest.mark.anyio


def rename(command: Rename) -> None: ...
def get(query: Get) -> str: ...  # type: ignore[empty-body]
def hear(event: Created) -> None: ...
def log(message: Message) -> None: ...
def rescue(failure: Failure) -> None: ...


def create(command: Create, emit: Emit) -> int: ...  # type: ignore[empty-body]
def create_enveloped(envelope: Envelope[Create]) -> int: ...  # type: ignore[empty-body]
def tell(message: A) -> Created | None: ...
def tell_anything(message: A): ...  # type: ignore[no-untyped-def]
def want(event: Welcomed) -> list[Rename]: ...  # type: ignore[empty-body]


async def rename_later(event: Welcomed, commands: CommandBus) -> None:
    await commands.dispatch(Rename())


async def wait(event: Welcomed) -> None: ...


def context(*components: Any, **options: Any) -> Bus:
    """Return an application with one context."""
    return Bus([Bus(components, name="ctx", **options)], name="app")


def commands(*handlers: Any) -> CommandBus:
    return CommandBus(handlers)


UNTAKEN = (
    "ctx lists {} in inbound, and nothing inside takes it; register a handler of {} there, or leave it out of inbound"
)
UNEMITTED = (
    "ctx lists {} in outbound, and nothing inside returns or emits it; return or emit {} there, or leave it out of "
)
UNREACHED = (
    "nothing reaches the handler of {} in ctx: the inbound of ctx does not list {}, and nothing inside returns, "
)

WIRINGS: dict[str, tuple[Callable[[], Bus], list[str]]] = {
    "a listed intent without a handler": (lambda: context(commands(rename), inbound=[Rename, Charge]), ["in Charge"]),
    "a listed event without a handler": (
        lambda: context(EventBus([hear]), inbound=[Created, Welcomed]),
        ["in Welcomed"],
    ),
    "a listed intent that only a catch-all sees": (lambda: context(log, inbound=[Rename]), ["in Rename"]),
    "a listed event that a catch-all sees": (lambda: context(log, inbound=[Created]), []),
    "a listed base of a handled type": (lambda: context(commands(rename), inbound=[Command]), []),
    "a listed subtype of a handled type": (lambda: context(EventBus([hear]), inbound=[CreatedByAdmin]), []),
    "everything and failures are listed": (lambda: context(rescue, hear, inbound=[Message, Failure]), []),
    "components that come later": (lambda: context(Spawn(A, lambda message: hear), inbound=[A, Created, Rename]), []),
    "a listed type that a bus inside hides": (
        lambda: context(Bus([commands(rename)], inbound=[]), inbound=[Rename]),
        ["in Rename", "reach Rename"],
    ),
    "nothing returns what is let out": (
        lambda: context(hear, outbound=[Created, Welcomed]),
        ["out Created", "out Welcomed"],
    ),
    "a component returns what is let out": (lambda: context(tell, outbound=[Created, Welcomed]), ["out Welcomed"]),
    "a base or a subtype of what is returned is let out": (lambda: context(tell, outbound=[Event, CreatedByAdmin]), []),
    "nothing is known of what is returned": (lambda: context(tell_anything, outbound=[Welcomed]), []),
    "a handler of commands emits nothing": (lambda: context(commands(rename), outbound=[Created]), ["out Created"]),
    "a handler of commands may emit": (lambda: context(commands(create), outbound=[Created]), []),
    "a handler may emit through its envelope": (lambda: context(commands(create_enveloped), outbound=[Created]), []),
    "a middleware may emit": (lambda: context(CommandBus([rename], middleware=[stop]), outbound=[Created]), []),
    "intents are not emitted": (lambda: context(commands(create), outbound=[Rename]), ["out Rename"]),
    "a handler of events returns an intent": (
        lambda: context(EventBus([want]), outbound=[Rename, Charge]),
        ["out Charge"],
    ),
    "a bus inside lets it out": (lambda: context(Bus([tell], outbound=[Created]), outbound=[Created, A]), ["out A"]),
    "nothing is known of parts": (lambda: context(Filter(hear), outbound=[Created]), []),
    "a bus without components": (lambda: context(outbound=[Created]), []),
    "a hidden command": (lambda: context(commands(rename), QueryBus([get]), inbound=[Get]), ["reach Rename"]),
    "a hidden event": (lambda: context(EventBus([hear]), inbound=[]), ["reach Created"]),
    "a hidden event that is emitted inside": (
        lambda: context(commands(create), EventBus([hear]), inbound=[Create]),
        [],
    ),
    "a hidden event that is emitted deep inside": (
        lambda: context(Bus([commands(create), EventBus([hear])]), inbound=[Create]),
        [],
    ),
    "a hidden command that is wanted inside": (
        lambda: context(EventBus([want]), commands(rename), inbound=[Welcomed]),
        [],
    ),
    "a handler of a base of a listed type": (lambda: context(EventBus([hear]), inbound=[CreatedByAdmin]), []),
    "a context without inbound": (lambda: context(commands(rename), EventBus([hear])), []),
    "handlers in the outermost bus": (
        lambda: Bus([commands(rename), EventBus([hear])], inbound=[Rename], name="app"),
        [],
    ),
}


def short(text: str) -> str:
    """Return a finding in two words: the rule and the type."""
    words = text.replace(":", "").split()
    if text.startswith("nothing reaches"):
        return f"reach {words[5]}"
    return f"{words[4].removesuffix('bound,')} {words[2]}"


@pytest.mark.parametrize("name", WIRINGS)
async def test_the_check_finds_types_and_handlers_that_no_message_gets_to(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    # DF-13
    make, expected = WIRINGS[name]
    app = make()
    found = app.check()
    assert [short(each.text) for each in found] == expected
    assert not any(each.error for each in found)
    with caplog.at_level(logging.WARNING, "modd"):
        async with app:
            pass
    assert [record.getMessage() for record in caplog.records] == [f"app: {each}" for each in found]


@pytest.mark.parametrize("queues", [True, False])
def test_no_finding_is_told_for_handlers_that_a_queue_or_a_dispatch_inside_reaches(queues: bool) -> None:
    # DF-35
    renaming = CommandBus([rename], middleware=[Enqueue(MemoryQueue())] if queues else ())
    welcoming = EventBus([wait if queues else rename_later], resources={CommandBus: renaming})
    assert context(welcoming, renaming, inbound=[Welcomed]).check() == ()
    assert [short(each.text) for each in context(CommandBus([rename]), welcoming, inbound=[Welcomed]).check()] == (
        ["reach Rename"] if queues else []
    )


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a listed intent without a handler", UNTAKEN, "Charge"),
        ("a handler of commands emits nothing", UNEMITTED, "Created"),
        ("a hidden command", UNREACHED, "Rename"),
    ],
)
def test_a_finding_names_the_context_the_type_and_the_cure(name: str, text: str, kind: str) -> None:
    # DF-13
    [finding] = WIRINGS[name][0]().check()
    assert str(finding).startswith(text.format(kind, kind)) and str(finding) == f"{finding.text}; {finding.cure}"


def asking(kind: type[Any], of: type[Any]) -> QueryBus:
    """Return a bus of queries, or of commands, whose handler of one type asks another."""

    async def handle(message: Any, ask: Ask) -> Any:
        return await ask(of())

    bus: Any = CommandBus() if issubclass(kind, Command) else QueryBus()
    bus.register(kind, handle)
    return bus  # type: ignore[no-any-return]


def circle(*pairs: tuple[type[Any], type[Any]], outer: Any = False, inner: Any = True) -> Bus:
    """Return an application of contexts, each of which asks another one."""
    contexts = [Bus([asking(*pair)], name=pair[0].__name__.lower(), exclusive=inner) for pair in pairs]
    return Bus(contexts, name="app", exclusive=outer)


@pytest.mark.parametrize(
    ("pairs", "circles"),
    [
        ([(Get, Find), (Find, Get)], ["get asks find asks get"]),
        ([(Get, Find), (Find, Rename), (Rename, Get)], ["get asks find asks rename asks get"]),
        (
            [(Get, Find), (Find, Get), (Rename, Charge), (Charge, Rename)],
            ["get asks find asks get", "rename asks charge asks rename"],
        ),
        ([(Get, Find), (Find, Rename), (Rename, Find)], ["find asks rename asks find"]),
    ],
)
async def test_contexts_that_ask_each_other_in_a_circle_cannot_be_opened_if_turns_of_each_keep_apart(
    pairs: list[tuple[type[Any], type[Any]]], circles: list[str]
) -> None:
    # DF-13
    app = circle(*pairs)
    found = app.check()
    assert [each.text.partition(",")[0] for each in found] == circles and all(each.error for each in found)
    with pytest.raises(InvalidWiring, match=rf"{circles[0]}.*exclusive=False or a key") as caught:
        await app.__aenter__()
    assert caught.value.findings == found


@pytest.mark.parametrize(
    "make",
    [
        lambda: circle((Get, Find), (Find, Get), inner=False),
        lambda: circle((Get, Find), (Find, Get), inner=lambda message: message.id),
        lambda: circle((Get, Find), (Find, Get), outer=True),
        lambda: circle((Get, Find), (Find, Rename), (Rename, Rename)),
        lambda: circle((Get, Get)),
        lambda: circle((Get, Find), (Find, Charge)),
    ],
)
async def test_contexts_of_which_one_never_waits_for_the_other_are_opened(make: Callable[[], Bus]) -> None:
    # DF-13
    app = make()
    assert app.check() == ()
    async with app:
        assert app.is_open


app_of_module = Bus(name="app")
namespace = SimpleNamespace(Get=Get, nothing=None)


async def by_global(query: Find, ask: Ask) -> str:
    return await ask(Get(1))


async def by_attribute(query: Find, ask: Ask) -> Any:
    await ask(namespace.Get(1))
    await ask(namespace.nothing(1))
    await ask(namespace.missing.more(1))


async def by_bus(message: Plain) -> None:
    await app_of_module.ask(Get())
    await app_of_module.dispatch(Rename())


async def by_comprehension(query: Find, ask: Ask) -> Any:
    return [await ask(Get(number)) for number in range(3)], (lambda: ask(Rename()))


async def by_value(query: Find, ask: Ask) -> Any:
    intent = Get()
    print(query, ask)
    return await ask(intent) or Rename()


async def by_value_or_global(query: Find, ask: Ask, other: int) -> Any:
    return await ask(Get(other))


class Asking:
    async def handle(self, query: Find, ask: Ask) -> str:
        return await ask(Get())

    async def __call__(self, query: Find, ask: Ask) -> str:
        return await ask(Get())


def closure(filled: bool) -> Any:
    async def ask_it(query: Find, ask: Ask) -> Any:
        return await ask(kind())

    if filled:
        kind: Any = Get
    return ask_it


@pytest.mark.parametrize(
    ("component", "asked"),
    [
        (by_global, {Get}),
        (by_attribute, {Get}),
        (by_bus, {Get, Rename}),
        (by_comprehension, {Get, Rename}),
        (by_value, set()),
        (Asking(), {Get}),
        (Asking().handle, {Get}),
        (partial(by_value_or_global, other=1), {Get}),
        (closure(True), {Get}),
        (closure(False), set()),
        (print, set()),
        (QueryBus({Find: by_global}), {Get}),
        (QueryBus({Find: Asking().handle}), {Get}),
        (Filter(by_bus), set()),
        (Bus([by_bus]), set()),
    ],
)
def test_the_intents_that_a_component_asks_are_read_from_its_code(component: Any, asked: set[type]) -> None:
    # DF-13
    assert {*asked_by(component)} == asked


def returning(hint: Any) -> Component:
    def component(message: A) -> Any: ...

    component.__annotations__["return"] = hint
    return component


class Generic(list[Created]):
    """A class of which nothing is known."""


@pytest.mark.parametrize(
    ("hint", "may"),
    [
        (None, False),
        ("None", False),
        (Created, True),
        (CreatedByAdmin, True),
        (Event, True),
        (Welcomed, False),
        (Welcomed | None, False),
        (Optional[Created], True),  # noqa: UP045  # the older way is to be read, too
        (list[Welcomed], False),
        (tuple[Welcomed, ...], False),
        (tuple[Created | Welcomed, ...], True),
        (Iterator[Welcomed | None], False),
        (AsyncIterator[Created], True),
        (list, True),
        (Any, True),
        (Generic, True),
        (Message, True),
        ("Unknown", True),
        ("Welcomed", False),
    ],
    ids=str,
)
def test_the_types_that_a_component_returns_are_read_from_its_annotation(hint: Any, may: bool) -> None:
    # DF-13
    assert may_return(returning(hint), Created) is may
    assert may_emit(returning(hint), Created) is may


def test_nothing_is_known_of_builtins_and_of_typed_buses_that_do_not_tell() -> None:
    # DF-13
    assert may_return(print, Created) and may_return([].append, Created)
    assert may_emit(Filter(hear), Created) and not may_emit(QueryBus([get]), Created)
