"""Rows for handlers that a worker does not have."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import Envelope
from modd.ports import Item, Stats
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid, PaidAbroad, at_work, work_off

pytestmark = pytest.mark.anyio

DAY = 86_400.0


def row(handler: str, at: str | None, body: bytes | None = None) -> Item:
    headers = {"modd-handler": handler} | ({} if at is None else {"modd-at": at})
    return Item(CODEC.encode(Envelope(Paid(5))) if body is None else body, headers, id=f"7/{handler}")


@pytest.mark.parametrize("body", [None, b"of a type that is not known here"])
async def test_a_row_for_an_unknown_handler_is_left_to_others_and_costs_no_attempt(body: bytes | None) -> None:
    # ST-45
    queue, books, other = MemoryQueue(), Books("post"), Books("mail")
    await queue.put(row("mail", "0.0", body))
    async with at_work(Worker(queue, books.bus, clock=anyio.current_time, attempts=2)):
        await anyio.sleep(2_000)
        stats = await queue.stats()
        assert (stats.ready + stats.leased, stats.dead) == (1, 0)
    assert (await queue.stats()).ready == 1
    [claim] = await queue.claim(1, 30)
    assert claim.attempt == 1
    await queue.release(claim)
    if body is None:
        await work_off(Worker(queue, other.bus))
        assert other.log == [("mail", 5)]


async def test_two_workers_with_different_handlers_share_a_queue() -> None:
    queue, books, other = MemoryQueue(), Books("post"), Books("mail")
    await queue.put(row("mail", "0.0"), row("post", "0.0"))
    async with at_work(Worker(queue, books.bus, clock=anyio.current_time)):
        await anyio.sleep(0.5)
        async with at_work(Worker(queue, other.bus, clock=anyio.current_time)):
            await anyio.sleep(1000)
    assert (books.log, other.log) == ([("post", 5)], [("mail", 5)])


@pytest.mark.parametrize("at", ["0", None, "yesterday", "nan"])
async def test_a_row_that_nobody_has_known_for_long_is_buried(at: str | None) -> None:
    # ST-45
    queue, books = MemoryQueue(), Books("post")
    await queue.put(row("mail", at))
    await work_off(Worker(queue, books.bus, clock=lambda: 8 * DAY))
    [dead] = await queue.dead()
    assert dead.reason == "no worker has had a handler named 'mail' for 604800 s"


async def test_a_row_for_a_handler_of_another_type_is_left_as_well() -> None:
    queue, books = MemoryQueue(), Books("post")
    books.add("customs", PaidAbroad)
    await queue.put(row("customs", "0.0"))
    await work_off(Worker(queue, books.bus, clock=lambda: 10.0), 3)
    assert (await queue.stats(), books.log) == (Stats(ready=1, delayed=0, leased=0, dead=0), [])


async def test_a_row_that_cannot_be_held_for_others_is_released(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MemoryQueue):
        async def extend(self, claim: Any, lease: float) -> None:
            queue.extend = super().extend  # type: ignore[method-assign]
            raise OSError("away")

    queue = Failing()
    await queue.put(row("mail", "0.0"))
    await work_off(Worker(queue, Books("post").bus, clock=anyio.current_time), 30)
    assert (await queue.stats()).ready == 1
    assert "7/mail cannot be held for others" in caplog.text
