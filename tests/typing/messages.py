"""What users write, and the types it has: both checkers must accept all of it, and it runs (tests/test_typing.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Generic, TypeVar, assert_type

import msgspec

from modd import (
    Accepts,
    Bus,
    Component,
    Delivery,
    Failure,
    Intent,
    Journey,
    Message,
    Observer,
    Part,
    Sensitive,
    TurnFailed,
    TurnOverflow,
    UnknownComponent,
    detached,
)
from modd.parts import (
    ConsoleLog,
    Filter,
    Level,
    ListDiff,
    Log,
    Logged,
    Merge,
    Outbound,
    QuantityStore,
    Reaction,
    Remember,
    Spawn,
    threaded,
)
from modd.testing import Recorder, given, run_virtual

R = TypeVar("R")
T = TypeVar("T")


class Nothing(Message):
    """No fields."""


class Added(Message):
    """Fields with and without a default."""

    sku: str
    price: Decimal
    quantity: int = 1
    tags: list[str] = msgspec.field(default_factory=list)
    note: str | None = msgspec.field(default=None, name="remark")


class Gift(Added):
    """A subclass has the fields of its base, then its own."""

    card: Annotated[str, Sensitive] = ""


class Placed(Message, tag="order-placed"):
    """A name of its own on the wire."""

    order: int


class Named(Message, kw_only=True):
    """Fields by name only."""

    first: str = ""
    last: str


class Changed(Message, Generic[T]):
    """A generic message."""

    before: T
    after: T


class PriceOf(Intent[Decimal]):
    """A message with a result."""

    sku: str


class Listed(Intent[list[T]], Generic[T]):
    """A message with a generic result."""

    kind: type[T]


def result_of(message: Intent[R]) -> R:
    """Stands for what asks for a result: here only its type matters."""
    raise NotImplementedError(message)


def make_messages() -> None:
    """Messages are made by position and by name, and their fields have types."""
    added = Added("yoyo", Decimal(2), 3)
    assert_type(added, Added)
    assert_type(added.price, Decimal)
    assert_type(added.quantity, int)
    assert_type(added.tags, list[str])
    assert_type(added.note, str | None)
    assert Added(sku="yoyo", price=Decimal(2)).tags == []
    assert Added("yoyo", price=Decimal(2), tags=["toy"], note="for me") != added
    assert_type(Gift("yoyo", Decimal(0), card="Love").card, str)
    assert_type(Placed(1).order, int)
    assert_type(Named(last="Doe").first, str)
    assert_type(Changed(1, 2), Changed[int])
    assert_type(Changed("a", after="b").after, str)
    assert {Nothing(): 1, Placed(1): 2}[Placed(1)] == 2
    match added:
        case Added(sku, price, quantity):
            assert_type(sku, str)
            assert_type(price, Decimal)
            assert_type(quantity, int)


def ask_for_results() -> tuple[Decimal, list[str]]:
    """The result of an intent is known from its type; for checkers only."""
    assert_type(result_of(PriceOf("yoyo")), Decimal)
    assert_type(result_of(Listed(str)), list[str])
    return result_of(PriceOf("yoyo")), result_of(Listed(kind=str))


def plain(message: Added) -> Placed | None:
    """A function."""
    return Placed(1) if message.quantity else None


async def coroutine(message: Added | Placed) -> list[Message]:
    """A coroutine function."""
    return [Nothing()] if isinstance(message, Placed) else []


def generator(message: Placed) -> Iterator[Message]:
    """A generator function."""
    yield Nothing()


async def async_generator(message: Placed) -> AsyncIterator[Message]:
    """An async generator function."""
    yield Nothing()


def catches(failure: Failure) -> None:
    """A handler of failures."""
    assert_type(failure.message, Message)
    assert_type(failure.error, Exception)


def bound(limit: int, message: Added) -> Placed:
    """A component once its first parameter is given."""
    return Placed(limit)


class Handler:
    """An object with a state."""

    def __call__(self, message: Added) -> Component:
        return self.method

    def method(self, message: Message) -> None:
        pass


class Once(Part):
    """A part of one's own."""

    def __init__(self, component: Component, on: type[Message]) -> None:
        super().__init__(component)
        self._on = on

    def __call__(self, message: Any, /) -> Any:
        return super().__call__(message)

    @property
    def accepts(self) -> Accepts:
        return Accepts((self._on,))


