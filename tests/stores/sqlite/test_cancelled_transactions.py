"""Transactions that are cancelled: committed or not begun, none is left open."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.stores.sqlite.callers import (  # noqa: F401  # one is a fixture
    Caller,
    anyio_backend,
    cancel_before_commit,
    cancel_during_commit,
    put,
    transact,
)
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import ALL, find_effects, open_store, pay

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])


async def test_a_transaction_that_is_cancelled_before_the_writer_took_it_leaves_nothing(
    path: Path, natively: bool
) -> None:
    watch = Watch()
    async with open_store(path, watch) as store:
        caller = Caller(lambda: transact(store))
        await cancel_before_commit(store, watch, caller, natively)
        assert await find_effects(store) == caller.log == []


@both
async def test_a_transaction_that_is_cancelled_at_its_commit_is_committed(
    path: Path, natively: bool, immediate: bool
) -> None:
    watch = Watch()
    async with open_store(path, watch) as store:
        caller = Caller(lambda: transact(store, immediate=immediate))
        await cancel_during_commit(watch, "COMMIT", caller, natively)
        assert "went on" not in caller.log
        assert await find_effects(store) == ALL


@both
async def test_a_transaction_that_is_cancelled_inside_leaves_nothing_open(
    path: Path, natively: bool, immediate: bool
) -> None:
    # ST-19
    async def stay() -> None:
        async with store.transaction(immediate=immediate) as tx:
            await pay(store, tx)
            await tx.fetch("SELECT 1")
            async with store.transaction():
                await anyio.sleep_forever()

    async with open_store(path) as store, anyio.create_task_group() as tasks:
        for _ in range(2):
            caller = Caller(stay)
            tasks.start_soon(caller.run)
            await anyio.wait_all_tasks_blocked()
            caller.cancel(natively)
            await caller.ended.wait()
            assert await find_effects(store) == caller.log == []
        await transact(store, immediate=immediate)
        assert await find_effects(store) == ALL


@pytest.mark.costly
@pytest.mark.unmeasured
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "SAVEPOINT", "INSERT INTO accounts", "SELECT 2"])
async def test_an_immediate_transaction_that_is_cancelled_at_a_statement_leaves_nothing_open(
    path: Path, natively: bool, statement: str
) -> None:
    # ST-19
    async def work() -> None:
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx)
            await tx.fetch("SELECT 2")
            await anyio.sleep_forever()

    watch = Watch()
    async with open_store(path, watch) as store, anyio.create_task_group() as tasks:
        caller = Caller(work)
        async with watch.holding(statement):
            tasks.start_soon(caller.run)
            await watch.stopped()
            caller.cancel(natively)
        await caller.ended.wait()
        assert await find_effects(store) == []
        await transact(store)
        assert await find_effects(store) == ALL


async def test_who_is_cancelled_while_it_waits_for_its_turn_to_write_is_in_nobodys_way(
    path: Path, natively: bool
) -> None:
    watch = Watch()
    async with open_store(path, watch) as store, anyio.create_task_group() as tasks:
        caller = Caller(lambda: transact(store, immediate=True))
        behind = Caller(lambda: put(store))
        async with watch.holding():
            tasks.start_soon(store.cache.set, "k", b"1", 60)
            await watch.stopped()
            for each in (caller, behind):
                tasks.start_soon(each.run)
                await anyio.wait_all_tasks_blocked()
            caller.cancel(natively)
            await caller.ended.wait()
        await behind.ended.wait()
        assert (await find_effects(store), behind.log) == ([], ["returned", "went on"])
