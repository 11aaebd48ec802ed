"""Transactions belong to one task: blocks within blocks, other tasks, and other stores."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.cqrs import Event, EventBus, HandlersFailed
from modd.ports import NoTransaction, Transaction
from modd.ports.transaction import current_transaction
from modd.stores.errors import TransactionInUse
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.effects import ALL, find_effects, open_store, pay

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])


async def one(store: SqliteStore, name: str, error: type[Exception] | None = None, **options: Any) -> None:
    async with store.transaction(**options) as tx:
        await pay(store, tx, name)
        if error is not None:
            raise error


@both
async def test_a_block_within_a_block_is_a_part_of_it(path: Path, immediate: bool) -> None:
    async def work() -> None:
        async with store.transaction(immediate=immediate) as tx:
            await pay(store, tx, "a")
            await one(store, "b", immediate=immediate)
            raise ZeroDivisionError

    async with open_store(path) as store:
        with pytest.raises(ZeroDivisionError):
            await work()
        async with store.transaction(immediate=immediate) as tx, store.transaction() as inner:
            assert inner is tx
            await one(store, "c")
        assert [await find_effects(store, name) for name in "abc"] == [[], [], ALL]


@both
async def test_of_an_inner_block_that_fails_alone_only_its_own_writes_are_dropped(path: Path, immediate: bool) -> None:
    # ST-14
    async def inner() -> None:
        async with store.transaction():
            await one(store, "b")
            await one(store, "c", ZeroDivisionError)

    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            await pay(store, tx, "a")
            with pytest.raises(ZeroDivisionError):
                await inner()
            await one(store, "d")
        assert [await find_effects(store, name) for name in "abcd"] == [ALL, [], [], ALL]


@both
async def test_another_task_inside_the_block_is_an_error_and_no_hang(path: Path, immediate: bool) -> None:
    # ST-13
    async def other() -> None:
        for call in (
            tx.execute("SELECT 1"),
            tx.fetch("SELECT 1"),
            store.queue("orders").put(b"1"),
            store.outbox.put(b"1"),
            store.inbox.add("b"),
            store.inbox.has("b"),
            store.events.append("b", [b"1"], 0),
            anext(store.events.read("b")),
            one(store, "b"),
        ):
            with pytest.raises(TransactionInUse, match=r"by another task than the one that began the transaction"):
                await call

    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            await pay(store, tx)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other)
        assert await find_effects(store) == ALL
        assert await find_effects(store, "b") == []


async def test_other_tasks_inside_may_use_the_cache_and_the_locks_which_are_no_part_of_it(path: Path) -> None:
    async def other() -> None:
        assert await store.locks.renew("k", 60, "me")
        await store.cache.set("k", b"1", 60)

    async with open_store(path) as store, store.transaction():
        assert await store.locks.acquire("k", 60, "me")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
        assert await store.cache.get("k") == b"1"


async def test_other_tasks_cannot_use_the_cache_of_an_immediate_transaction(path: Path) -> None:
    async def other() -> None:
        with pytest.raises(TransactionInUse):
            await store.cache.get("k")

    async with open_store(path) as store, store.transaction(immediate=True), anyio.create_task_group() as tasks:
        tasks.start_soon(other)


@both
async def test_a_transaction_that_has_ended_cannot_be_used(path: Path, immediate: bool) -> None:
    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            pass
        for call in (tx.execute("SELECT 1"), tx.fetch("SELECT 1")):
            with pytest.raises(TransactionInUse, match=r"in a transaction that has ended; keep all its calls inside"):
                await call


# DF-7
@both
async def test_a_savepoint_is_refused_after_the_transaction_and_in_another_task(path: Path, immediate: bool) -> None:
    async def use(words: str) -> None:
        with pytest.raises(TransactionInUse, match=f"^savepoint {words}"):
            async with tx.savepoint():
                pytest.fail("its block ran")

    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx, anyio.create_task_group() as tasks:
            tasks.start_soon(use, "by another task")
        await use("in a transaction that has ended")
        async with store.transaction(immediate=True):
            await use("in a transaction that has ended")


@both
async def test_a_task_that_outlives_the_block_is_in_no_transaction_then(path: Path, immediate: bool) -> None:
    ended = anyio.Event()

    async def other() -> None:
        await ended.wait()
        await one(store, "a")

    async with open_store(path) as store:
        async with anyio.create_task_group() as tasks:
            async with store.transaction(immediate=immediate):
                tasks.start_soon(other)
            ended.set()
        assert await find_effects(store) == ALL


@both
async def test_calls_of_another_store_act_alone(path: Path, immediate: bool) -> None:
    async def work() -> None:
        async with store.transaction(immediate=immediate) as tx:
            await other.queue("orders").put(b"1")
            async with other.transaction(immediate=immediate) as inner:
                await pay(other, inner, "a")
                await pay(store, tx, "a")
            raise ZeroDivisionError

    async with open_store(path) as store, open_store(path.with_name("other.db")) as other:
        with pytest.raises(ZeroDivisionError):
            await work()
        assert (await find_effects(store), await find_effects(other)) == ([], ALL)
        assert (await other.queue("orders").stats()).ready == 2


async def test_the_transaction_that_is_open_is_found(path: Path) -> None:
    async with open_store(path) as store:
        async with store.transaction() as tx:
            assert current_transaction("pay") is tx
        with pytest.raises(NoTransaction):
            current_transaction("pay")


async def test_transactions_that_overlap_do_not_keep_those_that_have_ended(path: Path) -> None:
    # DR-63
    begun: list[weakref.ref[Any]] = []
    ended: list[int] = []
    alive: list[int] = []

    async def work(number: int) -> None:
        """Begin a transaction, and end it after the next one was begun, by a task that was started inside."""
        while len(ended) < number - 1:  # the one before the last one is of the same store
            await anyio.lowlevel.checkpoint()
        async with stores[number % 2].transaction() as tx:
            begun.append(weakref.ref(tx))
            del tx
            if number == 30:
                gc.collect()
                alive.append(sum(each() is not None for each in begun))
            else:
                tasks.start_soon(work, number + 1)
                while len(begun) == number + 1:
                    await anyio.lowlevel.checkpoint()
        ended.append(number)

    async with open_store(path) as first, open_store(path.with_name("second.db")) as second:
        stores = [first, second]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, 0)
    assert len(begun) == 31 and alive[0] <= 6


class Ordered(Event):
    pass


@pytest.mark.parametrize("concurrent", [True, False])
async def test_the_error_for_handlers_of_an_event_in_one_transaction_names_the_option_that_cures_it(
    concurrent: bool, path: Path
) -> None:
    # DR-88
    async def bill(event: Ordered, tx: Transaction) -> None:
        await tx.execute("INSERT INTO bills VALUES (1)")

    async with SqliteStore(path) as store, store.transaction() as tx:
        await tx.execute("CREATE TABLE bills (number INTEGER)")
        events = EventBus(concurrent=concurrent)
        events.register(Ordered, bill, "first")
        events.register(Ordered, bill, "second")
        if not concurrent:
            await events.dispatch(Ordered())
            return
        with pytest.raises(HandlersFailed) as raised:
            await events.dispatch(Ordered())
        assert all("EventBus(concurrent=False)" in str(error) for error in raised.value.exceptions)
