"""Transactions of a store in a database: statements of the user, waits for others, and repetitions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import psycopg
import pytest

from modd import InvalidOption
from modd.errors import NotEntered
from modd.ports import Item, ReadConflict, StoreError
from modd.stores import DatabaseRefused, PostgresStore, ResultNeeded, StoreBusy, TransactionTimeout
from modd.stores.postgres import immediate_transaction
from modd.stores.postgres.commits import ATTEMPTS
from modd.stores.postgres.immediate_transaction import CALL
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import ConnectionSession, Session, in_order
from tests.postgres.server import PostgresServer
from tests.stores.late_commits import outcome_of
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio

REFUSED = [
    "BEGIN",
    "start transaction",
    " ; -- why\n/* what */ COMMIT",
    "END",
    "ROLLBACK",
    "abort",
    "SAVEPOINT a",
    "release a",
    "PREPARE TRANSACTION 'a'",
]


OF_THE_CONNECTION = [
    "SET synchronous_commit = off",
    "set local synchronous_commit = off",
    "SET search_path = nowhere",
    "RESET ALL",
    "DISCARD TEMP",
    "LISTEN news",
    "COPY orders TO STDOUT",
]


SLOW_COMMITS = (
    """CREATE FUNCTION {schema}.wait() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(79); RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON {schema}.items DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {schema}.wait()""",
)
"""Statements that have commits wait for a lock of the test."""


class Undone(Exception):
    """Ends a block that is not to be kept."""


async def orders(store: PostgresStore) -> list[Any]:
    """Return the rows of the table of the test."""
    async with store.transaction() as tx:
        return await tx.fetch(f"SELECT id, name FROM {store.schema.name}.orders ORDER BY id")


async def with_orders(store: PostgresStore) -> str:
    """Make a table, and return its name."""
    name = f"{store.schema.name}.orders"
    async with store.transaction() as tx:
        await tx.execute(f"CREATE TABLE {name} (id integer PRIMARY KEY, name text)")
    return name


@pytest.mark.parametrize("sql", [*REFUSED, None])
async def test_statements_that_begin_or_end_transactions_are_refused(sql: Any, postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server, listen=False) as store, store.transaction() as tx:
        for call in (tx.execute, tx.fetch):
            with pytest.raises(InvalidOption, match=r"leave \w+ out|give one statement"):
                await call(sql)
        with pytest.raises(InvalidOption):
            await tx.execute_many(sql, [])


@pytest.mark.parametrize("sql", OF_THE_CONNECTION)
async def test_statements_that_change_the_connection_are_refused(sql: str, postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server, listen=False) as store, store.transaction() as tx:
        with pytest.raises(InvalidOption, match="changes the connection"):
            await tx.execute(sql)


@pytest.mark.parametrize("sql", ["SET LOCAL statement_timeout = 1000", "SET CONSTRAINTS ALL DEFERRED"])
async def test_settings_that_end_with_the_transaction_are_set(sql: str, postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server, listen=False) as store, store.transaction() as tx:
        await tx.execute(sql)


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_text_with_several_statements_is_refused(immediate: bool, postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server, listen=False) as store:
        table = await with_orders(store)
        for sql in (f"INSERT INTO {table} VALUES (1, 'a'); COMMIT", f"INSERT INTO {table} VALUES (1); SELECT 1"):
            with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
                async with store.transaction(immediate=immediate) as tx:
                    await tx.execute(sql)
        assert await orders(store) == []


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_transaction_that_reads_leaves_no_warning(
    immediate: bool, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with new_store(postgres_server, listen=False) as store:
        for _ in range(3):
            async with store.transaction(immediate=immediate) as tx:
                await tx.fetch("SELECT 1")
            with pytest.raises(Undone):
                await fail_after_a_read(store, immediate)
    assert "rolling back" not in caplog.text


async def fail_after_a_read(store: PostgresStore, immediate: bool) -> None:
    async with store.transaction(immediate=immediate) as tx:
        await tx.fetch("SELECT 1")
        raise Undone


async def test_statements_of_the_user_are_in_the_same_commit(postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server) as store:
        table = await with_orders(store)
        async with store.transaction() as tx:
            row = [1, "100%"]
            assert await tx.execute(f"INSERT INTO {table} VALUES (%s, %s)", row) is None
            row[:] = [2, "changed"]  # the transaction has a copy
            named = {"id": 2, "name": "b"}
            assert await tx.execute(f"INSERT INTO {table} VALUES (%(id)s, %(name)s)", named) is None
            named.clear()
            assert await tx.execute_many(f"INSERT INTO {table} VALUES (%s, %s)", [(3, "c"), (4, "d")]) is None
            await tx.execute(f"UPDATE {table} SET name = 'e%' WHERE id = 4")
            await store.inbox.add("a")
            assert await tx.fetch(f"SELECT * FROM {table}") == []
        assert await orders(store) == [(1, "100%"), (2, "b"), (3, "c"), (4, "e%")]
        with pytest.raises(psycopg.errors.UniqueViolation):  # noqa: PT012  # the end of the block may raise
            async with store.transaction() as tx:
                await store.inbox.add("b")
                await tx.execute(f"INSERT INTO {table} VALUES (1, 'again')")
        assert await store.inbox.has("a") and not await store.inbox.has("b")


async def test_an_immediate_transaction_tells_how_many_rows_have_changed(postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server) as store:
        table = await with_orders(store)
        async with store.transaction(immediate=True) as tx:
            assert await tx.execute_many(f"INSERT INTO {table} VALUES (%s, %s)", [(1, "a"), (2, "b")]) == 2
            assert await tx.execute_many(f"INSERT INTO {table} VALUES (%s, %s)", []) == 0
            assert await tx.execute(f"UPDATE {table} SET name = 'c' WHERE id = %s", (2,)) == 1
            assert await tx.fetch(f"DELETE FROM {table} WHERE id = 1 RETURNING name") == [("a",)]
        assert await orders(store) == [(2, "c")]


async def test_a_deferred_transaction_fetches_nothing_that_writes(postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server) as store:
        table = await with_orders(store)
        async with store.transaction() as tx:
            await tx.execute(f"INSERT INTO {table} VALUES (1, 'a')")
            with pytest.raises(ResultNeeded, match="a statement that writes and has rows"):
                await tx.fetch(f"INSERT INTO {table} VALUES (2, 'b') RETURNING id")
            with pytest.raises(psycopg.errors.SyntaxError):
                await tx.fetch("SELEKT 1")
            with pytest.raises(psycopg.errors.DivisionByZero):
                await tx.fetch("SELECT 1 / 0")
            assert await tx.fetch(f"SELECT id FROM {table}") == []
            with pytest.raises(ResultNeeded, match="claim"):
                await store.access("claim").write_for_result("claim", add, "b")
            with pytest.raises(ResultNeeded, match="immediate=True"):
                store.transaction(immediate=True)
        assert await orders(store) == [(1, "a")]


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_table_that_is_missing_is_no_matter_of_rights(immediate: bool, postgres_server: PostgresServer) -> None:
    # PG-55
    async with new_store(postgres_server, listen=False) as store:
        with pytest.raises(DatabaseRefused, match=r'"oders" does not exist.*; create this table'):
            async with store.transaction(immediate=immediate) as tx:
                await tx.execute("DELETE FROM oders")


async def test_a_statement_that_fails_leaves_an_immediate_transaction_as_it_was(
    postgres_server: PostgresServer,
) -> None:
    # PG-56
    async with new_store(postgres_server) as store:
        table = await with_orders(store)
        async with store.transaction(immediate=True) as tx:
            await tx.execute(f"INSERT INTO {table} VALUES (1, 'a')")
            for sql in ("SELEKT 1", f"INSERT INTO {table} VALUES (1, 'b')"):
                with pytest.raises(psycopg.Error):
                    await tx.execute(sql)
            with pytest.raises(psycopg.errors.DivisionByZero):
                await tx.fetch("SELECT 1 / 0")
            with pytest.raises(Undone):  # noqa: PT012  # the end of the block may raise
                async with store.transaction() as inner:
                    await inner.execute(f"INSERT INTO {table} VALUES (2, 'b')")
                    raise Undone
            async with store.transaction(immediate=True) as inner:
                await inner.execute(f"INSERT INTO {table} VALUES (3, 'c')")
        assert await orders(store) == [(1, "a"), (3, "c")]


async def be_refused(read: Callable[[], Awaitable[Any]], _: PostgresServer) -> None:
    with pytest.raises(StoreBusy, match="LockNotAvailable"):
        await read()


async def be_cancelled(read: Callable[[], Awaitable[Any]], server: PostgresServer) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_when_blocked, server, tasks.cancel_scope)
        await read()


@pytest.mark.parametrize(("end", "limit"), [(be_refused, "10ms"), (be_cancelled, "1h")])
async def test_a_read_that_is_refused_or_cancelled_leaves_an_immediate_transaction_as_it_was(
    end: Callable[..., Awaitable[None]], limit: str, postgres_server: PostgresServer
) -> None:
    # PG-56
    async with new_store(postgres_server, listen=False) as store:
        ended: list[str] = []
        with psycopg.connect(postgres_server.url) as blocker:
            async with store.transaction(immediate=True, max_seconds=60) as tx:
                tx.on_commit(note_commit(ended))
                await store.inbox.add("a")
                await tx.execute(f"SET LOCAL lock_timeout = '{limit}'")
                blocker.execute(f"LOCK TABLE {store.schema.quoted}.snapshots".encode())
                await end(lambda: store.events.snapshot("a"), postgres_server)
                blocker.rollback()
        assert ended == ["committed"]
        assert await store.inbox.has("a")


def note_commit(ended: list[str]) -> Callable[[], Awaitable[None]]:
    """Return a function for the end of a commit."""

    async def note() -> None:
        ended.append("committed")

    return note


async def cancel_when_blocked(server: PostgresServer, scope: anyio.CancelScope) -> None:
    """Cancel a scope when a statement waits for a table."""
    await waiting_for_lock(server, "relation")
    scope.cancel()


async def break_off(session: ConnectionSession) -> None:
    """Fail where no savepoint helps, as a statement does that is cancelled while it makes one."""
    await session.run(f"RELEASE SAVEPOINT {CALL}")
    await session.rows("SELECT 1 / 0")


async def test_an_immediate_transaction_that_the_database_has_undone_is_not_told_as_committed(
    postgres_server: PostgresServer,
) -> None:
    # PG-56
    async with new_store(postgres_server, listen=False) as store:
        ended: list[str] = []
        with pytest.raises(StoreError, match="undone all of it; run it again"):  # noqa: PT012  # the end of the block may raise
            async with store.transaction(immediate=True) as tx:
                tx.on_commit(note_commit(ended))
                await store.inbox.add("a")
                with pytest.raises(StoreError, match="InvalidSavepoint"):
                    await store.access("break").write(break_off)
        assert ended == []
        assert not await store.inbox.has("a")


async def test_a_commit_that_has_no_answer_when_the_time_is_over_has_an_unknown_outcome(
    postgres_server: PostgresServer,
) -> None:
    # PG-56
    async with new_store(postgres_server, listen=False) as store:

        async def put(seconds: float) -> None:
            async with store.transaction(immediate=True, max_seconds=seconds):
                await store.queue("orders").put(Item(b"1", id="order-1"))

        await store.queue("orders").put(Item(b"0", id="order-0"))
        postgres_server.execute(*[statement.format(schema=store.schema.quoted) for statement in SLOW_COMMITS])
        with psycopg.connect(postgres_server.url) as blocker:
            blocker.execute("SELECT pg_advisory_lock(79)")
            outcome = await outcome_of(put)
        assert outcome.ids == ("order-1",)
        await store.queue("orders").put(Item(b"1", id="order-1"))
        assert (await store.queue("orders").stats()).ready == 2


async def test_a_commit_that_is_under_way_when_its_caller_is_cancelled_is_made_and_told(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PG-56
    monkeypatch.setattr(immediate_transaction, "LAST_WAIT", 60.0)  # also on a machine that stands still for a second
    async with new_store(postgres_server, listen=False) as store:
        ended: list[str] = []

        async def put() -> None:
            async with store.transaction(immediate=True, max_seconds=60):
                await store.queue("orders").put(b"1")
            ended.append("committed")

        await store.queue("orders").put(b"0")
        postgres_server.execute(*[statement.format(schema=store.schema.quoted) for statement in SLOW_COMMITS])
        with psycopg.connect(postgres_server.url) as blocker:
            blocker.execute("SELECT pg_advisory_lock(79)")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(put)
                await waiting_for_lock(postgres_server, "advisory")
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    for _ in range(20):  # in which the cancellation comes
                        await anyio.sleep(0.001)
                blocker.execute("SELECT pg_advisory_unlock(79)")
        assert ended == ["committed"]
        assert (await store.queue("orders").stats()).ready == 2


async def test_a_block_that_takes_too_long_is_rolled_back(postgres_server: PostgresServer) -> None:
    # PG-56
    async with new_store(postgres_server) as store:
        with pytest.raises(TransactionTimeout, match=r"took more than 0\.05 s"):  # noqa: PT012  # the end of the block may raise
            async with store.transaction(immediate=True, max_seconds=0.05):
                await store.inbox.add("a")
                await anyio.sleep_forever()
        assert not await store.inbox.has("a")
        async with store.transaction(immediate=True):
            await store.inbox.add("a")


async def test_an_error_of_a_block_leaves_it_as_it_is(postgres_server: PostgresServer) -> None:
    # PG-54
    error = Undone()
    with pytest.raises(Undone) as raised:  # noqa: PT012  # the end of the block may raise
        async with new_store(postgres_server) as store:
            for immediate in (False, True):
                with pytest.raises(Undone):  # noqa: PT012  # the end of the block may raise
                    async with store.transaction(immediate=immediate):
                        await store.inbox.has("a")
                        raise Undone
            raise error
    assert raised.value is error


async def test_a_transaction_that_was_not_entered_is_told(postgres_server: PostgresServer) -> None:
    # PG-56
    async with new_store(postgres_server, listen=False) as store:
        with pytest.raises(NotEntered, match="the transaction"):
            await store.transaction().__aexit__(None, None, None)


async def test_other_writers_wait_for_an_immediate_transaction_and_readers_do_not(
    postgres_server: PostgresServer,
) -> None:
    # PG-56
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        ended: list[str] = []

        async def write() -> None:
            await other.inbox.add("b")
            ended.append("writer")

        async with anyio.create_task_group() as tasks, store.transaction(immediate=True, max_seconds=60):
            await store.inbox.add("a")
            tasks.start_soon(write)
            await waiting_for_lock(postgres_server, "advisory")
            assert not await other.inbox.has("b")
            ended.append("transaction")
        assert ended == ["transaction", "writer"]


async def waiting_for_lock(server: PostgresServer, kind: str) -> None:
    """Return when a connection waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = %s"
    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(lambda: connection.execute(sql, (kind,)).fetchall())


