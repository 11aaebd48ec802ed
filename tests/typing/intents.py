"""What users write with typed buses, and the types it has; it runs too (tests/cqrs/test_typing.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Generic, TypeVar, assert_type

from modd import Bus, Journey, Message
from modd.cqrs import (
    Actor,
    Ask,
    Command,
    CommandBus,
    Dispatched,
    Emit,
    Envelope,
    Event,
    EventBus,
    Handled,
    Identity,
    Middleware,
    Next,
    Query,
    QueryBus,
    Stamp,
    Tenant,
)
from modd.middleware import Idempotency, Logger, Retryer
from modd.testing import given

T = TypeVar("T")


class CreateUser(Command[int]):
    """A command with a result."""

    name: str


class RemoveUser(Command[None]):
    """A command without a result."""

    id: int


class PriceOf(Query[Decimal | None]):
    """A query whose result may be missing."""

    sku: str


class Names(Query[list[str]]):
    """A query with a list."""


class Page(Query[list[T]], Generic[T]):
    """A generic query."""

    of: type[T]


class UserCreated(Event):
    """An event."""

    name: str


class Priority(Stamp):
    """A stamp of one's own."""

    inherited = True

    level: int


class Session:
    """A resource."""


async def create(message: CreateUser) -> int:
    """Async."""
    return len(message.name)


def create_now(message: CreateUser) -> int:
    """Sync."""
    return len(message.name)


async def create_with_envelope(envelope: Envelope[CreateUser]) -> int:
    """The envelope first."""
    assert_type(envelope.message, CreateUser)
    assert_type(envelope.message.name, str)
    assert_type(envelope.first(Actor), Actor | None)
    assert_type(envelope.last(Priority), Priority | None)
    assert_type(envelope.all(Handled), tuple[Handled, ...])
    assert_type(envelope.stamps, tuple[Stamp, ...])
    assert_type(envelope.id, str)
    assert_type(envelope.causation_id, str | None)
    assert_type(envelope.identity, Identity)
    return len(envelope.message.name)


async def create_with_all(
    message: CreateUser, session: Session, emit: Emit, ask: Ask, *, envelope: Envelope[CreateUser]
) -> int:
    """Further parameters."""
    emit(UserCreated(message.name), UserCreated("another"))
    names = await ask(Names(), Tenant("acme"))
    assert_type(names, list[str])
    return len(names)


def remove(message: RemoveUser) -> None:
    """No result."""


async def price_of(query: PriceOf) -> Decimal | None:
    """A result that may be missing."""
    return Decimal(1) if query.sku else None


def names(query: Names) -> list[str]:
    """A list."""
    return ["Ada"]


async def welcome(event: UserCreated) -> Message | None:
    """A handler of an event may return anything."""
    return CreateUser(event.name)


class Handler:
    """A callable object."""

    async def __call__(self, message: CreateUser) -> int:
        return 1

    def method(self, message: CreateUser) -> int:
        """A method."""
        return 2


def limited(limit: int, message: CreateUser) -> int:
    """A handler once its first parameter is given."""
    return limit


async def created_by(envelope: Envelope) -> int:
    """The envelope of any intent first."""
    assert_type(envelope, Envelope[Message])
    assert_type(envelope.message, Message)
    assert_type(envelope.first(Actor), Actor | None)
    return len(envelope.stamps)


async def timed(envelope: Envelope, call_next: Next) -> None:
    """A middleware that takes the envelope of any intent."""
    await call_next(envelope)


async def passing(envelope: Envelope[Any], call_next: Next) -> None:
    """A middleware."""
    await call_next(envelope)


class Counting:
    """A middleware with a state."""

    count = 0

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        self.count += 1
        await call_next(envelope)


MIDDLEWARE: list[Middleware] = [passing, timed, Counting(), Logger()]
ALIKE = [Logger(), Retryer(), Idempotency()]


@asynccontextmanager
async def open_session() -> AsyncIterator[Session]:
    """A factory of a resource."""
    yield Session()


def register_commands() -> None:
    """Handlers of every kind are accepted when their result is that of the command."""
    bus = CommandBus(multiple=True, resources={Session: open_session})
    bus.register(CreateUser, create)
    bus.register(CreateUser, create_now, name="now")
    bus.register(CreateUser, create_with_envelope)
    bus.register(CreateUser, create_with_all, "all")
    bus.register(CreateUser, created_by, "by")
    bus.register(CreateUser, Handler())
    bus.register(CreateUser, Handler().method)
    bus.register(CreateUser, partial(limited, 3))
    bus.register(RemoveUser, remove)

    @bus.handles(CreateUser)
    async def decorated(message: CreateUser) -> int:
        return 1

    @bus.handles(CreateUser, name="whole")
    def decorated_with_envelope(envelope: Envelope[CreateUser], session: Session) -> int:
        return 1

    @bus.handles(RemoveUser)
    async def decorated_without_result(message: RemoveUser) -> None:
        pass

    CommandBus([create, remove])
    CommandBus({CreateUser: create, RemoveUser: remove}, new_id=lambda: "1", clock=lambda: 1.0)


