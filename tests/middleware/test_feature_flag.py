"""Feature flags switch types off, with a fallback or an error."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, Message
from modd.cqrs import (
    Command,
    CommandBus,
    Envelope,
    Event,
    EventBus,
    FallbackUsed,
    FeatureDisabled,
    Handled,
    Next,
    NoHandler,
    Query,
    QueryBus,
)
from modd.errors import InvalidOption
from modd.middleware.feature_flag import FeatureFlag

pytestmark = pytest.mark.anyio


class Stranger(Command[None]):
    pass


class Create(Command[int]):
    name: str = "Ada"


class CreateAdmin(Create):
    pass


class Get(Query[str]):
    pass


class Created(Event):
    pass


def create(command: Create) -> int:
    return 1


def off(kind: type[Message]) -> bool:
    return False


async def off_later(kind: type[Message]) -> bool:
    await anyio.lowlevel.checkpoint()
    return False


async def fallback_later(command: Create) -> int:
    await anyio.lowlevel.checkpoint()
    return 7


async def test_what_is_on_is_handled_and_the_checker_is_given_the_type() -> None:
    # MI-51
    asked: list[type[Message]] = []

    async def on(kind: type[Message]) -> bool:
        asked.append(kind)
        return True

    bus = CommandBus([create], middleware=[FeatureFlag(on, intents={Create: {"fallback": lambda command: 7}})])
    dispatched = await bus.dispatch(Create())
    assert dispatched.result == 1 and not dispatched.envelope.has(FallbackUsed)
    assert asked == [Create]


@pytest.mark.parametrize("checker", [off, off_later])
async def test_what_is_off_without_a_fallback_is_an_error_that_names_the_intent(checker: Any) -> None:
    # MI-51
    bus = CommandBus([create], middleware=[FeatureFlag(checker)])
    with pytest.raises(FeatureDisabled, match="Create is switched off") as info:
        await bus.dispatch(Create())
    assert info.value.intent is Create


@pytest.mark.parametrize("checker", [off, off_later])
@pytest.mark.parametrize("fallback", [lambda command: 7, fallback_later])
async def test_what_is_off_with_a_fallback_has_its_result_and_goes_no_further(checker: Any, fallback: Any) -> None:
    # MI-51
    further: list[str] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        further.append("inner")
        await call_next(envelope)

    flag = FeatureFlag(checker, intents={Create: {"fallback": fallback}})
    bus = CommandBus([create], middleware=[flag, inner], clock=lambda: 5.0)
    dispatched = await bus.dispatch(Create())
    assert dispatched.results == (7,)
    assert dispatched.envelope.stamps[1:] == (FallbackUsed(at=5.0), Handled(7, "feature_flag", at=5.0))
    assert further == []


async def test_without_short_circuit_the_middleware_further_in_run_and_handlers_do_not() -> None:
    # MI-51 MI-13
    further: list[str] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        further.append("inner")

    def never(command: Create) -> int:
        raise AssertionError

    flag = FeatureFlag(off, intents={Create: {"fallback": lambda command: 0, "short_circuit": False}})
    bus = CommandBus([never], middleware=[flag, inner])
    assert (await bus.dispatch(Create())).results == (0,)
    assert further == ["inner"]


async def test_options_of_the_nearest_base_count_and_none_takes_a_fallback_away() -> None:
    # MI-51 MI-13
    flag = FeatureFlag(off, intents={Create: {"fallback": lambda command: 7}, CreateAdmin: {"fallback": None}})
    bus = CommandBus({Create: create, CreateAdmin: create}, middleware=[flag])
    assert await bus.ask(Create()) == 7
    with pytest.raises(FeatureDisabled):
        await bus.ask(CreateAdmin())


async def test_a_fallback_releases_no_events() -> None:
    # MI-51 MI-15
    heard: list[Message] = []

    def fallback(command: Create) -> int:
        return 7

    async def emits(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.emit(Created())
        await call_next(envelope)

    def hear(event: Created) -> None:
        heard.append(event)

    commands = CommandBus([create], middleware=[emits, FeatureFlag(off, intents={Create: {"fallback": fallback}})])
    await Bus([commands, hear])(Create())
    assert heard == []


async def test_one_flag_serves_buses_of_all_kinds() -> None:
    # MI-14 MI-60
    def get(query: Get) -> str:
        return "on"

    heard: list[Message] = []
    flag = FeatureFlag(lambda kind: kind is not Create, intents={Create: {"fallback": lambda command: 7}})
    commands, queries = CommandBus([create], middleware=[flag]), QueryBus([get], middleware=[flag])
    events = EventBus({Created: heard.append}, middleware=[flag])
    assert await commands.ask(Create()) == 7
    assert await queries.ask(Get()) == "on"
    await events.dispatch(Created())
    assert heard == [Created()]


async def test_errors_of_checker_and_fallback_come_out() -> None:
    # MI-51
    def broken(given: Any) -> Any:
        raise ZeroDivisionError

    for flag in (FeatureFlag(broken), FeatureFlag(off, intents={Create: {"fallback": broken}})):
        bus = CommandBus([create], middleware=[flag])
        with pytest.raises(ZeroDivisionError):
            await bus.dispatch(Create())


async def test_cancelled_in_checker_or_fallback_nothing_is_noted() -> None:
    # MI-51
    async def forever(given: Any) -> Any:
        await anyio.sleep_forever()

    for flag in (FeatureFlag(forever), FeatureFlag(off, intents={Create: {"fallback": forever}})):
        envelope = Envelope(Create())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await CommandBus([create], middleware=[flag]).dispatch(envelope)
        assert scope.cancelled_caught
        assert len(envelope.stamps) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fallback": 3}, "fallback=3"),
        ({"short_circuit": 0}, "short_circuit=0"),
        ({"fall_back": off}, "no such option"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(options: Any, text: str) -> None:
    # MI-13
    with pytest.raises(InvalidOption, match=text):
        FeatureFlag(off, intents={Create: options})
    with pytest.raises(InvalidOption, match="checker"):
        FeatureFlag(True)  # type: ignore[arg-type]  # pyright: ignore


async def test_options_for_a_type_that_is_not_handled_are_an_error_when_the_bus_is_checked() -> None:
    # MI-13
    with pytest.raises(NoHandler, match="Stranger"):
        CommandBus([create], middleware=[FeatureFlag(off, intents={Stranger: {"fallback": None}})]).check()
