"""A relay that is stopped at any moment."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from modd.ports import Claim
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from tests.relay.places import Unsteady, bodies, running

pytestmark = pytest.mark.anyio


class Shielded(Unsteady):
    """A place that finishes its claims before a cancellation gets through."""

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        claims: list[Claim] = []
        with anyio.CancelScope(shield=True):
            claims = await super().claim(limit, lease)
        return claims


async def test_a_stop_before_it_runs_ends_the_next_run_and_no_more() -> None:
    outbox, queue = MemoryOutbox(), MemoryQueue()
    await outbox.put(b"1")
    relay = Relay(outbox, queue)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay.run)
        relay.stop()
    assert await bodies(queue) == []
    async with running(relay):
        await anyio.sleep(1)
    assert await bodies(queue) == [b"1"]


async def test_a_stop_does_not_wait_for_an_outbox_that_does_not_answer() -> None:
    # ST-50
    outbox = Unsteady(MemoryOutbox())
    outbox.slow = {"claim": 50}
    start = anyio.current_time()
    async with running(Relay(outbox, MemoryQueue(), poll=60)):
        await anyio.sleep(1)
    assert anyio.current_time() == start + 1


async def test_a_target_that_takes_too_long_after_a_stop_is_cancelled_and_the_batch_given_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # ST-50
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"1", b"2")
    queue.slow = {"put": 1000}
    relay, start = Relay(outbox, queue, drain=5, lease=100), anyio.current_time()
    async with running(relay):
        await anyio.sleep(1)
        relay.stop()
        await anyio.sleep(2)
    assert anyio.current_time() == start + 1 + 5
    assert (await bodies(queue.place), await bodies(outbox)) == ([], [b"1", b"2"])
    assert caplog.messages == ["the target took over 5 s after the stop; its items are released"]


async def test_what_is_claimed_after_a_stop_all_the_same_is_passed_on_or_given_back() -> None:
    for seconds, left in ((2, []), (1000, [b"1"])):
        outbox, queue = Shielded(MemoryOutbox()), Unsteady(MemoryQueue())
        await outbox.place.put(b"1")
        outbox.slow, queue.slow = {"claim": 5}, {"put": seconds}
        start = anyio.current_time()
        async with running(Relay(outbox, queue, drain=10)):
            await anyio.sleep(1)
        assert anyio.current_time() - start == (7 if seconds == 2 else 15)
        assert await bodies(outbox.place) == left


async def test_an_error_that_takes_the_place_of_a_cancellation_does_not_keep_it_running() -> None:
    class Awkward:
        async def put(self, *items: object) -> None:
            try:
                await anyio.sleep(100)
            except BaseException:
                raise ValueError("in the clean-up") from None

    outbox = MemoryOutbox()
    await outbox.put(b"1")
    start = anyio.current_time()
    with anyio.move_on_after(5) as scope:
        await Relay(outbox, Awkward()).run()
    assert (scope.cancelled_caught, anyio.current_time() - start) == (True, 5)
    assert await bodies(outbox) == [b"1"]


async def test_a_native_cancellation_is_not_lost_behind_an_error(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("trio has no native cancellation but that of scopes")

    class Awkward:
        async def put(self, *items: object) -> None:
            try:
                await anyio.sleep(100)
            finally:
                raise ValueError("in the clean-up")

    outbox = MemoryOutbox()
    await outbox.put(b"1")
    task = asyncio.ensure_future(Relay(outbox, Awkward()).run())
    await anyio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bodies(outbox) == [b"1"]