def register_queries_and_events() -> None:
    """The same for queries; handlers of events return anything."""
    queries = QueryBus([names])
    queries.register(PriceOf, price_of)
    events = EventBus([welcome], strict=True, concurrent=False)
    events.register(UserCreated, welcome)
    events.register(UserCreated, print)

    @events.handles(UserCreated)
    def decorated(event: UserCreated) -> str:
        return event.name

    assert_type(decorated(UserCreated("Ada")), str)


async def use_buses() -> None:
    """What comes back has the type of the result."""
    commands = CommandBus([create, remove], middleware=[passing, Counting(), *MIDDLEWARE])
    queries = QueryBus([names, price_of])
    dispatched = await commands.dispatch(CreateUser("Ada"), Actor("root"), Priority(1))
    assert_type(dispatched, Dispatched[int])
    assert_type(dispatched.result, int)
    assert_type(dispatched.results, tuple[int, ...])
    assert_type(dispatched.events, tuple[Message, ...])
    assert_type((await commands.dispatch(Envelope(CreateUser("Ada"), Tenant("acme"), id="1"))).result, int)
    assert_type((await commands.dispatch(dispatched.envelope)).answered, bool)
    await commands.dispatch(RemoveUser(1))
    assert_type(await commands.ask(CreateUser("Ada")), int)
    assert_type(await queries.ask(PriceOf("yoyo")), Decimal | None)
    assert_type(await queries.ask(Names(), Tenant("acme")), list[str])
    assert_type(Envelope(CreateUser("Ada")), Envelope[CreateUser])
    assert_type(commands.create(CreateUser, {"name": "Ada"}), CreateUser)
    assert_type(commands.create(CreateUser, {"name": "Ada"}).name, str)
    assert_type(commands.create("CreateUser", b'{"name": "Ada"}'), Any)
    assert_type(await commands.ask(commands.create(CreateUser, {"name": "Ada"})), int)
    assert_type(queries.middleware, tuple[Middleware, ...])
    CommandBus(middleware=ALIKE[:2]).use(*ALIKE[2:])
    EventBus(middleware=(each for each in MIDDLEWARE))
    async with commands as opened:
        assert_type(opened, CommandBus)
    with queries.override({Names: names}):
        pass


async def use_a_composed_bus() -> None:
    """So has what a bus is asked."""
    bus = Bus([CommandBus([create]), Bus([QueryBus([names, price_of])]), EventBus([welcome])])
    assert_type(bus.find("commands", CommandBus), CommandBus)
    assert_type(await bus.find("queries", QueryBus).ask(Names()), list[str])
    assert_type(await bus.ask(CreateUser("Ada")), int)
    assert_type(await bus.ask(PriceOf("yoyo"), Actor("ada")), Decimal | None)
    assert_type(await bus.ask(Names()), list[str])
    assert_type(await bus.ask(Envelope(Names())), list[str])
    assert_type((await bus.dispatch(PriceOf("yoyo"), Actor("ada"))).result, Decimal | None)
    assert_type((await bus.dispatch(Envelope(Names()))).results, tuple[list[str], ...])
    assert_type(await bus(Names(), Actor("ada")), tuple[Message, ...])
    print(await bus.ask(PriceOf("yoyo")), len(await bus.ask(Names())), f"{await bus.ask(CreateUser('Ada'))}")
    wider: object = await bus.ask(Names())
    for name in sorted(await bus.ask(Names())):
        print(name, wider)
    with bus.override({Names: lambda query: []}):
        assert await bus.ask(Names()) == []


async def use_scenarios() -> None:
    """A scenario takes typed buses, envelopes, an actor and stamps."""
    creating = given(CommandBus([create, remove]), RemoveUser(1)).when(
        Envelope(CreateUser("Ada"), id="1"), by=Actor("root"), stamps=[Tenant("acme"), Priority(1)]
    )
    assert_type(await creating.then_result(3), Journey)
    assert_type(await creating.then(), Journey)
    await given(Bus([QueryBus([names])]), Names(), by=Actor("ada")).when(Names()).then_result(["Ada"])


def page(bus: QueryBus) -> Callable[[], Any]:
    """A generic query has the result of its argument; for checkers only."""

    async def ask() -> None:
        assert_type(await bus.ask(Page(str)), list[str])

    return ask
