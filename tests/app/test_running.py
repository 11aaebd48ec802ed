"""An app that runs for a block."""

from __future__ import annotations

import logging
import os
from signal import SIGTERM, getsignal

import anyio
import pytest

from modd.app import App, AppFailed
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.app.jobs import Brief, Failing, Job, Slow, Timed
from tests.worker.desk import Pay, item

pytestmark = pytest.mark.anyio


async def test_the_block_begins_when_the_app_is_ready_and_at_its_end_the_app_has_ended() -> None:
    # AP-11
    queue, paid = MemoryQueue(), anyio.Event()
    before, slow = getsignal(SIGTERM), Slow()
    bus = CommandBus({Pay: lambda pay: paid.set()})
    app = App("shop", slow, Worker(queue, bus))

    async def use() -> None:
        async with app.running():
            status = await app.status()
            assert (status.ready, status.parts) == (True, {"slow": "ok", "worker": "ok"})
            assert getsignal(SIGTERM) == before
            assert bus.is_open
            await queue.put(item(Pay()))
            await paid.wait()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            await slow.began.wait()
            status = await app.status()
            assert (status.live, status.ready, status.parts["slow"]) == (True, False, "starting")
            slow.may_be_ready.set()
    assert slow.log == ["slow begins", "slow is stopped", "slow ends"]
    assert (await app.status()).parts == {"slow": "ended", "worker": "ended"}
    assert not bus.is_open


async def test_a_part_that_raises_cancels_the_block_and_is_raised_at_its_end() -> None:
    # AP-11
    job, block, error = Job(), Job("block", obeys=False), ValueError("broken")
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        async with App("shop", job, Failing(error, after=block.began)).running():
            await block.run()
    assert (failed.value.exceptions, block.cancelled, job.cancelled) == ((error,), True, False)


async def test_a_part_that_fails_before_the_app_is_ready_keeps_the_block_from_beginning() -> None:
    # AP-11
    for parts in ([Failing(ValueError("broken")), Slow()], [Slow(), Failing(ValueError("broken"))]):
        with anyio.fail_after(60), pytest.raises(AppFailed, match="failing failed"):
            async with App("shop", *parts).running():
                raise AssertionError("the block has begun")


async def test_the_error_of_the_block_is_raised_as_it_is_and_the_app_has_ended() -> None:
    # AP-11
    error, job = KeyError("block"), Job()
    with anyio.fail_after(60), pytest.raises(KeyError) as raised:
        async with App("shop", job).running():
            raise error
    assert raised.value is error
    assert job.log == ["job begins", "job is stopped", "job ends"]


async def test_the_errors_of_block_and_part_are_both_seen() -> None:
    # AP-11
    part, block = ValueError("part"), KeyError("block")
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        async with App("shop", Job("late", error=part)).running():
            raise block
    assert (failed.value.exceptions, failed.value.parts) == ((part, block), ("late", "the block of running()"))
    assert block.__notes__ == ["in the app shop: the block of running()"]


class Skipped(BaseException):
    """As test runners raise them: no group of errors takes it."""


@pytest.mark.parametrize("fails", [False, True])
async def test_an_error_that_no_group_takes_stays_as_it_is(fails: bool) -> None:
    # AP-11
    part = ValueError("part") if fails else None
    job = Job("late", error=part)
    with anyio.fail_after(60), pytest.raises(Skipped) as raised:
        async with App("shop", job).running():
            raise Skipped
    assert job.log == ["late begins", "late is stopped", "late ends"]
    cause = raised.value.__cause__
    assert (cause.exceptions if isinstance(cause, AppFailed) else None) == ((part,) if fails else None)


async def test_a_part_that_raises_when_it_is_stopped_is_raised_at_the_end() -> None:
    # AP-11
    error = ValueError("part")
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        async with App("shop", Job(error=error)).running():
            pass
    assert failed.value.exceptions == (error,)


async def test_an_app_that_ends_by_itself_or_is_stopped_leaves_the_block_alone() -> None:
    # AP-11
    with anyio.fail_after(60):
        async with App("shop", Brief()).running():
            await anyio.lowlevel.checkpoint()
        async with (app := App("shop", job := Job())).running():
            app.stop()
            while (await app.status()).live:
                await anyio.lowlevel.checkpoint()
    assert job.log == ["job begins", "job is stopped", "job ends"]


async def test_a_block_that_is_cancelled_cancels_the_parts() -> None:
    # AP-11
    job = Job(obeys=False)
    with anyio.fail_after(60):
        with anyio.CancelScope() as scope:
            async with App("shop", job).running():
                scope.cancel()
                await anyio.sleep_forever()
    assert (scope.cancelled_caught, job.cancelled) == (True, True)


async def test_a_cancellation_with_an_error_beside_it_cancels_the_parts() -> None:
    # AP-11
    job = Job(obeys=False)

    async def fail_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while it was cancelled")

    async def block(scope: anyio.CancelScope) -> None:
        async with App("shop", job).running(), anyio.create_task_group() as tasks:
            tasks.start_soon(fail_when_cancelled)
            tasks.start_soon(anyio.sleep_forever)
            await anyio.lowlevel.checkpoint()
            scope.cancel()

    with anyio.fail_after(60), anyio.CancelScope() as scope, pytest.raises(BaseExceptionGroup):
        await block(scope)
    assert job.log[-1] == "job ends"


async def test_signals_do_not_stop_it() -> None:
    # AP-11
    with anyio.fail_after(60), anyio.open_signal_receiver(SIGTERM) as signals:
        async with App("shop", job := Job()).running():
            os.kill(os.getpid(), SIGTERM)
            await anext(signals)
            assert not job.stopped.is_set()


async def test_a_part_that_returns_by_itself_is_logged_and_one_that_was_stopped_or_cancelled_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-83
    caplog.set_level(logging.INFO, "modd.app")
    parts = Brief("brief"), Job("other"), Slow("slow"), Brief("late")
    parts[2].may_be_ready.set()
    async with App("shop", *parts, timers=[ended := Timed("timer")]).running():
        ended.stopped.set()
        while "shop: timer has ended" not in caplog.messages:
            await anyio.lowlevel.checkpoint()
    with anyio.CancelScope() as scope:
        async with App("shop", Job()).running():
            scope.cancel()
    lines = [line for line in caplog.messages if line.endswith("has ended")]
    assert sorted(lines) == ["shop: brief has ended", "shop: late has ended", "shop: timer has ended"]
