"""Damage of the file, of any kind that SQLite or the shape of the rows tells, is `StoreCorrupt`."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from modd import ModdError
from modd.ports import Item, Tagged
from modd.stores import NotAStore, SqliteStore, StoreCorrupt
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.select import Select
from tests.stores.sqlite.damaged import CALLS, HUNDREDS, fill, use_transaction, write_damaged

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return the content of a file with something in each table, and of its WAL."""
    path = tmp_path_factory.mktemp("whole") / "store.db"
    return anyio.run(fill, path)


def check_told(error: BaseException) -> None:
    """Check that an error is typed, and that nothing in its traceback steers a terminal."""
    assert isinstance(error, ModdError), repr(error)
    trace = "".join(traceback.format_exception(error))
    assert all(char.isprintable() or char == "\n" for char in trace), repr(trace)


async def try_call(store: SqliteStore, call: Callable[[SqliteStore], Awaitable[object]]) -> None:
    try:
        with anyio.fail_after(60):
            await call(store)
    except Exception as error:
        check_told(error)


async def try_file(path: Path, *, at_once: bool) -> None:
    """Open a store and make every call, all at once or one after another."""
    try:
        async with SqliteStore(path) as store:
            if at_once:
                async with anyio.create_task_group() as tasks:
                    for call in CALLS:
                        tasks.start_soon(try_call, store, call)
            else:
                for call in CALLS:
                    await try_call(store, call)
    except Exception as error:
        check_told(error)


@pytest.mark.costly
@pytest.mark.unmeasured
@pytest.mark.parametrize("number", range(0, 30, 2))
async def test_a_damaged_file_has_results_or_typed_errors(
    path: Path, file: tuple[bytes, bytes], number: int, anyio_backend: str
) -> None:
    # DR-60
    write_damaged(path, file, number + (anyio_backend == "trio"))
    await try_file(path, at_once=True)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(HUNDREDS))
async def test_hundreds_of_damaged_files_have_results_or_typed_errors(
    path: Path, file: tuple[bytes, bytes], hundred: int, anyio_backend: str
) -> None:
    # DR-60
    for number in range(100 * hundred, 100 * hundred + 100, 2):
        write_damaged(path, file, number + (anyio_backend == "trio"))
        await try_file(path, at_once=False)


UNDECODABLE = "CAST(x'ff1b5b324a' AS TEXT)"
"""A text that is no UTF-8 and would clear the terminal."""


WRONG: dict[str, Callable[[SqliteStore], Awaitable[object]]] = {
    "modd_items SET body = 5": lambda store: store.queue("orders").claim(99, 60),
    f"modd_items SET key = {UNDECODABLE} WHERE key IS NOT NULL": lambda store: store.queue("orders").claim(99, 60),
    "modd_items SET headers = x'7b1b' WHERE state = 0": lambda store: store.queue("orders").claim(99, 60),
    "modd_items SET attempts = 0.5 WHERE state = 0": lambda store: store.queue("orders").claim(99, 60),
    "modd_items SET reason = NULL": lambda store: store.queue("orders").dead(),
    "modd_items SET headers = x'ff' WHERE state = 5": lambda store: store.queue("orders").dead(),
    f"modd_items SET reason = {UNDECODABLE}": lambda store: store.queue("orders").dead(),
    "modd_store SET last = 'x'": lambda store: store.queue("orders").put(b"x"),
    "modd_events SET revision = 'x' WHERE revision = 60": lambda store: store.events.append("b", [b"x"], 60),
    "modd_events SET headers = x'5b5d' WHERE revision = 2": lambda store: anext(store.events.read("b", after=1)),
    f"modd_events SET stream = {UNDECODABLE} WHERE position = 1": lambda store: anext(store.events.read_all()),
    "modd_events SET revision = 61 WHERE revision = 60": lambda store: anext(store.events.pages("b")),
    "modd_events SET body = 5 WHERE revision = 2": lambda store: anext(store.events.pages("b")),
    "modd_events SET headers = x'5b5d' WHERE position = 1": lambda store: store.events.page(0, 99),
    "modd_events SET body = 'x' WHERE position = 2": lambda store: store.events.page(0, 99, headers=False),
    "modd_event_tags SET position = position + 10000": lambda store: anext(store.events.read_where(Tagged("tag"))),
    "modd_event_tags SET position = CAST(position AS BLOB)": lambda store: anext(
        store.events.read_where(Tagged("tag"))
    ),
    "modd_events SET body = 'x'": use_transaction,
    "modd_snapshots SET headers = x'5b5d'": lambda store: store.events.snapshot("a"),
    "modd_snapshots SET revision = x'00'": lambda store: store.events.snapshot("a"),
    "modd_feeds SET first = 'x'": lambda store: store.feed("public").span(),
    "modd_feeds SET last = 'x'": lambda store: store.feed("public").put(b"x"),
    "modd_feeds SET epoch = x'00'": lambda store: store.feed("public").epoch(),
    "modd_feeds SET last = 200": lambda store: anext(store.feed("public").follow(95)),
    "modd_feeds SET first = 95, last = 93": lambda store: store.feed("public").put(Item(b"x", id="feed-3")),
    "modd_feed_items SET at = 'x'": lambda store: store.feed("public").put(b"x"),
    "modd_feed_items SET at = 'x' WHERE position = 1": lambda store: store.feed("public").span(),
    "modd_feed_items SET position = 900 WHERE position = 30": lambda store: anext(store.feed("public").follow(3)),
    "modd_feed_items SET headers = x'5b5d'": lambda store: anext(store.feed("public").follow(3)),
    "modd_feed_items SET body = 5 WHERE position = 9": lambda store: anext(store.feed("public").follow(3)),
    f"modd_feed_items SET key = {UNDECODABLE}": lambda store: anext(store.feed("public").follow(3)),
    "modd_cache SET value = 'x'": lambda store: store.cache.get("cache-3"),
    "modd_outbox SET headers = x'31'": lambda store: store.outbox.claim(1, 60),
    "modd_outbox SET id = CAST(id AS BLOB)": lambda store: store.outbox.claim(1, 60),
}
"""Changes that no store makes, each with a call that meets the changed rows."""


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def read(path: Path) -> bytes:
    return path.read_bytes()


