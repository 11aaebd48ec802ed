"""Asking: an intent is sent to who handles it, and its result comes back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from modd import Bus, Deadlock, Failure, Intent, Journey, Message, NotAMessage, TurnFailed, TurnOverflow
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
)
from modd.parts import Filter, Outbound, Reaction
from tests.cqrs.shop import Charge, Create, Created, Find, Get, Plain, Rename, giving, stop

pytestmark = pytest.mark.anyio

OPTIONS: list[dict[str, Any]] = [
    {},
    {"exclusive": False},
    {"concurrent": True},
    {"exclusive": lambda message: type(message).__name__},
    {"exclusive": False, "concurrent": True},
    {"exclusive": False, "limit": 10},
]
every_bus = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")


def get(query: Get) -> str:
    return f"user {query.id}"


async def create(message: Create, emit: Emit) -> int:
    emit(Created(message.name))
    return len(message.name)


@every_bus
@pytest.mark.parametrize("observed", [False, True])
async def test_the_result_comes_back_alone_and_through_nested_contexts(options: dict[str, Any], observed: bool) -> None:
    # MO-27
    queries, commands = QueryBus([get]), CommandBus([create], name="commands")
    flat = Bus([commands, queries], **options)
    nested = Bus([Bus([Bus([QueryBus([get])], inbound=[Intent]), CommandBus([create])], **options)], **options)
    beside = Bus([QueryBus([get]), CommandBus([create]), lambda message: None, Filter(flat, deny=Intent)], **options)
    wrapped = Bus([Filter(QueryBus([get])), Outbound(CommandBus([create]))], **options)
    for bus in (flat, nested, beside, wrapped):
        with Journey(bus if observed else Bus()) as journey:
            for _ in range(3):
                assert await bus.ask(Get(5)) == "user 5"
                assert await bus.ask(Create("Ada")) == 3
        assert bool(len(journey)) is observed
        assert await bus.ask(Get(6)) == "user 6"


@every_bus
async def test_stamps_go_with_the_intent_and_with_nothing_else(options: dict[str, Any]) -> None:
    # MO-27
    seen: list[tuple[str, int]] = []

    class Own(Intent[Any]):
        pass

    async def note(envelope: Envelope[Any], call_next: Next) -> None:
        seen.append((type(envelope.message).__name__, len(envelope.all(Handled))))
        await call_next(envelope)

    async def handle(message: Create) -> int:
        return len(await bus.ask(Get()))

    bus = Bus([CommandBus([handle], middleware=[note]), QueryBus([get], middleware=[note])], **options)
    assert await bus.ask(Create(), Actor("ada")) == 6
    assert await bus.ask(Create(), Handled(9)) == 9
    assert seen == [("Create", 0), ("Get", 0), ("Create", 1)]
    with pytest.raises(NoHandler):
        await bus.ask(Own())


@every_bus
async def test_the_error_of_the_handler_is_raised_as_it_is_whoever_handled_the_failure(options: dict[str, Any]) -> None:
    # MO-27
    error, handled = ValueError("boom"), list[str]()

    def failing(query: Get) -> str:
        raise error

    def on_failure(failure: Failure) -> None:
        handled.append(repr(failure.error))

    cases: list[list[Any]] = [[QueryBus([failing])], [QueryBus([failing]), on_failure], [Bus([QueryBus([failing])])]]
    for components in cases:
        bus = Bus(components, **options)
        for _ in range(2):
            with pytest.raises(ValueError, match="boom") as info:
                await bus.ask(Get())
            assert info.value is error
    assert handled == ["ValueError('boom')"] * 2


@every_bus
async def test_what_fails_after_the_handler_is_turn_failed_with_the_result(options: dict[str, Any]) -> None:
    # MO-27
    def boom(event: Created) -> None:
        raise ValueError("boom")

    for components in ([CommandBus([create]), EventBus([boom])], [Bus([CommandBus([create]), EventBus([boom])])]):
        bus = Bus(components, **options)
        with pytest.raises(TurnFailed) as info:
            await bus.ask(Create("Ada"))
        assert info.value.result == 3
        derived = info.value.derive(info.value.exceptions)
        assert derived.result == 3
    handled = Bus([CommandBus([create]), EventBus([boom]), Journeys()], **options)
    assert await handled.ask(Create("Ada")) == 3


class Journeys:
    """Handles failures."""

    def __call__(self, failure: Failure) -> None:
        pass


@every_bus
async def test_no_result_is_an_error_and_never_none(options: dict[str, Any]) -> None:
    # MO-27
    bus = Bus([QueryBus([get], middleware=[stop], name="q")], name="shop", **options)
    for _ in range(2):
        with pytest.raises(NotAnswered, match="Get got no result in shop") as info:
            await bus.ask(Get())
        assert info.value.intent is Get
    held_back = Bus([Filter(QueryBus([get]), where=lambda query: query.id < 5)], **options)
    assert await held_back.ask(Get(1)) == "user 1"
    with pytest.raises(NotAnswered):
        await held_back.ask(Get(9))
    await Bus([CommandBus({Rename: lambda message: None})], **options).ask(Rename())


async def test_nobody_or_more_than_one_is_an_error() -> None:
    # MO-27
    bus = Bus([QueryBus([get]), CommandBus([create])], name="shop")
    with pytest.raises(NoHandler, match="no handler for Charge; shop handles: Create, Get"):
        await bus.ask(Charge())
    two = Bus([QueryBus([get], name="one"), Bus([QueryBus([get], name="two")])], name="shop")
    with pytest.raises(MultipleHandlers, match="2 typed buses in shop handle Get: one, two") as info:
        await two.ask(Get())
    assert isinstance(info.value, LookupError) and info.value.answering == ("one", "two")
    closed = Bus([QueryBus([get], name="one"), Bus([QueryBus([get], name="two")], inbound=[Plain])], name="shop")
    assert await closed.ask(Get()) == "user 1"
    with pytest.raises(NoHandler):
        await Bus([Bus([QueryBus([get])], inbound=[Find])]).ask(Get())
    with pytest.raises(NoHandler, match="nothing yet"):
        await Bus([lambda message: None]).ask(Get())


@pytest.mark.parametrize("given", [Get, None, "Get", ValueError("Get")], ids=str)
async def test_only_messages_can_be_asked(given: Any) -> None:
    # MO-27
    with pytest.raises(NotAMessage):
        await Bus([QueryBus([get])]).ask(given)


async def test_who_answers_is_looked_up_anew_when_the_bus_changes() -> None:
    # MO-27
    queries = QueryBus()
    bus = Bus([queries], exclusive=False)
    with pytest.raises(NoHandler):
        await bus.ask(Get())
    queries.register(Get, get)
    assert await bus.ask(Get()) == "user 1"
    other = QueryBus({Get: lambda query: "other"}, name="other")
    bus.add(other)
    with pytest.raises(MultipleHandlers):
        await bus.ask(Get())
    bus.remove(queries)
    assert await bus.ask(Get()) == "other"
    heard: list[Message] = []
    bus.add(heard.append)
    assert await bus.ask(Get()) == "other" and heard == [Get()]


@every_bus
async def test_a_handler_asks_the_outermost_bus_around(options: dict[str, Any]) -> None:
    # MO-27
    async def handle(message: Create, ask: Ask) -> int:
        return len(await ask(Get(12345)))

    context = Bus([CommandBus([handle])], name="context", **options)
    outer = Bus([context, QueryBus([get])], name="outer", **options)
    assert await outer.ask(Create()) == 10
    commands = context.components[0]
    assert isinstance(commands, CommandBus)
    assert await commands.ask(Create()) == 10, "no turn is open, but there is a bus around"
    alone = CommandBus([handle])
    with pytest.raises(NoHandler, match="commands handles: Create"):
        await alone.ask(Create())


async def test_a_handler_in_a_part_without_a_bus_asks_its_own_typed_bus() -> None:
    # MO-27
    async def handle(query: Get, ask: Ask) -> str:
        return " ".join(await ask(Find()))

    queries = QueryBus([handle])
    queries.register(Find, giving(["Ada", "Bob"]))
    part = Filter(queries)
    assert await queries.ask(Get()) == "Ada Bob"
    assert await Bus([part]).ask(Get()) == "Ada Bob"


async def test_a_typed_bus_asks_a_bus_that_it_is_in_and_no_other() -> None:
    # MO-27
    async def stocked(query: Get, ask: Ask) -> str:
        return " ".join(await ask(Find()))

    stock = QueryBus([stocked], name="stock")
    stock.register(Find, giving(["Ada"]))

    async def handle(message: Create) -> int:
        return len(await stock.ask(Get()))

    shop = Bus([CommandBus([handle])], name="shop")
    assert await shop.ask(Create()) == 3


async def test_a_circle_of_asks_is_a_deadlock_or_an_overflow_and_never_hangs() -> None:
    # MO-27 MO-8
    async def handle(message: Create) -> int:
        return len(await other.ask(Get()))

    async def handle_get(query: Get) -> str:
        results: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: ask_back(results))
        return str(results)

    async def ask_back(results: list[int]) -> None:
        results.append(await bus.ask(Create()))

    bus, other = Bus([CommandBus([handle])], name="bus"), Bus([QueryBus([handle_get])], name="other")
    with anyio.fail_after(60), pytest.raises((Exception, ExceptionGroup)) as info:
        await bus.ask(Create())
    error: BaseException = info.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, (Deadlock, TurnOverflow))


@every_bus
async def test_events_that_go_round_for_ever_are_an_overflow_with_the_result(options: dict[str, Any]) -> None:
    # MO-9 MO-27
    def again(event: Created) -> Created:
        return Created()

    given: dict[str, Any] = {"limit": 600} | options
    bus = Bus([CommandBus([create]), EventBus([again])], **given)
    for _ in range(2):
        with pytest.raises(TurnFailed) as info:
            await bus.ask(Create("Ada"))
        assert isinstance(info.value.exceptions[0], TurnOverflow) and info.value.result == 3
    assert bus.limit is not None


@pytest.mark.costly
@pytest.mark.unmeasured
@every_bus
async def test_others_run_while_an_ask_causes_much(options: dict[str, Any]) -> None:
    # MO-8 MO-27
    rounds, seen = 0, list[int]()

    def again(event: Created) -> Created | None:
        nonlocal rounds
        rounds += 1
        return Created() if rounds < 2_000 else None

    async def watch() -> None:
        while rounds < 2_000:
            seen.append(rounds)
            await anyio.lowlevel.checkpoint()

    given: dict[str, Any] = options | {"limit": None}
    bus = Bus([CommandBus([create]), EventBus([again])], **given)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.lowlevel.checkpoint()
        assert await bus.ask(Create("Ada")) == 3
    assert len([count for count in seen if 0 < count < 2_000]) >= 5


@every_bus
async def test_a_cancelled_ask_leaves_the_bus_as_it_was(options: dict[str, Any]) -> None:
    # MO-3 MO-27
    async def hang(query: Get) -> str:
        scope.cancel()
        await anyio.sleep_forever()
        return ""

    async def hang_later(event: Created) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    bus = Bus([QueryBus([hang]), CommandBus([create, rename]), EventBus([hang_later])], **options)
    intents: list[Any] = [Get(), Create()]
    for intent in intents:
        with anyio.CancelScope() as scope:
            await bus.ask(intent)
        assert scope.cancelled_caught
        with anyio.fail_after(60):
            await bus.ask(Rename())


def rename(message: Rename) -> None:
    pass


@every_bus
async def test_many_ask_at_once_and_each_gets_its_own(options: dict[str, Any]) -> None:
    # MO-27
    async def slow(query: Get) -> str:
        for _ in range(query.id % 3):
            await anyio.lowlevel.checkpoint()
        return f"user {query.id}"

    bus, answers = Bus([QueryBus([slow])], **options), dict[int, str]()

    async def ask(number: int) -> None:
        answers[number] = await bus.ask(Get(number))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, number)
    assert answers == {number: f"user {number}" for number in range(20)}


async def test_equal_intents_within_one_turn_do_not_answer_each_other() -> None:
    # MO-27
    class Nest(Command[str]):
        depth: int

    async def handle(message: Nest, ask: Ask) -> str:
        return f"{message.depth} {await ask(Nest(message.depth - 1)) if message.depth else ''}"

    bus = Bus([CommandBus([handle])])
    assert await bus.ask(Nest(3)) == "3 2 1 0 "


async def test_a_turn_within_a_turn_answers_too_and_afterwards_it_is_outside_again() -> None:
    # MO-8 MO-27
    found: list[str] = []

    async def plain(message: Plain) -> None:
        found.append(await bus.ask(Get(1)))

    bus = Bus([plain, QueryBus([get])], exclusive=False)
    await bus(Plain())
    found.append(await bus.ask(Get(2)))
    assert found == ["user 1", "user 2"]


async def test_the_bus_that_is_asked_for_a_long_time_lets_others_run() -> None:
    # MO-8 MO-27
    bus, ticks = Bus([QueryBus([get])], exclusive=False), list[int]()

    async def tick() -> None:
        while len(ticks) < 3:
            ticks.append(1)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        for _ in range(2_000):
            await bus.ask(Get())
        assert len(ticks) == 3


async def test_an_answer_that_a_part_held_back_is_none() -> None:
    # MO-27
    bus = Bus([Reaction(QueryBus([get]))])
    assert await bus.ask(Get()) == "user 1"
    with pytest.raises(NotAnswered):
        await bus.ask(Get())


async def test_what_left_the_bus_before_an_ask_failed_is_told() -> None:
    # MO-17 MO-27
    def boom(event: Created) -> None:
        raise ValueError("boom")

    for exclusive in (True, False):
        bus = Bus([CommandBus([create]), EventBus([boom])], outbound=[Created], exclusive=exclusive)
        with pytest.raises(TurnFailed) as info:
            await bus.ask(Create("Ada"))
        assert info.value.outbound == (Created("Ada"),) and info.value.bus is bus


@every_bus
@pytest.mark.parametrize("fails", [False, True])
async def test_another_typed_bus_that_is_sent_the_same_intent_answers_nobody(
    options: dict[str, Any], fails: bool
) -> None:
    # MO-27
    async def audited(envelope: Envelope[Create]) -> int:
        assert not envelope.has(Actor)
        if fails:
            raise ValueError("audit")
        return 99

    audit_bus = Bus([CommandBus([audited], name="audit commands")], name="audit")

    async def audit(message: Create) -> None:
        with suppress(TurnFailed):
            await audit_bus(message)

    cases: list[list[Any]] = [[CommandBus([create]), audit], [audit, CommandBus([create])]]
    for components in cases:
        assert await Bus(components, **options).ask(Create("Ada"), Actor("ada")) == 3


async def test_a_typed_bus_in_two_contexts_of_one_bus_asks_that_bus() -> None:
    # MO-27
    async def handle(message: Create, ask: Ask) -> int:
        return len(await ask(Get(12)))

    commands = CommandBus([handle])
    top = Bus([Bus([commands], name="one"), Bus([commands], inbound=[Plain], name="two"), QueryBus([get])], name="top")
    assert await top.ask(Create()) == 7 == await commands.ask(Create())


def asks_in_two_buses(*kinds: Any) -> tuple[CommandBus, list[Bus]]:
    """Return a typed bus whose handler asks for Get, and two buses around it, each with these query buses beside."""

    async def handle(message: Create, ask: Ask) -> int:
        return len(await ask(Get()))

    commands = CommandBus([handle])
    buses = [
        Bus([commands, *([QueryBus({kind: lambda query, name=name: name})] if kind else [])], name=name)
        for name, kind in zip(("a", "bb"), kinds, strict=True)
    ]
    return commands, buses


async def test_an_ask_from_a_handler_that_two_buses_around_could_answer_is_an_error_that_names_both() -> None:
    # DF-25
    commands, [a, bb] = asks_in_two_buses(Get, Get)
    with pytest.raises(MultipleHandlers, match="around commands handle Get: queries in a, queries in bb") as info:
        await commands.ask(Create())
    assert info.value.answering == ("queries in a", "queries in bb")
    assert (await a.ask(Create()), await bb.ask(Create())) == (1, 2), "the bus that was asked is asked"


async def test_an_ask_from_a_handler_goes_to_the_one_bus_around_that_could_answer() -> None:
    # DF-25
    for kinds, length in (((Get, None), 1), ((None, Get), 2), ((Find, Get), 2)):
        commands, _buses = asks_in_two_buses(*kinds)
        assert await commands.ask(Create()) == length
    commands, _buses = asks_in_two_buses(None, Find)
    with pytest.raises(NoHandler, match="no handler for Get; a handles"):
        await commands.ask(Create())


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_cancelled_ask_stays_cancelled_though_a_limit_has_cut_short_a_turn_inside(exclusive: bool) -> None:
    # MO-27 MO-9
    bus = Bus(exclusive=exclusive, limit=50)

    def loop(message: Plain) -> Plain:
        return Plain()

    async def handle(message: Create) -> int:
        with suppress(TurnFailed):
            await bus(Plain())
        scope.cancel()
        await anyio.sleep_forever()
        return 0

    bus.add(CommandBus([handle]))
    bus.add(loop)
    with anyio.CancelScope() as scope:
        await bus.ask(Create())
    assert scope.cancelled_caught
