"""Rows for handlers that a worker does not have."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import Envelope
from modd.ports import Claim, Item, Stats
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid, PaidAbroad, at_work, work_off
from tests.worker.flaky import Flaky, Plain

pytestmark = pytest.mark.anyio

DAY = 86_400.0
EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


def row(handler: str, at: str | None, body: bytes | None = None) -> Item:
    headers = {"modd-handler": handler} | ({} if at is None else {"modd-at": at})
    return Item(CODEC.encode(Envelope(Paid(5))) if body is None else body, headers, id=f"7/{handler}")


@pytest.mark.parametrize("body", [None, b"of a type that is not known here"])
async def test_a_row_for_an_unknown_handler_is_left_to_others_and_costs_no_attempt(body: bytes | None) -> None:
    # ST-45
    queue, books, other = MemoryQueue(), Books("post"), Books("mail")
    await queue.put(row("mail", "0.0", body))
    async with at_work(Worker(queue, books.bus, clock=anyio.current_time, attempts=2)):
        await anyio.sleep(500)
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


async def test_a_row_that_cannot_be_given_back_is_tried_again_and_left_alone_when_its_lease_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = Flaky(release=3)
    await queue.put(row("mail", "0.0"))
    async with at_work(Worker(queue, Books("post").bus, clock=anyio.current_time)):
        await anyio.sleep(4.2)
        assert (await queue.stats()).ready == 1
        assert caplog.text.count("7/mail cannot be released for now") == 3
        queue.fails = {"release": 1000}
        await anyio.sleep(60)
    assert "7/mail cannot be released for now" in caplog.text


async def test_a_row_that_somebody_else_has_by_now_is_not_given_back(caplog: pytest.LogCaptureFixture) -> None:
    queue = MemoryQueue()
    await queue.put(row("mail", "0.0"))
    async with at_work(Worker(queue, Books("post").bus, clock=anyio.current_time)):
        await anyio.sleep(0.5)
        await queue.ack(Claim("7/mail", b"", {}, None, 1, str(queue._items["7/mail"].token)))
        await anyio.sleep(5)
    assert (await queue.stats(), caplog.messages) == (EMPTY, [])


async def test_rows_for_unknown_handlers_do_not_stand_in_the_way_of_others() -> None:
    queue, books = MemoryQueue(), Books("post")
    await queue.put(*[Item(row("mail", "0.0").body, {"modd-handler": "mail", "modd-at": "0.0"}) for _ in range(900)])
    await queue.put(row("post", "0.0"))
    async with at_work(Worker(queue, books.bus, clock=anyio.current_time, concurrency=4)):
        await anyio.sleep(0.5)
        assert books.log == [("post", 5)]


async def test_so_many_rows_for_unknown_handlers_are_held_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    queue = MemoryQueue()
    await queue.put(*[Item(row("mail", "0.0").body, {"modd-handler": "mail", "modd-at": "0.0"}) for _ in range(3000)])
    worker = Worker(queue, Books("post").bus, clock=anyio.current_time, concurrency=4)
    async with at_work(worker):
        await anyio.sleep(0.5)
        assert 1000 <= (await queue.stats()).leased < 1004
        assert worker.last_polled == anyio.current_time()
        await anyio.sleep(1)
        assert (await queue.stats()).leased == 0
    assert "rows for handlers that are not here were claimed; messages behind them wait" in caplog.text


@pytest.mark.parametrize(("plain", "least"), [(False, 0.3), (True, 1.5)])
async def test_a_queue_is_left_to_others_for_a_moment_when_a_row_is_given_back(plain: bool, least: float) -> None:
    # ST-45
    queue = Flaky()
    given: Any = Plain(queue) if plain else queue
    await queue.put(row("mail", "0.0"))
    async with at_work(Worker(given, Books("post").bus, clock=anyio.current_time, poll=2)):
        await anyio.sleep(60)
    *released, _ = queue.at("release")
    assert len(released) >= 7
    for at in released:
        assert least <= min(claimed for claimed in queue.at("claim") if claimed > at) - at < 10
