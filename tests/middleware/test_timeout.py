"""Timeout cancels dispatches that take too long."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.cqrs import Command, CommandBus, DispatchTimeout, NoHandler, Query, QueryBus
from modd.middleware.timeout import Timeout
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Work(Command[str]):
    seconds: float = 0.0


class Export(Work):
    pass


class Missing(Command[None]):
    pass


class Count(Query[int]):
    pass


async def work(command: Work) -> str:
    await anyio.sleep(command.seconds)
    return "done"


async def test_what_is_in_time_is_not_touched() -> None:
    bus = CommandBus([work], middleware=[Timeout(5)])
    assert await bus.ask(Work(4.9)) == "done"


async def test_what_takes_longer_is_cancelled_and_fails() -> None:
    bus = CommandBus([work], middleware=[Timeout(5)])
    start = anyio.current_time()
    with pytest.raises(DispatchTimeout) as caught:
        await bus.ask(Work(3600))
    assert anyio.current_time() - start == pytest.approx(5)
    assert (caught.value.intent, caught.value.seconds) == (Work, 5)
    assert isinstance(caught.value, TimeoutError)


async def test_a_time_out_of_the_handler_comes_out_as_it_is() -> None:
    error = TimeoutError("the database")

    async def fails(command: Work) -> str:
        raise error

    async def fails_late(command: Export) -> str:
        with anyio.fail_after(1):
            await anyio.sleep_forever()
        return "never"

    bus = CommandBus([fails, fails_late], middleware=[Timeout(5)])
    with pytest.raises(TimeoutError) as caught:
        await bus.ask(Work())
    assert caught.value is error
    with pytest.raises(TimeoutError) as late:
        await bus.ask(Export())
    assert not isinstance(late.value, DispatchTimeout)


@pytest.mark.parametrize("after", [1, 5])
async def test_a_cancellation_from_outside_stays_one(after: float) -> None:
    bus = CommandBus([work], middleware=[Timeout(5)])
    with anyio.move_on_after(after) as outside:
        await bus.ask(Work(3600))
    assert outside.cancelled_caught


async def test_what_the_handler_raises_when_it_is_cancelled_comes_out() -> None:
    async def work(command: Work) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("cannot be undone")

    with pytest.raises(ValueError, match="cannot be undone"):
        await CommandBus([work], middleware=[Timeout(5)]).ask(Work())


async def test_what_ends_all_the_same_counts() -> None:
    async def work(command: Work) -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10)
        return "late"

    assert await CommandBus([work], middleware=[Timeout(5)]).ask(Work()) == "late"


# MI-13
async def test_types_have_limits_of_their_own_or_none() -> None:
    handlers = {Work: work, Export: work}
    bus = CommandBus(handlers, middleware=[Timeout(5, intents={Export: {"seconds": 60}})])
    assert await bus.ask(Export(50)) == "done"
    with pytest.raises(DispatchTimeout):
        await bus.ask(Work(50))
    bus = CommandBus(handlers, middleware=[Timeout(5, intents={Export: {"seconds": None}})])
    assert await bus.ask(Export(5000)) == "done"


# MI-14
async def test_it_works_on_every_bus() -> None:
    async def slow(query: Count) -> int:
        await anyio.sleep(9)
        return 0

    with pytest.raises(DispatchTimeout, match="Count took longer than 5 s"):
        await QueryBus([slow], middleware=[Timeout(5)]).ask(Count())


@pytest.mark.parametrize("seconds", [0, -1, nan, inf, True, "5"])
def test_wrong_values_fail_at_once(seconds: Any) -> None:
    with pytest.raises(InvalidOption, match="seconds"):
        Timeout(seconds)
    with pytest.raises(InvalidOption, match="seconds"):
        Timeout(5, intents={Work: {"seconds": seconds}})


def test_misspelt_options_and_foreign_types_fail_before_anything_is_dispatched() -> None:
    with pytest.raises(InvalidOption, match="there are: seconds"):
        Timeout(5, intents={Work: {"second": 5}})  # type: ignore[typeddict-unknown-key]
    bus = CommandBus([work], middleware=[Timeout(5, intents={Missing: {"seconds": 1}})])
    with pytest.raises(NoHandler, match="Missing"):
        bus.check()
