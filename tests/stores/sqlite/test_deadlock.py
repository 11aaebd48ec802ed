"""A turn of a bus and a transaction that wait for each other: an error that names the circle, and no hang."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd import Bus, Deadlock, Message, TurnFailed
from tests.stores.sqlite.effects import ALL, find_effects, open_store, outsider, pay

pytestmark = pytest.mark.anyio


class Paid(Message):
    pass


async def test_a_turn_and_a_transaction_that_wait_for_each_other_are_a_deadlock(path: Path) -> None:
    # ST-15
    """The transaction is the last to wait: it is told, and the turn goes on."""
    inside, go = anyio.Event(), anyio.Event()

    async def handle(_: Paid) -> None:
        inside.set()
        await go.wait()
        await store.queue("orders").put(b"1")

    async def work() -> None:
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx)
            tasks.start_soon(do, bus, Paid())
            await inside.wait()
            go.set()
            await anyio.wait_all_tasks_blocked()
            await bus(Paid())

    async with open_store(path) as store, outsider() as do, anyio.create_task_group() as tasks:
        bus = Bus([handle], name="shop")
        with pytest.raises(Deadlock, match="the writer of"):
            await work()
        await anyio.wait_all_tasks_blocked()
    async with open_store(path) as store:
        assert await find_effects(store) == []
        assert (await store.queue("orders").stats()).ready == 1


async def test_a_turn_that_would_wait_for_a_transaction_that_waits_for_it_fails(path: Path) -> None:
    """The turn is the last to wait: its component is told, and the transaction goes on."""
    inside, go, told = anyio.Event(), anyio.Event(), list[BaseException]()

    async def handle(_: Paid) -> None:
        if not inside.is_set():
            inside.set()
            await go.wait()
            await store.queue("orders").put(b"1")

    async def send() -> None:
        with pytest.raises(TurnFailed) as failed:
            await bus(Paid())
        told.extend(failed.value.exceptions)

    async def open_up() -> None:
        await anyio.wait_all_tasks_blocked()
        go.set()

    async with open_store(path) as store, outsider() as do, anyio.create_task_group() as tasks:
        bus = Bus([handle], name="shop")
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx)
            tasks.start_soon(do, send)
            await inside.wait()
            tasks.start_soon(open_up)
            await bus(Paid())
        assert [type(error) for error in told] == [Deadlock]
        assert await find_effects(store) == ALL