def change(path: Path, data: bytes, sql: str = "SELECT 1") -> None:
    """Write a file with a change that a damaged byte might make."""
    path.write_bytes(data)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


@pytest.mark.costly
@pytest.mark.parametrize("sql", WRONG)
async def test_rows_that_no_store_writes_are_damage_and_other_calls_of_the_batch_go_on(
    path: Path, file: tuple[bytes, bytes], sql: str
) -> None:
    # DR-60
    change(path, file[0], f"UPDATE {sql}")
    errors: list[StoreCorrupt] = []

    async def call() -> None:
        with pytest.raises(StoreCorrupt, match="the file is damaged") as raised:
            await WRONG[sql](store)
        errors.append(raised.value)

    async with SqliteStore(path) as store:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            tasks.start_soon(store.cache.set, "other", b"1", 60)
        assert await store.cache.get("other") == b"1"
    check_told(errors[0])
    assert str(path) in str(errors[0]) and "[2J" not in "".join(traceback.format_exception(errors[0]))


async def test_the_error_of_a_wrong_row_names_the_column_and_not_the_value(
    path: Path, file: tuple[bytes, bytes]
) -> None:
    change(path, file[0], "UPDATE modd_items SET body = 'secret', attempts = 0.5")
    async with SqliteStore(path) as store:
        with pytest.raises(StoreCorrupt, match="a row of which attempts is float, body is str") as raised:
            await store.queue("orders").claim(1, 60)
    assert "secret" not in "".join(traceback.format_exception(raised.value))


SCHEMA = {
    b"tablemodd_items": b"tablemodd_itemz",
    b"tablemodd_store": b"tablemodd_stor\x1b",
    b"modd_items_key": b"modd_i\xffems_key",
    b"nonce TEXT": b"none\xff TEXT",
    b"CREATE TABLE modd_queues": b"CREATE TABLE modd_q\x1b[2Js",
    b"key TEXT PRIMARY KEY, until": b"key TEXT PRIMARY KEY, until"[::-1],
    b"id TEXT PRIMARY KEY, at": b"ix TEXT PRIMARY KEY, at",
}
"""Parts of the schema, and the damaged ones."""


