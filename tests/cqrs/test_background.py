"""Work that goes on after the dispatch that started it."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus, Envelope, Next
from modd.testing.clock import virtual_backend
from tests.cqrs.shop import Charge, Create, numbered

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """Both loops, with a clock that jumps."""
    return virtual_backend(request.param)


class Later:
    """A middleware that has something done after the dispatch."""

    background_work = "later"

    def __init__(self, work: Any) -> None:
        self.work = work

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        if isinstance(envelope.message, Create):
            envelope.bus.start(self.work, envelope)


def create(message: Create) -> int:
    return 1


def charge(message: Charge) -> str:
    return "paid"


async def test_closing_waits_for_the_work() -> None:
    # MI-27
    done: list[float] = []

    async def work(envelope: Envelope[Any]) -> None:
        await anyio.sleep(20)
        done.append(anyio.current_time())

    async with CommandBus([create], middleware=[Later(work)]) as bus:
        start = anyio.current_time()
        await bus.dispatch(Create())
        assert anyio.current_time() == start and done == []
    assert done == [start + 20]


async def test_closing_waits_no_longer_than_its_timeout() -> None:
    # MI-27
    cancelled: list[str] = []

    async def work(envelope: Envelope[Any]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(envelope.id)

    for timeout in (0, 5.0, 30.0):
        options = {} if timeout == 30.0 else {"drain": timeout}
        async with CommandBus([create], middleware=[Later(work)], new_id=numbered(), **options) as bus:  # type: ignore[arg-type]
            await bus.dispatch(Create())
            await anyio.sleep(100)
            start = anyio.current_time()
        assert anyio.current_time() == start + timeout
    assert cancelled == ["id-1"] * 3


async def test_an_error_is_logged_and_ends_only_its_own_work(caplog: pytest.LogCaptureFixture) -> None:
    # MI-27
    done: list[str] = []

    async def work(envelope: Envelope[Any]) -> None:
        if envelope.message.name == "bad":
            raise ValueError("boom")
        await anyio.sleep(1)
        done.append(envelope.message.name)

    with caplog.at_level(logging.ERROR):
        async with CommandBus([create], middleware=[Later(work)], name="shop") as bus:
            for name in ("bad", "good"):
                await bus.dispatch(Create(name))
    assert done == ["good"]
    (record,) = caplog.records
    assert record.name == "modd.shop" and record.exc_info is not None
    assert record.exc_info[0] is ValueError


async def test_work_is_outside_of_what_started_it() -> None:
    # MI-27 MO-8
    causes: list[str | None] = []

    async def work(envelope: Envelope[Any]) -> None:
        causes.append((await envelope.bus.dispatch(Charge())).envelope.causation_id)

    async with CommandBus([create, charge], middleware=[Later(work)]) as bus:
        await bus.dispatch(Create())
        await anyio.sleep(1)
    assert causes == [None]


async def test_work_may_dispatch_and_start_more_while_the_bus_is_being_closed() -> None:
    # MI-27
    done: list[str] = []

    async def work(envelope: Envelope[Any]) -> None:
        await anyio.sleep(1)
        done.append((await envelope.bus.dispatch(Charge())).result)
        envelope.bus.start(more, "more")

    async def more(name: str) -> None:
        await anyio.sleep(1)
        done.append(name)

    async with CommandBus([create, charge], middleware=[Later(work)]) as bus:
        await bus.dispatch(Create())
    assert done == ["paid", "more"]


async def test_a_redispatch_in_the_background_does_not_start_it_for_ever() -> None:
    # MI-10 MI-27
    runs: list[int] = []

    async def work(envelope: Envelope[Any]) -> None:
        if len(runs) < 3:
            runs.append((await envelope.bus.dispatch(envelope.again())).result)

    async with CommandBus([create], middleware=[Later(work)]) as bus:
        await bus.dispatch(Create())
        await anyio.sleep(1)
    assert runs == [1, 1, 1]


async def test_the_dispatch_that_started_it_may_be_cancelled() -> None:
    # MI-27 MO-3
    done: list[str] = []

    async def work(envelope: Envelope[Any]) -> None:
        await anyio.sleep(1)
        done.append("done")

    async def hang(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        scope.cancel()
        await anyio.sleep_forever()

    async with CommandBus([create], middleware=[hang, Later(work)]) as bus:
        with anyio.CancelScope() as scope:
            await bus.dispatch(Create())
    assert scope.cancelled_caught and done == ["done"]
