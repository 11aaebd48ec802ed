"""The SQL of users in transactions."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modd.errors import InvalidOption
from modd.ports import Transaction
from modd.stores.errors import ResultNeeded, TransactionInUse
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import ALL, find_effects, open_store, pay
from tests.stores.sqlite.test_group_commit import together

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])


async def test_values_are_those_that_were_given_though_they_change_before_the_commit(path: Path) -> None:
    async with open_store(path) as store:
        async with store.transaction() as tx:
            named: dict[str, Any] = {}
            for name in "ab":
                named["name"] = name
                await tx.execute("INSERT INTO accounts VALUES (:name, 1)", named)
            listed = ["c", 1]
            await tx.execute("INSERT INTO accounts VALUES (?, ?)", listed)
            listed.clear()
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT name FROM accounts ORDER BY name") == [("a",), ("b",), ("c",)]


class Price(float):
    """A number of a type of its own."""


async def test_a_statement_is_executed_for_many_rows_in_one_call(path: Path) -> None:
    # WM-59
    add = "INSERT INTO accounts VALUES (:name, :balance)"
    async with open_store(path) as store:
        async with store.transaction() as tx:
            row: dict[str, Any] = {"name": "a", "balance": 1}
            assert await tx.execute_many(add, (row for row["name"] in "abc")) is None
            row.clear()
        async with store.transaction(immediate=True) as tx:
            assert (
                await tx.execute_many("UPDATE accounts SET balance = ? WHERE name = ?", [(Price(2), "a"), (3, "x")])
                == 1
            )
            with pytest.raises(InvalidOption, match="64 bits"):
                await tx.execute_many("UPDATE accounts SET balance = ?", [(2**70,)])
            with pytest.raises(InvalidOption, match="begin and end transactions"):
                await tx.execute_many("COMMIT", [()])
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT name, balance FROM accounts ORDER BY name") == [("a", 2), ("b", 1), ("c", 1)]


LARGE: list[Any] = [2**63 - 1, -(2**63), "a" * 1_000_001, "\u00e4", b"\xff", 1.5, None, "", 7]


async def test_rows_may_have_values_of_all_kinds_and_sizes(path: Path) -> None:
    # WM-59
    async with open_store(path) as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE found (number INTEGER PRIMARY KEY, value)")
            for value in LARGE:
                await tx.execute_many("INSERT INTO found (value) VALUES (?)", iter([(value,), [value], (value,)]))
            await tx.execute_many("INSERT INTO found (value) VALUES (?)", [])
        async with store.transaction() as tx:
            rows = await tx.fetch("SELECT value FROM found ORDER BY number")
            assert [value for (value,) in rows] == [value for value in LARGE for _ in range(3)]


@pytest.mark.costly
@both
@pytest.mark.parametrize("sql", ["COMMIT", " begin;", "rollback TO modd", "END", "SAVEPOINT a", "release a"])
async def test_statements_that_begin_or_end_transactions_are_refused(path: Path, sql: str, immediate: bool) -> None:
    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            with pytest.raises(InvalidOption, match=r"sql=.*: begin and end transactions with `async with"):
                await tx.execute(sql)
            await pay(store, tx)
        assert await find_effects(store) == ALL


async def test_a_statement_that_writes_and_has_rows_needs_an_immediate_transaction(path: Path) -> None:
    add = "INSERT INTO accounts VALUES ('a', 1) RETURNING balance"
    async with open_store(path) as store:
        async with store.transaction() as tx:
            with pytest.raises(ResultNeeded, match=r"a statement that writes and has rows needs its result at once"):
                await tx.fetch(add)
        async with store.transaction(immediate=True) as tx:
            assert await tx.fetch(add) == [(1,)]
        assert await find_effects(store) == ["account"]


@pytest.mark.costly
@both
@pytest.mark.parametrize("sql", ["", "--", "SELECT 1; SELECT 2", "nonsense"])
async def test_what_is_no_statement_is_an_error_and_harms_nothing(path: Path, sql: str, immediate: bool) -> None:
    async def work() -> None:
        async with store.transaction(immediate=immediate) as tx:
            await pay(store, tx)
            await tx.execute(sql)

    async with open_store(path) as store:
        if sql in ("", "--"):
            await work()
        else:
            with pytest.raises(sqlite3.Error):
                await work()
        assert await find_effects(store) == (ALL if sql in ("", "--") else [])


OR_ROLLBACK = "INSERT OR ROLLBACK INTO accounts VALUES ('before', 1)"


async def test_a_statement_that_undoes_the_whole_commit_harms_no_other(path: Path) -> None:
    async def undo(name: str) -> None:
        async with store.transaction() as tx:
            await tx.execute("INSERT INTO accounts VALUES (?, 1)", (name,))
            await tx.execute(OR_ROLLBACK)

    async def wrong(name: str) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            await undo(name)

    async def right(name: str) -> None:
        async with store.transaction() as tx:
            await pay(store, tx, name)

    watch = Watch()
    async with open_store(path, watch) as store:
        await right("before")
        work = [partial(each, name) for name in "abcdef" for each in (wrong if name in "bd" else right,)]
        assert await together(watch, partial(store.cache.delete, "k"), *work) == 2
        assert [await find_effects(store, name) for name in "abcdef"] == [ALL, [], ALL, [], ALL, ALL]


async def test_when_immediate_nothing_is_written_after_such_a_statement(path: Path) -> None:
    async def work() -> None:
        async with store.transaction(immediate=True) as tx:
            await pay(store, tx)
            with pytest.raises(sqlite3.IntegrityError):
                await undo(tx)
            for call in (tx.execute("INSERT INTO accounts VALUES ('a', 1)"), store.outbox.put(b"1")):
                with pytest.raises(TransactionInUse, match="to write in a transaction that has ended"):
                    await call

    async def undo(tx: Transaction) -> None:
        async with store.transaction():
            await tx.execute(OR_ROLLBACK)

    async with open_store(path) as store:
        async with store.transaction() as tx:
            await pay(store, tx, "before")
        with pytest.raises(sqlite3.OperationalError, match="no transaction is active"):
            await work()
        assert await find_effects(store) == []
        async with store.transaction() as tx:
            await pay(store, tx)
        assert await find_effects(store) == ALL
