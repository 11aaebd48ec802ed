"""What holds for users who write middleware, resources and message types of their own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, NewType, Protocol

import msgspec
import pytest

from modd import Bus, DuplicateName, InvalidOption, NotAMessage, Sensitive, TurnFailed
from modd.cqrs import (
    Actor,
    Codec,
    Command,
    CommandBus,
    Emit,
    Emitted,
    Envelope,
    Event,
    EventBus,
    InvalidIntent,
    Next,
    NoHandler,
    NotOpen,
    Query,
    QueryBus,
    Redispatched,
    Sealed,
    Undecodable,
)
from modd.cqrs.errors import MISUSE

pytestmark = pytest.mark.anyio


class Happened(Event):
    n: int = 0


class Special(Happened):
    pass


class Do(Command[int]):
    n: int = 0


class See(Query[int]):
    pass


class Numbers(Command[int]):
    by_number: dict[int, str]
    tags: frozenset[str] = frozenset()


async def again(envelope: Envelope[Any], call_next: Next) -> None:
    try:
        await call_next(envelope)
    except ConnectionError:
        await call_next(envelope)


async def swallow(envelope: Envelope[Any], call_next: Next) -> None:
    with suppress(ConnectionError):
        await call_next(envelope)


# MI-15
async def test_what_a_failed_call_emitted_is_not_released_whoever_calls_it_again() -> None:
    calls: list[int] = []

    async def handle(message: Do, emit: Emit) -> int:
        calls.append(1)
        emit(Happened(len(calls)))
        if len(calls) == 1:
            raise ConnectionError
        return len(calls)

    dispatched = await CommandBus([handle], middleware=[again]).dispatch(Do())
    assert (dispatched.result, dispatched.events) == (2, (Happened(2),))


# MI-15, MI-6
async def test_when_one_of_several_handlers_fails_nothing_of_the_call_is_released() -> None:
    def good(message: Do, emit: Emit) -> int:
        emit(Happened(1))
        return 1

    def bad(message: Do, emit: Emit) -> int:
        emit(Happened(2))
        raise ConnectionError

    dispatched = await CommandBus([good, bad], multiple=True, middleware=[swallow]).dispatch(Do())
    assert (dispatched.results, dispatched.events) == ((1,), ())


# MI-15
async def test_a_query_releases_nothing_however_it_was_noted() -> None:
    def see(envelope: Envelope[See]) -> int:
        envelope.add(Emitted(Happened(1)))
        return 1

    assert (await QueryBus([see]).dispatch(See())).events == ()


# MI-3
async def test_a_bus_of_events_takes_no_commands() -> None:
    with pytest.raises(NoHandler, match="no handler for Do; events handles: nothing yet"):
        await EventBus().dispatch(Do())


# MI-4
def test_two_types_of_one_name_in_one_bus_are_an_error_that_names_both() -> None:
    class Other(Command[int], tag="Do"):
        pass

    with pytest.raises(DuplicateName, match=r"commands was given two message types named 'Do'"):
        CommandBus({Do: lambda message: 1, Other: lambda message: 1})


# MI-9
@pytest.mark.parametrize("new_id", [uuid.uuid4, lambda: 7, lambda: ""])
async def test_what_is_no_id_is_an_error_of_the_dispatch(new_id: Callable[[], Any]) -> None:
    with pytest.raises(InvalidOption, match="new_id"):
        await CommandBus({Do: lambda message: 1}, new_id=new_id).dispatch(Do())


# MI-10
async def test_what_is_kept_aside_stays_flat_however_often_it_is_dispatched() -> None:
    bus = CommandBus({Do: lambda message: message.n})
    dispatched = await bus.dispatch(Do(3))
    for _ in range(200):
        dispatched = await bus.dispatch(dispatched.envelope)
    kept = dispatched.envelope.first(Redispatched)
    assert kept is not None and not any(isinstance(stamp, Redispatched) for stamp in kept.stamps)
    assert bus.codec.decode(bus.codec.encode(dispatched.envelope)).message == Do(3)


class SubActor(Actor):
    pass


# MI-10, MI-8
async def test_the_last_actor_stays_the_last_one() -> None:
    found: list[Actor | None] = []

    async def inner(envelope: Envelope[See]) -> int:
        found.append(envelope.last(Actor))
        return 1

    queries = QueryBus([inner])

    async def outer(message: Do) -> int:
        return await queries.ask(See())

    bus = CommandBus([outer])
    dispatched = await bus.dispatch(Do(), Actor("a"), SubActor("b"), Actor("c"))
    await bus.dispatch(dispatched.envelope)
    assert [actor and actor.id for actor in found] == ["c", "c"]


# MI-11
async def test_keys_that_are_no_texts_come_back() -> None:
    message = Numbers({1: "one"})
    codec = CommandBus({Numbers: lambda message: 1}).codec
    assert codec.decode(codec.encode(Envelope(message))).message == message
    assert CommandBus({Numbers: lambda message: 1}).create(Numbers, {"by_number": {"1": "one"}}) == message


# MI-11
def test_a_bus_gives_a_codec_of_its_types_and_those_derived_from_them() -> None:
    bus = EventBus({Happened: lambda event: None})
    assert bus.codec.decode(bus.codec.encode(Envelope(Special(2)))).message == Special(2)
    assert bus.create(Special, {"n": 2}) == Special(2)


# MI-2
def test_a_set_of_many_texts_is_made_at_once() -> None:
    tags = [str(number) for number in range(20_000)]
    made = CommandBus({Numbers: lambda message: 1}).create(Numbers, {"by_number": {}, "tags": tags})
    assert len(made.tags) == 20_000


class Color(Enum):
    RED = "red"


class Paint(Command[int]):
    color: Color


# MI-2
def test_no_value_is_in_the_error() -> None:
    with pytest.raises(InvalidIntent) as caught:
        CommandBus({Paint: lambda message: 1}).create(Paint, {"color": "hunter2"})
    assert caught.value.errors == (("$.color", "Invalid enum value"),) and "hunter2" not in str(caught.value)
    with pytest.raises(InvalidIntent) as caught:
        CommandBus({Paint: lambda message: 1}).create(Paint, {"color": "a - at `b`\nhunter2"})
    assert caught.value.errors == (("$.color", "Invalid enum value"),)


@dataclass
class Card:
    number: Annotated[str, Sensitive]
    bank: Bank | None = None


class Bank(msgspec.Struct):
    cards: list[Card]


class Pay(Command[int]):
    card: Card
    banks: list[Bank] = msgspec.field(default_factory=list)
    amount: int = 1


# MO-12
def test_what_is_sensitive_further_in_is_masked_with_what_is_around_it() -> None:
    assert repr(Pay(Card("4111"), [Bank([Card("4112")])])) == "Pay(card=***, banks=***, amount=1)"


class Session:
    entered = 0


# MI-1
async def test_a_factory_is_entered_once_for_a_call_however_often_it_is_asked_for() -> None:
    entered: list[Session] = []

    @asynccontextmanager
    async def session() -> AsyncIterator[Session]:
        entered.append(Session())
        yield entered[-1]

    async def handle(message: Do, one: Session, *, other: Session) -> int:
        assert one is other
        return len(entered)

    assert await CommandBus([handle], resources={Session: session}).ask(Do()) == 1


class Now(Protocol):
    def __call__(self) -> int: ...


class Clock(Protocol):
    seconds: int


Later = NewType("Later", int)


# MI-1
async def test_a_callable_that_is_asked_for_as_such_is_a_value() -> None:
    def handle(message: Do, now: Now, then: Callable[[], int], later: Later) -> int:
        return now() + then() + later

    resources: dict[Any, Any] = {Now: lambda: 5, Callable[[], int]: lambda: 6, Later: Later(7)}
    assert await CommandBus([handle], resources=resources).ask(Do()) == 18


# MI-1
async def test_what_may_be_none_is_filled_all_the_same() -> None:
    def handle(message: Do, emit: Emit | None = None, clock: Later | None = None, other: Session | None = None) -> int:
        assert emit is not None and clock is not None
        return clock if other is None else 0

    assert await CommandBus([handle], resources={Later: Later(7)}).ask(Do()) == 7


# MI-38
def test_misuse_is_known_as_such() -> None:
    assert issubclass(NotAMessage, MISUSE) and issubclass(InvalidOption, MISUSE)


# MI-1
async def test_errors_have_their_values() -> None:
    bus = CommandBus({Do: lambda message: 1})
    bus.check()
    with pytest.raises(Sealed) as sealed:
        bus.use(again)
    assert (sealed.value.bus, sealed.value.action) == ("commands", "add middleware")
    with pytest.raises(NotOpen) as closed:
        CommandBus().start(again)
    assert (closed.value.bus, closed.value.because) == ("commands", ("again",))


# MI-11
def test_a_number_that_is_too_large_is_undecodable() -> None:
    identity = '"identity":{"id":"1","correlation_id":"1"},"message":{"$type":"Do"}'
    data = "{" + identity + ',"stamps":[{"$stamp":"Strange","at":' + "9" * 400 + "}]}"
    with pytest.raises(Undecodable):
        Codec([Do]).decode(data.encode())


# MO-27, MO-9
@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_limit_that_a_handler_ran_into_ends_what_was_asked_whoever_catches_it(exclusive: bool) -> None:
    def round_and_round(event: Happened) -> Happened:
        return Happened(event.n + 1)

    inner = Bus([round_and_round], limit=10)

    async def handle(message: Do) -> int:
        with suppress(TurnFailed):
            await inner(Happened())
        return 1

    bus = Bus([CommandBus([handle])], exclusive=exclusive)
    with pytest.raises(TurnFailed):
        await bus.ask(Do())
