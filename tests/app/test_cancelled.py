"""A run of an app that is cancelled from outside, at each moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from modd.app import App, every
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.app.jobs import Plain
from tests.virtual import anyio_backend  # noqa: F401  # the fixture
from tests.worker.desk import Pay, item

pytestmark = pytest.mark.anyio


async def run_and_stop(app: App) -> None:
    """Run an app, and stop it when it is ready."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.run)
        while app.last_run is None or app.last_run.is_over:
            await anyio.lowlevel.checkpoint()
        await app.last_run.settled.wait()
        app.stop()


async def run_for_a_block(app: App) -> None:
    """Run an app for a block that waits a little; no time passes, as the one who cancels never rests."""
    async with app.running():
        for _ in range(3):
            await anyio.lowlevel.checkpoint()


async def cancel_after(checkpoints: int, action: Callable[[], Awaitable[None]]) -> bool:
    """Run an action, and cancel it after so many turns of the loop; return True if it was cancelled."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel, checkpoints, scope)
            await action()
            tasks.cancel_scope.cancel()
    return scope.cancelled_caught


async def _cancel(checkpoints: int, scope: anyio.CancelScope) -> None:
    for _ in range(checkpoints):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.parametrize("run", [run_and_stop, run_for_a_block])
async def test_a_run_that_is_cancelled_at_any_moment_leaves_nothing_behind(
    run: Callable[[App], Awaitable[None]],
) -> None:
    # AP-10 AP-11
    queue, handled = MemoryQueue(), list[Pay]()
    bus = CommandBus({Pay: handled.append})
    app = App("shop", Worker(queue, bus), Plain(), timers=[every(60, Pay(), to=bus, at_once=True)])
    moments = 0

    async def once() -> None:
        await run(app)

    with anyio.fail_after(10_000):
        while await cancel_after(moments, once):
            moments += 1
            assert not bus.is_open
            assert not (await app.status()).live
        await queue.put(item(Pay()))
        await run_for_a_block(app)
    assert moments > 5
    assert (await queue.stats()).ready == 0
