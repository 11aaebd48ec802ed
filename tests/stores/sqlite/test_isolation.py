"""Transactions are serializable: one that has read rows that changed before its commit writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest

from modd.ports import Conflict, Item, ReadConflict, Transaction
from modd.stores.sqlite import file_lock
from modd.stores.sqlite.deferred_transaction import apply_transactions
from modd.stores.sqlite.group_commit import Batch
from modd.stores.sqlite.journal_mode import NO_LOCKS
from modd.stores.sqlite.sql import CallArgs, Connection, Refused
from modd.stores.sqlite.store import SqliteStore
from modd.stores.sqlite.user_sql import execute_statements
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import Do, outsider
from tests.stores.sqlite.faulty import until
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio

Open: TypeAlias = Callable[[Path], Any]

BALANCE = "SELECT balance FROM accounts WHERE name = ?"
TOTAL = "SELECT sum(balance) FROM accounts"
SET = "UPDATE accounts SET balance = ? WHERE name = ?"


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[SqliteStore]:
    """A store that has the file alone, in WAL mode."""
    async with SqliteStore(path) as store:
        yield store


@asynccontextmanager
async def without_wal(path: Path) -> AsyncIterator[SqliteStore]:
    """A store in TRUNCATE mode, in which there are no snapshots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_lock, "fcntl", None)
        async with affected(path) as store:
            assert store.journal == NO_LOCKS
            yield store


modes = pytest.mark.parametrize("mode", [alone, without_wal])


@asynccontextmanager
async def accounts(mode: Open, path: Path) -> AsyncIterator[tuple[SqliteStore, Do]]:
    """A store with two accounts of 50, and a task that writes beside the test."""
    async with mode(path) as store, outsider() as do:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER)")
            await tx.execute("INSERT INTO accounts VALUES ('a', 50), ('b', 50)")
        yield store, do


async def balance(tx: Transaction, name: str) -> int:
    [(amount,)] = await tx.fetch(BALANCE, (name,))
    return int(amount)


async def deposit(store: SqliteStore, name: str, amount: int) -> None:
    """Read the balance, and write it higher."""
    async with store.transaction() as tx:
        await tx.execute(SET, (await balance(tx, name) + amount, name))


async def withdraw(store: SqliteStore, name: str) -> None:
    """Take all of an account, if both together have enough."""
    async with store.transaction() as tx:
        if (await tx.fetch(TOTAL))[0][0] >= 100:
            await tx.execute(SET, (-50, name))


def pending_writes(store: SqliteStore) -> int:
    return sum(len(batch.writes) for batch in store._writer._pending if isinstance(batch, Batch))


async def insert(store: SqliteStore, name: str) -> None:
    async with store.transaction() as tx:
        await tx.execute("INSERT INTO accounts VALUES (?, 1)", (name,))


async def rows(store: SqliteStore) -> list[Any]:
    async with store.transaction() as tx:
        return await tx.fetch("SELECT name, balance FROM accounts ORDER BY name")


@modes
async def test_no_update_is_lost(mode: Open, path: Path) -> None:
    # DR-20, WM-79
    async def deposit_beside_another_one() -> None:
        async with store.transaction() as tx:
            before = await balance(tx, "a")
            await do(deposit, store, "a", 1)
            await tx.execute(SET, (before + 10, "a"))

    async with accounts(mode, path) as (store, do):
        with pytest.raises(ReadConflict) as conflict:
            await deposit_beside_another_one()
        assert conflict.value.statement == BALANCE
        assert await rows(store) == [("a", 51), ("b", 50)]


@modes
async def test_two_that_each_read_both_rows_do_not_write_one_each(mode: Open, path: Path) -> None:
    # DR-20: write skew
    async def withdraw_beside_another_one() -> None:
        async with store.transaction() as tx:
            assert await tx.fetch(TOTAL) == [(100,)]
            await do(withdraw, store, "b")
            await tx.execute(SET, (-50, "a"))

    async with accounts(mode, path) as (store, do):
        with pytest.raises(Conflict):
            await withdraw_beside_another_one()
        assert await rows(store) == [("a", 50), ("b", -50)]


@modes
async def test_a_row_that_appears_is_a_change_of_rows_that_were_not_there(mode: Open, path: Path) -> None:
    # DR-20: phantom
    async def insert_if_missing() -> None:
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT name FROM accounts WHERE name LIKE 'c%'") == []
            await do(insert, store, "c1")
            await tx.execute("INSERT INTO accounts VALUES ('c2', 1)")

    async with accounts(mode, path) as (store, do):
        with pytest.raises(Conflict):
            await insert_if_missing()
        assert [name for name, _ in await rows(store)] == ["a", "b", "c1"]


