"""An app runs its parts until it is stopped, until one fails, or until all have ended."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from functools import partial
from signal import SIGINT, SIGTERM, getsignal
from typing import Any

import anyio
import anyio.to_thread
import pytest

from modd.app import App, AppFailed
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import AlreadyRunning, Worker
from tests.app.jobs import Brief, Failing, Job, Plain, Slow, Timed
from tests.worker.desk import Pay, item

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


async def run_and_stop(app: App, *begun: anyio.Event) -> None:
    """Run an app, and stop it when these events are set."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            for each in begun:
                await each.wait()
            app.stop()


async def test_all_parts_run_until_the_app_is_stopped_and_it_can_be_run_again() -> None:
    # AP-10
    log: list[str] = []
    jobs, timer = [Job("one", log=log), Job("two", log=log)], Timed("timer", log=log)
    app = App("shop", *jobs, timers=[timer])
    await run_and_stop(app, *(each.began for each in (*jobs, timer)))
    begins, rest = sorted(log[:3]), log[3:]
    assert begins == ["one begins", "timer begins", "two begins"]
    assert sorted(rest[:3]) == ["one is stopped", "timer is stopped", "two is stopped"]
    assert sorted(rest[3:]) == ["one ends", "timer ends", "two ends"]
    for job in (*jobs, timer):
        job.began, job.stopped = anyio.Event(), anyio.Event()
    await run_and_stop(app, *(each.began for each in jobs))
    assert app.last_run is not None
    assert (app.last_run.was_cancelled, app.last_run.second_signal, app.last_run.errors) == (False, None, [])


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
async def test_a_signal_stops_it_and_has_its_former_effect_afterwards(signal: int) -> None:
    # AP-10
    before, job = getsignal(SIGTERM), Job()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(App("shop", job).run)
            await job.began.wait()
            os.kill(os.getpid(), signal)
    assert not job.cancelled
    assert getsignal(SIGTERM) == before


async def test_while_it_runs_it_cannot_be_run_again() -> None:
    # AP-10
    app = App("shop", job := Job())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            await job.began.wait()
            with pytest.raises(AlreadyRunning, match="<App shop> is running; run it once at a time, and create a se"):
                await app.run()
            with pytest.raises(AlreadyRunning):
                async with app.running():
                    pass
            app.stop()
    assert job.log == ["job begins", "job is stopped", "job ends"]


async def test_it_is_stopped_from_a_thread_and_runs_without_signals_in_a_thread(anyio_backend: Any) -> None:
    # AP-10
    app, ready = App("shop", part := Plain()), threading.Event()

    async def run_until_told() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            while app.last_run is None:
                await anyio.lowlevel.checkpoint()
            await app.last_run.settled.wait()
            ready.set()

    before = getsignal(SIGTERM)
    name = str(anyio_backend)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, partial(anyio.run, run_until_told, backend=name))
            await anyio.to_thread.run_sync(ready.wait)
            assert getsignal(SIGTERM) == before
            with pytest.raises(AlreadyRunning):
                await app.run()
            app.stop()
    assert part.runs == 1


async def test_a_stop_before_the_run_ends_the_next_run_at_once_and_no_later_run() -> None:
    # AP-10
    app = App("shop", job := Job())
    app.stop()
    await app.run()
    assert (job.log, app.last_run) == ([], None)
    app.stop()
    async with app.running():
        assert (await app.status()).live is False
    await run_and_stop(app, job.began)
    assert job.log == ["job begins", "job is stopped", "job ends"]


def test_one_app_runs_on_asyncio_then_on_trio() -> None:
    # AP-16
    app = App("shop", part := Plain(), Worker(MemoryQueue(), CommandBus({Pay: lambda pay: None}, name="desk")))

    async def run() -> None:
        async with app.running():
            assert (await app.status()).ready

    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(run, backend=backend)
    assert part.runs == 3


def test_an_app_whose_loop_was_closed_runs_and_stops_in_the_next_loop() -> None:
    # AP-16
    app = App("shop", part := Plain())

    async def begin() -> None:
        asyncio.ensure_future(app.run())  # noqa: RUF006  # it is left behind
        while not part.runs:
            await anyio.lowlevel.checkpoint()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    app.stop()
    anyio.run(app.run, backend="trio")
    assert part.runs == 1
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


