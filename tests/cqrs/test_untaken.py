"""Commands and queries that nobody takes are an error for the sender; events and plain messages are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modd import Bus, Failure, Intent, Message, NoHandler, Observer, TurnFailed
from modd.cqrs import Actor, Command, CommandBus, Emit, EventBus, QueryBus
from modd.parts import Filter
from tests.cqrs.shop import Charge, Create, Created, Get, Plain, Rename, Welcomed
from tests.cqrs.test_ask import every_bus
from tests.names import failures_of

pytestmark = pytest.mark.anyio

ANN = Actor("ann")


class Price(Intent[int]):
    """An intent that is neither a command nor a query."""


def get(query: Get) -> str:
    return "Ada"


def rename(command: Rename) -> None: ...


def context(*components: Any, **options: Any) -> Bus:
    return Bus(components, name="ctx", **options)


@every_bus
@pytest.mark.parametrize("intent", [Rename(), Get(), Price()], ids=lambda intent: type(intent).__name__)
async def test_an_intent_that_nobody_takes_is_an_error_however_it_is_sent(options: dict[str, Any], intent: Any) -> None:
    # DF-13
    seen: list[Message] = []

    def log(message: Message) -> None:
        seen.append(message)

    app = Bus([CommandBus({Create: print}), log, Bus([log], name="audit")], name="app", **options)
    for _ in range(2):
        for send in (
            lambda: app(intent),
            lambda: app(intent, ANN),
            lambda: app.ask(intent),
            lambda: app.dispatch(intent),
        ):
            with pytest.raises(
                NoHandler, match=f"no handler for {type(intent).__name__}; app handles: Create$"
            ) as caught:
                await send()
            assert caught.value.hidden == ()
    assert seen == [], "a catch-all sees messages that somebody takes"
    assert await app(Plain()) == () and seen == [Plain()] * 2


@every_bus
async def test_the_error_names_the_contexts_whose_inbound_hides_a_handler(options: dict[str, Any]) -> None:
    # DF-13
    commands, queries = CommandBus([rename], name="c"), QueryBus([get], name="q")
    inner = Bus([Filter(commands), queries, Filter(Bus([print], name="more"))], name="inner", inbound=[Get])
    app = Bus([Bus([inner, Bus(name="empty", inbound=[])], name="ctx", inbound=[Get, Create])], name="app", **options)
    for send in (app, app.ask, app.dispatch):
        with pytest.raises(NoHandler) as caught:
            await send(Rename())
        assert caught.value.hidden == ("ctx", "ctx.inner")
        assert str(caught.value) == (
            "no handler for Rename; app handles: Get; ctx has a handler, and its inbound does not list Rename: list it "
            "there; ctx.inner has a handler, and its inbound does not list Rename: list it there"
        )
    with pytest.raises(NoHandler) as caught:
        await app(Create())
    assert caught.value.hidden == (), "a context that lets it in and has no handler hides none"
    assert await app.ask(Get()) == "Ada"


@every_bus
async def test_events_and_plain_messages_that_nobody_takes_are_silent(options: dict[str, Any]) -> None:
    # DF-13
    app = Bus([context(EventBus({Created: print}), inbound=[])], **options)
    for message in (Created(), Plain()):
        assert await app(message) == () and await app(message, ANN) == ()


class Named(Command[None]):
    """A command that a plain component takes."""


class MoreNamed(Named):
    pass


@every_bus
@pytest.mark.parametrize("kind", [Named, Command, Intent, Command | Plain], ids=str)
async def test_a_component_that_names_the_type_or_a_base_of_it_takes_it(options: dict[str, Any], kind: Any) -> None:
    # DF-13
    seen: list[Message] = []

    def handle(message: Any) -> None:
        seen.append(message)

    handle.__annotations__["message"] = kind
    app = Bus([Bus([Filter(handle)], name="ctx")], **options)
    await app(MoreNamed())
    await app(Named(), ANN)
    assert seen == [MoreNamed(), Named()]


@every_bus
async def test_a_catch_all_beside_the_handler_gets_the_intent_too(options: dict[str, Any]) -> None:
    # DF-13
    seen: list[Message] = []

    def log(message: Message) -> None:
        seen.append(message)

    app = Bus([Bus([log], name="audit"), Bus([log], inbound=[Rename]), CommandBus([rename])], **options)
    for _ in range(3):
        await app(Rename())
    assert seen == [Rename()] * 6


async def test_a_handler_that_comes_and_goes_counts_from_then_on() -> None:
    # DF-13
    commands = CommandBus([rename])
    app = Bus([Bus(name="ctx")])
    [ctx] = app.components
    assert isinstance(ctx, Bus)
    for _ in range(2):
        with pytest.raises(NoHandler):
            await app(Rename())
        ctx.add(commands)
        await app(Rename())
        ctx.remove(commands)


def wants(*messages: Message) -> Any:
    """Return a component that returns messages when it is given a plain one."""

    def want(message: Plain) -> list[Message]:
        return [*messages]

    return want


@every_bus
async def test_to_return_an_intent_that_nobody_takes_is_a_failure_of_the_component(options: dict[str, Any]) -> None:
    # DF-13
    seen: list[Message] = []

    def hear(event: Created | Welcomed) -> None:
        seen.append(event)

    app = Bus([wants(Created(), Rename(), Welcomed(), Charge(), Rename()), hear], name="app", **options)
    for _ in range(2):
        with pytest.raises(TurnFailed) as caught:
            await app(Plain())
        assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["NoHandler", "NoHandler"]
        assert {error.intent for error in caught.value.exceptions if isinstance(error, NoHandler)} == {Rename, Charge}
        assert "when given Plain in app" in caught.value.exceptions[0].__notes__[0]
        assert seen == [Created(), Welcomed()], "what it returned beside flows on"
        seen.clear()


@every_bus
async def test_what_handlers_emit_beside_such_an_intent_flows_on_and_the_result_is_there(
    options: dict[str, Any],
) -> None:
    # DF-13
    def create(command: Create, emit: Emit) -> int:
        emit(Created(), Welcomed())
        return 7

    def react(event: Created) -> Rename:
        return Rename()

    seen: list[Message] = []
    app = Bus([CommandBus([create]), EventBus({Created: react, Welcomed: seen.append})], **options)
    with pytest.raises(TurnFailed) as caught:
        await app.ask(Create())
    assert "no handler for Rename" in str(caught.value)
    assert caught.value.result == 7 and seen == [Welcomed()]


@every_bus
async def test_an_intent_that_leaves_a_bus_is_taken_outside_or_an_error_there(options: dict[str, Any]) -> None:
    # DF-13
    inner = context(wants(Rename()), outbound=[Command])
    assert await inner(Plain()) == (Rename(),)
    with pytest.raises(NoHandler):
        await inner(Rename())

    seen: list[Message] = []
    app = Bus([inner, CommandBus({Rename: seen.append})], name="app", **options)
    await app(Plain())
    assert seen == [Rename()]
    with pytest.raises(TurnFailed) as caught:
        await Bus([inner], name="alone", **options)(Plain())
    assert "no handler for Rename" in str(caught.value)
    assert "raised by ctx when given Plain in alone" in caught.value.exceptions[0].__notes__[0]


@every_bus
async def test_one_that_left_a_turn_that_failed_is_told_beside_the_failure(options: dict[str, Any]) -> None:
    # DF-13
    def fail(message: Plain) -> None:
        raise ValueError("boom")

    inner = context(wants(Rename(), Created()), fail, outbound=[Rename, Created])
    seen: list[Message] = []

    def hear(event: Created) -> None:
        seen.append(event)

    with pytest.raises(TurnFailed) as caught:
        await Bus([inner, hear], **options)(Plain())
    assert sorted(each.partition("(")[0] for each in failures_of(caught.value)) == ["NoHandler", "ValueError"]
    assert seen == [Created()]


async def test_a_component_that_handles_a_failure_by_an_intent_that_nobody_takes_has_not_handled_it() -> None:
    # DF-13
    def fail(message: Plain) -> None:
        raise ValueError("boom")

    def rescue(failure: Failure) -> Rename:
        return Rename()

    with pytest.raises(TurnFailed) as caught:
        await Bus([fail, rescue])(Plain())
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["NoHandler", "ValueError"]


@every_bus
async def test_one_that_a_component_sends_to_a_bus_is_an_error_for_the_component(options: dict[str, Any]) -> None:
    # DF-13
    errors: list[Exception] = []

    async def ask_around(message: Plain) -> None:
        for bus in (app, ctx, other):
            try:
                await bus(Rename())
            except NoHandler as error:
                errors.append(error)

    ctx, other = context(QueryBus([get])), Bus(name="other")
    app = Bus([ask_around, ctx], name="app", **options)
    await app(Plain())
    assert [error.bus for error in errors if isinstance(error, NoHandler)] == ["app", "ctx", "other"]


async def test_a_function_in_the_place_of_a_bus_names_the_intents_that_it_forwards() -> None:
    # DF-13
    other = Bus([CommandBus([rename])], name="other")

    async def forward(command: Command[Any]) -> None:
        await other(command)

    app = Bus([forward])
    await app(Rename())
    with pytest.raises(TurnFailed) as caught:
        await app(Charge())
    assert "no handler for Charge; other handles: Rename" in str(caught.value)


async def test_observers_are_told_that_the_intent_was_not_handled() -> None:
    # DF-13
    class Abandoned(Observer):
        messages: tuple[Message, ...] = ()

        def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
            self.messages += messages

    app, observer = Bus([print]), Abandoned()
    with app.observe(observer), pytest.raises(NoHandler):
        await app(Rename())
    assert observer.messages == (Rename(),)


async def test_one_from_a_generator_that_goes_on_is_told_and_the_rest_flows_on() -> None:
    # DF-13
    seen: list[Message] = []

    def many(message: Plain) -> Iterator[Message]:
        yield Rename()
        yield Created()

    def hear(event: Created) -> None:
        seen.append(event)

    with pytest.raises(TurnFailed) as caught:
        await Bus([many, hear])(Plain())
    assert "no handler for Rename" in str(caught.value) and seen == [Created()]