@modes
async def test_one_that_only_reads_sees_one_state_or_fails(mode: Open, path: Path) -> None:
    # DR-20: read-only anomaly
    async def read_both_beside_two_deposits() -> tuple[int, int]:
        async with store.transaction() as tx:
            first = await balance(tx, "a")
            await do(deposit, store, "a", 1)
            await do(deposit, store, "b", 1)
            return first, await balance(tx, "b")

    async with accounts(mode, path) as (store, do), AsyncExitStack() as stack:
        if mode is without_wal:
            stack.enter_context(pytest.raises(ReadConflict))
        assert await read_both_beside_two_deposits() == (50, 50)


@modes
async def test_one_that_reads_twice_what_nobody_changes_has_no_conflict(mode: Open, path: Path) -> None:
    async with accounts(mode, path) as (store, _), store.transaction() as tx:
        assert (await balance(tx, "a"), await balance(tx, "b")) == (50, 50)


@modes
async def test_a_stream_that_was_read_must_not_have_grown(mode: Open, path: Path) -> None:
    # DR-20
    async def decide_by_a_stream() -> None:
        async with store.transaction():
            assert [event async for event in store.events.read("cart")] == []
            await do(store.events.append, "cart", [b"added"], 0)
            await store.queue("mails").put(b"the cart is empty")

    async with accounts(mode, path) as (store, do):
        with pytest.raises(ReadConflict, match="the events of cart"):
            await decide_by_a_stream()
        assert (await store.queue("mails").stats()).ready == 0


async def test_other_streams_and_rows_are_no_conflict(path: Path) -> None:
    async with accounts(alone, path) as (store, do):
        async with store.transaction() as tx:
            assert [event async for event in store.events.read("cart")] == []
            assert await store.events.snapshot("cart") is None
            amount = await balance(tx, "a")
            await do(store.events.append, "order", [b"placed"], 0)
            await do(deposit, store, "b", 1)
            await tx.execute(SET, (amount + 1, "a"))
            await store.events.append("cart", [b"added"], 0)
        assert await rows(store) == [("a", 51), ("b", 51)]


async def test_rows_that_have_their_old_values_again_are_no_conflict(path: Path) -> None:
    async with accounts(alone, path) as (store, do):
        async with store.transaction() as tx:
            amount = await balance(tx, "a")
            await do(deposit, store, "a", 5)
            await do(deposit, store, "a", -5)
            await tx.execute(SET, (amount + 1, "a"))
        assert await rows(store) == [("a", 51), ("b", 50)]


@pytest.mark.parametrize(
    ("before", "after"), [(1, 2), (-1, -2), (1, None), (1, "1"), (1, 1.0), ("a", b"a"), (0.0, -0.0)]
)
async def test_values_that_compare_equal_or_hash_alike_are_told_apart(
    path: Path, before: object, after: object
) -> None:
    async def set_value(value: object) -> None:
        async with store.transaction() as tx:
            await tx.execute("UPDATE values_ SET value = ?", (value,))

    async def read_beside_a_change() -> None:
        async with store.transaction() as tx:
            await tx.fetch("SELECT value FROM values_")
            await do(set_value, after)
            await tx.execute("DELETE FROM values_")

    async with SqliteStore(path) as store, outsider() as do:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE values_ (value)")
            await tx.execute("INSERT INTO values_ VALUES (?)", (before,))
        with pytest.raises(ReadConflict):
            await read_beside_a_change()


@modes
async def test_a_writer_that_is_not_of_modd_is_seen(mode: Open, path: Path) -> None:
    # DR-20
    async def deposit_beside_a_shell() -> None:
        async with store.transaction() as tx:
            before = await balance(tx, "a")
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as shell:
                shell.execute(SET, (7, "a"))
            await tx.execute(SET, (before + 10, "a"))

    async with accounts(mode, path) as (store, _):
        with pytest.raises(ReadConflict):
            await deposit_beside_a_shell()
        assert await rows(store) == [("a", 7), ("b", 50)]


async def test_a_conflict_costs_the_others_of_its_batch_nothing(path: Path) -> None:
    # DR-21
    async def decide(name: str) -> None:
        async with store.transaction() as tx:
            amount = await balance(tx, name)
            read.append(name)
            await go_on.wait()
            await tx.execute(SET, (amount + 1, name))

    async def fail(name: str) -> None:
        with pytest.raises(Conflict):
            await decide(name)

    async def fail_to_append() -> None:
        await go_on.wait()
        with pytest.raises(Conflict):
            await store.events.append("cart", [b"late"], 7)

    watch, read, go_on = Watch(), list[str](), anyio.Event()
    async with SqliteStore(path, connect=watch) as store, anyio.create_task_group() as tasks:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER)")
            await tx.execute("INSERT INTO accounts VALUES ('a', 50), ('b', 50)")
        for function in (fail, decide):
            tasks.start_soon(function, "a" if function is fail else "b")
        tasks.start_soon(fail_to_append)
        await until(lambda: len(read) == 2)
        await deposit(store, "a", 1)
        before = watch.done["COMMIT"], watch.done["SAVEPOINT modd"]
        async with watch.holding():
            tasks.start_soon(store.cache.delete, "first")
            await watch.stopped()
            go_on.set()
            await until(lambda: pending_writes(store) == 3)
        await store.cache.delete("in the same batch")
        assert (watch.done["COMMIT"], watch.done["SAVEPOINT modd"]) == (before[0] + 2, before[1])
        assert await rows(store) == [("a", 51), ("b", 51)]