async def test_a_part_that_raises_stops_the_others_and_the_error_names_it() -> None:
    # AP-12
    job, error = Job("patient"), ValueError("broken")
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        await App("shop", job, Failing(error, after=job.began)).run()
    assert str(failed.value) == "shop: failing failed: ValueError: broken"
    assert failed.value.exceptions == (error,)
    assert (failed.value.parts, error.__notes__) == (("failing",), ["in the app shop: failing"])
    assert job.log == ["patient begins", "patient is stopped", "patient ends"]


async def test_the_errors_of_several_parts_are_all_there() -> None:
    # AP-12
    one, two = ValueError("one"), KeyError("two")
    late = Job("late", error=two)
    with anyio.fail_after(60), pytest.raises(AppFailed) as failed:
        await App("shop", late, Failing(one, after=late.began)).run()
    assert (failed.value.exceptions, failed.value.parts) == ((one, two), ("failing", "late"))
    assert two.__notes__ == ["in the app shop: late"]
    found, left = failed.value.split(ValueError)
    assert isinstance(found, AppFailed)
    assert isinstance(left, AppFailed)
    assert (found.parts, left.parts) == (("failing",), ("late",))


async def test_parts_that_have_not_begun_when_another_fails_do_not_begin_and_run_later() -> None:
    # AP-12
    queue = MemoryQueue()
    worker = Worker(queue, CommandBus({Pay: lambda pay: None}), max_messages=1)
    for order in ((0, 1), (1, 0)):
        parts = (Failing(ValueError("broken")), worker)
        with anyio.fail_after(60), pytest.raises(AppFailed):
            await App("shop", *(parts[at] for at in order)).run()
    await queue.put(item(Pay()))
    with anyio.fail_after(60):
        await worker.run()
    assert (await queue.stats()).ready == 0


async def test_a_part_that_returns_is_no_error_and_the_last_one_ends_the_app() -> None:
    # AP-12
    job, timer = Job(), Timed("timer")
    brief, last = Brief("brief", job.began), Brief("last", job.stopped)
    app = App("shop", brief, job, last, timers=[timer])
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            await job.began.wait()
            await timer.began.wait()
            while (await app.status()).parts["brief"] != "ended":
                await anyio.lowlevel.checkpoint()
            status = await app.status()
            assert (status.ready, status.parts["job"], timer.stopped.is_set()) == (True, "ok", False)
            job.stopped.set()
    assert timer.log == ["timer begins", "timer is stopped", "timer ends"]


async def test_an_app_of_timers_runs_until_it_is_stopped_or_all_have_ended() -> None:
    # AP-12
    timer = Timed("timer")
    await run_and_stop(App("shop", timers=[timer]), timer.began)
    assert timer.log == ["timer begins", "timer is stopped", "timer ends"]
    ended = Timed("ended")
    ended.stopped.set()
    with anyio.fail_after(60):
        await App("shop", timers=[ended]).run()
    assert ended.log == ["ended begins", "ended ends"]


async def test_what_happens_is_logged_without_values(caplog: pytest.LogCaptureFixture) -> None:
    # AP-15
    caplog.set_level(logging.INFO, "modd.app")
    jobs = [Slow("one"), Job("two"), Job("three")]
    app = App("shop", *jobs, timers=[Timed("timer")])
    jobs[0].may_be_ready.set()  # type: ignore[attr-defined]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            for job in jobs:
                await job.began.wait()
            while app.last_run is None or not app.last_run.settled.is_set():
                await anyio.lowlevel.checkpoint()
            os.kill(os.getpid(), SIGTERM)
    lines = [record.getMessage() for record in caplog.records if record.name == "modd.app"]
    assert [line.rstrip("0123456789. s") for line in lines] == [
        "shop: starting 3 parts, 1 timer",
        "shop: ready in",
        "shop: stopping (SIGTERM)",
        "shop: ended in",
    ]