async def test_a_read_that_was_overtaken_is_a_conflict(postgres_server: PostgresServer) -> None:
    # PG-56
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        with pytest.raises(ReadConflict, match="an id of the inbox"):  # noqa: PT012  # the end of the block may raise
            async with store.transaction():
                assert not await store.inbox.has("a")
                await other.inbox.add("a")
                await store.inbox.add("b")
        with pytest.raises(ReadConflict, match="SELECT count"):  # noqa: PT012  # the end of the block may raise
            async with store.transaction() as tx:
                await tx.fetch(f"SELECT count(*) FROM {schema}.inbox")
                await other.inbox.add("c")
                await tx.execute("SELECT 1")
        assert not await store.inbox.has("b")


async def test_a_read_may_have_a_cheaper_one_that_changes_with_it(postgres_server: PostgresServer) -> None:
    # PG-56
    schema = new_schema()
    version = Select("SELECT count(*) FROM modd.inbox")
    rows = Select("SELECT id FROM modd.inbox", title="the ids", version=version)
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        async with store.transaction() as tx:
            assert await tx.read(rows) == []
            await store.inbox.add("a")
        with pytest.raises(ReadConflict, match="the ids"):  # noqa: PT012  # the end of the block may raise
            async with store.transaction() as tx:
                await tx.read(rows)
                await other.inbox.add("b")
                await store.inbox.add("c")


