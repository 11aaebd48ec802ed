"""A cancellation that nobody asked for is an error of the work that raised it, and of nothing around it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest

from modd import Bus, Failure, StrayCancellation, TurnFailed
from modd.cqrs import CommandBus, Envelope, EventBus, Next, QueryBus
from modd.middleware import Cacher, CircuitBreaker, Lock, Logger, Retryer
from modd.stores import MemoryLocks
from tests.cqrs.shop import Create, Created, Find, Get

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


async def stray(*_: Any) -> Any:
    """Raises what a task raises that awaits a cancelled future; trio has no such future, and lets the error through."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("concurrent", [True, False])
async def test_a_stray_cancellation_is_a_failure_of_its_component_alone(concurrent: bool) -> None:
    # DF-1
    seen: list[Any] = []

    async def gone(message: Created) -> None:
        await stray()

    async def yields(message: Created) -> Any:
        yield Find()
        await stray()

    def at_once(message: Created) -> None:
        raise asyncio.CancelledError

    def keep(message: Created | Find) -> None:
        seen.append(message)

    async def rescue(failure: Failure) -> None:
        seen.append(type(failure.error))

    parts = [gone, yields, at_once, keep]
    bus = Bus(parts, concurrent=concurrent)
    with pytest.raises(TurnFailed) as caught:
        await bus(Created())
    assert [type(error) for error in caught.value.exceptions] == [StrayCancellation] * 3
    assert isinstance(caught.value.exceptions[0].__cause__, asyncio.CancelledError)
    assert seen == [Created(), Find()]
    seen.clear()
    await Bus([*parts, rescue], concurrent=concurrent)(Created())
    assert seen.count(StrayCancellation) == 3


@pytest.mark.parametrize("concurrent", [True, False])
async def test_the_other_handlers_of_an_event_run(concurrent: bool) -> None:
    # DF-1
    seen: list[str] = []

    async def gone(event: Created) -> None:
        await stray()

    async def keep(event: Created) -> None:
        seen.append(event.name)

    bus = EventBus([gone, keep], concurrent=concurrent)
    with pytest.raises(StrayCancellation):
        await bus.dispatch(Created())
    assert seen == ["Ada"]


@on_asyncio
async def test_one_sender_that_is_cancelled_cancels_no_other_that_shares_its_future() -> None:
    # DF-1
    shared: list[asyncio.Future[None]] = []
    seen, loading = list[str](), anyio.Event()

    async def load(event: Created) -> None:
        if not shared:
            shared.append(asyncio.ensure_future(asyncio.sleep(60)))
            loading.set()
        await shared[0]

    async def keep(event: Created) -> None:
        with anyio.move_on_after(1):
            await asyncio.wait(shared or [asyncio.ensure_future(asyncio.sleep(0))])
        seen.append(event.name)

    events = EventBus([load, keep])
    first = asyncio.ensure_future(events.dispatch(Created("first")))
    await loading.wait()
    second = asyncio.ensure_future(Bus([events])(Created("second")))
    await asyncio.sleep(0)
    first.cancel()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert isinstance(outcomes[1], TurnFailed) and isinstance(outcomes[1].exceptions[0], StrayCancellation)
    assert seen == ["second"]


@on_asyncio
async def test_a_component_that_cancels_the_task_that_it_runs_in_beside_others_has_failed() -> None:
    # DF-1
    seen: list[str] = []

    async def gone(event: Created) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def keep(event: Created) -> None:
        await asyncio.sleep(0)
        seen.append(event.name)

    with pytest.raises(TurnFailed) as caught:
        await Bus([gone, keep], concurrent=True)(Created())
    assert [type(error) for error in caught.value.exceptions] == [StrayCancellation]
    with pytest.raises(StrayCancellation):
        await EventBus([gone, keep]).dispatch(Created())
    assert seen == ["Ada", "Ada"]


@on_asyncio
async def test_a_cancellation_of_the_sender_stays_one_also_while_it_cleans_up_after_one() -> None:
    # DF-1
    async def waits(command: Create) -> int:
        await asyncio.sleep(60)
        return 1

    async def around(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)

    async def gone(event: Created) -> None:
        await stray()

    outcomes: list[str] = []

    async def sender() -> None:
        try:
            await CommandBus([waits], middleware=[around]).dispatch(Create())
        finally:
            for send in (EventBus([gone]).dispatch, Bus([gone])):
                try:
                    await send(Created())
                except (StrayCancellation, TurnFailed) as failed:
                    outcomes.append(type(failed).__name__)

    task = asyncio.ensure_future(sender())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes == ["StrayCancellation", "TurnFailed"]


async def test_a_middleware_that_lets_one_out_has_failed() -> None:
    # DF-1
    async def gone(envelope: Envelope[Any], call_next: Next) -> None:
        await stray()

    for bus in (CommandBus([create], middleware=[gone]), Bus([CommandBus([create], middleware=[gone])])):
        with pytest.raises(StrayCancellation):
            await bus.ask(Create())


def create(command: Create) -> int:
    return 1


async def test_what_watches_over_a_dispatch_counts_it_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    # DF-1
    calls = 0

    async def twice(envelope: Envelope[Any], call_next: Next) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            await stray()
        await call_next(envelope)

    breaker = CircuitBreaker(4, reset_after=60)
    lock = Lock(lambda envelope: "key")
    bus = CommandBus([create], middleware=[Retryer(backoff="none"), breaker, lock, Logger(), twice])
    assert await bus.ask(Create()) == 1
    assert calls == 3
    assert sum("StrayCancellation" in record.getMessage() for record in caplog.records) == 2


async def test_a_log_adapter_that_lets_one_out_changes_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    # DF-1
    for background in (True, False):
        logger = Logger(stray, background=background)
        async with CommandBus([create], middleware=[logger]) as bus:
            assert await bus.ask(Create()) == 1
    assert sum("could not be written" in text for text in caplog.messages) == 4


async def test_a_lock_that_cannot_be_released_for_one_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    # DF-1
    class Locks(MemoryLocks):
        async def release(self, key: str, token: str) -> None:
            await stray()

    bus = CommandBus([create], middleware=[Lock(lambda envelope: "key", locks=Locks())])
    assert await bus.ask(Create()) == 1
    assert any("was not released" in text for text in caplog.messages)


async def test_work_in_the_background_that_lets_one_out_is_logged_and_the_bus_stays_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # DF-1
    calls, now, renewed = 0, [0.0], anyio.Event()

    async def get(query: Get) -> str:
        nonlocal calls
        calls += 1
        if calls == 2:
            renewed.set()
            await stray()
        return str(calls)

    async with QueryBus([get], middleware=[Cacher(ttl=1, stale_ttl=60)], clock=lambda: now[0]) as queries:
        assert await queries.ask(Get()) == "1"
        now[0] = 2
        assert await queries.ask(Get()) == "1"
        await renewed.wait()
        assert await queries.ask(Get(2)) == "3"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["work in the background of queries failed"]
