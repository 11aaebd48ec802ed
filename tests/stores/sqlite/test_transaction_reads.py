"""What a transaction reads: by default what was committed when it first read; if asked for, its own writes."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.ports import RevisionConflict
from modd.stores.errors import TransactionTimeout
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.effects import ALL, find_effects, open_store, outsider, pay

pytestmark = pytest.mark.anyio

HERE = "SELECT name FROM accounts"
ADD = "INSERT INTO accounts VALUES (?, 1)"


async def add(store: SqliteStore, name: str) -> None:
    async with store.transaction() as tx:
        await tx.execute(ADD, (name,))
        await store.events.append("accounts", [name.encode()], ord(name) - ord("a"))


async def bodies(store: SqliteStore) -> list[bytes]:
    return [event.body async for event in store.events.read("accounts")]


async def test_a_transaction_sees_what_was_committed_when_it_read_first(path: Path) -> None:
    # ST-11
    async with open_store(path) as store, outsider() as do:
        await add(store, "a")
        async with store.transaction() as tx:
            await do(add, store, "b")
            assert await tx.fetch(HERE) == [("a",), ("b",)]
            await do(add, store, "c")
            assert await tx.fetch(HERE) == [("a",), ("b",)]
            assert await bodies(store) == [b"a", b"b"]
            assert await do(bodies, store) == [b"a", b"b", b"c"]
        assert await bodies(store) == [b"a", b"b", b"c"]


async def test_a_deferred_transaction_does_not_see_its_own_writes(path: Path) -> None:
    async with open_store(path) as store:
        async with store.transaction() as tx:
            await pay(store, tx)
            assert await tx.fetch(HERE) == []
            assert not await store.inbox.has("a")
            assert [event async for event in store.events.read("a")] == []
            assert (await store.queue("orders").stats()).ready == 0
        assert await find_effects(store) == ALL


async def test_when_immediate_it_sees_them_and_nobody_else_does(path: Path) -> None:
    async with open_store(path) as store, outsider() as do:
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx)
            assert await tx.fetch(HERE) == [("a",)]
            assert await find_effects(store) == ALL
            assert await do(find_effects, store) == []
            await store.cache.set("k", b"1", 60)
            assert await store.cache.get("k") == b"1"
            assert await do(store.cache.get, "k") is None
        assert await do(find_effects, store) == ALL
        assert await do(store.cache.get, "k") == b"1"


async def test_when_immediate_the_cache_and_the_locks_are_part_of_it(path: Path) -> None:
    async def work() -> None:
        async with store.transaction(immediate=True):
            await store.cache.set("k", b"1", 60)
            assert await store.locks.acquire("k", 60, "me")
            raise ZeroDivisionError

    async with open_store(path) as store:
        with pytest.raises(ZeroDivisionError):
            await work()
        assert await store.cache.get("k") is None
        assert await store.locks.acquire("k", 60, "you")


async def test_the_cache_and_the_locks_are_no_part_of_one_that_collects(path: Path) -> None:
    async def work() -> None:
        async with store.transaction() as tx:
            assert await tx.fetch(HERE) == []
            await store.cache.set("k", b"1", 60)
            assert await store.locks.acquire("k", 60, "me")
            assert await store.cache.get("k") == await do(store.cache.get, "k") == b"1"
            assert not await do(store.locks.acquire, "k", 60, "you")
            assert not await store.cache.add("k", b"2", 60)
            assert await store.locks.renew("k", 60, "me")
            raise ZeroDivisionError

    async with open_store(path) as store, outsider() as do:
        with pytest.raises(ZeroDivisionError):
            await work()
        assert await store.cache.get("k") == b"1"
        assert not await store.locks.acquire("k", 60, "you")


async def test_when_immediate_what_failed_alone_can_be_done_again(path: Path) -> None:
    async with open_store(path) as store:
        await add(store, "a")
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx, "p")
            with pytest.raises(RevisionConflict) as conflict:
                await store.events.append("accounts", [b"b"], 0)
            await store.events.append("accounts", [b"c"], conflict.value.actual)
        assert await find_effects(store, "p") == ALL
        assert await bodies(store) == [b"a", b"c"]


async def test_when_immediate_it_may_not_take_long_and_the_others_go_on(path: Path) -> None:
    # ST-12
    async def work() -> None:
        async with store.transaction(immediate=True, max_seconds=0.05) as tx:
            await pay(store, tx)
            async with store.transaction():
                await anyio.sleep_forever()

    async with open_store(path) as store:
        with pytest.raises(TransactionTimeout, match=r"more than 0.05 s and was rolled back") as late:
            await work()
        assert (late.value.store, late.value.max_seconds) == (str(path), 0.05)
        assert await find_effects(store) == []
        await add(store, "a")
        assert await bodies(store) == [b"a"]


async def test_what_others_write_meanwhile_waits_until_it_has_ended(path: Path) -> None:
    async with open_store(path) as store:
        async with (
            anyio.create_task_group() as tasks,
            outsider() as do,
            store.transaction(immediate=True) as tx,
        ):
            await tx.execute(ADD, ("a",))
            tasks.start_soon(do, add, store, "b")
            await anyio.wait_all_tasks_blocked()
            assert await tx.fetch(HERE) == [("a",)]
            await store.events.append("accounts", [b"a"], 0)
        assert await bodies(store) == [b"a", b"b"]
