"""A cancellation that nobody asked for, out of a queue or a target, is a failure of the store and is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from modd import StrayCancellation
from modd.concurrency.lease import LeaseKeeper
from modd.cqrs import CommandBus
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from modd.worker import Worker, run_workers
from modd.worker.source import log
from tests.virtual import anyio_backend  # noqa: F401  # a fixture
from tests.worker.desk import Pay, at_work, item

pytestmark = pytest.mark.anyio


def stray_once(place: Any, method: str) -> list[str]:
    """Let the first call of a method raise a cancellation of somebody else; returns the calls so far."""
    calls: list[str] = []
    real = getattr(place, method)

    async def call(*args: Any, **options: Any) -> Any:
        calls.append(method)
        if len(calls) == 1:
            raise asyncio.CancelledError
        return await real(*args, **options)

    setattr(place, method, call)
    return calls


@pytest.mark.parametrize("method", ["claim", "wait", "ack"])
async def test_a_queue_that_lets_one_out_is_asked_again(method: str) -> None:
    # DF-1
    queue, handled = MemoryQueue(), list[Pay]()
    calls = stray_once(queue, method)
    async with at_work(Worker(queue, CommandBus({Pay: handled.append}))):
        await anyio.sleep(10)
        await queue.put(item(Pay()))
        await anyio.sleep(10)
    assert handled == [Pay()] and len(calls) > 1
    assert (await queue.stats()).leased == 0


async def test_a_claim_whose_release_lets_one_out_is_free_when_its_lease_ends(caplog: pytest.LogCaptureFixture) -> None:
    # DF-1
    async def slow(pay: Pay) -> None:
        await anyio.sleep(100)

    queue = MemoryQueue()
    await queue.put(item(Pay()))
    stray_once(queue, "release")
    with anyio.move_on_after(1):
        await Worker(queue, CommandBus([slow])).run()
    assert any("could not be settled" in text for text in caplog.messages)


async def test_a_target_that_lets_one_out_gets_the_items_again() -> None:
    # DF-1
    outbox, queue = MemoryOutbox(), MemoryQueue()
    await outbox.put(b"1")
    relay = Relay(outbox, queue)
    stray_once(queue, "put")
    with anyio.move_on_after(10):
        await relay.run()
    assert (await queue.stats()).ready == 1


async def test_a_renewal_that_lets_one_out_is_tried_again_and_the_other_leases_are_kept() -> None:
    # DF-1
    class Lease:
        name, active, lost = "a lease", True, False

        def __init__(self) -> None:
            self.until, self.renewals = anyio.current_time() + 30, 0

        async def renew(self) -> bool:
            self.renewals += 1
            return True

        def lose(self) -> None:
            self.lost = True

    first, second = Lease(), Lease()
    stray_once(first, "renew")
    with anyio.move_on_after(35):
        await LeaseKeeper(30, log, shortest_pause=0.1).keep_all(lambda: (first, second))
    assert (first.renewals, second.renewals, first.lost) == (2, 3, False), "the try that failed is made good at once"


@pytest.mark.costly
async def test_workers_that_run_beside_a_job_that_lets_one_out_end_in_order() -> None:
    # DF-1
    class Job:
        async def run(self) -> None:
            raise asyncio.CancelledError

        def stop(self) -> None:
            pass

    with pytest.raises(StrayCancellation):
        await run_workers(Worker(MemoryQueue(), CommandBus({Pay: print})), Job())
