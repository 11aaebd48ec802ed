"""The drain of an app by a virtual clock: how long its parts, buses and gateways have."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd import Bus, Message
from modd.app import App, AppFailed, every
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.app.jobs import Job, Timed
from tests.virtual import anyio_backend  # noqa: F401  # the fixture
from tests.worker.desk import Pay, item

pytestmark = pytest.mark.anyio


async def test_what_has_not_ended_two_seconds_after_the_drain_is_cancelled_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-13
    caplog.set_level(logging.INFO, "modd.app")
    stubborn, second, job = Job("stubborn", obeys=False), Job("deaf", obeys=False), Job()
    app = App("shop", stubborn, second, job, drain=0)
    async with app.running():
        begun = anyio.current_time()
        app.stop()
    assert anyio.current_time() - begun == 2
    run = app.last_run
    assert run is not None
    assert (run.was_cancelled, run.second_signal) == (True, None)
    assert [stubborn.cancelled, second.cancelled, job.cancelled] == [True, True, False]
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == "shop: stubborn, deaf cancelled (not ended 2 s after the stop)"


async def test_all_parts_have_the_drain_from_the_stop_on_even_if_a_gateway_takes_most_of_it() -> None:
    # AP-13
    gateway, worker = Timed("gateway"), Job("worker", obeys=False)

    async def close() -> None:
        await gateway.stopped.wait()
        await anyio.sleep(25)

    gateway.work = close  # type: ignore[method-assign]
    app = App("shop", worker, gateway, drain=30)
    begun = 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.run)
        await gateway.began.wait()
        await worker.began.wait()
        begun = anyio.current_time()
        app.stop()
        await worker.stopped.wait()
        assert anyio.current_time() - begun == 25
    assert anyio.current_time() - begun == 32
    assert worker.cancelled


async def test_a_gateway_that_hangs_leaves_the_others_two_seconds(caplog: pytest.LogCaptureFixture) -> None:
    # AP-13
    gateway, worker = Timed("gateway", obeys=False), Job("worker")
    app = App("shop", gateway, worker, drain=30)
    async with app.running():
        begun = anyio.current_time()
        app.stop()
        await worker.stopped.wait()
        assert anyio.current_time() - begun == 30
    assert anyio.current_time() - begun == 32
    assert (gateway.cancelled, worker.cancelled) == (True, False)
    assert "shop: gateway cancelled (not ended 32 s after the stop)" in caplog.messages


async def test_a_worker_releases_messages_whose_handlers_do_not_end() -> None:
    # AP-13
    queue, began = MemoryQueue(), anyio.Event()

    async def pay(pay: Pay) -> None:
        began.set()
        await anyio.sleep_forever()

    app = App("shop", Worker(queue, CommandBus([pay])), drain=5)
    await queue.put(item(Pay()))
    stopped: list[float] = []
    async with app.running():
        await began.wait()
        stopped.append(anyio.current_time())
    assert anyio.current_time() - stopped[0] == 7
    assert app.last_run is not None
    assert app.last_run.was_cancelled
    assert (await queue.stats()).ready == 1


class Opened:
    """A component that takes long to open or to close."""

    def __init__(self, *, opens: bool) -> None:
        self.opens, self.busy = opens, anyio.Event()

    async def __aenter__(self) -> None:
        if not self.opens:
            self.busy.set()
            await anyio.sleep_forever()

    async def __aexit__(self, *_: object) -> None:
        await anyio.sleep_forever()

    def __call__(self, message: Message) -> None:
        pass


@pytest.mark.parametrize("opens", [True, False])
async def test_a_bus_that_does_not_open_or_close_ends_with_the_drain(
    opens: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-13
    part, job = Opened(opens=opens), Job()
    app = App("shop", job, Worker(MemoryQueue(), Bus([CommandBus({Pay: print}), part], name="shut")), drain=1)
    stopped = 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.run)
        await (job.began if opens else part.busy).wait()
        stopped = anyio.current_time()
        app.stop()
    assert anyio.current_time() - stopped == 3
    assert job.began.is_set() is opens
    assert "shop: what is left cancelled (not ended 3 s after the stop)" in caplog.messages


class Sender(Timed):
    """A timer whose messages go to a bus, or to anything else."""

    def __init__(self, to: Any, name: str = "sender") -> None:
        super().__init__(name)
        self.to, self.name = to, name


async def test_buses_of_workers_and_timers_are_open_while_the_app_runs_each_opened_once() -> None:
    # AP-10
    bus = CommandBus({Pay: lambda pay: None}, name="desk")
    around = Bus([bus])
    app = App(
        "shop", Worker(MemoryQueue(), bus), Worker(MemoryQueue(), bus), timers=[Sender(bus), Sender(print, "other")]
    )
    async with app.running():
        assert around.is_open
    assert not around.is_open
    async with around, app.running():
        assert around.is_open


async def test_a_bus_that_cannot_be_opened_is_an_error_and_nothing_runs() -> None:
    # AP-12
    class Broken(Opened):
        async def __aenter__(self) -> None:
            raise ValueError("does not open")

    job = Job()
    bus = Bus([CommandBus({Pay: print}), Broken(opens=True)], name="shut")
    with pytest.raises(AppFailed) as failed:
        await App("shop", job, timers=[Sender(bus)]).run()
    assert (failed.value.parts, job.log) == (("opening or closing a bus",), [])


async def test_a_timer_sends_to_a_bus_that_the_app_opens_and_a_firing_that_is_under_way_is_waited_for() -> None:
    # AP-13
    began, ended, stopped = anyio.Event(), list[float](), list[float]()

    async def pay(pay: Pay) -> None:
        began.set()
        await anyio.sleep(10)
        ended.append(anyio.current_time())

    bus = CommandBus([pay])
    app = App("shop", timers=[every(60, Pay(), to=bus)], drain=30)
    async with app.running():
        assert bus.is_open
        assert (await app.status()).parts == {"timer Pay": "ok"}
        await began.wait()
        stopped.append(anyio.current_time())
    assert ended == [stopped[0] + 10] == [anyio.current_time()]
    assert not bus.is_open
