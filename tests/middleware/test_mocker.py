"""Made-up results in place of handlers."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import Command, CommandBus, Envelope, Event, EventBus, Handled, Next, NoHandler, Query, QueryBus
from modd.errors import InvalidOption
from modd.middleware.mocker import Mocker

pytestmark = pytest.mark.anyio


class Stranger(Command[None]):
    pass


class Create(Command[Any]):
    name: str = "Ada"


class CreateAdmin(Create):
    pass


class Get(Query[str]):
    pass


class Created(Event):
    pass


def never(message: Any) -> Any:
    raise AssertionError


async def shout(command: Create) -> str:
    await anyio.lowlevel.checkpoint()
    return command.name.upper()


@pytest.mark.parametrize(
    ("given", "result"), [(3, 3), (None, None), (lambda command: command.name, "Ada"), (shout, "ADA")]
)
async def test_it_notes_the_result_goes_on_and_handlers_are_skipped(given: Any, result: Any) -> None:
    # MI-52
    further: list[bool] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        further.append(envelope.has(Handled))
        await call_next(envelope)

    bus = CommandBus({Create: never}, middleware=[Mocker({Create: given}), inner], clock=lambda: 5.0)
    dispatched = await bus.dispatch(Create())
    assert dispatched.envelope.stamps[1:] == (Handled(result, "mocker", at=5.0),)
    assert further == [True]


async def test_all_of_several_handlers_are_skipped_and_no_events_released() -> None:
    # MI-52 MI-15
    bus = EventBus({Created: never}, middleware=[Mocker({Created: Created()})])
    bus.register(Created, never)
    dispatched = await bus.dispatch(Created())
    assert dispatched.results == (Created(),) and dispatched.events == ()


async def test_the_nearest_base_counts_and_other_types_pass_through() -> None:
    # MI-52 MI-13
    handlers = {Create: lambda command: "real", CreateAdmin: lambda command: "real admin"}
    assert await CommandBus(handlers, middleware=[Mocker({Create: 1})]).ask(CreateAdmin()) == 1
    bus = CommandBus(handlers, middleware=[Mocker({CreateAdmin: 0})])
    assert [await bus.ask(Create()), await bus.ask(CreateAdmin())] == ["real", 0]


async def test_one_mocker_serves_buses_of_all_kinds() -> None:
    # MI-14 MI-60
    mocker = Mocker({Create: 1, Get: "mocked"})
    assert await CommandBus({Create: never}, middleware=[mocker]).ask(Create()) == 1
    assert await QueryBus({Get: never}, middleware=[mocker]).ask(Get()) == "mocked"


async def test_an_error_comes_out_and_a_cancelled_one_notes_nothing() -> None:
    # MI-52
    async def forever(command: Create) -> None:
        await anyio.sleep_forever()

    with pytest.raises(AssertionError):
        await CommandBus({Create: never}, middleware=[Mocker({Create: never})]).ask(Create())
    envelope = Envelope(Create())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await CommandBus({Create: never}, middleware=[Mocker({Create: forever})]).dispatch(envelope)
    assert scope.cancelled_caught and not envelope.has(Handled)


async def test_what_cannot_work_is_an_error() -> None:
    # MI-13
    with pytest.raises(InvalidOption, match="give a mapping"):
        Mocker([Create])  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidOption, match="give message types as keys"):
        Mocker({"Create": 1})  # type: ignore[dict-item]  # pyright: ignore
    with pytest.raises(NoHandler, match="Stranger"):
        CommandBus({Create: never}, middleware=[Mocker({Stranger: 1})]).check()
