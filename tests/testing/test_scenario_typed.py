"""Given, when, then for typed buses: alone, and inside a bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus, InvalidOption, NoHandler, NotAMessage
from modd.cqrs import (
    Actor,
    Ask,
    Command,
    CommandBus,
    Emit,
    Envelope,
    Event,
    EventBus,
    Query,
    QueryBus,
    Tenant,
    TypedBus,
)
from modd.middleware import Authorizer, Cacher, Enqueue, authenticated
from modd.stores import MemoryQueue
from modd.testing import given
from tests.names import A, B

pytestmark = pytest.mark.anyio

ADA = Actor("ada")


class Order(Command[int]):
    sku: str


class Cancel(Command[None]):
    number: int


class Ordered(Event):
    number: int


class Thanked(Event):
    by: str


class Count(Query[int]):
    pass


class Stock:
    """The orders so far."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def order(self, command: Order, emit: Emit) -> int:
        if command.sku == "anvil":
            raise ValueError("too heavy")
        self.orders.append(command.sku)
        emit(Ordered(len(self.orders)))
        return len(self.orders)

    async def cancel(self, command: Cancel) -> None:
        self.orders.pop()

    async def count(self, query: Count) -> int:
        return len(self.orders)


def thank(event: Ordered, envelope: Envelope) -> Thanked:
    actor, tenant = envelope.last(Actor), envelope.last(Tenant)
    return Thanked(f"{actor.id if actor else 'nobody'} of {tenant.id if tenant else 'nothing'}")


def Orders() -> CommandBus:
    stock = Stock()
    return CommandBus([stock.order, stock.cancel])


def Shop() -> Bus:
    stock = Stock()
    commands = CommandBus([stock.order, stock.cancel], middleware=[Authorizer({Command: authenticated})])
    return Bus([commands, QueryBus([stock.count]), EventBus([thank])], name="shop", outbound=[Thanked])


@pytest.mark.parametrize("create", [Orders, Shop])
async def test_result_and_events_of_a_command_are_those_of_one_run(create: Callable[[], Bus | TypedBus]) -> None:
    # TK-1
    ordering = given(create(), Order("rope"), by=ADA).when(Order("yoyo"), by=ADA)
    journey = await ordering.then_result(2)
    assert journey.returned_messages()[0] == Ordered(2)
    if create is Orders:
        await ordering.then(Ordered(2))
        await ordering.then_left()
    else:
        await ordering.then(Ordered(2), Thanked("ada of nothing"))
        await ordering.then_left(Thanked("ada of nothing"))
    assert await ordering.then_result(2) is journey


async def test_actor_and_stamps_count_for_the_messages_that_they_are_given_with() -> None:
    # TK-1
    shop = Shop()
    await given(shop).when(Order("yoyo")).then_raises(PermissionError)
    ordering = given(shop, Order("rope"), by=ADA, stamps=[Tenant("acme")]).when(
        Order("yoyo"), by=Actor("bob"), stamps=iter([Tenant("corp")])
    )
    await ordering.then_left(Thanked("bob of corp"))
    await given(shop, Order("rope"), by=ADA).when(Count()).then_result(3)


async def test_the_result_is_that_of_the_last_message() -> None:
    # TK-1
    await given(Orders()).when(Order("a"), Order("b"), Cancel(1), Order("c")).then_result(2)
    await given(Orders()).when(Order("a"), Cancel(1)).then_result(None)
    await given(QueryBus([lambda_count])).when(Count()).then_result(7)


def lambda_count(query: Count) -> int:
    return 7


async def test_a_result_that_differs_is_shown_with_the_journey() -> None:
    # TK-1
    with pytest.raises(AssertionError) as caught:
        await given(Orders()).when(Order("yoyo")).then_result(2)
    before, journey = str(caught.value).split("\n\nThe journey:\n")
    assert before.splitlines() == ["the result differs from the expected one (- expected, + actual):", "- 2", "+ 1"]
    assert journey.startswith("Order(sku='yoyo')")


@pytest.mark.parametrize("value", [None, 1])
async def test_a_command_that_is_queued_and_a_message_that_nobody_answers_have_no_result(value: Any) -> None:
    # TK-1
    queued = CommandBus([Stock().cancel], middleware=[Enqueue(MemoryQueue())])
    with pytest.raises(
        AssertionError, match="Cancel has no result:\nCancel is in a queue, because commands has Enqueue"
    ):
        await given(queued).when(Cancel(1)).then_result(value)
    with pytest.raises(AssertionError, match="A has no result:\nA was not handled"):
        await given(Bus([lambda message: None])).when(A()).then_result(value)
    with pytest.raises(AssertionError, match="Thanked has no result"):
        await given(Shop(), Order("a"), by=ADA).when(Thanked("ada")).then_result(value)


async def test_an_error_of_a_handler_is_expected_or_shown() -> None:
    # TK-1
    error = await given(Orders()).when(Order("anvil")).then_raises(ValueError)
    assert str(error) == "too heavy"
    with pytest.raises(AssertionError, match="use then_raises to expect it"):
        await given(Orders()).when(Order("anvil")).then_result(1)
    await given(Bus()).when(Cancel(1), by=ADA).then_raises(NoHandler)


async def test_envelopes_are_sent_under_their_ids_to_typed_buses_only() -> None:
    # TK-1
    ids: list[str] = []

    async def note(command: Cancel, envelope: Envelope[Cancel]) -> None:
        ids.extend([envelope.id, *(stamp.id for stamp in envelope.all(Actor))])

    await given(CommandBus([note])).when(Envelope(Cancel(1), id="cancel-7"), by=ADA).then_nothing()
    assert ids == ["cancel-7", "ada"]
    await given(Bus()).when(Envelope(A())).then_raises(NotAMessage)


async def test_the_bus_of_a_scenario_is_alone_again_afterwards() -> None:
    # TK-1
    orders, seen = Orders(), list[Any]()

    async def ask_inside(command: Cancel, ask: Ask) -> None:
        seen.append(await ask(Order("yoyo")))

    buses = CommandBus([ask_inside, Stock().order])
    await given(buses).when(Cancel(1)).then(Ordered(1))
    await given(orders).when(Order("anvil")).then_raises(ValueError)
    assert (orders.around, buses.around, seen) == ((), (), [1])
    await Bus([buses]).ask(Cancel(1))
    assert seen == [1, 2]


async def test_a_bus_with_work_in_the_background_is_opened_by_the_test() -> None:
    # TK-1
    async with QueryBus([lambda_count], middleware=[Cacher(stale_ttl=60)]) as queries:
        await given(queries, Count()).when(Count()).then_result(7)


def test_wrong_parts_of_a_scenario_are_errors_at_once() -> None:
    # TK-1
    orders = Orders()
    shop = Bus([orders], name="shop")
    with pytest.raises(InvalidOption, match=r"it is in <Bus shop.*>; give the outermost bus"):
        given(orders)
    with pytest.raises(InvalidOption, match='give the actor: by=Actor\\("ada"\\)'):
        given(shop).when(B(), by="ada")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="give a list of stamps"):
        given(shop).when(B(), stamps=ADA)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="give instances of types derived from"):
        given(shop, A(), stamps=["ada"])  # type: ignore[list-item]
