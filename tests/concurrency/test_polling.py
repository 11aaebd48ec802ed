"""The polls of an object, and waiting for one."""

from __future__ import annotations

import anyio
import pytest

from modd.concurrency.polling import Polling

pytestmark = pytest.mark.anyio


async def test_after_a_poll_nothing_is_waited_for_until_the_run_has_ended() -> None:
    # AP-31
    polling = Polling(1.0, lambda: 7.0)
    polling.note()
    with anyio.fail_after(60):
        await polling.wait()
    assert (polling.last, polling.problem(polling.last)) == (7.0, None)
    polling.end()
    assert (polling.last, polling.problem(polling.last)) == (7.0, "not polled yet")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await polling.wait()
    assert scope.cancelled_caught


async def test_all_that_wait_are_woken_by_a_poll() -> None:
    # AP-31
    polling = Polling(1.0, lambda: 7.0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(polling.wait)
            await anyio.lowlevel.checkpoint()
            polling.note()
