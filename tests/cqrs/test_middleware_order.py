"""Middleware: what they go through, in which order, and which orders are refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import anyio
import pytest

from modd.cqrs import (
    CommandBus,
    Dispatched,
    Envelope,
    EventBus,
    Handled,
    InvalidMiddleware,
    Middleware,
    Next,
    NoHandler,
    QueryBus,
    Sealed,
    Stamp,
    TypedBus,
    UnsafeOrder,
    WrongBus,
)
from modd.cqrs.intents import Command
from modd.cqrs.middleware_order import ORDER_RULES, OrderRule
from tests.cqrs.shop import Create, Created, Get, Noting, Rename, giving, noting, stop
from tests.names import stable_id

pytestmark = pytest.mark.anyio


async def passing(envelope: Envelope[Any], call_next: Next) -> None:
    await call_next(envelope)


def create(message: Create) -> int:
    return 1


async def test_in_by_registration_order_and_out_in_reverse() -> None:
    # MI-12
    log: list[str] = []
    bus = CommandBus(middleware=[Noting("a", log), Noting("b", log)])
    bus.register(Create, noting(log, "handle", 1))
    bus.use(Noting("c", log))
    for _ in range(2):
        await bus.dispatch(Create())
    assert log == ["a in", "b in", "c in", "handle", "c out", "b out", "a out"] * 2


async def test_not_calling_next_stops_the_chain_without_an_error() -> None:
    # MI-12
    log: list[str] = []
    bus = CommandBus({Create: noting(log, "handle", 1)}, middleware=[Noting("a", log), stop])
    dispatched: Dispatched[Any] = await bus.dispatch(Create())
    assert log == ["a in", "a out"]
    assert (dispatched.answered, dispatched.result, dispatched.results) == (False, None, ())


@pytest.mark.parametrize("multiple", [False, True])
async def test_each_next_runs_everything_further_in_again(multiple: bool) -> None:
    # MI-12
    log: list[str] = []

    async def twice(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        await call_next(envelope)

    bus = CommandBus([create], middleware=[twice, Noting("in", log)], multiple=multiple)
    if multiple:
        bus.register(Create, giving(2))
    dispatched = await bus.dispatch(Create())
    assert log == ["in in", "in out"] * 2
    assert dispatched.results == ((1, 2, 1, 2) if multiple else (1, 1))


async def test_after_an_error_next_can_be_called_again() -> None:
    # MI-12
    errors = [ValueError("once")]

    def flaky(message: Create) -> int:
        if errors:
            raise errors.pop()
        return 1

    async def again(envelope: Envelope[Any], call_next: Next) -> None:
        try:
            await call_next(envelope)
        except ValueError:
            await call_next(envelope)

    assert (await CommandBus([flaky], middleware=[again]).dispatch(Create())).results == (1,)


async def test_after_going_back_to_the_stamps_of_before_handlers_run_again() -> None:
    # MI-12 MI-40
    async def anew(envelope: Envelope[Any], call_next: Next) -> None:
        before = envelope.stamps
        await call_next(envelope)
        envelope.reset(before)
        await call_next(envelope)

    dispatched = await CommandBus([create], middleware=[anew]).dispatch(Create())
    assert dispatched.results == (1,) and dispatched.answered


@pytest.mark.parametrize("where", ["before", "after"])
async def test_an_error_of_a_middleware_is_raised_as_it_is_through_those_outside(where: str) -> None:
    # MI-12
    error, log = ValueError("boom"), list[str]()

    async def failing(envelope: Envelope[Any], call_next: Next) -> None:
        if where == "before":
            raise error
        await call_next(envelope)
        raise error

    async def outside(envelope: Envelope[Any], call_next: Next) -> None:
        try:
            await call_next(envelope)
        finally:
            log.append(f"handled: {envelope.has(Handled)}")

    with pytest.raises(ValueError, match="boom") as info:
        await CommandBus([create], middleware=[outside, failing]).dispatch(Create())
    assert info.value is error and log == [f"handled: {where == 'after'}"]


class Method:
    async def run(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)


async def with_options(option: int, envelope: Envelope[Any], call_next: Next) -> None:
    await call_next(envelope)


@pytest.mark.parametrize("kind", [CommandBus, QueryBus, EventBus])
async def test_functions_methods_partials_and_objects_serve_all_three_buses(kind: type[TypedBus]) -> None:
    # MI-14
    log: list[str] = []
    middleware: list[Middleware] = [passing, Method().run, partial(with_options, 1), Noting("a", log)]
    bus = kind(middleware=middleware)
    intents: dict[Any, Any] = {CommandBus: Create(), QueryBus: Get(), EventBus: Created()}
    intent = intents[kind]
    bus.add_handler(type(intent), lambda message: 1)
    assert (await bus.dispatch(intent)).result == 1 and log == ["a in", "a out"]
    assert bus.middleware == tuple(middleware)


def plain(envelope: Envelope[Any], call_next: Next) -> None:
    pass


async def one_parameter(envelope: Envelope[Any]) -> None:
    pass


async def three_parameters(envelope: Envelope[Any], call_next: Next, more: int) -> None:
    pass


@pytest.mark.parametrize("given", [plain, one_parameter, three_parameters, Noting, None, 3, {}.update], ids=stable_id)
def test_what_cannot_be_a_middleware_is_refused(given: Any) -> None:
    # MI-12
    with pytest.raises(InvalidMiddleware, match="async def middleware") as info:
        CommandBus(middleware=[given])
    bus = CommandBus(middleware=[passing])
    with pytest.raises(InvalidMiddleware):
        bus.use(given)
    assert info.value.middleware is given
    assert bus.middleware == (passing,)


class Bound(Method):
    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await self.run(envelope, call_next)

    def bind(self, bus: TypedBus) -> None:
        self.log.append(f"bind {bus.name}")
        if bus.kind is Command:
            raise WrongBus("Bound", bus.name, "it is for queries only")

    def check(self, bus: TypedBus) -> None:
        self.log.append(f"check {bus.name}")


async def test_bind_is_called_once_when_it_is_added_and_check_when_the_bus_is_sealed() -> None:
    # MI-14
    log: list[str] = []
    bus = QueryBus({Get: lambda query: "Ada"}, middleware=[Bound(log)], name="q")
    assert log == ["bind q"]
    for _ in range(2):
        await bus.dispatch(Get())
    bus.check()
    assert log[:2] == ["bind q", "check q"]
    other = QueryBus(middleware=list(bus.middleware), name="other")
    other.check()
    assert log[-2:] == ["bind other", "check other"]


def test_a_middleware_refuses_the_wrong_bus_when_it_is_added() -> None:
    # MI-14
    with pytest.raises(WrongBus, match="Bound in commands: it is for queries only") as info:
        CommandBus(middleware=[Bound([])])
    assert isinstance(info.value, TypeError) and info.value.bus == "commands"
    bus = CommandBus()
    with pytest.raises(WrongBus):
        bus.use(Bound([]))
    assert bus.middleware == ()


class Playing:
    role: ClassVar[str] = ""

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)


def playing(role: str) -> Playing:
    kind = type(role.capitalize(), (Playing,), {"role": role})
    made: Playing = kind()
    return made


@pytest.mark.parametrize("rule", ORDER_RULES, ids=lambda rule: f"{rule.outer}-{rule.inner}")
async def test_unsafe_orders_say_the_rule_and_the_cure(rule: OrderRule) -> None:
    # MI-14
    outer, inner = playing(rule.outer), playing(rule.inner)
    bus = QueryBus({Get: lambda query: "Ada"}, middleware=[outer, passing, inner])
    cure = f"give {rule.inner.capitalize()} before {rule.outer.capitalize()}"
    uses: list[Callable[[], Any]] = [bus.check, bus.__aenter__, partial(bus.dispatch, Get())]
    for use in uses:
        with pytest.raises(UnsafeOrder, match=cure) as info:
            await (use() or anyio.lowlevel.checkpoint())
        assert rule.reason in str(info.value)
    safe = QueryBus({Get: lambda query: "Ada"}, middleware=[inner, passing, outer])
    assert await safe.ask(Get()) == "Ada"


async def sealed_by_check(bus: CommandBus) -> None:
    bus.check()


async def sealed_by_dispatch(bus: CommandBus) -> None:
    await bus.dispatch(Create())


async def sealed_by_opening(bus: CommandBus) -> None:
    async with bus:
        pass


@pytest.mark.parametrize("seal", [sealed_by_check, sealed_by_dispatch, sealed_by_opening])
async def test_a_bus_in_use_is_not_changed(seal: Any) -> None:
    # MI-1
    bus = CommandBus([create], name="shop")
    await seal(bus)
    with pytest.raises(Sealed, match="shop is in use: register handlers before"):
        bus.register(Rename, giving())
    with pytest.raises(Sealed):
        bus.handles(Rename)(giving())
    with pytest.raises(Sealed, match="add middleware"):
        bus.use(passing)
    assert bus.types == (Create,) and bus.middleware == ()


async def test_an_unknown_type_or_a_failed_check_seals_nothing() -> None:
    # MI-3
    bus = CommandBus([create])
    with pytest.raises(NoHandler):
        await bus.dispatch(Rename())
    bus.register(Rename, giving())
    assert (await bus.dispatch(Rename())).answered


class Stamping(Playing):
    """A middleware that adds stamps of its own."""

    class Marked(Stamp):
        text: str

    stamps: ClassVar[tuple[type[Stamp], ...]] = (Marked,)


def test_the_codec_of_a_bus_knows_its_types_and_the_stamps_of_its_middleware() -> None:
    # MI-11
    codec = CommandBus([create], middleware=[Stamping()]).codec
    decoded = codec.decode(codec.encode(Envelope(Create("Ada"), Stamping.Marked("x"))))
    assert decoded.message == Create("Ada")
    marked = decoded.first(Stamping.Marked)
    assert marked is not None and marked.text == "x"