class Watcher(Observer):
    """An observer that overrides one method."""

    def ended(self, delivery: Delivery) -> None:
        assert_type(delivery.message, Message)
        assert_type(delivery.seconds, float | None)
        assert_type(delivery.cause, Delivery | None)
        assert_type(delivery.returned, tuple[Message, ...])


COMPONENTS: list[Component] = [
    plain,
    coroutine,
    generator,
    async_generator,
    catches,
    partial(bound, 3),
    Handler(),
    Handler().method,
    lambda message: None,
    Once(plain, Added),
    Bus([plain], name="inner", inbound=[Added], outbound=[Placed]),
]


async def use_a_bus() -> None:
    """A bus takes components of every kind, and gives messages back."""
    bus = Bus(
        COMPONENTS,
        exclusive=lambda message: type(message).__name__,
        concurrent=True,
        limit=None,
        outbound=(Placed, Failure),
    )
    bus.add(plain)
    bus.remove(plain)
    assert_type(bus.name, str)
    assert_type(bus.components, tuple[Component, ...])
    assert_type(bus.find("inner"), Component)
    assert_type(bus.find("inner", Bus), Bus)
    with suppress(UnknownComponent):
        assert_type(bus.find("inner", Handler), Handler)
    assert_type(str(bus.graph()), str)
    async with Bus([bus, Handler()]) as outer:
        assert_type(outer, Bus)
        with bus.observe(Watcher()), detached():
            assert_type(await bus(Added("yoyo", Decimal(2))), tuple[Message, ...])
        try:
            await outer(Nothing())
        except TurnFailed as failed:
            assert_type(failed.exceptions, tuple[Exception | ExceptionGroup[Exception], ...])
            assert_type(failed.outbound, tuple[Any, ...])
        try:
            await outer(Nothing())
        except* TurnOverflow as overflow:
            assert_type(overflow, ExceptionGroup[TurnOverflow])


async def watch_a_journey() -> None:
    """A journey is a context manager, gives deliveries, and is text."""
    bus = Bus([plain])
    with Journey(bus) as journey:
        await bus(Added("yoyo", Decimal(2)))
    assert_type(journey, Journey)
    for delivery in journey:
        assert_type(delivery, Delivery)
    assert_type(len(journey), int)
    assert_type(str(journey), str)
    assert_type(journey.mermaid(), str)
    assert_type(journey.returned_messages(), tuple[Message, ...])
    assert_type(journey.history(Nothing()), tuple[Delivery, ...])


class Names(Message):
    """A whole list."""

    names: tuple[str, ...]


class Came(Message):
    """Who came."""

    name: str


def check_out(message: Placed, latest: Added | None) -> None:
    """For `Remember`."""


def make_parts() -> Bus:
    """Every part takes components and functions of every kind, and is a component."""

    def key_of(added: Added) -> str:
        return added.sku

    def amount_of(added: Added) -> Decimal:
        return added.price

    def converted(added: Added, placed: Placed) -> Came:
        return Came(f"{added.sku} {placed.order}")

    async def build(message: Placed) -> list[Component]:
        return [plain, Handler()]

    store = QuantityStore(Added, key=key_of, quantity=amount_of, changed=lambda key, amount: Came(key))
    assert_type(store, QuantityStore[str, Decimal])
    assert_type(store.quantities["yoyo"] if store.quantities else Decimal(), Decimal)
    parts: list[Component] = [
        Filter(plain, allow=Added, deny=[Gift], where=lambda message: message.quantity > 1),
        Outbound(Bus([coroutine], outbound=[Nothing])),
        Spawn([Placed], build),
        Spawn(Placed, lambda message: Handler()),
        Merge(Added, Placed, into=converted, reset=[Nothing]),
        Reaction(plain, key=key_of),
        Remember(check_out, Added),
        ListDiff(Names, lambda message: message.names, added=Came, key=str.lower),
        store,
        Log(plain, level=Level.DEBUG, describe=repr),
        ConsoleLog(Level.WARNING, write=print),
        threaded(plain),
    ]
    assert_type(Logged(Level.INFO, "text").level, Level)
    return Bus(parts)


def use_scenarios() -> None:
    """What `modd.testing` gives."""

    async def scenario(bus: Bus) -> int:
        assert_type(await given(bus, Nothing()).when(Nothing()).then_nothing(), Journey)
        return 3

    recorder = Recorder(Added)
    assert_type(recorder.messages, list[Message])
    assert_type(run_virtual(scenario, Bus([recorder])), int)