async def put_and_add(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.queue("orders").put(b"x")
        await store.inbox.add("new")


@pytest.mark.parametrize("part", SCHEMA)
async def test_a_damaged_schema_is_told(path: Path, file: tuple[bytes, bytes], part: bytes) -> None:
    # DR-60
    data = file[0]
    assert part in data and len(part) == len(SCHEMA[part])
    write(path, data.replace(part, SCHEMA[part], 1))
    with pytest.raises(StoreCorrupt) as raised:
        await put_and_add(path)
    check_told(raised.value)


@pytest.mark.parametrize("sql", ["DELETE FROM modd_store", "INSERT INTO modd_store SELECT * FROM modd_store"])
async def test_other_than_one_row_about_the_file_is_damage(path: Path, file: tuple[bytes, bytes], sql: str) -> None:
    change(path, file[0], sql)
    with pytest.raises(StoreCorrupt, match="rows in place of one"):
        async with SqliteStore(path):
            pass


async def test_tables_of_no_version_are_damage(path: Path, file: tuple[bytes, bytes]) -> None:
    change(path, file[0], "UPDATE modd_store SET version = 0")
    with pytest.raises(StoreCorrupt, match="its tables have version 0"):
        async with SqliteStore(path):
            pass


async def test_tables_of_modd_without_that_about_the_file_are_damage(path: Path, file: tuple[bytes, bytes]) -> None:
    change(path, file[0], "ALTER TABLE modd_store RENAME TO other")
    with pytest.raises(StoreCorrupt, match="there is a table modd_events and no table modd_store"):
        async with SqliteStore(path):
            pass


async def test_pages_without_a_table_are_damage_so_that_no_new_tables_hide_the_content(
    path: Path, file: tuple[bytes, bytes]
) -> None:
    # DR-60
    data = bytearray(file[0])
    assert data[100] in (2, 5, 13)
    data[100], data[103], data[104] = 13, 0, 0  # the schema is one page, without a table
    write(path, bytes(data))
    with pytest.raises(StoreCorrupt, match=r"the schema is empty, and [0-9]+ pages have content"):
        async with SqliteStore(path):
            pass
    assert read(path)[100:105] == data[100:105]


async def test_a_damaged_beginning_of_the_file_is_told(path: Path, file: tuple[bytes, bytes]) -> None:
    write(path, b"x" + file[0][1:])
    with pytest.raises(NotAStore, match="restore a backup if it was one"):
        async with SqliteStore(path):
            pass


async def test_events_whose_numbers_fall_are_damage_and_no_endless_loop(
    path: Path, file: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(path, file[0])
    async with SqliteStore(path) as store:
        with monkeypatch.context() as there:
            there.setattr("modd.stores.sqlite.events.READ", FALLING)
            with pytest.raises(StoreCorrupt, match="event 59 comes after event 60"):
                [event async for event in store.events.read("b")]


FALLING = """SELECT stream, revision, position, body, headers, at FROM modd_events WHERE stream = ? AND revision > ?
    ORDER BY revision DESC"""


async def test_errors_of_the_users_own_statements_stay_as_they_are(path: Path, file: tuple[bytes, bytes]) -> None:
    # DR-60
    change(path, file[0])
    statement = "INSERT INTO stock VALUES ('sku-1', 1)"
    async with SqliteStore(path) as store:
        for items in ([], [Item(b"x")]):  # alone in its transaction, and with others
            with pytest.raises(sqlite3.IntegrityError):
                await execute_beside_puts(store, statement, items)
        async with store.transaction(immediate=True) as tx:
            with pytest.raises(sqlite3.IntegrityError):
                await tx.execute(statement)
            with pytest.raises(sqlite3.OperationalError, match="no such table: other"):
                await tx.fetch("SELECT * FROM other")
        async with store.transaction() as tx:
            with pytest.raises(sqlite3.OperationalError, match="no such table: other"):
                await tx.fetch("SELECT * FROM other")


async def execute_beside_puts(store: SqliteStore, sql: str, items: list[Item]) -> None:
    async with store.transaction() as tx:
        await store.queue("orders").put(*items)
        await tx.execute(sql)


def test_columns_allow_each_of_their_types_and_no_other() -> None:
    columns = Columns(id=str | None, body=bytes)
    rows = [("a", b""), (None, b"")]
    assert columns.check(rows) == rows
    for row in ((1, b""), ("a", None), ("a", "b")):
        with pytest.raises(Damage, match="a row of which"):
            columns.check([row])


def test_the_only_row_is_one_row() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert Select("SELECT 1").only(connection) == (1,)
        with pytest.raises(Damage, match="0 rows in place of one"):
            Select("SELECT 1 WHERE 0").only(connection)
