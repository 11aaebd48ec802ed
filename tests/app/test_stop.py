"""The stop of an app: in stages, in time, and what is cancelled in the end."""

from __future__ import annotations

import asyncio
import os
from signal import SIGINT, SIGTERM
from typing import Any

import anyio
import pytest

from modd.app import App, AppFailed
from tests.app.jobs import Failing, Job, Slow, Timed

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


async def test_timers_and_gateways_stop_first_and_the_others_when_the_gateway_has_ended() -> None:
    # AP-13
    log: list[str] = []
    worker, timer = Job("worker", log=log), Timed("timer", log=log)
    gateway = Timed("gateway", log=log)
    closed = anyio.Event()

    async def close() -> None:
        await gateway.stopped.wait()
        await closed.wait()

    gateway.work = close  # type: ignore[method-assign]
    app = App("shop", worker, gateway, timers=[timer])
    async with app.running():
        app.stop()
        while "timer ends" not in log:
            await anyio.lowlevel.checkpoint()
        status = await app.status()
        assert (status.live, status.ready, status.parts["worker"]) == (True, False, "ok")
        assert not worker.stopped.is_set()
        closed.set()
    assert sorted(log[3:5]) == ["gateway is stopped", "timer is stopped"]
    assert log[5:] == ["timer ends", "gateway ends", "worker is stopped", "worker ends"]


async def test_a_gateway_that_has_not_begun_holds_nothing_up() -> None:
    # AP-13
    gateway, job = Timed("gateway"), Job()
    app = App("shop", Failing(ValueError("at the start")), gateway, job)
    with anyio.fail_after(60), pytest.raises(AppFailed):
        await app.run()
    assert "gateway is stopped" not in gateway.log or "gateway ends" in gateway.log


async def test_a_second_signal_cancels_at_once(caplog: pytest.LogCaptureFixture) -> None:
    # AP-13
    stubborn, job = Job("stubborn", obeys=False), Job()
    app = App("shop", stubborn, job)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            await job.began.wait()
            await stubborn.began.wait()
            os.kill(os.getpid(), SIGTERM)
            await stubborn.stopped.wait()
            os.kill(os.getpid(), SIGINT)
    run = app.last_run
    assert run is not None
    assert (run.was_cancelled, run.second_signal) == (True, SIGINT)
    assert (stubborn.cancelled, job.cancelled) == (True, False)
    assert "shop: stubborn cancelled (a second signal, SIGINT)" in caplog.messages


async def test_a_part_whose_stop_raises_is_cancelled_and_its_error_is_raised() -> None:
    # AP-13
    error = RuntimeError("cannot stop")
    broken, job = Job("broken", obeys=False, stop_error=error), Job()
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        async with App("shop", broken, job).running():
            pass
    assert (failed.value.exceptions, failed.value.parts) == ((error,), ("broken",))
    assert (broken.cancelled, job.cancelled) == (True, False)


async def test_a_part_that_fails_while_others_are_stopped_does_not_hide_them() -> None:
    # AP-13
    one, two = ValueError("one"), ValueError("two")
    app = App("shop", Job("first", error=one), Job("second", error=two))
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        async with app.running():
            pass
    assert set(failed.value.exceptions) == {one, two}


async def test_a_part_that_cannot_tell_when_it_is_ready_fails() -> None:
    # AP-12
    async def fail() -> None:
        raise OSError("no port")

    slow, job = Slow(ready=fail), Job()
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        await App("shop", slow, job).run()
    assert [type(error) for error in failed.value.exceptions] == [OSError]
    assert slow.cancelled


async def test_a_part_that_fails_twice_raises_both_errors() -> None:
    # AP-12
    async def fail() -> None:
        raise OSError("no port")

    class Twice(Slow):
        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("in the end")

    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        await App("shop", Twice(ready=fail)).run()
    [both] = failed.value.exceptions
    assert isinstance(both, ExceptionGroup)
    assert [type(error) for error in both.exceptions] == [OSError, ValueError]


@pytest.mark.parametrize("moment", ["start", "ready", "stop"])
async def test_a_run_that_is_cancelled_cancels_its_parts_and_can_be_run_again(moment: str) -> None:
    # AP-10
    slow, job = Slow(), Job(obeys=False)
    app = App("shop", slow, job)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            await slow.began.wait()
            await job.began.wait()
            if moment != "start":
                slow.may_be_ready.set()
                assert app.last_run is not None
                await app.last_run.settled.wait()
            if moment == "stop":
                app.stop()
                await job.stopped.wait()
            tasks.cancel_scope.cancel()
    assert job.cancelled
    assert app.last_run is not None
    assert (app.last_run.is_over, (await app.status()).live) == (True, False)
    job.obeys = True
    slow.may_be_ready.set()
    with anyio.fail_after(60):
        async with app.running():
            pass


async def test_errors_of_parts_of_a_cancelled_run_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    # AP-12
    class Falls(Job):
        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                raise ValueError("while it was cancelled") from None

    falls = Falls("falls")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(App("shop", falls).run)
            await falls.began.wait()
            tasks.cancel_scope.cancel()
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == "shop: falls failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_native_cancellation_of_the_task_of_a_run_cancels_its_parts(anyio_backend: Any) -> None:
    # AP-10
    if anyio_backend != "asyncio":
        pytest.skip("trio has no cancellation but that of scopes")
    job = Job(obeys=False)
    task = asyncio.ensure_future(App("shop", job).run())
    await job.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.cancelled


async def test_a_part_that_stops_the_app_is_told_once() -> None:
    # AP-13
    job = Job()

    class Eager(Job):
        def stop(self) -> None:
            super().stop()
            app.stop()

    app = App("shop", eager := Eager("eager"), job)
    with anyio.fail_after(60):
        async with app.running():
            app.stop()
            app.stop()
    assert (job.log.count("job is stopped"), eager.log.count("eager is stopped")) == (1, 1)
