"""A file becomes one of this modd, all at once or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from modd.ports import Item
from modd.stores.errors import NewerStore
from modd.stores.item_ids import queue_number
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.schema import FIRST, STEPS, migrate
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.program import put_one, start, wait_for_end

pytestmark = pytest.mark.anyio

MORE = "CREATE TABLE modd_more (a);\nINSERT INTO modd_more VALUES (1)"
BAD = "CREATE TABLE modd_bad (a);\nINSERT INTO modd_none VALUES (1)"


@pytest.fixture
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_file(str(path))) as connection:
        yield connection


def tables(file: sqlite3.Connection) -> set[str]:
    return {name for [name] in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()  # noqa: ASYNC240
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")


async def test_tables_are_added_to_the_file_of_an_application_and_its_own_are_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
        other.execute("INSERT INTO accounts VALUES (1, 100)")
        other.commit()
    async with SqliteStore(path) as store, store.transaction() as tx:
        await tx.execute("UPDATE accounts SET balance = balance - 10")
        await store.queue("a").put(b"paid")
        assert await tx.fetch("SELECT * FROM accounts") == [(1, 100)]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT * FROM accounts").fetchall() == [(1, 90)]
        assert {name for name in tables(other) if not name.startswith("modd_")} == {"accounts"}


def test_only_what_is_missing_is_done_and_the_nonce_stays(file: sqlite3.Connection) -> None:
    # ST-23
    nonce = migrate("store.db", file, (FIRST,))
    assert migrate("store.db", file, (FIRST, MORE)) == nonce
    assert migrate("store.db", file, (FIRST, MORE)) == nonce
    assert file.execute("SELECT version FROM modd_store").fetchall() == [(2,)]
    assert file.execute("SELECT * FROM modd_more").fetchall() == [(1,)]


async def test_the_items_of_an_older_file_are_claimed_in_their_order(
    path: Path, file: sqlite3.Connection, clock: Clock
) -> None:
    # ST-23, DR-40
    migrate("store.db", file, (FIRST,))
    insert = "INSERT INTO modd_items (place, queue, state, due, attempts, token, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
    number, place = queue_number("orders"), int(clock.now * 1e6)
    for row in (
        (0, 0, None, 0, None, b"1"),
        (1, 3, 10, 1, 9, b"4"),
        (2, 0, None, 0, None, b"3"),
        (3, 4, 1, 1, None, b"2"),
    ):
        at, state, due, *rest = row
        file.execute(insert, (place + at, number, state, due and clock.now + due / 1e6, *rest))
    clock.now += 1
    async with SqliteStore(path, clock=clock) as store:
        claims = [claim for _ in range(2) for claim in await store.queue("orders").claim(9, 60)]
    assert [(claim.body, claim.attempt) for claim in claims] == [(b"1", 1), (b"3", 1), (b"2", 2), (b"4", 1)]


@pytest.mark.parametrize("before", [(), STEPS])
def test_a_step_that_fails_leaves_the_file_as_it_was(file: sqlite3.Connection, before: tuple[str, ...]) -> None:
    # ST-23
    if before:
        migrate("store.db", file, before)
    there = tables(file)
    with pytest.raises(sqlite3.OperationalError, match="modd_none"):
        migrate("store.db", file, (*STEPS, BAD))
    assert tables(file) == there
    assert len(migrate("store.db", file)) == 12


async def test_an_id_of_a_file_of_the_first_version_may_come_again_once_its_item_has_begun(path: Path) -> None:
    # DR-52
    number = queue_number("a")
    with closing(connect_file(str(path))) as file:
        migrate(str(path), file, (FIRST,))
        file.execute("INSERT INTO modd_items (place, queue, state, id, body) VALUES (1, ?, 0, 'x', x'31')", (number,))
    async with SqliteStore(path) as store:
        queue, item = store.queue("a"), Item(b"2", id="x", unique="until-started")
        assert [result.duplicate for result in await queue.put(item)] == [True]
        [claim] = await queue.claim(1, 60)
        assert [result.duplicate for result in await queue.put(item)] == [False]
        assert claim.body == b"1"


def test_a_newer_file_is_an_error_at_every_step(file: sqlite3.Connection) -> None:
    migrate("store.db", file, (FIRST, MORE))
    with pytest.raises(
        NewerStore, match=r"store\.db: the file has schema version 2 .* knows versions up to 1; it was left"
    ):
        migrate("store.db", file, (FIRST,))


class Late(sqlite3.Connection):
    """A connection to which another one comes first, when it begins to write."""

    other: sqlite3.Connection

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            migrate("store.db", self.other)
        return super().execute(sql, parameters)  # type: ignore[arg-type]


def test_who_comes_second_does_nothing_again(path: Path, file: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, factory=Late)) as late:
        late.other = file
        assert migrate("store.db", late) == migrate("store.db", file)


@pytest.mark.slow
async def test_several_processes_make_one_file_at_once(path: Path, anyio_backend: str) -> None:
    for process in [start(put_one, path, anyio_backend) for _ in range(6)]:
        wait_for_end(process)
    async with SqliteStore(path) as store:
        assert (await store.queue("a").stats()).ready == 6
