"""What can be a handler, and what handlers take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from modd import Bus, UnresolvedAnnotation
from modd.cqrs import Ask, Command, CommandBus, Emit, Envelope, EventBus, Handled, InvalidHandler, NoHandler, QueryBus
from tests.cqrs.shop import Charge, Create, Created, CreatedByAdmin, Get, Plain
from tests.names import stable_id

pytestmark = pytest.mark.anyio


def plain(message: Create) -> int:
    return 1


async def coroutine(message: Create) -> int:
    return 1


async def whole(envelope: Envelope[Create]) -> int:
    return len(envelope.stamps)


async def bare_envelope(envelope: Envelope) -> int:
    return len(envelope.stamps)


def awaits(message: Create) -> Any:
    return coroutine(message)


def with_defaults(message: Create, times: int = 1, *args: int, key: str = "", **more: int) -> int:
    return times


def with_first(count: int, message: Create) -> int:
    return count


def star(*messages: Any, **more: Any) -> int:
    return len(messages)


def positional(message: Create, /) -> int:
    return 1


def bare(message):  # type: ignore[no-untyped-def]
    return 1


class Handler:
    def __call__(self, message: Create) -> int:
        return 1

    async def method(self, message: Create, emit: Emit) -> int:
        emit(Created())
        return 1

    @staticmethod
    def static(message: Create) -> int:
        return 1

    @classmethod
    def of_class(cls, envelope: Envelope[Create]) -> int:
        return 1


def decorated() -> Any:
    def same(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    return same(whole)


HANDLERS: list[Any] = [
    plain,
    coroutine,
    whole,
    bare_envelope,
    awaits,
    with_defaults,
    partial(with_first, 1),
    partial(with_defaults, key="x"),
    star,
    positional,
    bare,
    Handler(),
    Handler().method,
    Handler.static,
    Handler().of_class,
    decorated(),
    lambda message: 1,
]


@pytest.mark.parametrize("handler", HANDLERS, ids=stable_id)
async def test_callables_of_every_kind_can_handle(handler: Any) -> None:
    # MI-1
    bus = CommandBus({Create: handler})
    for _ in range(2):
        assert (await bus.dispatch(Create())).result == 1


@pytest.mark.parametrize(
    "handler",
    [plain, whole, with_defaults, partial(with_first, 1), Handler(), Handler().of_class, decorated()],
    ids=stable_id,
)
def test_what_it_handles_is_read_from_its_first_parameter(handler: Any) -> None:
    # MI-1
    assert CommandBus([handler]).types == (Create,)


async def test_a_union_is_handled_by_one_handler() -> None:
    # MI-1
    async def either(message: Create | Charge) -> Any:
        return type(message).__name__

    async def either_envelope(envelope: Envelope[Create | Charge]) -> Any:
        return type(envelope.message).__name__

    for handler in (either, either_envelope):
        bus = CommandBus([handler])
        assert bus.types == (Create, Charge)
        assert [await bus.ask(Create()), await bus.ask(Charge())] == ["Create", "Charge"]


@pytest.mark.parametrize("handler", [bare, bare_envelope, star, lambda message: 1], ids=stable_id)
def test_a_first_parameter_that_does_not_say_it_is_refused_without_a_type(handler: Any) -> None:
    # MI-1
    with pytest.raises(InvalidHandler, match=r"annotate it or use register\(Type"):
        CommandBus([handler])


def takes_nothing() -> int:
    return 1


def takes_a_number(number: int) -> int:
    return 1


def takes_a_keyword(*, message: Create) -> int:
    return 1


def yields(message: Create) -> Iterator[int]:
    yield 1


async def yields_async(message: Create) -> AsyncIterator[int]:
    yield 1


class Yields:
    def __call__(self, message: Create) -> Iterator[int]:
        yield 1


class YieldsAsync:
    async def __call__(self, message: Create) -> AsyncIterator[int]:
        yield 1


def wants_more(message: Create, more: int) -> int:
    return more


def wants_a_name(message: Create, more) -> int:  # type: ignore[no-untyped-def]
    return 1


def wants_a_list(message: Create, more: list[int]) -> int:
    return 1


REFUSED: list[tuple[Any, str]] = [
    (takes_nothing, "takes no message"),
    (takes_a_keyword, "takes no message"),
    (Handler, "give a function"),
    (3, "give a function"),
    ([plain], "give a function"),
    ({}.update, "signature|parameters"),
    (yields, "it yields"),
    (yields_async, "it yields"),
    (Yields(), "it yields"),
    (YieldsAsync(), "it yields"),
    (wants_more, "'more' has the annotation int, and this bus can provide: Envelope, Emit, Ask, Transaction"),
    (wants_a_name, "'more' has no annotation"),
    (wants_a_list, "resources"),
]


@pytest.mark.parametrize(("handler", "reason"), REFUSED, ids=stable_id)
def test_what_cannot_handle_is_refused_when_it_is_registered(handler: Any, reason: str) -> None:
    # MI-1
    bus = CommandBus(name="shop")
    with pytest.raises(InvalidHandler, match=reason) as info:
        bus.register(Create, handler)
    assert isinstance(info.value, TypeError) and bus.types == ()


def test_a_first_parameter_that_is_no_message_is_refused() -> None:
    # MI-1
    with pytest.raises(InvalidHandler, match="does not say what it takes"):
        CommandBus([takes_a_number])


def test_a_command_or_query_has_one_handler_unless_several_are_meant() -> None:
    # MI-1
    bus = CommandBus([plain])
    with pytest.raises(InvalidHandler, match=r"commands has plain for Create; give multiple=True"):
        bus.register(Create, coroutine)
    several = CommandBus([plain, coroutine], multiple=True)
    assert several.types == (Create,)


def test_a_local_type_is_found_in_the_closure_and_its_absence_is_explained() -> None:
    # MI-1
    class Local(Command[int]):
        pass

    def uses(message: Local) -> int:
        return int(isinstance(message, Local))

    assert CommandBus([uses]).types == (Local,)

    class Hidden(Command[int]):
        pass

    def hides(message: Hidden) -> int:
        return 1

    with pytest.raises(UnresolvedAnnotation, match="local type"):
        CommandBus([hides])


async def test_a_handler_can_take_envelope_emit_and_ask_in_any_order() -> None:
    # MI-15 MO-27
    async def handle(message: Create, emit: Emit, ask: Ask, *, envelope: Envelope[Create]) -> int:
        emit(Created(await ask(Get(5))))
        return len(envelope.id)

    queries = QueryBus({Get: lambda query: f"user {query.id}"})
    commands = CommandBus([handle], new_id=lambda: "12345")
    heard: list[str] = []
    events = EventBus({Created: lambda event: heard.append(event.name)})
    assert await Bus([commands, queries, events]).ask(Create()) == 5
    assert heard == ["user 5"]


async def test_a_handler_that_takes_the_envelope_first_may_take_it_twice() -> None:
    # MI-8
    async def handle(envelope: Envelope[Create], message: Envelope[Create]) -> int:
        return int(envelope is message)

    assert await CommandBus([handle]).ask(Create()) == 1


async def test_the_handler_is_named_in_its_stamp() -> None:
    # MI-5
    handled = (await CommandBus([partial(with_first, 1)]).dispatch(Create())).envelope.first(Handled)
    assert handled is not None and handled.handler == "with_first"
    named = CommandBus()
    named.register(Create, plain, "the creator")
    handled = (await named.dispatch(Create())).envelope.first(Handled)
    assert handled is not None and handled.handler == "the creator"


async def test_a_base_class_of_events_takes_all_that_derive_from_it() -> None:
    # MI-6
    async def heard(event: Created) -> Any:
        return type(event).__name__

    bus = EventBus([heard])
    assert (await bus.dispatch(CreatedByAdmin())).results == ("CreatedByAdmin",)
    with pytest.raises(NoHandler, match="Plain"):
        await bus.dispatch(Plain())
