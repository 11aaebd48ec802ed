"""A worker tells at its start of messages that others have claimed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay, item, work_off

pytestmark = pytest.mark.anyio


class Untold(MemoryQueue):
    """A queue that cannot tell what it has."""

    error: Exception = OSError("broken")

    async def stats(self) -> Any:
        await anyio.lowlevel.checkpoint()
        raise self.error


def worker(queue: MemoryQueue) -> Worker:
    return Worker(queue, CommandBus({Pay: lambda pay: None}), lease=20)


@pytest.mark.parametrize(("number", "words"), [(1, "1 message is"), (2, "2 messages are")])
async def test_messages_that_others_have_claimed_are_told_at_the_start(
    number: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-86
    caplog.set_level("INFO", "modd.worker")
    queue = MemoryQueue()
    await queue.put(*[item(Pay()) for _ in range(3)])
    await queue.claim(number, 1000)
    await worker(queue).run_until_idle()
    await work_off(worker(queue), 1)
    died = "if that has died, claimed again in 20 s at the latest"
    assert caplog.messages == [f"the queue '#1': {words} leased by another worker; {died}"]


@pytest.mark.parametrize("make", [MemoryQueue, Untold])
async def test_without_such_messages_or_an_answer_nothing_is_told(
    make: type[MemoryQueue], caplog: pytest.LogCaptureFixture
) -> None:
    # AP-86
    caplog.set_level("INFO", "modd.worker")
    await work_off(worker(make()), 1)
    assert caplog.messages == []