async def add(session: Session, id: str) -> None:
    await session.count("INSERT INTO modd.inbox VALUES (%s, 0)", (id.encode(),))


class Fails:
    """An operation that fails some times with an error that the database raises, and then succeeds."""

    def __init__(self, times: float, code: str) -> None:
        self.left, self.runs = times, 0
        self.code = code

    async def __call__(self, session: Session, id: str) -> int:
        self.runs += 1
        await add(session, id)
        if self.left > 0:
            self.left -= 1
            await session.rows(f"DO $$ BEGIN RAISE SQLSTATE '{self.code}'; END $$")
        return self.runs


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_statements_of_modd_that_others_are_in_the_way_of_are_repeated(
    code: str, postgres_server: PostgresServer
) -> None:
    # PG-13
    async with new_store(postgres_server, listen=False) as store:
        fails = Fails(3, code)
        assert await store.access("add").write(fails, "a") == 4
        always = Fails(1e9, code)
        with pytest.raises(StoreBusy, match="other transactions were in the way"):
            await store.access("add").write(always, "b")
        assert always.runs == ATTEMPTS == 20
        with pytest.raises(psycopg.errors.UniqueViolation):
            await store.access("add").write(add, "a")


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_in_an_immediate_transaction_they_are_conflicts(code: str, postgres_server: PostgresServer) -> None:
    # PG-13
    async with new_store(postgres_server, listen=False) as store:
        fails = Fails(1, code)
        with pytest.raises(ReadConflict, match="an immediate transaction"):
            async with store.transaction(immediate=True):
                await store.access("add").write(fails, "a")
        assert fails.runs == 1


