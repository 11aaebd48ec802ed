"""Cancellation in the middle of a dispatch leaves everything right."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from modd import Bus, StrayCancellation
from modd.cqrs import CommandBus, Envelope, EventBus, Next
from tests.cqrs.shop import Create, Created

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


class Steps:
    """Waits at numbered places, and cancels at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0
        self.scope = anyio.CancelScope()

    async def __call__(self, *given: Any) -> None:
        self.count += 1
        if self.count == self.at:
            self.scope.cancel()
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("at", range(1, 6))
async def test_a_dispatch_that_is_cancelled_anywhere_is_over_and_the_next_one_works(at: int, concurrent: bool) -> None:
    # MO-3 MI-6
    step, seen = Steps(at), list[Envelope[Any]]()

    async def around(envelope: Envelope[Any], call_next: Next) -> None:
        seen.append(envelope)
        await step()
        await call_next(envelope)
        await step()

    async def handle(message: Create) -> int:
        await step()
        return 1

    bus = CommandBus([handle, handle], multiple=True, middleware=[around], concurrent=concurrent)
    with step.scope:
        await bus.dispatch(Create())
    assert step.scope.cancelled_caught is (at <= 4)
    assert not seen[0].open
    dispatched = await bus.dispatch(Create())
    assert dispatched.results == (1, 1) and dispatched.envelope.causation_id is None


async def test_handlers_side_by_side_are_all_cancelled_and_none_runs_on() -> None:
    # MI-6 MO-3
    log: list[str] = []

    def make(name: str) -> Any:
        async def handle(event: Created) -> None:
            log.append(f"+{name}")
            try:
                if name == "b":
                    scope.cancel()
                await anyio.sleep_forever()
            finally:
                log.append(f"-{name}")

        return handle

    with anyio.CancelScope() as scope:
        await EventBus([make("a"), make("b")]).dispatch(Created())
    assert scope.cancelled_caught and sorted(log) == ["+a", "+b", "-a", "-b"]


@on_asyncio
async def test_a_handler_that_was_cancelled_by_itself_is_no_success() -> None:
    # MI-6
    async def gone() -> None:
        task = asyncio.ensure_future(anyio.sleep_forever())
        await asyncio.sleep(0)
        task.cancel()
        await task

    async def waits_for_what_is_gone(event: Created) -> None:
        await gone()

    def other(event: Created) -> int:
        return 1

    for handlers in ([waits_for_what_is_gone], [waits_for_what_is_gone, other]):
        for concurrent in (True, False):
            bus = EventBus(handlers, concurrent=concurrent)
            with pytest.raises(StrayCancellation):
                await bus.dispatch(Created())


@on_asyncio
@pytest.mark.parametrize("concurrent", [True, False])
async def test_a_handler_that_raises_in_its_clean_up_swallows_no_cancellation(concurrent: bool) -> None:
    # MI-6 MO-3
    log: list[str] = []
    started = anyio.Event()

    async def clumsy(event: Created) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("clumsy")

    async def other(event: Created) -> None:
        await started.wait()
        if not concurrent:
            log.append("other")

    task = asyncio.ensure_future(EventBus([clumsy, other], concurrent=concurrent).dispatch(Created()))
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, ValueError)):
        await task
    assert log == [], "no other handler begins after the cancellation"


async def test_a_cancelled_command_in_a_bus_causes_nothing_more() -> None:
    # MO-3
    heard: list[Any] = []

    async def handle(envelope: Envelope[Create]) -> int:
        envelope.emit(Created())
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    bus = Bus([CommandBus([handle]), EventBus({Created: heard.append})])
    with anyio.CancelScope() as scope:
        await bus(Create())
    assert scope.cancelled_caught and heard == []
    with anyio.fail_after(60):
        await bus(Created())
    assert heard == [Created()]
