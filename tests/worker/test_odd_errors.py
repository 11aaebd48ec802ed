"""Unusual errors of handlers: each message becomes a dead letter in the end, and holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from modd.cqrs import CommandBus
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker
from tests.worker.desk import Pay, item, work_off

pytestmark = pytest.mark.anyio


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raising(error: BaseException) -> Callable[[Pay], None]:
    def fail(pay: Pay) -> None:
        raise error

    return fail


async def test_an_error_without_a_text_is_a_failure_like_others() -> None:
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Pay: raising(Silent())}), attempts=1))
    [dead] = await queue.dead()
    assert dead.reason == "Silent, whose text raises ValueError"


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_half_a_character_in_an_error_is_kept_by_its_number(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        queue = store.queue("a")
        await queue.put(item(Pay()))
        bus = CommandBus({Pay: raising(ValueError("no file \udcff"))})
        await Worker(queue, bus, attempts=1, max_messages=1).run()
        assert [dead.reason for dead in await queue.dead()] == ["ValueError: no file \\udcff"]


@pytest.mark.parametrize(
    "error", [BaseException("odd"), BaseExceptionGroup("some", [SystemExit(), KeyboardInterrupt()])]
)
async def test_what_ends_its_worker_counts_as_an_attempt_so_that_it_is_buried_in_the_end(error: BaseException) -> None:
    # ST-42
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    for _ in range(2):
        with pytest.raises(BaseException) as raised:  # noqa: PT011  # the loops wrap it in different ways
            await work_off(Worker(queue, CommandBus({Pay: raising(error)}), attempts=2))
        assert not isinstance(raised.value, Exception)
    await work_off(Worker(queue, CommandBus({Pay: raising(error)}), attempts=2))
    assert [dead.reason for dead in await queue.dead()] == ["it was claimed 3 times and never settled"]


async def test_an_interruption_is_no_attempt() -> None:
    error = BaseExceptionGroup("some", [KeyboardInterrupt()])  # alone it would end the loop and these tests
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    for _ in range(2):
        with pytest.raises(BaseException) as raised:  # noqa: PT011
            await work_off(Worker(queue, CommandBus({Pay: raising(error)})))
        assert not isinstance(raised.value, Exception)
    await anyio.lowlevel.checkpoint()
    assert [claim.attempt for claim in await queue.claim(1, 30)] == [1]
