"""Work that goes on after the dispatch that started it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from modd import Bus
from modd.cqrs import CommandBus, Envelope, Next, NotOpen, QueryBus
from modd.middleware import Cacher, Logger
from modd.testing.clock import virtual_backend
from tests.cqrs.shop import Charge, Create, Get, numbered

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


async def test_work_may_dispatch_and_starts_no_more_while_the_bus_is_being_closed() -> None:
    # DF-24 MI-27
    done: list[str] = []

    async def work(envelope: Envelope[Any]) -> None:
        await anyio.sleep(1)
        done.append((await envelope.bus.dispatch(Charge())).result)
        with pytest.raises(NotOpen, match="is closing") as refused:
            envelope.bus.start(more, "more")
        done.append(refused.value.because[0].rpartition(".")[2])

    async def more(name: str) -> None:
        done.append(name)

    async with CommandBus([create, charge], middleware=[Later(work)]) as bus:
        await bus.dispatch(Create())
    assert done == ["paid", "more"]


@pytest.mark.parametrize("inside", [False, True])
async def test_no_dispatch_fails_because_its_bus_or_the_bus_around_closes(inside: bool) -> None:
    # DF-24
    done: list[str] = []

    async def get(query: Get) -> str:
        done.append(f"got {query.id}")
        return "one"

    async def write(level: int, event: str, fields: Mapping[str, Any]) -> None:
        await anyio.sleep(1)
        done.append(event)

    middleware = [Logger(write, background=True), Cacher(ttl=1, stale_ttl=60)]
    queries = QueryBus([get], middleware=middleware, clock=anyio.current_time)

    async def work(envelope: Envelope[Any] | None) -> None:
        for after in (1, 2):
            await anyio.sleep(after)  # the second result is stale, and its revalidation is refused
            done.append(await queries.ask(Get()))

    commands = CommandBus([create], middleware=[Later(work)])
    if inside:  # the bus that was entered last is left first, while the work of the first one goes on
        async with Bus([commands, queries]):
            await commands.dispatch(Create())
    else:
        async with queries:
            queries.start(work, None)
    assert [text for text in done if text != "processing" and text != "processed"] == ["got 1", "one"] * 2
    assert done.count("processing") == done.count("processed") == 2


async def test_work_that_comes_when_nothing_else_runs_is_refused_alike() -> None:
    # DF-24
    refused: list[str] = []

    class Leaving(Later):
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *error: object) -> None:
            with pytest.raises(NotOpen) as raised:
                await bus.dispatch(Create())
            refused.append(str(raised.value))

    bus = CommandBus([create, charge], middleware=[Leaving(print)])
    async with bus:
        assert await bus.ask(Charge()) == "paid"
    assert refused == [
        "commands has work for the background (print) and is closing, so it takes no new work; "
        "do the work at once, or leave it"
    ]
    with pytest.raises(NotOpen, match="is not open"):
        await bus.dispatch(Create())


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
