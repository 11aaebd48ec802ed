"""Programs of different versions, in processes of their own, at one queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from modd.middleware import Enqueue
from modd.ports import Queue, Stats
from modd.stores import SqliteStore
from tests.worker.rolling import Shipped, bus_of, start

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: other processes have that."""
    return str(request.param)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """The file with the table of the handlers."""
    async with SqliteStore(path, timeout=60) as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE done (name TEXT, n INTEGER)")
        with anyio.fail_after(120):
            yield store


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it is so."""
    while True:
        if await look():
            return
        await anyio.sleep(0.02)


async def announced(queue: Queue, *handlers: str) -> None:
    """Wait until workers have announced these handlers."""

    async def look() -> bool:
        return {*handlers} <= {each.handler for each in await queue.subscriptions()}

    await until(look)


async def all_done(store: SqliteStore) -> dict[str, list[int]]:
    """Wait until nothing is left to do, and return what the handlers did."""

    async def look() -> bool:
        return await store.queue("events").stats() == EMPTY

    await until(look)
    async with store.transaction() as tx:
        rows = await tx.fetch("SELECT name, n FROM done ORDER BY name, n")
    return {name: [n for each, n in rows if each == name] for name, _ in rows}


async def has_left(queue: Queue, number: int) -> bool:
    """True if so many deliveries were left."""
    return (await queue.stats()).left == number


async def test_an_old_and_a_new_program_side_by_side_lose_nothing(tmp_path: Path, anyio_backend: str) -> None:
    # DR-31
    path = tmp_path / "a.db"
    async with opened(path) as store:
        queue = store.queue("events")
        events = bus_of("book")
        events.use(Enqueue(queue))
        with start(path, anyio_backend, "book") as old:
            await announced(queue, "book")
            for n in range(20):
                await events.dispatch(Shipped(n))
            with start(path, anyio_backend, "book", "mail") as new:
                await announced(queue, "mail")
                for n in range(20, 80):
                    await events.dispatch(Shipped(n))
                done = await all_done(store)
                new.kill()
            old.kill()
        assert done["book"] == [*range(80)]
        assert [n for n in done["mail"] if n >= 20] == [*range(20, 80)]


async def test_a_handler_that_is_not_running_gets_its_deliveries_when_it_is_back(
    tmp_path: Path, anyio_backend: str
) -> None:
    # DR-30
    path = tmp_path / "a.db"
    async with opened(path) as store:
        queue = store.queue("events")
        events = bus_of("book")
        events.use(Enqueue(queue))
        with start(path, anyio_backend, "mail") as first:
            await announced(queue, "mail")
            first.kill()
        with start(path, anyio_backend, "book") as other:
            await announced(queue, "book")
            for n in range(20):
                await events.dispatch(Shipped(n))
            await until(partial(has_left, queue, 20))
            with start(path, anyio_backend, "mail") as again:
                done = await all_done(store)
                again.kill()
            other.kill()
        assert done == {"book": [*range(20)], "mail": [*range(20)]}