def test_a_call_that_is_refused_unforeseen_behind_others_fails_the_batch(path: Path) -> None:
    """Its transaction has written by then, so that the writer has to do each call anew, in a savepoint."""

    def refuse(_: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused]:
        return [Refused(ZeroDivisionError())] * len(calls)

    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        [refused] = apply_transactions(file, [([], [(refuse, ())])])
        assert refused is not None and isinstance(refused.error, ZeroDivisionError)
        with pytest.raises(ZeroDivisionError):
            apply_transactions(file, [([], [(execute_statements, ("SELECT 1", ())), (refuse, ())])])


async def test_a_conflict_behind_other_writes_costs_the_others_of_its_batch_nothing(path: Path) -> None:
    # WM-3
    async def decide(number: int) -> None:
        async with store.transaction():
            await store.outbox.put(Item(b"1", id=str(number)))
            await store.events.append("cart", [b"added"], 0)
            await store.documents("carts").swap("cart", b"%d" % number, None)

    async def try_to_decide(number: int) -> None:
        try:
            await decide(number)
        except Conflict:
            return
        done.append(number)

    watch, done = Watch(), list[int]()
    async with SqliteStore(path, connect=watch) as store:
        before = watch.done["COMMIT"], watch.done["SAVEPOINT modd"]
        async with anyio.create_task_group() as tasks, watch.holding():
            tasks.start_soon(store.cache.delete, "first")
            await watch.stopped()
            for number in range(5):
                tasks.start_soon(try_to_decide, number)
            await until(lambda: pending_writes(store) == 5)
        assert (watch.done["COMMIT"], watch.done["SAVEPOINT modd"]) == (before[0] + 2, before[1])
        [winner] = done
        assert [claim.id for claim in await store.outbox.claim(9, 60)] == [str(winner)]
        assert await store.documents("carts").items() == [("cart", b"%d" % winner)]


async def test_an_immediate_transaction_has_no_conflict(path: Path) -> None:
    async def deposit_at_once() -> None:
        async with store.transaction(immediate=True) as tx:
            amount = await balance(tx, "a")
            await anyio.lowlevel.checkpoint()
            await tx.execute(SET, (amount + 1, "a"))

    async with accounts(alone, path) as (store, _):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(deposit_at_once)
        assert await rows(store) == [("a", 70), ("b", 50)]


async def test_execute_returns_the_number_of_changed_rows_where_it_writes_at_once(path: Path) -> None:
    # DR-22
    async with accounts(alone, path) as (store, _):
        async with store.transaction(immediate=True) as tx:
            assert await tx.execute("UPDATE accounts SET balance = 1") == 2
            assert await tx.execute("DELETE FROM accounts WHERE name = 'c'") == 0
        async with store.transaction() as tx:
            assert await tx.execute("UPDATE accounts SET balance = 1") is None


@pytest.mark.costly
async def test_transactions_that_begin_to_read_at_once_share_connections(path: Path) -> None:
    # DR-23, WM-6
    async def read() -> None:
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT 1") == [(1,)]
            await anyio.wait_all_tasks_blocked()

    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        before = watch.done["connect"]
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(read)
        assert 1 <= watch.done["connect"] - before <= 6


async def test_a_shared_snapshot_sees_every_commit_before_its_read(path: Path) -> None:
    async def append_and_read(number: int) -> None:
        await store.events.append(str(number), [b""], 0)
        async with store.transaction():
            assert [event async for event in store.events.read(str(number))] != []

    async with SqliteStore(path) as store, anyio.create_task_group() as tasks:
        for number in range(60):
            tasks.start_soon(append_and_read, number)


async def test_a_member_that_is_cancelled_leaves_the_snapshot_to_the_others(path: Path) -> None:
    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            async with store.transaction() as tx:
                assert await tx.fetch("SELECT 1") == [(1,)]
                done.append(scope)

    watch, done = Watch(), list[anyio.CancelScope]()
    scopes = [anyio.CancelScope() for _ in range(4)]
    async with SqliteStore(path, connect=watch) as store:
        async with anyio.create_task_group() as tasks, watch.holding("BEGIN"):
            for scope in scopes:
                tasks.start_soon(read, scope)
            await watch.stopped()
            await anyio.wait_all_tasks_blocked()
            scopes[1].cancel()
        assert {scopes[0], *scopes[2:]} <= set(done)
