"""The store in memory: the promises of all ports and of transactions, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any

import anyio
import pytest

from modd.errors import AlreadyOpen, InvalidOption, NotEntered
from modd.ports import (
    Cache,
    Documents,
    EventStore,
    Inbox,
    Item,
    Locks,
    Outbox,
    Queue,
    ReadConflict,
    Storage,
    SupportsTransactions,
)
from modd.stores import MemoryStore, ResultNeeded, SqlNotSupported, TransactionTimeout
from modd.testing.conformance import (
    CacheConformance,
    DocumentsConformance,
    EventStoreConformance,
    InboxConformance,
    LocksConformance,
    OutboxConformance,
    QueueConformance,
    StorageConformance,
    TransactionConformance,
)
from modd.testing.conformance.storage_parts import ALL, outside, write_everywhere, written

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


class TestMemoryStore(StorageConformance):
    """The suite of stores."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        yield MemoryStore()


class TestTransactions(TransactionConformance):
    """The suite of transactions."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        yield MemoryStore()


class TestQueue(QueueConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        yield MemoryStore().queue("orders")


class TestOutbox(OutboxConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        yield MemoryStore().outbox

    def transaction(self, outbox: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = outbox.transaction()
        return transaction


class TestInbox(InboxConformance):
    """The suite of the port."""

    retention_ticks = 10

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        yield MemoryStore(retention=10).inbox


class TestEvents(EventStoreConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[EventStore]:
        yield MemoryStore().events


class TestDocuments(DocumentsConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        yield MemoryStore().documents("sums")


class TestCache(CacheConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Cache]:
        yield MemoryStore().cache


class TestLocks(LocksConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        yield MemoryStore().locks


both = pytest.mark.parametrize("immediate", [False, True])


@both
async def test_all_parts_are_one_store_without_sql(immediate: bool) -> None:
    # WM-7
    store = MemoryStore()
    with suppress(ZeroDivisionError):
        async with store.transaction(immediate=immediate) as tx:
            await write_everywhere(store, "dropped")
            raise ZeroDivisionError
    async with store.transaction(immediate=immediate) as tx:
        await write_everywhere(store, "a")
        for call in (tx.execute("DELETE FROM accounts"), tx.execute_many("DELETE", []), tx.fetch("SELECT 1")):
            with pytest.raises(SqlNotSupported, match="which has no SQL; use a SqliteStore"):
                await call
    assert (await written(store, "a"), await written(store, "dropped")) == (ALL, [])


async def test_it_may_be_opened_and_keeps_its_content() -> None:
    store = MemoryStore()
    await write_everywhere(store, "a")
    async with store as opened:
        assert opened is store
        with pytest.raises(AlreadyOpen):
            await store.__aenter__()
    async with store:
        assert await written(store, "a") == ALL
    with pytest.raises(NotEntered):
        await store.__aexit__(None, None, None)


def test_it_serves_one_loop_after_another() -> None:
    store = MemoryStore()
    for number in range(2):
        for backend in ("asyncio", "trio"):
            anyio.run(write_everywhere, store, f"{backend} {number}", backend=backend)
    assert anyio.run(written, store, "trio 0") == ALL


@pytest.mark.parametrize("options", [{"clock": 1}, {"retention": 0}, {"retention": None}])
def test_an_option_that_cannot_be_is_an_error(options: Any) -> None:
    with pytest.raises(InvalidOption, match=f"^{next(iter(options))}="):
        MemoryStore(**options)


async def test_the_names_of_its_queues_are_texts() -> None:
    store = MemoryStore()
    queue = store.queue("orders")
    assert queue is store.queue("orders") and queue.name == "orders"
    assert repr(queue) == "<MemberQueue orders in <MemoryStore>>"
    assert repr(store.inbox) == "<MemberInbox in <MemoryStore>>"
    name: Any = 7
    with pytest.raises(InvalidOption, match=r"give a text, such as store\.queue"):
        store.queue(name)


async def test_calls_that_need_a_result_are_refused_in_a_deferred_transaction() -> None:
    store = MemoryStore()
    async with store.transaction():
        queue = store.queue("orders")
        [new, known] = await queue.put(b"1", Item(b"2", id="known"))
        assert (new.duplicate, known.id, known.duplicate) == (False, "known", None)
        for call in (queue.claim(1, 1), queue.redrive("a"), queue.discard("a"), store.outbox.claim(1, 1)):
            with pytest.raises(ResultNeeded, match="immediate=True"):
                await call
        with pytest.raises(ResultNeeded, match="immediate=True"):
            store.transaction(immediate=True)
    assert [claim.id for claim in await queue.claim(9, 1)] == [new.id, "known"]


async def test_a_block_that_takes_too_long_is_rolled_back() -> None:
    store = MemoryStore()

    async def dawdle() -> None:
        async with store.transaction(immediate=True, max_seconds=1):
            await write_everywhere(store, "a")
            await anyio.sleep(2)

    with pytest.raises(TransactionTimeout, match="took more than 1 s"):
        await dawdle()
    assert await written(store, "a") == []
    with pytest.raises(InvalidOption, match=r"max_seconds=0: give seconds, more than 0"):
        store.transaction(immediate=True, max_seconds=0)


async def test_a_transaction_that_was_not_entered_cannot_be_left() -> None:
    with pytest.raises(NotEntered):
        await MemoryStore().transaction().__aexit__(None, None, None)


async def test_reads_of_two_states_are_a_conflict_without_a_write() -> None:
    store = MemoryStore()

    async def read_twice() -> None:
        async with store.transaction():
            assert not await store.inbox.has("a")
            await do(store.inbox.add, "a")
            assert not await store.inbox.has("b")

    async with outside() as do:
        with pytest.raises(ReadConflict, match="an id of the inbox"):
            await read_twice()
        async with store.transaction():
            assert await store.inbox.has("a") and not await store.inbox.has("b")


@both
async def test_a_value_that_is_set_on_commit_is_part_of_the_transaction(immediate: bool) -> None:
    store = MemoryStore()
    await store.cache.set_on_commit("a", b"1", 60)
    with suppress(ZeroDivisionError):
        async with store.transaction(immediate=immediate):
            await store.cache.set_on_commit("a", b"2", 60)
            raise ZeroDivisionError
    assert await store.cache.get("a") == b"1"
    async with store.transaction(immediate=immediate):
        await store.cache.set_on_commit("a", b"2", 60)
    assert await store.cache.get("a") == b"2"


async def test_an_item_that_is_claimed_before_the_commit_is_not_cancelled() -> None:
    store = MemoryStore()
    timers = store.queue("timers")

    async def cancel_beside(*ids: str) -> None:
        async with store.transaction():
            assert await timers.cancel(*ids) == ["a", "b"]
            await do(timers.claim, 1, 60)

    await timers.put(Item(b"1", id="a"), Item(b"2", id="b"))
    async with outside() as do:
        with pytest.raises(ReadConflict, match="the items to cancel"):
            await cancel_beside("a", "b", "c", "a")
    async with store.transaction():
        assert await timers.cancel("a", "b") == ["b"]
    assert (await timers.stats()).ready == 0


def test_loops_in_several_threads_share_it_and_lose_nothing() -> None:
    store = MemoryStore()
    numbers = store.documents("numbers")

    async def increase(immediate: bool) -> None:
        async with store.transaction(immediate=immediate):
            number = int(await numbers.get("a") or 0)
            await anyio.lowlevel.checkpoint()
            await numbers.put("a", b"%d" % (number + 1))

    async def count() -> None:
        for _ in range(20):
            try:
                await increase(immediate=False)
            except ReadConflict:
                await increase(immediate=True)

    threads = [Thread(target=partial(anyio.run, count, backend=backend)) for backend in ("asyncio", "trio") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert anyio.run(numbers.get, "a") == b"80"
