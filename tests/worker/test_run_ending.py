"""The end of a worker: nothing is lost, and it does not take longer than it may."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus
from modd.ports import Claim, Stats, Suspects
from modd.stores import MemoryQueue, MemoryStore
from modd.worker import Worker
from tests.worker.desk import Pay, item, work_off
from tests.worker.flaky import Flaky, Slow

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


async def test_a_worker_that_is_stopped_claims_no_more_and_lets_handlers_end() -> None:
    # ST-50
    queue, slow = MemoryQueue(), Slow(20)
    worker = Worker(queue, CommandBus({Pay: slow}), drain=30)
    await queue.put(item(Pay()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        await anyio.sleep(1)
        worker.stop()
        await queue.put(item(Pay()))
    assert anyio.current_time() == 20
    assert (slow.ended, await queue.stats()) == (1, Stats(ready=1, delayed=0, leased=0, dead=0))


async def test_when_draining_takes_too_long_the_rest_is_released_without_an_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # ST-50
    queue, slow = MemoryStore().queue("tills"), Slow(500)
    await queue.put(*[item(Pay(n)) for n in range(5)])
    worker = Worker(queue, CommandBus({Pay: slow}), drain=10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        await anyio.sleep(1)
        worker.stop()
    assert anyio.current_time() == 11
    assert (slow.cancelled, (await queue.stats()).ready) == (5, 5)
    assert [claim.attempt for claim in await queue.claim(9, 30)] == [1] * 5
    assert "worker tills: 5 messages released: handlers took too long to stop" in caplog.messages


async def test_a_worker_that_is_cancelled_releases_what_it_has() -> None:
    # ST-51
    queue, slow = MemoryQueue(), Slow()
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Pay: slow})), 5)
    [claim] = await queue.claim(1, 30)
    assert (slow.cancelled, claim.attempt) == (1, 1)


async def test_what_was_handled_is_acked_though_the_worker_is_cancelled_meanwhile() -> None:
    class Cancelling(MemoryQueue):
        async def ack(self, *claims: Claim) -> None:
            scope.cancel()
            await super().ack(*claims)

    queue, slow = Cancelling(), Slow(0)
    await queue.put(item(Pay()))
    with anyio.CancelScope() as scope:
        await Worker(queue, CommandBus({Pay: slow})).run()
    assert (slow.ended, await queue.stats()) == (1, EMPTY)


async def test_what_was_acked_before_the_cancellation_got_through_stays_acked(caplog: pytest.LogCaptureFixture) -> None:
    class Late(MemoryQueue):
        async def ack(self, *claims: Claim) -> None:
            await super().ack(*claims)
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    queue = Late()
    await queue.put(item(Pay()))
    with anyio.CancelScope() as scope:
        await Worker(queue, CommandBus({Pay: Slow(0)})).run()
    assert (await queue.stats(), caplog.messages) == (EMPTY, [])


async def test_a_store_that_hangs_holds_up_the_end_for_a_second_and_one_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # ST-64
    class Hanging(MemoryQueue):
        async def release(self, claim: Claim) -> None:
            await anyio.sleep(1000)

    for queue, seconds in ((Hanging(), 6), (Flaky(release=1), 5)):
        await queue.put(item(Pay()))
        started = anyio.current_time()
        await work_off(Worker(queue, CommandBus({Pay: Slow()})), 5)
        assert anyio.current_time() - started == seconds
    assert "could not be settled; free when the lease ends" in caplog.text


async def test_an_error_that_takes_the_place_of_a_cancellation_is_no_failure() -> None:
    async def pay(pay: Pay) -> None:
        try:
            await anyio.sleep(100)
        finally:
            raise ValueError("in the clean-up")

    queue: Any = MemoryQueue()
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus([pay])), 5)
    assert await queue.stats() == Stats(ready=1, delayed=0, leased=0, dead=0)


async def test_what_is_no_error_ends_the_worker_and_is_released() -> None:
    class Halt(BaseException):
        pass

    async def pay(pay: Pay) -> None:
        raise Halt

    queue = MemoryQueue()
    await queue.put(item(Pay()))
    with pytest.raises(BaseExceptionGroup) as ended:
        await Worker(queue, CommandBus([pay])).run()
    assert ended.value.subgroup(Halt) is not None
    assert (await queue.stats()).ready == 1


async def test_what_is_claimed_by_a_worker_that_is_cancelled_meanwhile_is_released() -> None:
    class Cancelling(MemoryQueue):
        async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
            claims = await super().claim(limit, lease, suspects=suspects)
            scope.cancel()
            return claims

    slow, queue = Slow(), Cancelling()
    await queue.put(*[item(Pay()) for _ in range(3)])
    with anyio.CancelScope() as scope:
        await Worker(queue, CommandBus({Pay: slow}), concurrency=2).run()
    assert slow.ended == 0
    assert (await queue.stats()).ready == 3


@pytest.mark.parametrize("goes_on", [False, True])
async def test_the_log_tells_of_a_message_whose_handler_ends_long_after_the_drain(
    goes_on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # DR-62
    async def resize(pay: Pay) -> None:
        with anyio.CancelScope(shield=True):  # as anyio.to_thread.run_sync does
            await anyio.sleep(20)
        if goes_on:
            await anyio.lowlevel.checkpoint()

    queue = MemoryQueue()
    await queue.put(item(Pay(), id="pay-1"))
    worker = Worker(queue, CommandBus({Pay: resize}), drain=3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        await anyio.sleep(1)
        worker.stop()
    assert anyio.current_time() == 20
    outcome = "released, and will be handled again" if goes_on else "settled"
    assert f"pay-1 is {outcome}, 16.0 s after its handler was cancelled" in caplog.text
    assert (await queue.stats()).ready == goes_on


@pytest.mark.costly
async def test_the_log_tells_which_messages_are_released(caplog: pytest.LogCaptureFixture) -> None:
    # DR-62
    queue = MemoryQueue()
    await queue.put(item(Pay(), id="pay-1"))
    caplog.set_level("INFO", "modd.worker")
    await work_off(Worker(queue, CommandBus({Pay: Slow()})), 5)
    assert caplog.messages == ["pay-1 is released, and will be handled again: its handler was cancelled"]