async def test_two_immediate_transactions_in_each_others_way_end_in_a_conflict(postgres_server: PostgresServer) -> None:
    # PG-13
    async with new_store(postgres_server) as store:
        table = await with_orders(store)
        async with store.transaction() as tx:
            await tx.execute_many(f"INSERT INTO {table} VALUES (%s, 'a')", [(1,), (2,)])
        with psycopg.connect(postgres_server.url) as direct:
            direct.execute(f"UPDATE {table} SET name = 'b' WHERE id = 1".encode())
            async with anyio.create_task_group() as tasks:
                with pytest.raises(ReadConflict, match="an immediate transaction"):  # noqa: PT012  # the end of the block may raise
                    async with store.transaction(immediate=True, max_seconds=60) as tx:
                        await tx.execute("SET LOCAL deadlock_timeout = '10ms'")
                        await tx.execute(f"UPDATE {table} SET name = 'c' WHERE id = 2")
                        tasks.start_soon(anyio.to_thread.run_sync, wait_and_update, direct, table)
                        await waiting_for_lock(postgres_server, "transactionid")
                        await tx.execute(f"UPDATE {table} SET name = 'c' WHERE id = 1")
            direct.rollback()
        assert await orders(store) == [(1, "a"), (2, "a")]


def wait_and_update(direct: Any, table: str) -> None:
    """Wait for a row of a transaction that waits for one of this connection."""
    direct.execute("SET LOCAL deadlock_timeout = '1h'")
    direct.execute(f"UPDATE {table} SET name = 'b' WHERE id = 2".encode())


