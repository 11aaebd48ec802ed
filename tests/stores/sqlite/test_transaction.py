"""Transactions: what is written in one is committed together or not at all."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports import AlreadyHandled, Claim, Conflict, LeaseLost, SupportsTransactions, Transaction
from modd.stores.errors import ResultNeeded, StoreClosed
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import ALL, find_effects, open_store, pay

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])
LOST = Claim("gone", b"", {}, None, 1, "1.1")


async def leave(*_: Any) -> None:
    raise ZeroDivisionError


async def append(store: SqliteStore, _: Transaction) -> None:
    await store.events.append("before", [b""], 7)


async def handle(store: SqliteStore, _: Transaction) -> None:
    await store.inbox.add("before")


async def ack(store: SqliteStore, _: Transaction) -> None:
    await store.queue("orders").ack(LOST)


async def pass_on(store: SqliteStore, _: Transaction) -> None:
    await store.outbox.ack(LOST)


async def execute(_: SqliteStore, tx: Transaction) -> None:
    await tx.execute("INSERT INTO accounts VALUES ('before', 1)")


failures = pytest.mark.parametrize(
    ("fail", "error"),
    [
        (leave, ZeroDivisionError),
        (append, Conflict),
        (handle, AlreadyHandled),
        (ack, LeaseLost),
        (pass_on, LeaseLost),
        (execute, sqlite3.IntegrityError),
    ],
)


async def do(store: SqliteStore, name: str, fail: Any = None, **options: Any) -> None:
    """Pay in a transaction, in which something else may fail then."""
    async with store.transaction(**options) as tx:
        await pay(store, tx, name)
        if fail is not None:
            await fail(store, tx)


@both
async def test_all_that_a_transaction_writes_is_committed_together(path: Path, immediate: bool) -> None:
    # ST-10
    watch = Watch()
    async with open_store(path, watch) as store:
        before = watch.done["COMMIT"]
        await do(store, "a", immediate=immediate)
        assert await find_effects(store) == ALL
        assert watch.done["COMMIT"] == before + 1
    async with open_store(path) as store:
        assert await find_effects(store) == ALL


# BK-21
async def test_the_proof_writes_with_every_part_of_a_store_that_joins_its_transactions(path: Path) -> None:
    store = SqliteStore(path)
    joining = {name for name, part in vars(store).items() if hasattr(part, "transaction")}
    assert joining - {"cache", "locks"} == {"events", "inbox", "outbox"}
    assert hasattr(store.queue("orders"), "transaction")
    assert {"event", "snapshot", "inbox", "outbox", "queue"} < {*ALL}


@pytest.mark.costly
@both
@failures
async def test_when_one_thing_fails_nothing_is_written(
    path: Path, fail: Any, error: type[Exception], immediate: bool
) -> None:
    # ST-10
    async with open_store(path) as store:
        await do(store, "before")
        with pytest.raises(error):
            await do(store, "a", fail, immediate=immediate)
        assert await find_effects(store) == []
        await do(store, "a")
        assert await find_effects(store) == ALL


@pytest.mark.costly
@failures
async def test_a_transaction_that_fails_harms_no_other_of_its_group(
    path: Path, fail: Any, error: type[Exception]
) -> None:
    async def wrong() -> None:
        with pytest.raises(error):
            await do(store, "wrong", fail)

    watch = Watch()
    async with open_store(path, watch) as store:
        await do(store, "before")
        before = watch.done["COMMIT"]
        async with anyio.create_task_group() as tasks, watch.holding():
            tasks.start_soon(store.cache.delete, "a")
            await watch.stopped()
            for work in (partial(do, store, "a"), wrong, partial(do, store, "b"), partial(store.outbox.put, b"1")):
                tasks.start_soon(work)
            await anyio.wait_all_tasks_blocked()
        assert [await find_effects(store, name) for name in ("a", "b", "wrong")] == [ALL, ALL, []]
        assert watch.done["COMMIT"] == before + 2


async def test_a_transaction_with_no_writes_commits_nothing(path: Path) -> None:
    watch = Watch()
    async with open_store(path, watch) as store:
        before = watch.done["COMMIT"]
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT 1 + ?", (1,)) == [(2,)]
            assert await store.queue("orders").put() == []
            assert await store.outbox.put() == []
        assert watch.done["COMMIT"] == before


async def test_what_needs_an_answer_is_refused_while_writes_are_collected(path: Path) -> None:
    # ST-13
    async with open_store(path) as store:
        async with store.transaction():
            for call in (store.queue("orders").claim(1, 60), store.outbox.claim(1, 60)):
                with pytest.raises(ResultNeeded, match=r"^claim needs its result at once, .*immediate=True"):
                    await call
            with pytest.raises(ResultNeeded, match="immediate=True"):
                await store.transaction(immediate=True).__aenter__()
        async with store.transaction(immediate=True):
            await store.queue("orders").put(b"1")
            [claim] = await store.queue("orders").claim(1, 60)
            await store.queue("orders").ack(claim)


async def test_ids_are_known_before_the_commit(path: Path) -> None:
    async with open_store(path) as store:
        async with store.transaction():
            ids = [*await store.outbox.put(b"1", b"2"), *[each.id for each in await store.queue("orders").put(b"3")]]
        claims = [*await store.outbox.claim(9, 60), *await store.queue("orders").claim(9, 60)]
        assert [claim.id for claim in claims] == ids


async def test_parts_have_the_transactions_of_their_store(path: Path) -> None:
    async with open_store(path) as store:
        for part in (store.events, store.inbox, store.outbox, store.queue("orders"), store.cache, store.locks):
            assert isinstance(part, SupportsTransactions)
            assert repr(part).endswith(f"in {path}>")
            assert part.store is store
            async with part.transaction() as tx, store.transaction() as inner:
                assert inner is tx


async def test_a_limit_that_cannot_be_is_an_error(path: Path) -> None:
    async with open_store(path) as store:
        with pytest.raises(InvalidOption, match=r"max_seconds=0: give seconds, more than 0"):
            await store.transaction(immediate=True, max_seconds=0).__aenter__()


async def test_there_is_no_transaction_of_a_store_that_is_not_open(path: Path) -> None:
    store = SqliteStore(path)
    for immediate in (False, True):
        with pytest.raises(StoreClosed):
            await store.transaction(immediate=immediate).__aenter__()


async def test_an_error_inside_the_store_comes_out_as_it_is(path: Path) -> None:
    async def work() -> None:
        async with open_store(path) as store:
            await store.queue("orders").put(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    async with open_store(path) as store:
        assert (await store.queue("orders").stats()).ready == 1
