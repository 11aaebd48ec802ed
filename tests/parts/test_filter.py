"""Filter passes fewer messages to a component."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from modd import (
    Bus,
    Delivery,
    Failure,
    InvalidOption,
    Message,
    NotAComponent,
    Observer,
    TurnFailed,
    UnresolvedAnnotation,
)
from modd.parts import Filter, Reaction
from tests.parts.components import Listener, Resource

pytestmark = pytest.mark.anyio


class Event(Message):
    n: int = 0


class Special(Event):
    pass


class Other(Message):
    pass


class Told(Message):
    n: int


async def test_only_the_listed_types_pass_and_subclasses_count() -> None:
    # MO-14
    heard = Listener()
    bus = Bus([Filter(heard, allow=[Event])])
    for message in (Event(1), Special(2), Other()):
        await bus(message)
    assert heard.messages == [Event(1), Special(2)]


async def test_denied_types_do_not_pass_even_if_allowed() -> None:
    # MO-14
    heard = Listener()
    bus = Bus([Filter(heard, allow=[Event, Other], deny=Special)])
    for message in (Event(1), Special(2), Other()):
        await bus(message)
    assert heard.messages == [Event(1), Other()]


async def test_an_empty_allow_list_lets_nothing_pass() -> None:
    # MO-14
    heard = Listener()
    await Bus([Filter(heard, allow=[])])(Other())
    assert heard.messages == []


async def test_a_predicate_is_asked_for_what_passes_by_type() -> None:
    # MO-14
    heard, asked = Listener(), list[int]()

    def odd(message: Event) -> bool:
        asked.append(message.n)
        return message.n % 2 == 1

    bus = Bus([Filter(heard, deny=[Other], where=odd)])
    for message in (Event(1), Event(2), Other(), Event(3)):
        await bus(message)
    assert heard.messages == [Event(1), Event(3)]
    assert asked == [1, 2, 3]


async def test_what_the_component_does_not_accept_is_not_accepted_because_it_is_allowed() -> None:
    # MO-14
    def take(message: Special) -> None: ...

    accepts = Filter(take, allow=[Event, Other]).accepts
    assert accepts.types == (Special,)
    assert [accepts.takes(kind) for kind in (Special, Event, Other)] == [True, False, False]


async def test_what_is_held_back_by_type_can_be_reported_as_not_received() -> None:
    # MO-14 MO-24
    missed: list[Message] = []

    class Watch(Observer):
        def unreceived(self, message: Message, bus: Any) -> None:
            missed.append(message)

    bus = Bus([Filter(Listener(), deny=Other)])
    with bus.observe(Watch()):
        await bus(Event())
        await bus(Other())
    assert missed == [Other()]


async def test_what_is_held_back_by_type_is_held_back_from_a_direct_call_too() -> None:
    # MO-14
    heard = Listener()
    denying = Filter(heard, deny=Other)
    denying(Other())
    denying(Event())
    assert heard.messages == [Event()]


def work(message: Event) -> Told:
    return Told(message.n)


async def work_async(message: Event) -> Told:
    return Told(message.n)


def work_generator(message: Event) -> Iterator[Told]:
    yield Told(message.n)


async def work_async_generator(message: Event) -> AsyncIterator[Told]:
    yield Told(message.n)


@pytest.mark.parametrize("component", [work, work_async, work_generator, work_async_generator])
async def test_results_of_every_kind_of_component_are_passed_on(component: Callable[..., Any]) -> None:
    # MO-14
    heard = Listener()
    await Bus([Filter(component, where=lambda message: message.n > 1), Filter(heard, allow=Told)])(Event(2))
    assert heard.messages == [Told(2)]


async def test_a_bus_in_filters_does_not_get_back_what_it_let_out() -> None:
    # MO-14 MO-6
    inside = Listener()
    inner = Bus([work, inside], inbound=[Event, Told], outbound=[Told])
    await Bus([Filter(Reaction(inner), deny=Other)])(Event(1))
    assert inside.messages == [Event(1), Told(1)], "Told only from within"


async def test_a_component_added_to_the_bus_inside_is_reached() -> None:
    # MO-14 MO-5
    heard = Listener()
    inner = Bus([work])
    outer = Bus([Filter(inner, deny=Told)])
    await outer(Other())

    def hear(message: Other) -> None:
        heard(message)

    inner.add(hear)
    await outer(Other())
    assert heard.messages == [Other()]


async def test_a_catch_all_in_a_filter_sees_failures_and_does_not_handle_them() -> None:
    # MO-14
    def boom(message: Event) -> None:
        raise ValueError("boom")

    heard, kept_out = Listener(), Listener()
    with pytest.raises(TurnFailed):
        await Bus([boom, Filter(heard, allow=Failure), Filter(kept_out, deny=Failure)])(Event())
    assert [type(message) for message in heard.messages] == [Failure]
    assert kept_out.messages == [Event()]


async def test_failures_are_handled_by_a_filtered_handler_only_if_they_pass() -> None:
    # MO-14
    handled: list[str] = []

    def boom(message: Event) -> None:
        raise (ValueError if message.n else KeyError)("boom")

    def handle(failure: Failure | Other) -> None:
        if isinstance(failure, Failure):
            handled.append(type(failure.error).__name__)

    await Bus([boom, Filter(handle)])(Event())
    with pytest.raises(TurnFailed):
        await Bus([boom, Filter(handle, deny=Failure)])(Event())
    with pytest.raises(TurnFailed):
        await Bus([boom, Filter(handle, allow=Other)])(Event())
    assert handled == ["KeyError"]

    choosing = Bus([boom, Filter(handle, where=lambda failure: isinstance(failure.error, KeyError))])
    await choosing(Event(0))
    with pytest.raises(TurnFailed) as info:
        await choosing(Event(1))
    assert [type(error) for error in info.value.exceptions] == [ValueError], "held back: raised once to the sender"
    assert handled == ["KeyError", "KeyError"]


async def test_a_predicate_that_holds_a_failure_back_from_a_catch_all_changes_nothing_for_its_handler() -> None:
    # MO-14
    def boom(message: Event) -> None:
        raise ValueError("boom")

    def handle(failure: Failure) -> None: ...

    heard = Listener()
    await Bus([boom, handle, Filter(heard, where=lambda message: isinstance(message, Event))])(Event())
    assert heard.messages == [Event()]


async def test_an_error_in_the_predicate_is_a_failure_of_the_filter() -> None:
    # MO-14
    bus = Bus([Filter(work, where=lambda message: message.missing)])
    with pytest.raises(TurnFailed) as info:
        await bus(Event())
    (error,) = info.value.exceptions
    assert isinstance(error, AttributeError)
    assert error.__notes__ == ["modd: raised by Filter(work) when given Event in bus"]


async def test_filters_are_opened_with_what_is_inside() -> None:
    # MO-14
    held = Resource()
    async with Bus([Filter(Filter(held), deny=Other)]) as bus:
        await bus(Event())
    assert held.log == ["opened", "Event", "closed"]


async def test_deliveries_name_the_filter_and_those_in_the_bus_inside_are_observed() -> None:
    # MO-14 MO-26
    seen: list[Any] = []

    class Watch(Observer):
        def began(self, delivery: Delivery) -> None:
            seen.append(delivery.component)

    filtered = Filter(Bus([work], name="inner"), deny=Other)
    outer = Bus([filtered])
    with outer.observe(Watch()):
        await outer(Event())
    assert seen == [filtered, work]
    assert (filtered.name, repr(filtered)) == ("Filter(inner)", "<Filter(inner)>")
    assert outer.find("Filter(inner)") is filtered
    assert "Filter(inner): Event" in str(outer.graph())


async def truthy(message: Message) -> bool:
    return False


class Truthy:
    async def __call__(self, message: Message) -> bool:
        return False


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"allow": "Event"}, "allow='Event': give a message type, or a list of them"),
        ({"deny": [Event, int]}, "give a message type"),
        ({"deny": 3}, "give a message type"),
        ({"allow": [Event, Event]}, "name each message type once"),
        ({"where": "n > 1"}, "where='n > 1': give a function"),
        ({"where": truthy}, "not async"),
        ({"where": Truthy()}, "not async"),
        ({"where": lambda: True}, r"a function of 1 argument \(too many positional arguments\)"),
    ],
)
async def test_options_that_cannot_work_fail_when_the_filter_is_made(options: Any, text: str) -> None:
    # MO-14 MO-13
    with pytest.raises(InvalidOption, match=text):
        Filter(work, **options)


async def test_a_function_that_tells_nothing_of_its_parameters_is_taken_as_it_is() -> None:
    # MO-14
    heard = Listener()
    where: Any = str  # `bool` has a signature in Python 3.13
    await Bus([Filter(heard, where=where)])(Other())
    assert heard.messages == [Other()]


async def test_a_predicate_that_gives_a_coroutine_is_an_error_and_does_not_let_all_pass() -> None:
    # MO-14
    heard = Listener()
    bus = Bus([Filter(heard, allow=Event, where=lambda message: truthy(message))])  # type: ignore[arg-type,return-value]  # pyright: ignore
    with pytest.raises(TurnFailed) as info:
        await bus(Event())
    assert isinstance(info.value.exceptions[0], InvalidOption)
    assert heard.messages == []


async def test_a_filter_around_what_is_no_component_fails_when_it_is_made() -> None:
    # MO-14 MO-13
    def lost(message: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore

    with pytest.raises(NotAComponent, match="cannot be a component"):
        Filter("work")  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(UnresolvedAnnotation, match="Nowhere"):
        Filter(lost)