@in_order
async def number_in_order(session: Session) -> int:
    [[count]] = await session.rows("SELECT count(*) FROM modd.inbox")
    await add(session, f"{count}")
    return int(count)


async def test_operations_in_order_run_one_after_another_until_their_commit(postgres_server: PostgresServer) -> None:
    # PG-56
    async with new_store(postgres_server) as store:
        numbers: list[int] = []

        async def number() -> None:
            numbers.append(await store.access("number").write(number_in_order))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(number)
        async with store.transaction(immediate=True):
            numbers.append(await store.access("number").write_for_result("number", number_in_order))
        assert sorted(numbers) == [*range(9)]


async def test_a_commit_that_waits_for_a_session_that_has_put_holds_no_other_writer_up(
    postgres_server: PostgresServer,
) -> None:
    # PG-19
    schema = new_schema()
    async with new_store(postgres_server, schema, timeout=30) as store, new_store(postgres_server, schema) as other:

        async def handle() -> None:
            async with store.transaction():
                assert not await store.inbox.has("command")
                await store.events.append("sales", [b"sold"], 0)

        with psycopg.connect(postgres_server.url) as session:
            await store.outbox.using(session).put(b"order placed")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(handle)
                await waiting_for_lock(postgres_server, "advisory")
                with anyio.fail_after(10):
                    await other.inbox.add("a")
                    await other.queue("orders").put(b"1")
                    await other.queue("orders").ack(*await other.queue("orders").claim(1, 30))
                session.commit()
        assert [event.body async for event in store.events.read("sales")] == [b"sold"]


@pytest.mark.parametrize("reads", [False, True])
async def test_a_session_can_put_inside_of_an_immediate_transaction_for_which_a_commit_waits(
    reads: bool, postgres_server: PostgresServer
) -> None:
    # PG-19
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema, timeout=30) as other:

        async def put() -> None:
            async with other.transaction():
                assert not reads or not await other.inbox.has("command")
                await other.outbox.put(b"2")

        with psycopg.connect(postgres_server.url) as session:
            session.execute("SET lock_timeout = '10s'")
            async with anyio.create_task_group() as tasks:
                async with store.transaction(immediate=True, max_seconds=60):
                    tasks.start_soon(put)
                    await waiting_for_lock(postgres_server, "advisory")
                    await store.outbox.using(session).put(b"1")
                with anyio.fail_after(10):
                    await store.inbox.add("a")  # though the commit waits for the session now
                session.commit()
        assert [claim.body for claim in await store.outbox.claim(9, 30)] == [b"1", b"2"]
