"""A scope around a store and those who use it is cancelled: what they have to write then is written."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.cqrs import Command, CommandBus
from modd.middleware import Enqueue
from modd.ports import Stats, settlement
from modd.stores.sqlite.store import SqliteStore
from modd.worker import Worker
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.faulty import store_threads, until
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio


class Ship(Command[None]):
    """What the worker has to do."""


async def stats(path: Path) -> Stats:
    async with SqliteStore(path) as store:
        return await store.queue("orders").stats()


async def test_the_lease_of_a_worker_is_released(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "SETTLE_TIMEOUT", 60)  # the disk of a machine with other work may take its time

    async def ship(command: Ship) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with SqliteStore(path) as store, anyio.create_task_group() as tasks:
            queue = store.queue("orders")
            bus = CommandBus([ship], middleware=[Enqueue(queue)])
            await bus.dispatch(Ship())
            tasks.start_soon(Worker(queue, bus).run)
    assert await stats(path) == Stats(ready=1, delayed=0, leased=0, dead=0)


async def test_an_ack_that_was_decided_is_kept(path: Path) -> None:
    async def ship(command: Ship) -> None:
        watch.hold()

    async def cancel() -> None:
        await watch.stopped()
        scope.cancel()
        watch.go()

    watch = Watch()
    with anyio.CancelScope() as scope:
        async with SqliteStore(path, connect=watch) as store, anyio.create_task_group() as tasks:
            queue = store.queue("orders")
            bus = CommandBus([ship], middleware=[Enqueue(queue)])
            await bus.dispatch(Ship())
            tasks.start_soon(Worker(queue, bus).run)
            tasks.start_soon(cancel)
    assert await stats(path) == Stats(ready=0, delayed=0, leased=0, dead=0)


async def test_what_is_submitted_in_a_shield_is_written_and_the_store_ends(path: Path) -> None:
    with anyio.fail_after(60), anyio.CancelScope() as scope:
        async with affected(path) as store, affected(path):
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                await store.queue("orders").put(b"1")
    assert (await stats(path)).ready == 1
    await until(lambda: store_threads() == [])
